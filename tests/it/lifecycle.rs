//! Start and stop of the process.

use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::Duration;

use protocol::header::{Header, MessageType};
use protocol::result_code::ResultCode;
use tests::connection::Connection;
use tests::process::{Ended, wait_until};
use tests::records::{CallOptions, RecordKey, put_module};

use crate::server;
use crate::stats::UdfStats;

/// Spins for so many milliseconds of processor time.
const SPIN: &[u8] = b"function spin(rec, ms)
    local stop = os.clock() + ms / 1000
    while os.clock() < stop do end
    return 'done'
end
function echo(rec, value) return value end";

fn assert_one_clear_line(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
    let lines: Vec<&str> = ended
        .stderr
        .lines()
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(lines.len(), 1, "{ended:#?}");
    for word in words {
        assert!(lines[0].contains(word), "no `{word}` in {:?}", lines[0]);
    }
}

#[test]
fn completions_manual_and_configuration_come_from_the_definitions() {
    for (words, expected) in [
        (&["--completions", "bash"][..], "--config-file"),
        (&["--completions", "zsh"], "#compdef asd"),
        (&["--manual"], ".TH asd 1"),
        (&["--print-default-config"], "namespace test"),
    ] {
        let output = Command::new(server::program())
            .args(words)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(expected), "{words:?}: {text}");
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{words:?}"
        );
    }
}

#[test]
fn a_taken_port_is_refused_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (_directory, asd) = server::prepare();
    let ended = asd.port(port).run_to_refusal().unwrap();
    assert_one_clear_line(&ended, &[&port.to_string()]);
}

#[test]
fn a_bad_config_is_refused_in_one_line_that_names_file_line_and_key() {
    let cases: &[(&str, &[&str])] = &[
        (
            "service {\n  no-such-key 1\n}\n",
            &["aerospike.conf", "2", "no-such-key"],
        ),
        (
            "service {\n  proto-fd-max many\n}\n",
            &["aerospike.conf", "2", "proto-fd-max"],
        ),
        ("service {\n  proto-fd-max 100\n", &["aerospike.conf"]),
        ("nonsense\n", &["aerospike.conf", "1", "nonsense"]),
    ];
    for (config, words) in cases {
        let (_directory, asd) = server::prepare();
        let ended = asd.run_to_end(config).unwrap();
        assert_one_clear_line(&ended, words);
    }
}

#[test]
fn a_module_directory_that_cannot_be_used_is_refused_in_one_line() {
    let (_directory, asd) = server::prepare();
    // A file stands where the directory should be.
    std::fs::write(asd.module_directory(), "in the way").unwrap();
    let ended = asd.run_to_refusal().unwrap();
    assert_one_clear_line(&ended, &[asd.module_directory().to_str().unwrap()]);
}

#[test]
fn termination_lets_calls_in_flight_finish() {
    let mut server = server::start();
    let mut control = server.connect().unwrap();
    assert_eq!(put_module(&mut control, "slow.lua", SPIN).unwrap(), "ok");
    let address = server.address();
    let call = thread::spawn(move || {
        let record = RecordKey::new("test", "demo", "slow");
        // One argument: 400 milliseconds.
        let options = CallOptions {
            timeout_ms: 10_000,
            ..CallOptions::default()
        };
        let frame = record
            .apply(b"slow", b"spin", &[0x91, 0xcd, 0x01, 0x90], options)
            .unwrap();
        Connection::open(address).unwrap().message(&frame).unwrap()
    });
    wait_until("the call is in flight", Duration::from_secs(180), || {
        Ok(UdfStats::read(&mut control)?.module("slow.lua").busy > 0)
    })
    .unwrap();
    server.running.terminate().unwrap();
    let reply = call.join().unwrap();
    assert_eq!(reply.code(), ResultCode::OK, "{reply:?}");
    assert_eq!(reply.bin("SUCCESS").unwrap().data.as_ref(), b"done");
    assert_eq!(server.running.wait().unwrap().code(), Some(0));
    assert!(Connection::open(address).is_err());
}

/// The frame of an info request with a long answer.
fn long_answer() -> Vec<u8> {
    let body = b"udf-get:filename=long.lua\n";
    let header = Header::new(MessageType::Info, body.len() as u64);
    [&header.to_bytes(), &body[..]].concat()
}

