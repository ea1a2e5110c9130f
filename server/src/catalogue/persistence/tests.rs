use super::*;
use crate::catalogue::kind::PLAIN;
use crate::catalogue::version::Version;

fn item(name: &str, content: Option<&str>) -> StoredItem {
    let version = Version {
        era: 19,
        generation: 3,
        time_ms: 533_099_034_374,
        node: 0xBB9_0000_0000_0000,
    };
    StoredItem::new(&PLAIN, name, version, content)
}

const NOTHING: Before<'static> = Before {
    contents: &[],
    may_be_torn: false,
};

#[test]
fn links_in_the_way_of_files_are_not_followed() {
    use std::os::unix::fs::symlink;
    let directory = tempfile::tempdir().unwrap();
    let (work, user_path) = (directory.path().join("work"), directory.path().join("lua"));
    let mut store = Store::open(&PLAIN, &work, Some(&user_path)).unwrap().store;
    let secret = directory.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    for folder in [work.join("smd"), user_path.clone()] {
        symlink(&secret, folder.join(PLAIN.hidden(files::TEMPORARY_FILE))).unwrap();
    }
    store.replace(&[item("a.lua", Some("LS0g"))]).unwrap();
    store.mark_alive(7).unwrap();
    store.bring_copy("a.lua", NOTHING, Some(b"-- ")).unwrap();
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
    for path in [work.join("smd/things.smd"), user_path.join("a.lua")] {
        assert!(fs::symlink_metadata(&path).unwrap().is_file(), "{path:?}");
    }
    drop(store);
    fs::remove_file(work.join("smd").join(PLAIN.hidden(files::LOCK_FILE))).unwrap();
    symlink(
        &secret,
        work.join("smd").join(PLAIN.hidden(files::LOCK_FILE)),
    )
    .unwrap();
    let refused = Store::open(&PLAIN, &work, Some(&user_path))
        .unwrap_err()
        .to_string();
    assert!(refused.starts_with("cannot create `"), "{refused}");
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
}

#[test]
fn damaged_registry_is_refused_and_left_alone() {
    for text in [
        "",
        "{}",
        "[[0,1],{\"key\":\"a.lua\"}]",
        "[[0,1],{\"key\":\"../a.lua\",\"value\":null,\"generation\":1,\"timestamp\":1}]",
        "[[0,1],{\"key\":\"a.lua\",\"value\":7,\"generation\":1,\"timestamp\":1}]",
        "[[0,1],{\"key\":\"a.lua\",\"value\":null,\"generation\":-1,\"timestamp\":1}]",
    ] {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("smd")).unwrap();
        let path = directory.path().join("smd/things.smd");
        fs::write(&path, text).unwrap();
        let opened = Store::open(
            &PLAIN,
            directory.path(),
            Some(&directory.path().join("lua")),
        );
        assert!(
            matches!(opened, Err(StoreError::Damaged { .. })),
            "{text}: {opened:?}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn directory_belongs_to_one_server_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let user_path = directory.path().join("lua");
    let first = Store::open(&PLAIN, directory.path(), Some(&user_path)).unwrap();
    let second = Store::open(&PLAIN, directory.path(), Some(&user_path));
    assert!(
        matches!(second, Err(StoreError::InUse { .. })),
        "{second:?}"
    );
    drop(first);
    Store::open(&PLAIN, directory.path(), Some(&user_path)).unwrap();
}

#[test]
fn unfinished_files_are_removed_at_start_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let user_path = directory.path().join("lua");
    fs::create_dir(&user_path).unwrap();
    fs::write(user_path.join(PLAIN.hidden(files::TEMPORARY_FILE)), "half").unwrap();
    fs::write(user_path.join(".hidden"), "theirs").unwrap();
    fs::write(user_path.join("theirs.lua"), "theirs").unwrap();
    Store::open(&PLAIN, directory.path(), Some(&user_path)).unwrap();
    let mut left: Vec<_> = fs::read_dir(&user_path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, [".hidden", "theirs.lua"]);
}

