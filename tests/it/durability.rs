//! Modules outlive the process, however it ends.

use std::collections::HashMap;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use protocol::result_code::ResultCode;
use tests::asd::RunningAsd;
use tests::connection::Connection;
use tests::records::{CallOptions, RecordKey, module_names, put_module};

use crate::server;

/// How many modules are written at the same time.
const WRITERS: usize = 4;

/// A module that answers a number, of about so many bytes.
fn source(number: i64, size: usize) -> String {
    let padding = "-- padding\n".repeat(size / 11);
    format!("{padding}function number() return {number} end\n")
}

fn stored(connection: &mut Connection, file: &str) -> Vec<u8> {
    let answer = connection
        .info(&format!("udf-get:filename={file}"))
        .unwrap();
    let content = answer
        .split(';')
        .find_map(|part| part.strip_prefix("content="))
        .unwrap_or_else(|| panic!("udf-get of {file}: {answer}"));
    BASE64.decode(content).unwrap()
}

fn call(connection: &mut Connection, package: &str) -> Option<i64> {
    let record = RecordKey::new("test", "demo", package);
    let frame = record
        .apply(
            package.as_bytes(),
            b"number",
            &[0x90],
            CallOptions::default(),
        )
        .unwrap();
    let reply = connection.message(&frame).unwrap();
    assert_eq!(reply.code(), ResultCode::OK, "{:?}", reply.bins);
    reply.bin("SUCCESS")?.as_ref().as_integer()
}

#[test]
fn modules_come_back_after_a_restart_in_any_order_of_dependencies_item_17() {
    let (_directory, asd) = server::prepare();
    let mut first = asd.start().unwrap();
    let mut connection = first.connect().unwrap();
    // The user is registered again last, and its name sorts before that of what it requires.
    let modules = [
        ("z_library.lua", "return { number = 11 }"),
        (
            "a_user.lua",
            "local z = require('z_library') function number() return z.number end",
        ),
    ];
    for (file, source) in modules {
        assert_eq!(
            put_module(&mut connection, file, source.as_bytes()).unwrap(),
            "ok"
        );
    }
    let removed = put_module(&mut connection, "gone.lua", b"function number() end").unwrap();
    assert_eq!(removed, "ok");
    assert_eq!(
        connection.info("udf-remove:filename=gone.lua").unwrap(),
        "ok"
    );
    let before = connection.info("udf-list").unwrap();
    first.terminate().unwrap();
    assert!(first.wait().unwrap().success());

    let second = asd.start().unwrap();
    let mut connection = second.connect().unwrap();
    assert_eq!(connection.info("udf-list").unwrap(), before);
    for (file, source) in modules {
        assert_eq!(stored(&mut connection, file), source.as_bytes());
    }
    assert_eq!(call(&mut connection, "a_user"), Some(11));
}

#[test]
fn files_that_the_server_did_not_write_stay_untouched() {
    let (_directory, asd) = server::prepare();
    std::fs::create_dir_all(asd.module_directory()).unwrap();
    let own = asd.module_directory().join("notes.txt");
    let script = asd.module_directory().join("draft.lua");
    std::fs::write(&own, "mine").unwrap();
    std::fs::write(&script, "function number() return 1 end").unwrap();
    for _ in 0..2 {
        let mut server = asd.start().unwrap();
        let mut connection = server.connect().unwrap();
        assert_eq!(module_names(&mut connection).unwrap(), Vec::<String>::new());
        connection.info("udf-remove:filename=draft.lua").unwrap();
        server.terminate().unwrap();
        server.wait().unwrap();
    }
    assert_eq!(std::fs::read_to_string(own).unwrap(), "mine");
    assert!(script.exists());
}

/// What a writer has sent for its module, and the last that was answered `ok`.
#[derive(Default)]
struct Written {
    sent: Vec<String>,
    acknowledged: Option<usize>,
}

/// Puts ever new content until the server is gone.
fn write_until_killed(
    server: &RunningAsd,
    file: &str,
    size: usize,
    acks: &mpsc::Sender<()>,
) -> Written {
    let mut written = Written::default();
    let Ok(mut connection) = server.connect() else {
        return written;
    };
    for number in 0.. {
        written.sent.push(source(number, size));
        let content = written.sent.last().unwrap().as_bytes();
        match put_module(&mut connection, file, content) {
            Ok(answer) => assert_eq!(answer, "ok"),
            Err(_) => break,
        }
        written.acknowledged = Some(written.sent.len() - 1);
        // The killer may have heard enough.
        acks.send(()).ok();
    }
    written
}

#[test]
fn an_acknowledged_module_survives_a_kill_whole() {
    // Content sizes, and after how many answers the kill comes.
    for (size, answers) in [(100, 3), (100, 40), (20_000, 15), (300_000, 9)] {
        let (_directory, asd) = server::prepare();
        let mut running = asd.start().unwrap();
        let file = |writer: usize| format!("module_{writer}.lua");
        let pid = running.pid();
        let (sender, receiver) = mpsc::channel();
        let written: HashMap<String, Written> = thread::scope(|scope| {
            let running = &running;
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let sender = sender.clone();
                    scope.spawn(move || {
                        let written = write_until_killed(running, &file(writer), size, &sender);
                        (file(writer), written)
                    })
                })
                .collect();
            for _ in 0..answers {
                receiver.recv_timeout(Duration::from_secs(180)).unwrap();
            }
            server::kill_hard(pid);
            writers
                .into_iter()
                .map(|writer| writer.join().unwrap())
                .collect()
        });
        assert!(!running.wait().unwrap().success());

        let server = asd.start().unwrap();
        let mut connection = server.connect().unwrap();
        let listed = module_names(&mut connection).unwrap();
        for (file, written) in written {
            if !listed.contains(&file) {
                assert_eq!(
                    written.acknowledged, None,
                    "{file} was acknowledged and is lost"
                );
                continue;
            }
            let content = String::from_utf8(stored(&mut connection, &file)).unwrap();
            let number = written.sent.iter().position(|sent| *sent == content);
            let number = number.unwrap_or_else(|| panic!("{file} is none of what was sent"));
            // What was sent last may have got there although nobody was told.
            assert!(
                Some(number) >= written.acknowledged,
                "{file} went back to {number}"
            );
            let answer = call(&mut connection, file.trim_end_matches(".lua"));
            assert_eq!(answer, Some(i64::try_from(number).unwrap()));
        }
    }
}
