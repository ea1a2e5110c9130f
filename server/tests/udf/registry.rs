//! What is registered, listed and kept.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use server::catalogue::StoreError;
use server::contexts::service::Service;
use server::modules::registry::PutError;
use server::modules::settings::UdfSettings;

use crate::ask::ask;
use crate::fake::{FakeFactory, Fixture};

fn put_command(file_name: &str, source: &str) -> String {
    let content = STANDARD.encode(source);
    format!(
        "udf-put:filename={file_name};content={content};content-len={};udf-type=LUA;",
        content.len()
    )
}

/// File names in the order of `udf-list`.
fn listed(service: &Service<FakeFactory>) -> Vec<String> {
    service
        .modules()
        .in_order()
        .iter()
        .map(|module| module.file_name().to_owned())
        .collect()
}

#[test]
fn names_that_leave_the_directory_are_refused_by_every_command() {
    let fixture = Fixture::new();
    let victim = fixture.directory.path().join("victim.lua");
    fs::write(&victim, "theirs").unwrap();
    for name in [
        "",
        ".",
        "..",
        ".hidden.lua",
        "../victim.lua",
        "a/../../victim.lua",
        "/etc/passwd.lua",
        "sub/a.lua",
    ] {
        for command in [
            put_command(name, "one"),
            format!("udf-get:filename={name}"),
            format!("udf-remove:filename={name}"),
        ] {
            // There is no module whose name has a slash, and asking for one is no mistake.
            let asks = command.starts_with("udf-get:") && name.contains('/');
            let expected = if asks {
                "error=not_found"
            } else {
                "error=invalid_filename"
            };
            assert_eq!(ask(&fixture.service, &command), expected, "{command}");
        }
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "theirs");
}

#[test]
fn native_libraries_are_registered_only_when_unsafe_lua_is_allowed() {
    let fixture = Fixture::new();
    let command = put_command("native.so", "invalid");
    assert_eq!(ask(&fixture.service, &command), "error=invalid_filename");
    let fixture = Fixture::with(|settings| settings.allow_unsafe_lua = true);
    assert_eq!(ask(&fixture.service, &command), "ok");
    assert!(fixture.service.acquire(b"native").is_err());
}

#[test]
fn largest_source_has_one_byte_less_than_a_mebibyte() {
    let fixture = Fixture::new();
    let command = put_command("big.lua", &"-".repeat((1 << 20) - 1));
    assert_eq!(ask(&fixture.service, &command), "ok");
    let command = put_command("big.lua", &"-".repeat(1 << 20));
    assert_eq!(
        ask(&fixture.service, &command),
        "error=invalid_udf_content_len,>1M"
    );
}

#[test]
fn removed_module_keeps_its_place_and_its_generation() {
    let fixture = Fixture::new();
    for file_name in ["b.lua", "a.lua", "c.lua"] {
        fixture.put(file_name, "one");
    }
    fixture.service.remove("a.lua").unwrap();
    assert_eq!(listed(&fixture.service), ["b.lua", "c.lua"]);
    let fixture = fixture.restarted();
    fixture.put("a.lua", "one");
    let fixture = fixture.restarted();
    assert_eq!(listed(&fixture.service), ["b.lua", "a.lua", "c.lua"]);
    let stored = fs::read_to_string(fixture.directory.path().join("state/smd/UDF.smd")).unwrap();
    let stored: serde_json::Value = serde_json::from_str(&stored).unwrap();
    assert_eq!(stored[2]["key"], "a.lua");
    assert_eq!(stored[2]["generation"], 3);
}