#[test]
fn only_files_of_the_registered_content_are_replaced_or_removed() {
    let directory = tempfile::tempdir().unwrap();
    let user_path = directory.path().join("lua");
    let mut store = Store::open(&PLAIN, directory.path(), Some(&user_path))
        .unwrap()
        .store;
    let one = [b"one".to_vec()];
    let before = Before {
        contents: &one,
        may_be_torn: false,
    };
    let read = || fs::read(user_path.join("a.lua"));
    store.bring_copy("a.lua", NOTHING, Some(b"one")).unwrap();
    store.check_copy("a.lua", Some(b"one"), b"two").unwrap();
    store.bring_copy("a.lua", before, Some(b"two")).unwrap();
    assert_eq!(read().unwrap(), b"two");
    // It is not what it was.
    store.bring_copy("a.lua", before, None).unwrap();
    store.bring_copy("a.lua", before, Some(b"new")).unwrap_err();
    assert_eq!(read().unwrap(), b"two");
    fs::write(user_path.join("a.lua"), "one").unwrap();
    store.bring_copy("a.lua", before, None).unwrap();
    assert_eq!(read().unwrap_err().kind(), io::ErrorKind::NotFound);

    fs::write(user_path.join("theirs.lua"), "theirs").unwrap();
    std::os::unix::fs::symlink("theirs.lua", user_path.join("link.lua")).unwrap();
    fs::create_dir(user_path.join("directory.lua")).unwrap();
    for name in ["theirs.lua", "link.lua", "directory.lua"] {
        for ours in [None, Some(&b"one"[..])] {
            assert!(
                matches!(
                    store.check_copy(name, ours, b"new"),
                    Err(StoreError::ForeignFile { .. })
                ),
                "{name}"
            );
        }
        store.bring_copy(name, before, None).unwrap();
        let refused = store.bring_copy(name, before, Some(b"new"));
        assert!(
            matches!(refused, Err(StoreError::ForeignFile { .. })),
            "{name}: {refused:?}"
        );
    }
    assert_eq!(fs::read(user_path.join("theirs.lua")).unwrap(), b"theirs");
    store.check_copy("theirs.lua", None, b"theirs").unwrap();
}

#[test]
fn copies_that_are_owed_are_there_before_the_log_that_tells_of_them_is_emptied() {
    let directory = tempfile::tempdir().unwrap();
    let user_path = directory.path().join("lua");
    let mut store = Store::open(&PLAIN, directory.path(), Some(&user_path))
        .unwrap()
        .store;
    let read = || fs::read_to_string(user_path.join("a.lua")).ok();
    let text = |text: &str| Some(Arc::<[u8]>::from(text.as_bytes()));
    let a = [item("a.lua", Some("LS0g"))];
    store.append(&a, &[]).unwrap();
    store.owe_copy("a.lua", None, text("one"));
    assert_eq!(read(), None, "there is time until the log is emptied");
    store.owe_copy("a.lua", text("one"), text("two"));
    // The file holds nothing of ours yet: what is there now is somebody's.
    fs::write(user_path.join("a.lua"), "one").unwrap();
    assert!(matches!(
        store.check_copy("a.lua", Some(b"two"), b"three"),
        Err(StoreError::ForeignFile { .. })
    ));
    fs::remove_file(user_path.join("a.lua")).unwrap();
    store.bring_copies();
    assert_eq!(read().as_deref(), Some("two"));

    store.append(&a, &a).unwrap();
    store.owe_copy("a.lua", text("two"), text("three"));
    store.check_copy("a.lua", Some(b"three"), b"four").unwrap();
    store.snapshot(&a);
    assert_eq!(read().as_deref(), Some("three"));
    store.owe_copy("a.lua", text("three"), None);
    store.replace(&a).unwrap();
    assert_eq!(read(), None);
    // Nothing would tell a start of this one.
    assert_eq!(store.behind(), None);
    store.owe_copy("a.lua", None, text("four"));
    assert_eq!(read().as_deref(), Some("four"));
}

#[test]
fn a_copy_that_the_machine_stopped_in_is_known_by_what_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let user_path = directory.path().join("lua");
    let mut store = Store::open(&PLAIN, directory.path(), Some(&user_path))
        .unwrap()
        .store;
    let contents = [b"old text".to_vec()];
    let before = Before {
        contents: &contents,
        may_be_torn: true,
    };
    for (left, ours) in [
        (&b""[..], true),
        (b"new", true),
        (b"\0\0\0 con", true),
        (b"old \0\0\0\0", true),
        (b"new content and more", false),
        (b"nev", false),
    ] {
        fs::write(user_path.join("a.lua"), left).unwrap();
        let brought = store.bring_copy("a.lua", before, Some(b"new content"));
        assert_eq!(brought.is_ok(), ours, "{left:?}");
        let holds: &[u8] = if ours { b"new content" } else { left };
        assert_eq!(fs::read(user_path.join("a.lua")).unwrap(), holds);
    }
}

