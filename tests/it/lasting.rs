//! Records that outlive the process, however it ends.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use protocol::particle::Particle;
use protocol::result_code::ResultCode;
use tests::asd::Asd;
use tests::connection::Connection;
use tests::process::wait_until;
use tests::records::{RecordKey, WriteOptions};

use crate::server;

/// Threads that write at the same time, each to records of its own.
const WRITERS: usize = 4;
const RECORDS: usize = 25;

/// Kills of each engine, unless `KILLS` says otherwise: `KILLS=125 cargo test -p tests --test it lasting` is 500 of all.
const KILLS: usize = 5;

fn kills() -> usize {
    std::env::var("KILLS").map_or(KILLS, |kills| kills.parse().unwrap())
}

fn block(engine: &str, directory: &Path, keys: &str) -> String {
    let file = directory.join("records.dat");
    format!(
        "storage-engine {engine} {{\n        file {}\n        filesize 64M\n        {keys}\n    }}",
        file.display()
    )
}

fn key(writer: usize, number: usize) -> RecordKey {
    RecordKey::new("test", "demo", &format!("{writer}-{number}"))
}

/// A value from which each half tells the number: a mix of two versions would be seen.
fn bins(number: i64) -> [(&'static str, Particle); 2] {
    let size = 10 + usize::try_from(number % 7).unwrap() * 150;
    let text = format!("{number}:{}:{number}", "x".repeat(size));
    [
        ("n", Particle::integer(number)),
        ("text", Particle::string(text)),
    ]
}

fn write(connection: &mut Connection, key: &RecordKey, number: i64) -> Option<ResultCode> {
    let bins = bins(number);
    let bins = bins.iter().map(|(name, value)| (*name, value));
    let frame = key.put(bins, WriteOptions::default()).unwrap();
    connection.message(&frame).ok().map(|reply| reply.code())
}

/// The number that a record holds whole; none where there is no record.
fn read(connection: &mut Connection, key: &RecordKey) -> Option<i64> {
    let reply = connection.message(&key.get().unwrap()).unwrap();
    if reply.code() == ResultCode::NOT_FOUND {
        return None;
    }
    assert_eq!(reply.code(), ResultCode::OK);
    let number = reply.bin("n").unwrap().as_ref().as_integer().unwrap();
    for (name, value) in bins(number) {
        assert_eq!(reply.bin(name), Some(&value), "never a mix");
    }
    Some(number)
}

/// What a record may hold: what was acknowledged last, and what was sent since.
type May = HashMap<(usize, usize), Vec<Option<i64>>>;

/// Writes and deletes until the server is gone. `lasting` says that what is acknowledged is there for good.
fn traffic(
    address: std::net::SocketAddr,
    writer: usize,
    first: i64,
    may: &Mutex<May>,
    lasting: bool,
) {
    let Ok(mut connection) = Connection::open(address) else {
        return;
    };
    for number in first.. {
        let at = usize::try_from(number * 7).unwrap() % RECORDS;
        let key = key(writer, at);
        let deletes = number % 5 == 0;
        let wanted = (!deletes).then_some(number);
        may.lock()
            .unwrap()
            .entry((writer, at))
            .or_insert_with(|| vec![None])
            .push(wanted);
        let code = if deletes {
            connection
                .message(&key.delete().unwrap())
                .ok()
                .map(|reply| reply.code())
        } else {
            write(&mut connection, &key, number)
        };
        match code {
            Some(ResultCode::OK | ResultCode::NOT_FOUND) if lasting => {
                may.lock().unwrap().insert((writer, at), vec![wanted]);
            }
            Some(ResultCode::OK | ResultCode::NOT_FOUND) => {}
            Some(code) => panic!("{code}"),
            None => return,
        }
    }
}

fn kill_loop(asd: &Asd, lasting: bool) {
    let may: Arc<Mutex<May>> = Arc::default();
    let mut next = 1;
    for round in 0..=kills() {
        let mut running = asd.start().unwrap();
        let mut connection = running.connect().unwrap();
        for ((writer, at), allowed) in &mut *may.lock().unwrap() {
            let found = read(&mut connection, &key(*writer, *at));
            assert!(
                allowed.contains(&found),
                "round {round}: {writer}-{at} is {found:?} of {allowed:?}"
            );
            *allowed = vec![found];
        }
        let objects = may
            .lock()
            .unwrap()
            .values()
            .filter(|held| held[0].is_some())
            .count();
        let info = connection.info("namespace/test").unwrap();
        assert!(
            info.contains(&format!(";objects={objects};")),
            "round {round}: {objects} of {info}"
        );
        let address = running.address();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let may = Arc::clone(&may);
                thread::spawn(move || traffic(address, writer, next, &may, lasting))
            })
            .collect();
        // At different moments: after so many writes of the first writer.
        let most = 20 + (round * 37) % 150;
        wait_until("writes", Duration::from_secs(180), || {
            let may = may.lock().unwrap();
            let highest = may.values().flatten().flatten().max().copied();
            Ok(highest.is_some_and(|highest| highest >= next + i64::try_from(most).unwrap()))
        })
        .unwrap();
        running.kill().unwrap();
        for writer in writers {
            writer.join().unwrap();
        }
        next += 100_000;
    }
}