/// Sends requests with long answers, and reads none, until the server takes no more.
fn leave_replies_unread(server: &server::Server) -> Connection {
    let mut connection = server.connect().unwrap();
    connection.set_deadline(Duration::from_millis(200)).unwrap();
    let name = "x".repeat(60_000);
    let module = format!("--{name}");
    let mut control = server.connect().unwrap();
    assert_eq!(
        put_module(&mut control, "long.lua", module.as_bytes()).unwrap(),
        "ok"
    );
    let many = long_answer().repeat(1_000);
    for _ in 0..10_000 {
        if connection.send(&many).is_err() {
            return connection;
        }
    }
    panic!("the server takes requests whose answers nobody reads");
}

#[test]
fn a_client_that_reads_no_replies_loses_its_connection() {
    let server = server::start_with(|asd| asd.service("proto-fd-idle-ms 500"));
    let mut unread = leave_replies_unread(&server);
    wait_until("the connection is closed", Duration::from_secs(180), || {
        Ok(unread
            .send(&long_answer())
            .is_err_and(|error| error.is_disconnect()))
    })
    .unwrap();
}

#[test]
fn a_client_that_reads_no_replies_does_not_hold_up_the_end() {
    let mut server = server::start();
    let unread = leave_replies_unread(&server);
    server.running.terminate().unwrap();
    assert_eq!(server.running.wait().unwrap().code(), Some(0));
    let log = server.log();
    assert!(!log.contains("abandoned"), "{log}");
    drop(unread);
}

#[test]
fn runs_with_few_file_descriptors() {
    let mut server = server::start_with(|asd| asd.file_limit(256));
    let address = server.address();
    let echo = |connection: &mut Connection| connection.info("build");
    // More than it can have; those beyond its limit may be closed or left waiting, but nothing else may break.
    let mut connections: Vec<Connection> = (0..300)
        .filter_map(|_| Connection::open(address).ok())
        .collect();
    for connection in connections.iter_mut().take(100) {
        echo(connection).unwrap();
    }
    drop(connections);
    wait_until("it serves again", Duration::from_secs(180), || {
        let mut connection = match Connection::open(address) {
            Ok(connection) => connection,
            Err(error) if error.is_disconnect() => return Ok(false),
            Err(error) => return Err(error),
        };
        let module = put_module(&mut connection, "late.lua", SPIN);
        match module {
            Ok(answer) => Ok(answer == "ok"),
            Err(error) if error.is_disconnect() => Ok(false),
            Err(error) => Err(error),
        }
    })
    .unwrap();
    assert!(server.running.is_running());
}

#[test]
fn scripts_that_spin_delay_neither_info_commands_nor_other_functions() {
    const SPINNERS: usize = 4;
    /// Far longer than the other answers take, however busy the machine is.
    const SPIN_MS: u32 = 60_000;
    const ENDED: Duration = Duration::from_secs(120);
    let mut server = server::start();
    let address = server.address();
    let mut control = server.connect().unwrap();
    assert_eq!(put_module(&mut control, "slow.lua", SPIN).unwrap(), "ok");
    let spinners: Vec<_> = (0..SPINNERS)
        .map(|number| {
            thread::spawn(move || {
                let record = RecordKey::new("test", "demo", &format!("spin {number}"));
                let options = CallOptions {
                    timeout_ms: SPIN_MS,
                    ..CallOptions::default()
                };
                let arguments = [0x91, 0xce, 0x7f, 0xff, 0xff, 0xff];
                let frame = record.apply(b"slow", b"spin", &arguments, options).unwrap();
                let mut connection = Connection::open(address).unwrap();
                connection.set_deadline(ENDED).unwrap();
                connection.message(&frame)
            })
        })
        .collect();
    wait_until("all spin", Duration::from_secs(180), || {
        Ok(UdfStats::read(&mut control)?.module("slow.lua").busy >= SPINNERS as u64)
    })
    .unwrap();

    let mut quick = server.connect().unwrap();
    let record = RecordKey::new("test", "demo", "other");
    let echo = record
        .apply(b"slow", b"echo", &[0x91, 7], CallOptions::default())
        .unwrap();
    let get = record.get().unwrap();
    for _ in 0..5 {
        quick.info("build").unwrap();
        assert_eq!(quick.message(&echo).unwrap().code(), ResultCode::OK);
        assert_eq!(quick.message(&get).unwrap().code(), ResultCode::NOT_FOUND);
    }
    // All of that was answered while they spun.
    let stats = UdfStats::read(&mut quick).unwrap();
    assert!(stats.module("slow.lua").busy >= SPINNERS as u64);
    // They end with the server.
    server.running.kill().unwrap();
    for spinner in spinners {
        assert!(spinner.join().unwrap().is_err());
    }
}
