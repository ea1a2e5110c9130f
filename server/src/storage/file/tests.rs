//! Promises of files of records: what was acknowledged is there after a crash, what was removed is not, and what is
//! damaged is named.

mod damage;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use data::record::Parts;
use protocol::particle::Particle;

use super::simulated::{self, SimulatedDisk, eventually};
use super::*;

const SEGMENT: u64 = 16 << 10;

fn options(in_memory: bool, commit: bool) -> FileOptions {
    FileOptions {
        in_memory,
        commit,
        flush_after: Duration::from_millis(1),
        write_cache: 1 << 20,
        clean_below_pct: 50,
    }
}

fn open(disk: &SimulatedDisk, options: FileOptions) -> Result<FileEngine, OpenError> {
    simulated::open(disk, "test", 40, SEGMENT, options)
}

fn digest(number: u64) -> Digest {
    let mut bytes = [5; 20];
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    Digest(bytes)
}

fn record(number: u64, token: u64, size: usize) -> StoredRecord {
    let parts = Parts {
        digest: digest(number),
        token,
        generation: (token & 0xffff) as u16,
        void_time: 0,
        last_update_ms: token,
        set: if number.is_multiple_of(2) { "even" } else { "" },
        key: None,
    };
    // All of it tells the token: halves of two versions would be seen.
    let value = Particle::string(vec![(token % 251) as u8; size]);
    StoredRecord::new(
        &parts,
        [(&b"a"[..], value.as_ref())].into_iter(),
        &mut Vec::new(),
    )
    .unwrap()
}

async fn put(
    engine: &FileEngine,
    number: u64,
    token: u64,
    size: usize,
) -> Result<Changed, StorageError> {
    engine.put(record(number, token, size), Expected::Any).await
}