#[test]
fn a_copy_takes_no_other_ones_place_where_files_can_change_names() {
    let directory = tempfile::tempdir().unwrap();
    let user_path = directory.path().join("lua");
    let mut store = Store::open(&PLAIN, directory.path(), Some(&user_path))
        .unwrap()
        .store;
    let [one, other] = ["one", "other"].map(|name| directory.path().join(name));
    for path in [&one, &other] {
        fs::write(path, path.to_str().unwrap()).unwrap();
    }
    let can = files::exchange(&one, &other).is_ok();
    assert_eq!(
        fs::read_to_string(&one).unwrap() == other.to_str().unwrap(),
        can
    );
    let contents = ["0", "1", "2"].map(|text| text.as_bytes().to_vec());
    for (number, content) in (0..).zip(&contents) {
        let before = Before {
            contents: &contents,
            may_be_torn: false,
        };
        store.bring_copy("a.lua", before, Some(content)).unwrap();
        assert_eq!(&fs::read(user_path.join("a.lua")).unwrap(), content);
        assert_eq!(store.work().replaced(), if can { 0 } else { number });
    }
    let names = fs::read_dir(&user_path).unwrap();
    assert_eq!(names.count(), 1, "nothing is left over");
}

/// What a start finds: names with their contents, and the number of the last change.
fn found(opened: &Opened) -> (Vec<(&str, Option<&str>)>, u64) {
    let items = opened.items.iter();
    let items = items.map(|item| (&**item.name(), item.content()));
    (items.collect(), opened.store.version.1)
}

#[test]
fn a_start_finds_the_snapshot_and_the_changes_since_whichever_of_both_was_written_last() {
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        Store::open(
            &PLAIN,
            directory.path(),
            Some(&directory.path().join("lua")),
        )
        .unwrap()
    };
    let (a, b) = (item("a.lua", Some("LS0g")), item("b.lua", Some("LS0g")));
    let mut store = open().store;
    store.append(std::slice::from_ref(&a), &[]).unwrap();
    // The machine stops between a snapshot and the emptying of the log.
    let snapshot = store.snapshot(std::slice::from_ref(&a));
    snapshot.write().unwrap();
    store.put_in_place(&snapshot).unwrap();
    drop(store);
    let opened = open();
    assert_eq!(found(&opened), (vec![("a.lua", Some("LS0g"))], 1));
    assert!(opened.superseded.is_empty());

    // A change comes while a snapshot is written.
    let mut store = opened.store;
    let snapshot = store.snapshot(std::slice::from_ref(&a));
    store.append(std::slice::from_ref(&b), &[]).unwrap();
    snapshot.write().unwrap();
    store.put_in_place(&snapshot).unwrap();
    store.written(&snapshot);
    assert!(store.behind().is_some_and(|bytes| bytes > 0));
    drop(store);
    let opened = open();
    let both = vec![("a.lua", Some("LS0g")), ("b.lua", Some("LS0g"))];
    assert_eq!(found(&opened), (both.clone(), 2));

    // All is replaced while a snapshot is written, which must not come after that.
    let mut store = opened.store;
    let snapshot = store.snapshot(&[]);
    snapshot.write().unwrap();
    store.replace(std::slice::from_ref(&b)).unwrap();
    assert_eq!(store.behind(), None);
    store.put_in_place(&snapshot).unwrap();
    store.written(&snapshot);
    drop(store);
    let opened = open();
    assert_eq!(found(&opened), (both[1..].to_vec(), 3));
}

#[test]
fn a_log_that_does_not_belong_to_its_snapshot_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        Store::open(
            &PLAIN,
            directory.path(),
            Some(&directory.path().join("lua")),
        )
    };
    let a = item("a.lua", Some("LS0g"));
    let mut store = open().unwrap().store;
    store.replace(std::slice::from_ref(&a)).unwrap();
    store.append(&[item("b.lua", None)], &[]).unwrap();
    drop(store);
    fs::remove_file(directory.path().join("smd/things.smd")).unwrap();
    let refused = open().unwrap_err().to_string();
    assert!(
        refused.contains("things.log` is damaged: it goes on from change 1, but things.smd beside it goes up to change 0"),
        "{refused}"
    );
}

#[test]
fn when_the_log_cannot_be_written_the_registry_is_written_as_a_whole() {
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        Store::open(
            &PLAIN,
            directory.path(),
            Some(&directory.path().join("lua")),
        )
    };
    let mut store = open().unwrap().store;
    let log = directory.path().join("smd/things.log");
    fs::create_dir(&log).unwrap();
    let (a, b) = (item("a.lua", Some("LS0g")), item("b.lua", Some("LS0g")));
    store.append(std::slice::from_ref(&a), &[]).unwrap();
    fs::remove_dir(&log).unwrap();
    store
        .append(std::slice::from_ref(&b), std::slice::from_ref(&a))
        .unwrap();
    assert!(fs::metadata(&log).unwrap().len() > 0);
    drop(store);
    let both = vec![("a.lua", Some("LS0g")), ("b.lua", Some("LS0g"))];
    assert_eq!(found(&open().unwrap()), (both, 2));
}