#[test]
fn nothing_acknowledged_is_lost_by_kills_with_commit_to_device() {
    for engine in ["memory", "device"] {
        let (directory, asd) = server::prepare();
        let block = block(engine, directory.path(), "commit-to-device true");
        kill_loop(&asd.storage(&block), true);
    }
}

#[test]
fn records_are_old_or_new_after_kills_without_commit_to_device() {
    for engine in ["memory", "device"] {
        let (directory, asd) = server::prepare();
        let block = block(engine, directory.path(), "flush-max-ms 5");
        kill_loop(&asd.storage(&block), false);
    }
}

#[test]
fn a_restart_finds_all_records_with_their_generations_lives_and_sets() {
    for engine in ["memory", "device"] {
        let (directory, asd) = server::prepare();
        let asd = asd.storage(&block(engine, directory.path(), ""));
        let mut first = asd.start().unwrap();
        let mut connection = first.connect().unwrap();
        for number in 0..50 {
            assert_eq!(
                write(&mut connection, &key(0, number), 1),
                Some(ResultCode::OK)
            );
            assert_eq!(
                write(&mut connection, &key(0, number), 2),
                Some(ResultCode::OK)
            );
        }
        connection.message(&key(0, 7).delete().unwrap()).unwrap();
        let other = RecordKey::new("test", "other", "a");
        let lives = WriteOptions {
            ttl: 1_000,
            send_key: true,
        };
        let frame = other.put([("a", &Particle::integer(1))], lives).unwrap();
        let written = connection.message(&frame).unwrap().header;
        assert_eq!(
            connection.info("truncate:namespace=test;set=demo").unwrap(),
            "ok"
        );
        assert_eq!(write(&mut connection, &key(0, 3), 9), Some(ResultCode::OK));
        let sets = connection.info("sets/test").unwrap();
        drop(connection);
        first.terminate().unwrap();
        assert!(first.wait().unwrap().success());

        let mut second = asd.start().unwrap();
        let mut connection = second.connect().unwrap();
        for number in 0..50 {
            let expected = (number == 3).then_some(9);
            assert_eq!(
                read(&mut connection, &key(0, number)),
                expected,
                "{engine}: record {number}"
            );
        }
        let found = connection.message(&other.get().unwrap()).unwrap().header;
        assert_eq!(
            (found.generation, found.record_ttl),
            (written.generation, written.record_ttl)
        );
        assert_eq!(connection.info("sets/test").unwrap(), sets);
        second.kill().unwrap();
    }
}

#[test]
fn a_damaged_file_is_refused_by_name_and_left_as_it_is() {
    let (directory, asd) = server::prepare();
    let asd = asd.storage(&block("memory", directory.path(), "commit-to-device true"));
    let mut first = asd.start().unwrap();
    let mut connection = first.connect().unwrap();
    for number in 0..20 {
        write(&mut connection, &key(0, number), 1);
    }
    drop(connection);
    first.terminate().unwrap();
    first.wait().unwrap();
    let file = directory.path().join("records.dat");
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(4).position(|four| four == b"xxxx").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let refused = asd.run_to_refusal().unwrap();
    assert!(
        refused.stderr.contains("records.dat: damaged at byte"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("--salvage"), "{}", refused.stderr);
    assert_eq!(std::fs::read(&file).unwrap(), bytes, "it was left as it is");
}

#[test]
fn a_full_file_answers_8_says_so_and_takes_writes_again_when_there_is_room() {
    for engine in ["memory", "device"] {
        let (directory, asd) = server::prepare();
        let file = directory.path().join("records.dat");
        let block = format!(
            "storage-engine {engine} {{\n        file {}\n        filesize 16M\n    }}",
            file.display()
        );
        let mut server = asd.storage(&block).start().unwrap();
        let mut connection = server.connect().unwrap();
        let large = Particle::string("x".repeat(200_000));
        let mut put = |number: usize| {
            let frame = key(0, number).put([("a", &large)], WriteOptions::default());
            connection.message(&frame.unwrap()).unwrap().code()
        };
        let most = 16_000_000 / 200_000;
        let full = (0..=most).find(|number| put(*number) != ResultCode::OK);
        let full = full.expect("16 MB do not fit more than 16 MB");
        assert_eq!(put(full), ResultCode::OUT_OF_SPACE, "{engine}");
        let said = |text: &str| {
            let what = format!("a line with `{text}`");
            wait_until(&what, Duration::from_secs(180), || {
                Ok(server.log().contains(text))
            })
        };
        said("stop-writes begin").unwrap();
        let mut other = server.connect().unwrap();
        for number in 0..full {
            let reply = other.message(&key(0, number).get().unwrap()).unwrap();
            assert_eq!(reply.code(), ResultCode::OK, "{engine}: reads go on");
        }
        for number in full / 4..full {
            let reply = other.message(&key(0, number).delete().unwrap()).unwrap();
            assert_eq!(reply.code(), ResultCode::OK, "{engine}: deletes go on");
        }
        wait_until("room", Duration::from_secs(180), || {
            Ok(put(full) == ResultCode::OK)
        })
        .unwrap();
        said("stop-writes end").unwrap();
        server.kill().unwrap();
    }
}