#[test]
fn removing_unknown_names_leaves_no_trace() {
    let fixture = Fixture::new();
    fixture.put("a.lua", "one");
    let path = fixture.directory.path().join("state/smd/UDF.log");
    let before = fs::read(&path).unwrap();
    for index in 0..200 {
        let command = format!("udf-remove:filename=unknown{index}.lua");
        assert_eq!(ask(&fixture.service, &command), "ok");
    }
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn same_content_again_changes_nothing_on_disk() {
    let fixture = Fixture::new();
    fixture.put("a.lua", "one");
    let path = fixture.directory.path().join("state/smd/UDF.log");
    let before = fs::read(&path).unwrap();
    fixture.put("a.lua", "one");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn modules_come_back_after_a_restart_in_any_order_of_dependencies() {
    let fixture = Fixture::new();
    fixture.put("b.lua", "b1");
    fixture.put("a.lua", "require b");
    // From now on `b` needs what comes after it in the list.
    fixture.put("z.lua", "z1");
    fixture.put("b.lua", "require z");
    let list = ask(&fixture.service, "udf-list");
    let fixture = fixture.restarted();
    assert_eq!(ask(&fixture.service, "udf-list"), list);
    assert_eq!(fixture.sources("a"), ["require b", "require z", "z1"]);
    fixture.warm();
    for file_name in ["a.lua", "b.lua", "z.lua"] {
        assert!(fixture.counts(file_name).idle >= 10, "{file_name}");
    }
}

#[test]
fn module_directory_holds_a_copy_of_every_module() {
    let fixture = Fixture::new();
    let path = fixture.directory.path().join("lua/a b,\"c\".lua");
    fixture.put("a b,\"c\".lua", "one");
    assert_eq!(fs::read_to_string(&path).unwrap(), "one");
    fixture.put("a b,\"c\".lua", "two");
    assert_eq!(fs::read_to_string(&path).unwrap(), "two");
    fs::remove_file(&path).unwrap();
    let fixture = fixture.restarted();
    assert_eq!(fs::read_to_string(&path).unwrap(), "two");
    fixture.service.remove("a b,\"c\".lua").unwrap();
    assert!(!path.exists());
}

#[test]
fn files_that_the_server_did_not_write_are_never_touched() {
    let fixture = Fixture::new();
    let theirs = fixture.directory.path().join("lua/theirs.lua");
    fs::write(&theirs, "theirs").unwrap();
    assert!(matches!(
        fixture.try_put("theirs.lua", "ours"),
        Err(PutError::Store(StoreError::ForeignFile { .. }))
    ));
    let answer = ask(&fixture.service, &put_command("theirs.lua", "ours"));
    let message = answer
        .strip_prefix("error=file_exists;file=theirs.lua;line=0;message=")
        .unwrap_or_else(|| panic!("{answer}"));
    let message = String::from_utf8(STANDARD.decode(message).unwrap()).unwrap();
    assert!(message.ends_with(
        "was not written by this server and is kept; move it away, or register under another name"
    ));
    assert_eq!(listed(&fixture.service), [""; 0]);
    fixture.service.remove("theirs.lua").unwrap();

    // Somebody edits a copy: what is registered stays what runs, before and after a restart.
    fixture.put("a.lua", "one");
    let edited = fixture.directory.path().join("lua/a.lua");
    fs::write(&edited, "edited").unwrap();
    let fixture = fixture.restarted();
    assert_eq!(fixture.sources("a"), ["one"]);
    let refused = fixture.try_put("a.lua", "two").unwrap_err();
    assert!(
        matches!(&refused, PutError::Store(StoreError::ForeignFile { path }) if *path == edited),
        "{refused:?}"
    );
    assert_eq!(fixture.sources("a"), ["one"]);
    fixture.service.remove("a.lua").unwrap();
    assert_eq!(fs::read_to_string(&edited).unwrap(), "edited");
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
    // The same content as is to be registered is no conflict.
    fixture.put("theirs.lua", "theirs");
    assert_eq!(fixture.sources("theirs"), ["theirs"]);
}

#[test]
fn registry_that_cannot_be_written_changes_nothing() {
    let fixture = Fixture::new();
    fixture.put("a.lua", "one");
    let fixture = fixture.restarted();
    // Directories in the places of the registry and its log: they cannot be written or replaced by files.
    let paths = ["UDF.smd", "UDF.log"].map(|name| {
        let path = fixture.directory.path().join("state/smd").join(name);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        path
    });
    let answer = ask(&fixture.service, &put_command("a.lua", "two"));
    assert!(
        answer.starts_with("error=not_stored;file=a.lua;line=0;message="),
        "{answer}"
    );
    let answer = ask(&fixture.service, "udf-remove:filename=a.lua");
    assert!(
        answer.starts_with("error=not_removed;file=a.lua;line=0;message="),
        "{answer}"
    );
    assert_eq!(fixture.sources("a"), ["one"]);
    let copy = fixture.directory.path().join("lua/a.lua");
    assert_eq!(fs::read_to_string(copy).unwrap(), "one");
    for path in paths {
        fs::remove_dir(path).unwrap();
    }
    assert_eq!(ask(&fixture.service, &put_command("a.lua", "two")), "ok");
    assert_eq!(fixture.restarted().sources("a"), ["two"]);
}

#[test]
fn stats_name_every_module() {
    let fixture = Fixture::new();
    fixture.put("b.lua", "one");
    fixture.put("a.txt", "one");
    fixture.warm();
    drop(fixture.acquire("b"));
    let answer = ask(&fixture.service, "udf-stats:filename=b.lua");
    assert_eq!(
        answer,
        "filename=b.lua:version=1:contexts-idle=10:contexts-busy=0:hits=1:misses=0:created=10:dropped=0:\
         load-failures=0:calls=0:errors=0:timeouts=0:out-of-memory=0:contexts-oversized=0:contexts-changed=0:memory-bytes=10000:\
         script-memory-held=0:script-memory-limit=18446744073709551615;"
    );
    let all = ask(&fixture.service, "udf-stats");
    assert!(
        all.starts_with(&answer) && all.contains(";filename=a.txt:"),
        "{all}"
    );
}

#[test]
fn all_modules_together_have_a_limit() {
    let directory = tempfile::tempdir().unwrap();
    let settings = UdfSettings {
        max_bytes: 16,
        ..UdfSettings::new(directory.path().join("work"), directory.path().join("lua"))
    };
    let service = Service::open(settings, FakeFactory::default()).unwrap();
    assert_eq!(ask(&service, &put_command("a.lua", "12345678")), "ok");
    let refused = ask(&service, &put_command("b.lua", "1234567"));
    assert!(
        refused.starts_with("error=not_stored;file=b.lua;line=0;message="),
        "{refused}"
    );
    assert_eq!(listed(&service), ["a.lua"]);
    // What is replaced does not count.
    assert_eq!(ask(&service, &put_command("a.lua", "123456789")), "ok");
    assert_eq!(ask(&service, "udf-remove:filename=a.lua"), "ok");
    assert_eq!(ask(&service, &put_command("b.lua", "1234567")), "ok");
}

#[test]
fn a_put_writes_its_own_size_and_not_that_of_all_modules() {
    let fixture = Fixture::new();
    for index in 0..20 {
        fixture.put(&format!("large{index}.lua"), &"-".repeat(50_000));
    }
    let fixture = fixture.restarted();
    let folder = fixture.directory.path().join("state/smd");
    let registry = || {
        fs::metadata(folder.join("UDF.smd"))
            .unwrap()
            .modified()
            .unwrap()
    };
    let log = || fs::metadata(folder.join("UDF.log")).unwrap().len();
    let before = (registry(), log());
    assert_eq!(before.1, 0);
    fixture.put("small.lua", "one");
    fixture.service.remove("small.lua").unwrap();
    // The log is there now, and its name is synced.
    let mut work = fixture.service.totals().registry;
    for source in ["two", "three"] {
        fixture.put("small.lua", source);
        let now = fixture.service.totals().registry;
        assert_eq!(now.syncs - work.syncs, 1, "a put costs one sync");
        let bytes = now.bytes - work.bytes;
        assert!((100..1_000).contains(&bytes), "{bytes} bytes");
        work = now;
    }
    fixture.service.remove("small.lua").unwrap();
    assert_eq!(fixture.service.totals().registry.syncs - work.syncs, 1);
    assert_eq!(registry(), before.0);
    assert!((100..2_500).contains(&log()), "{} bytes", log());
    assert!(!fixture.service.is_untidy(), "a change has just come");
    fixture.service.tidy().unwrap();
    assert_eq!(log(), 0);
    assert_eq!(listed(&fixture.restarted().service).len(), 20);
}