/// Token by number of all that is stored, read whole; each is as it was made.
async fn stored(engine: &FileEngine, sizes: &BTreeMap<u64, usize>) -> BTreeMap<u64, u64> {
    let page = engine.page(digest(0).partition_id(), None, 10_000, Extent::Whole);
    let mut stored = BTreeMap::new();
    for found in page.await.unwrap() {
        let number = u64::from_be_bytes(found.digest().0[12..].try_into().unwrap());
        let token = found.token();
        let whole = record(number, token, sizes[&token]);
        assert_eq!(found.as_bytes(), whole.as_bytes(), "never a mix");
        stored.insert(number, token);
    }
    stored
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What a record may be after a crash: none, or the version of one of these tokens.
type May = BTreeMap<u64, Vec<Option<u64>>>;

/// One history: changes, crashes and closings in turn; after each start all is as it may be.
async fn history(seed: u64) {
    let mut dice = Dice(seed);
    let (in_memory, commit) = (dice.roll(2) == 0, dice.roll(3) != 0);
    let options = options(in_memory, commit);
    let mut disk = SimulatedDisk::default();
    let mut sizes = BTreeMap::new();
    let (mut may, mut token): (May, u64) = (May::new(), 0);
    let mut truncated = 0;
    // What may be noted: what outlived a crash for certain, and what came after.
    let mut notes: Vec<Vec<u8>> = vec![Vec::new()];
    // Versions that somebody began to store and was never told of: they may be found until another change is made.
    let mut doubts: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for life in 0..2 + dice.roll(3) {
        let engine = open(&disk, options)
            .unwrap_or_else(|error| panic!("seed {seed}, life {life}: {error}"));
        let found = stored(&engine, &sizes).await;
        for (number, allowed) in &mut may {
            let now = found.get(number).copied();
            let doubts = doubts.get(number);
            let in_doubt = now.is_some_and(|now| doubts.is_some_and(|known| known.contains(&now)));
            assert!(
                in_doubt || allowed.contains(&now),
                "seed {seed}, life {life}: record {number} is {now:?} of {allowed:?}"
            );
            *allowed = vec![now];
        }
        doubts.clear();
        assert!(
            found.keys().all(|number| may.contains_key(number)),
            "seed {seed}"
        );
        let (truncations, max_token) = engine.opened_with();
        let known = truncations
            .iter()
            .map(|known| known.before_ms)
            .max()
            .unwrap_or(0);
        assert_eq!(known, truncated, "seed {seed}");
        token = token.max(max_token);
        let noted = engine.take_notes().remove(&7).unwrap_or_default();
        assert!(
            notes.contains(&noted),
            "seed {seed}: {noted:?} of {notes:?}"
        );
        notes = vec![noted];
        for _ in 0..dice.roll(60) {
            let number = dice.roll(8);
            let allowed = may.entry(number).or_insert_with(|| vec![None]);
            match dice.roll(10) {
                0 | 1 => {
                    let removed = engine
                        .remove(&digest(number), Expected::Any, Removal::Asked)
                        .await;
                    if let Changed::Done(Some(_)) = removed.unwrap() {
                        doubts.remove(&number);
                    }
                    allowed.push(None);
                }
                2 if dice.roll(4) == 0 => {
                    truncated = token + 1;
                    let truncation = Truncation {
                        set: String::new(),
                        before_ms: truncated,
                    };
                    engine.truncated(&truncation).await.unwrap();
                    for (number, allowed) in &mut may {
                        engine
                            .remove(&digest(*number), Expected::Any, Removal::Truncated)
                            .await
                            .unwrap();
                        *allowed = vec![None];
                    }
                    token += 1;
                    doubts.clear();
                    continue;
                }
                3 if dice.roll(2) == 0 => {
                    // Each tells of what was stored before it.
                    let note = format!("{token}").into_bytes();
                    engine.note(7, note.clone()).await.unwrap();
                    notes.push(note);
                    continue;
                }
                3 => {
                    engine.flush().await.unwrap();
                    notes.drain(..notes.len() - 1);
                    for allowed in may.values_mut() {
                        allowed.drain(..allowed.len() - 1);
                    }
                    continue;
                }
                4 => {
                    // Somebody goes away in the middle of it.
                    token += 1;
                    sizes.insert(token, 200);
                    let mut put = engine.put(record(number, token, 200), Expected::Any);
                    let first = std::future::poll_fn(|context| {
                        std::task::Poll::Ready(Pin::new(&mut put).poll(context).is_ready())
                    });
                    if first.await {
                        doubts.remove(&number);
                        allowed.push(Some(token));
                    } else {
                        doubts.entry(number).or_default().push(token);
                    }
                    drop(put);
                }
                _ => {
                    token += 1;
                    let size = [10, 100, 900, 3_000][dice.roll(4) as usize];
                    sizes.insert(token, size);
                    put(&engine, number, token, size).await.unwrap();
                    doubts.remove(&number);
                    allowed.push(Some(token));
                }
            }
            if commit {
                let allowed = may.get_mut(&number).unwrap();
                allowed.drain(..allowed.len() - 1);
            }
        }
        if dice.roll(4) == 0 {
            engine.close().await.unwrap();
            notes.drain(..notes.len() - 1);
            for allowed in may.values_mut() {
                allowed.drain(..allowed.len() - 1);
            }
        } else {
            let share = dice.roll(4);
            disk = disk.crash(|| dice.roll(4) < share);
        }
    }
}

use std::future::Future;
use std::pin::Pin;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_any_crash_what_was_acknowledged_is_there_and_what_was_removed_is_not() {
    let histories: u64 = match std::env::var("HISTORIES") {
        Ok(number) => number.parse().unwrap(),
        Err(_) => 300,
    };
    for seed in 0..histories {
        history(seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_before_its_sync_and_nothing_after_one_that_failed() {
    let disk = SimulatedDisk::default();
    let engine = open(&disk, options(true, true)).unwrap();
    let before = disk.syncs();
    put(&engine, 1, 1, 10).await.unwrap();
    assert!(disk.syncs() > before);
    disk.fail_sync_after(0);
    for token in 2..5 {
        let refused = put(&engine, 1, token, 10).await;
        assert!(
            matches!(refused, Err(StorageError::Failed(_))),
            "{refused:?}"
        );
    }
    let seen = engine
        .get(&digest(1), Extent::Whole)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(seen.token(), 1, "what failed was not done");
    let removed = engine
        .remove(&digest(1), Expected::Any, Removal::Asked)
        .await;
    assert!(matches!(removed, Err(StorageError::Failed(_))));
    drop(engine);
    let engine = open(&disk.crash(|| false), options(true, true)).unwrap();
    let seen = engine
        .get(&digest(1), Extent::Whole)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(seen.token(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_fails_is_no_acknowledged_change() {
    for commit in [false, true] {
        let disk = SimulatedDisk::default();
        let engine = open(&disk, options(false, commit)).unwrap();
        put(&engine, 1, 1, 10).await.unwrap();
        engine.flush().await.unwrap();
        disk.fail_write_after(0);
        let mut refused = false;
        for token in 2..200 {
            refused |= put(&engine, 2, token, 10).await.is_err();
            refused |= engine.flush().await.is_err();
        }
        assert!(refused);
        drop(engine);
        let engine = open(&disk.crash(|| false), options(false, commit)).unwrap();
        let seen = engine
            .get(&digest(1), Extent::Whole)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(seen.token(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_full_refuses_writes_and_takes_them_again_when_records_went() {
    for in_memory in [true, false] {
        let disk = SimulatedDisk::default();
        let engine = open(&disk, options(in_memory, false)).unwrap();
        let mut token = 0;
        let refused = loop {
            token += 1;
            if let Err(error) = put(&engine, token, token, 3_000).await {
                break error;
            }
            assert!(token < 1_000);
        };
        assert!(matches!(refused, StorageError::Full(_)), "{refused}");
        assert_eq!(engine.space().unwrap().available / SEGMENT, 0);
        for number in 1..token {
            let read = engine.get(&digest(number), Extent::Whole).await.unwrap();
            assert_eq!(read.unwrap().token(), number, "what is stored can be read");
        }
        for number in 1..token - 20 {
            engine
                .remove(&digest(number), Expected::Any, Removal::Asked)
                .await
                .unwrap();
        }
        eventually(|| engine.space().unwrap().available > 4 * SEGMENT, "room").await;
        put(&engine, 1, token + 1, 3_000).await.unwrap();
        engine.close().await.unwrap();
        drop(engine);
        let engine = open(&disk, options(in_memory, false)).unwrap();
        assert_eq!(engine.partition_objects(digest(0).partition_id()), 21);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_file_system_refuses_writes_until_it_has_room() {
    let disk = SimulatedDisk::default();
    let engine = open(&disk, options(true, false)).unwrap();
    put(&engine, 1, 1, 10).await.unwrap();
    engine.flush().await.unwrap();
    disk.set_full(true);
    let mut token = 1;
    let refused = loop {
        token += 1;
        if let Err(error) = put(&engine, token, token, 3_000).await {
            break error;
        }
        assert!(token < 1_000);
    };
    assert!(matches!(refused, StorageError::Full(_)), "{refused}");
    engine
        .remove(&digest(1), Expected::Any, Removal::Asked)
        .await
        .unwrap();
    disk.set_full(false);
    let deadline = Instant::now() + Duration::from_secs(60);
    while put(&engine, token, token, 3_000).await.is_err() {
        assert!(Instant::now() < deadline, "room was not seen");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_without_end_fit_a_file_and_deletes_do_not_come_back() {
    for (in_memory, commit) in [(true, false), (false, false), (false, true)] {
        let disk = SimulatedDisk::default();
        let engine = open(&disk, options(in_memory, commit)).unwrap();
        let mut sizes = BTreeMap::new();
        let mut expected = BTreeMap::new();
        for token in 1..=1_500_u64 {
            let number = token * 7 % 50;
            if token % 5 == 0 {
                engine
                    .remove(&digest(number), Expected::Any, Removal::Asked)
                    .await
                    .unwrap();
                expected.remove(&number);
                continue;
            }
            sizes.insert(token, 1_500);
            let deadline = Instant::now() + Duration::from_secs(60);
            while let Err(error) = put(&engine, number, token, 1_500).await {
                // The cleaner is behind.
                assert!(
                    matches!(error, StorageError::Full(_)) && Instant::now() < deadline,
                    "{error}"
                );
                tokio::task::yield_now().await;
            }
            expected.insert(number, token);
        }
        assert_eq!(stored(&engine, &sizes).await, expected);
        engine.close().await.unwrap();
        drop(engine);
        let engine = open(&disk, options(in_memory, commit)).unwrap();
        assert_eq!(stored(&engine, &sizes).await, expected);
    }
}

fn real(directory: &Path, namespace: &str) -> Result<FileEngine, OpenError> {
    FileEngine::open(
        &directory.join("records"),
        16 << 20,
        namespace,
        options(true, true),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_private_locked_and_of_one_namespace() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let directory = tempfile::tempdir().unwrap();
    let engine = real(directory.path(), "test").unwrap();
    put(&engine, 1, 1, 10).await.unwrap();
    let second = real(directory.path(), "test")
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(
        second.contains("records: another process has it open"),
        "{second}"
    );
    let metadata = std::fs::metadata(directory.path().join("records")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert!(
        metadata.blocks() * 512 < metadata.len(),
        "it takes room as it needs it"
    );
    engine.close().await.unwrap();
    drop(engine);
    let other = real(directory.path(), "bar")
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(
        other.contains("it holds the records of namespace `test`, not of `bar`"),
        "{other}"
    );
    std::fs::write(directory.path().join("records"), b"something else").unwrap();
    let other = real(directory.path(), "test")
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(other.contains("it is not a file of records"), "{other}");
}

/// What version 1 wrote, once: place in the file and bytes, in hexadecimal. Records 1 to 5; then 3 was removed, and the set
/// of the even ones truncated; then record 6 was written, and it was closed.
const VERSION_1: &str = include_str!("recorded/version-1.txt");

fn recorded(lines: &str) -> SimulatedDisk {
    let disk = SimulatedDisk::default();
    disk.grow(HEADER as u64 + 40 * SEGMENT).unwrap();
    for line in lines.lines() {
        let (at, bytes) = line.split_once(' ').unwrap();
        let bytes: Vec<u8> = (0..bytes.len() / 2)
            .map(|place| u8::from_str_radix(&bytes[2 * place..2 * place + 2], 16).unwrap())
            .collect();
        disk.write(at.parse().unwrap(), &bytes).unwrap();
    }
    disk.sync().unwrap();
    disk
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_version_1_is_read_and_one_of_a_later_version_is_refused_and_left() {
    for in_memory in [true, false] {
        let disk = recorded(VERSION_1);
        let engine = open(&disk, options(in_memory, true)).unwrap();
        let sizes = (1..=6).map(|token| (token, 50)).collect();
        let found = stored(&engine, &sizes).await;
        assert_eq!(found, [(1, 1), (5, 5), (6, 6)].into_iter().collect());
        engine.close().await.unwrap();
    }
    let disk = recorded(VERSION_1);
    disk.flip(8, 1);
    let used = disk.used();
    let refused = open(&disk, options(true, true)).map(drop).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("its version is 3, this program reads versions up to 2"),
        "{refused}"
    );
    assert_eq!(disk.used(), used, "it was left as it is");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_left_of_a_segment_stays_nothing_when_its_room_is_used_again() {
    let mut disk = SimulatedDisk::default();
    // Nothing is written before it is asked for.
    let options = FileOptions {
        flush_after: Duration::ZERO,
        ..options(true, false)
    };
    let mut lives = 0;
    while lives < 3 {
        let engine = open(&disk, options).unwrap();
        assert!(engine.take_notes().is_empty(), "life {lives}");
        let is_ready = || engine.shared.log.lock().ready.len() >= log::READY;
        eventually(is_ready, "room for segments").await;
        disk.fail_sync_after(0);
        // The note stands behind the first sector, at the same place in each life.
        let record = put(&engine, 1, 1, 900).await;
        let note = engine.note(7, vec![1]).await;
        assert!(engine.flush().await.is_err());
        // Else the writer was there between the two.
        let together = record.is_ok() && note.is_ok();
        lives += u32::from(together);
        let mut sectors = 0..;
        disk = disk.crash(|| together && sectors.next() != Some(0));
    }
    let engine = open(&disk, options).unwrap();
    put(&engine, 1, 9, 900).await.unwrap();
    engine.flush().await.unwrap();
    let engine = open(&disk.crash(|| true), options).unwrap();
    assert!(engine.take_notes().is_empty());
    assert_eq!(engine.opened_with().1, 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_is_missing_is_damage_in_a_file_that_was_closed_and_a_crash_in_another() {
    for closed in [true, false] {
        let mut disk = SimulatedDisk::default();
        let engine = open(&disk, options(true, false)).unwrap();
        for token in 1..=5 {
            put(&engine, token, token, 100).await.unwrap();
        }
        engine.flush().await.unwrap();
        let last = engine.shared.entry(&digest(5)).unwrap().place;
        let at = engine.shared.position(last.segment, last.offset);
        let rest = SEGMENT - u64::from(last.offset);
        if closed {
            engine.close().await.unwrap();
        } else {
            disk = disk.crash(|| true);
        }
        drop(engine);
        disk.discard(at, rest).unwrap();
        disk.sync().unwrap();
        match open(&disk, options(true, false)) {
            Err(OpenError::Damaged { .. }) if closed => {}
            Ok(engine) if !closed => {
                assert_eq!(engine.partition_objects(digest(0).partition_id()), 4);
            }
            other => panic!("closed: {closed}, {:?}", other.map(drop)),
        }
    }
}
