//! What becomes of files that are damaged, cut, lost or taken away.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flipped_bits_are_named_and_never_read_as_records() {
    let disk = SimulatedDisk::default();
    let engine = open(&disk, options(true, true)).unwrap();
    let mut sizes = BTreeMap::new();
    for token in 1..=40 {
        sizes.insert(token, 900);
        put(&engine, token, token, 900).await.unwrap();
    }
    let all = stored(&engine, &sizes).await;
    engine.close().await.unwrap();
    drop(engine);
    let used = disk.used();
    let mut dice = Dice(1);
    for _ in 0..300 {
        let at = used[dice.roll(used.len() as u64) as usize];
        let bit = dice.roll(8) as u8;
        // A copy of the disk with one bit flipped.
        let changed = disk.copy();
        changed.flip(at, bit);
        match open(&changed, options(dice.roll(2) == 0, true)) {
            Err(OpenError::Damaged { .. } | OpenError::Refused { .. }) => {}
            Err(error) => panic!("byte {at}: {error}"),
            // It fell on what says nothing any more, like a mark of what was synced in between.
            Ok(engine) => assert_eq!(stored(&engine, &sizes).await, all, "byte {at} bit {bit}"),
        }
        // It stays as it is: another try says the same.
        drop(changed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_damaged_while_the_file_is_open_is_an_error_of_its_reader_only() {
    let disk = SimulatedDisk::default();
    let engine = open(&disk, options(false, true)).unwrap();
    put(&engine, 1, 1, 900).await.unwrap();
    put(&engine, 2, 2, 900).await.unwrap();
    let place = engine.shared.entry(&digest(1)).unwrap().place;
    disk.flip(engine.shared.position(place.segment, place.offset + 300), 0);
    let damaged = engine.get(&digest(1), Extent::Whole).await;
    assert!(
        matches!(damaged, Err(StorageError::Damaged(_))),
        "{damaged:?}"
    );
    assert!(
        engine
            .get(&digest(2), Extent::Whole)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_whole_of_a_damaged_file_can_be_saved() {
    let directory = tempfile::tempdir().unwrap();
    let (path, saved) = (
        directory.path().join("records"),
        directory.path().join("saved"),
    );
    let engine = real(directory.path(), "test").unwrap();
    for number in 1..=20 {
        put(&engine, number, number, 900).await.unwrap();
    }
    engine
        .remove(&digest(3), Expected::Any, Removal::Asked)
        .await
        .unwrap();
    let place = engine.shared.entry(&digest(7)).unwrap().place;
    let at = engine.shared.position(place.segment, place.offset + 100);
    engine.close().await.unwrap();
    drop(engine);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[at as usize] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let refused = real(directory.path(), "test")
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("records: damaged at byte") && refused.contains("salvage"),
        "{refused}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing was changed");
    let salvaged = salvage(&path, &saved, None).unwrap();
    assert_eq!((salvaged.records, salvaged.damage.len()), (18, 1));
    assert!(
        salvage(&path, &saved, None).is_err(),
        "nothing is written over"
    );
    let engine = FileEngine::open(&saved, 16 << 20, "test", options(true, true)).unwrap();
    for number in 1..=20 {
        let found = engine.get(&digest(number), Extent::Whole).await.unwrap();
        assert_eq!(
            found.is_some(),
            ![3, 7].contains(&number),
            "record {number}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_somebody_removes_or_replaces_takes_no_more_writes() {
    for replaced in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("records");
        let engine = real(directory.path(), "test").unwrap();
        put(&engine, 1, 1, 10).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        if replaced {
            std::fs::write(&path, b"another").unwrap();
        }
        let mut token = 1;
        let deadline = Instant::now() + Duration::from_secs(60);
        let refused = loop {
            token += 1;
            match put(&engine, 2, token, 10).await {
                Ok(_) => assert!(Instant::now() < deadline, "writes go on"),
                Err(error) => break error.to_string(),
            }
        };
        assert!(refused.contains("removed or replaced"), "{refused}");
        let read = engine.get(&digest(1), Extent::Whole).await.unwrap();
        assert!(read.is_some(), "reads go on");
    }
}

/// A file of twenty records, closed, and where the first and the last of them stand.
async fn closed_file(path: &Path) -> (Vec<u8>, u64, u64) {
    let engine = FileEngine::open(path, 16 << 20, "test", options(true, true)).unwrap();
    for number in 1..=20 {
        put(&engine, number, number, 900).await.unwrap();
    }
    let at = |number| {
        let place = engine.shared.entry(&digest(number)).unwrap().place;
        engine.shared.position(place.segment, place.offset)
    };
    let (first, last) = (at(1), at(20));
    engine.close().await.unwrap();
    (std::fs::read(path).unwrap(), first, last)
}

/// Bytes to change, and what is put there.
type Harm = (std::ops::Range<u64>, u8);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_damaged_the_rest_is_saved() {
    let directory = tempfile::tempdir().unwrap();
    let (path, saved) = (
        directory.path().join("records"),
        directory.path().join("saved"),
    );
    let (whole, first, last) = closed_file(&path).await;
    let start = HEADER as u64;
    // What is changed, whether the namespace has to be said, and how many records are saved.
    let cases: [(&str, Harm, bool, usize); 9] = [
        ("the magic", (0..1, 1), false, 20),
        ("the version", (8..9, 4), false, 20),
        ("the size of segments", (14..15, 1), false, 20),
        ("the name", (34..35, 2), false, 20),
        ("the whole header", (0..start, 0xff), true, 20),
        (
            "the header of the segment",
            (start..start + 2, 0xff),
            false,
            20,
        ),
        (
            "the sequence of the segment",
            (start + 4..start + 5, 9),
            false,
            20,
        ),
        ("the first record", (first + 50..first + 51, 1), false, 19),
        ("the last record", (last + 50..last + 600, 1), false, 19),
    ];
    for (what, (range, change), needs_name, count) in cases {
        let mut bytes = whole.clone();
        for at in range {
            bytes[at as usize] ^= change;
        }
        std::fs::write(&path, &bytes).unwrap();
        let refused = real(directory.path(), "test").map(drop).unwrap_err();
        assert!(
            refused.to_string().contains("records: "),
            "{what}: {refused}"
        );
        assert_eq!(
            std::fs::read(&path).unwrap(),
            bytes,
            "{what}: nothing was changed"
        );
        if needs_name {
            let reason = salvage(&path, &saved, None).unwrap_err().to_string();
            assert!(reason.contains("--namespace"), "{what}: {reason}");
        }
        let name = needs_name.then_some("test");
        let salvaged = salvage(&path, &saved, name).unwrap();
        assert_eq!(salvaged.records, count, "{what}");
        let engine = FileEngine::open(&saved, 16 << 20, "test", options(true, true)).unwrap();
        assert_eq!(
            engine.partition_objects(digest(0).partition_id()),
            count,
            "{what}"
        );
        drop(engine);
        std::fs::remove_file(&saved).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_cut_or_lost_its_beginning_is_never_taken_for_a_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("records");
    for closed in [true, false] {
        let (mut whole, first, _) = closed_file(&path).await;
        if !closed {
            // As a crash leaves it.
            let header = Header::read(&whole[..HEADER]).unwrap().unwrap();
            let open = Header {
                closed_at: None,
                ..header
            };
            whole[..HEADER].fill(0);
            let bytes = open.to_bytes();
            whole[..bytes.len()].copy_from_slice(&bytes);
        }
        let length = whole.len() as u64;
        for end in [
            1,
            7,
            40,
            4_095,
            4_096,
            4_100,
            first,
            first + 300,
            length / 2,
            length - 1,
        ] {
            std::fs::write(&path, &whole[..end as usize]).unwrap();
            let refused = real(directory.path(), "test").map(drop).unwrap_err();
            let refused = refused.to_string();
            assert!(refused.contains("records: "), "{refused}");
            let left = std::fs::metadata(&path).unwrap().len();
            assert_eq!(left, end, "closed: {closed}: nothing was changed");
        }
        // A beginning of zeros is that of a new file only where nothing follows.
        let mut bytes = whole.clone();
        bytes[..HEADER].fill(0);
        std::fs::write(&path, &bytes).unwrap();
        let refused = real(directory.path(), "test").map(drop).unwrap_err();
        assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
        std::fs::remove_file(&path).unwrap();
    }
    std::fs::write(&path, vec![0; 8_192]).unwrap();
    let engine = real(directory.path(), "test").unwrap();
    assert_eq!(engine.partition_objects(digest(0).partition_id()), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_synced_is_no_cut_off_end_although_nothing_was_written_since() {
    for in_memory in [true, false] {
        let disk = SimulatedDisk::default();
        let options = FileOptions {
            flush_after: Duration::from_secs(60),
            ..options(in_memory, false)
        };
        let engine = open(&disk, options).unwrap();
        for number in 1..=20 {
            put(&engine, number, number, 300).await.unwrap();
        }
        // One write, behind which no other is.
        engine.flush().await.unwrap();
        let marked = || {
            let log = engine.shared.log.lock();
            log.marked == log.synced && log.synced != (0, 0)
        };
        eventually(marked, "the mark").await;
        let at = |number| {
            let place = engine.shared.entry(&digest(number)).unwrap().place;
            engine.shared.position(place.segment, place.offset)
        };
        let (middle, last) = (at(9), at(20));
        let disk = disk.crash(|| true);
        drop(engine);
        for (from, length) in [
            (middle + 50, 1),
            (last + 50, 1),
            (last, 200),
            (4_096, 60_000),
        ] {
            let harmed = disk.copy();
            for at in from..from + length {
                harmed.flip(at, 3);
            }
            if length > 1 {
                harmed.discard(from, length).unwrap();
                harmed.sync().unwrap();
            }
            let refused = open(&harmed, options).map(drop).unwrap_err();
            assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
        }
        let engine = open(&disk, options).unwrap();
        assert_eq!(engine.partition_objects(digest(0).partition_id()), 20);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_saved_of_a_file_of_a_later_version() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("records");
    let (mut bytes, _, _) = closed_file(&path).await;
    let end = Header::read(&bytes[..HEADER])
        .unwrap()
        .unwrap()
        .to_bytes()
        .len()
        - 4;
    bytes[8] = 3;
    let checksum = crc32fast::hash(&bytes[..end]).to_le_bytes();
    bytes[end..end + 4].copy_from_slice(&checksum);
    std::fs::write(&path, &bytes).unwrap();
    let saved = directory.path().join("saved");
    let refused = salvage(&path, &saved, Some("test"))
        .unwrap_err()
        .to_string();
    assert!(refused.contains("its version is 3"), "{refused}");
    assert!(!saved.exists());
}
