//! Kinds of input that a small sender could make a large cost of, against a live server: each is bounded.
//!
//! What is asserted is counted: answers, statistics, log lines, threads. How long others wait meanwhile is what the longer
//! command measures (see ARCHITECTURE.md, "Attacks").
//!
//! | kind | test |
//! |---|---|
//! | inflating, work of many ops | `frames_that_cost_much_…` |
//! | many names in one info request | `info_requests_of_too_many_…` |
//! | half-sent frames, over all connections | `half_sent_frames_…` |
//! | memory of scripts, over all contexts and calls | `scripts_together_…` |
//! | validations by the hundred, clients that leave | `validations_…` |
//! | lines that a peer causes | `lines_that_a_peer_causes_…` |
//! | requests without a pause | `who_is_new_and_never_pauses_…` |
//! | links in the way of files | `links_in_the_way_…` |
//! | random frames and random programs | `random_…`, `FUZZ_SEED` repeats one run |

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use protocol::compress;
use protocol::header::{Header, MessageType};
use protocol::particle::{Particle, ParticleType};
use protocol::result_code::ResultCode;
use tests::connection::Connection;
use tests::process::wait_until;
use tests::random::Random;
use tests::records::{CallOptions, RecordKey, WriteOptions, put_module};

use crate::server::{self, Server};

/// Longest wait for what has to come.
const LIMIT: Duration = Duration::from_secs(180);

fn statistic(server: &Server, name: &str) -> u64 {
    let answer = server.connect().unwrap().info("statistics").unwrap();
    let value = answer
        .split(';')
        .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        .unwrap_or_else(|| panic!("no {name} in {answer}"));
    value.parse().unwrap()
}

/// The number of threads of the server.
fn threads(server: &Server) -> usize {
    let path = format!("/proc/{}/task", server.running.pid());
    std::fs::read_dir(path).unwrap().count()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_until(what, LIMIT, || Ok(holds())).unwrap();
}

fn frame(kind: MessageType, body: &[u8]) -> Vec<u8> {
    let header = Header::new(kind, body.len() as u64).to_bytes();
    [&header[..], body].concat()
}

/// A write of `count` ops of one kind on bins that `name` makes.
fn ops_frame(
    key: &str,
    info: [u8; 2],
    count: u16,
    op: u8,
    name: impl Fn(u16) -> String,
) -> Vec<u8> {
    let key = RecordKey::new("test", "demo", key);
    let mut body = BytesMut::new();
    body.put_slice(&[22, info[0], info[1], 0, 0, 0]);
    body.put_u32(0);
    body.put_u32(0);
    body.put_u32(60_000);
    body.put_u16(3);
    body.put_u16(count);
    for (kind, data) in [(0, &b"test"[..]), (1, b"demo"), (4, &key.digest().0)] {
        body.put_u32(u32::try_from(data.len() + 1).unwrap());
        body.put_u8(kind);
        body.put_slice(data);
    }
    for number in 0..count {
        let name = name(number);
        let value: &[u8] = if op == 1 { b"" } else { b"y" };
        body.put_u32(u32::try_from(4 + name.len() + value.len()).unwrap());
        body.put_slice(&[
            op,
            if op == 1 { 0 } else { 3 },
            0,
            u8::try_from(name.len()).unwrap(),
        ]);
        body.put_slice(name.as_bytes());
        body.put_slice(value);
    }
    frame(MessageType::Message, &body)
}

#[test]
fn frames_that_cost_much_are_answered_and_leave_nothing_behind() {
    let server = server::start();
    let mut connection = server.connect().unwrap();
    connection.set_deadline(LIMIT).unwrap();
    // 8 KiB that become 8 MiB, four at a time.
    let mut bomb = BytesMut::new();
    compress::encode(&mut bomb, &vec![0; 8 << 20]).unwrap();
    let mut senders: Vec<Connection> = (0..4).map(|_| server.connect().unwrap()).collect();
    for sender in &mut senders {
        sender.set_deadline(LIMIT).unwrap();
        sender.send(&bomb).unwrap();
    }
    assert_eq!(connection.info("status").unwrap(), "ok");
    let mut answered = 0;
    for mut sender in senders {
        // An answer, or the end where all together want more than there is.
        if let Ok((_, answer)) = sender.receive() {
            assert_eq!(answer.get(5), Some(&ResultCode::PARAMETER.0));
            answered += 1;
        }
    }
    assert!(answered > 0);
    // As many ops as a message may have.
    let appends = ops_frame("many", [0, 1], 32_000, 9, |_| "z".to_owned());
    let writes = ops_frame("wide", [0, 1], 32_000, 2, |number| format!("b{number:05}"));
    let reads = ops_frame("wide", [1, 0], 32_000, 1, |number| format!("c{number:05}"));
    for many in [appends, writes, reads] {
        connection.send(&many).unwrap();
        let (_, answer) = connection.receive().unwrap();
        assert_ne!(
            answer.get(5),
            Some(&ResultCode::TIMEOUT.0),
            "within a minute"
        );
    }
    drop(connection);
    until("buffers are given back", || {
        statistic(&server, "client_memory_bytes") < 1 << 20
    });
}

#[test]
fn info_requests_of_too_many_names_are_refused_before_any_is_looked_up() {
    let server = server::start();
    let mut connection = server.connect().unwrap();
    connection.set_deadline(LIMIT).unwrap();
    let before = statistic(&server, "info_complete");
    let answer = connection.info_body(&b"x\n".repeat(2_000_000)).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&answer),
        "ERROR:4:too many commands: at most 1024 in one request\n"
    );
    assert_eq!(
        statistic(&server, "info_complete"),
        before + 1,
        "the question itself"
    );
}

#[test]
fn half_sent_frames_end_with_their_connections_and_a_line_not_with_the_server() {
    let server = server::start_with(|asd| asd.service("client-memory-limit 16M"));
    let header = Header::new(MessageType::Message, 128 << 20).to_bytes();
    let mut half_sent = Vec::new();
    let mut refused = 0;
    for _ in 0..8 {
        let mut connection = server.connect().unwrap();
        let piece = vec![0; 1 << 20];
        let sent = connection
            .send(&header)
            .and_then(|()| (0..6).try_for_each(|_| connection.send(&piece)));
        refused += usize::from(sent.is_err());
        half_sent.push(connection);
    }
    until("some are closed", || {
        statistic(&server, "client_memory_refused") > 0
    });
    assert!(statistic(&server, "client_memory_bytes") <= (16 << 20) + (1 << 20));
    // Those of ordinary size are served.
    let bin = Particle::new(ParticleType::STRING, vec![b'x'; 100_000]);
    let put = RecordKey::new("test", "demo", "k").put([("a", &bin)], WriteOptions::default());
    let mut connection = server.connect().unwrap();
    assert_eq!(
        connection.message(&put.unwrap()).unwrap().code(),
        ResultCode::OK
    );
    until("a line says why", || {
        server.log().contains("client-memory-limit")
    });
    drop(half_sent);
    until("all is given back", || {
        statistic(&server, "client_memory_bytes") < 1 << 20
    });
    assert!(refused <= 8);
}

#[test]
fn scripts_together_keep_to_their_memory() {
    let server = server::start_with(|asd| asd.mod_lua("script-memory-limit 64M"));
    let mut connection = server.connect().unwrap();
    connection.set_deadline(LIMIT).unwrap();
    let large = b"local t = {} for i = 1, 20 do t[i] = string.rep('x', 1000000) .. i end function f(r) return #t end";
    let answer = put_module(&mut connection, "large.lua", large).unwrap();
    assert!(
        answer.starts_with("error=compile_error;file=large.lua;"),
        "{answer}"
    );
    let source =
        b"function f(r) local t = {} for i = 1, 30 do t[i] = string.rep('x', 1000000) .. i end
        local n = 0 while n < 30000000 do n = n + 1 end return 1 end
        function g(r) return 1 end";
    assert_eq!(
        put_module(&mut connection, "many.lua", source).unwrap(),
        "ok"
    );
    let options = CallOptions {
        timeout_ms: 2_000,
        ..CallOptions::default()
    };
    let mut callers: Vec<_> = (0..8).map(|_| server.connect().unwrap()).collect();
    for (number, caller) in callers.iter_mut().enumerate() {
        let key = RecordKey::new("test", "demo", &format!("k{number}"));
        caller.set_deadline(LIMIT).unwrap();
        caller
            .send(&key.apply(b"many", b"f", &[0x90], options).unwrap())
            .unwrap();
    }
    let most = 64 << 20;
    for mut caller in callers {
        assert!(statistic(&server, "udf_script_memory_held") <= most + (1 << 20));
        caller.receive().unwrap();
    }
    assert!(statistic(&server, "udf_script_memory_refused") > 0);
    let call = RecordKey::new("test", "demo", "k")
        .apply(b"many", b"g", &[0x90], options)
        .unwrap();
    assert_eq!(connection.message(&call).unwrap().code(), ResultCode::OK);
}

#[test]
fn validations_are_few_at_a_time_and_end_with_their_clients() {
    let server = server::start();
    let chunk = "d2hpbGUgdHJ1ZSBkbyBlbmQ="; // while true do end
    let body: String = (0..20)
        .map(|number| {
            format!("udf-put:filename=z{number}.lua;content={chunk};content-len=24;udf-type=LUA;\n")
        })
        .collect();
    let before = threads(&server);
    let mut senders: Vec<_> = (0..100).map(|_| server.connect().unwrap()).collect();
    for sender in &mut senders {
        sender
            .send(&frame(MessageType::Info, body.as_bytes()))
            .unwrap();
    }
    let mut connection = server.connect().unwrap();
    connection.set_deadline(LIMIT).unwrap();
    assert_eq!(
        put_module(&mut connection, "good.lua", b"function f() end").unwrap(),
        "ok"
    );
    assert!(
        threads(&server) <= before + 24,
        "{before} {}",
        threads(&server)
    );
    let begun = statistic(&server, "info_complete");
    drop(senders);
    assert_eq!(
        put_module(&mut connection, "next.lua", b"function f() end").unwrap(),
        "ok"
    );
    // Of 2,000 that were asked for, those are not done that had not begun.
    until("nothing more begins", || {
        let first = statistic(&server, "info_complete");
        statistic(&server, "info_complete") == first + 1
    });
    assert!(statistic(&server, "info_complete") < begun + 500);
    assert_eq!(
        connection
            .info("udf-list")
            .unwrap()
            .matches("filename=")
            .count(),
        2
    );
}

#[test]
fn lines_that_a_peer_causes_are_limited_and_counted() {
    let server = server::start();
    for _ in 0..1_500 {
        let mut connection = server.connect().unwrap();
        connection.send(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        connection.receive().unwrap_err();
    }
    let lines = || server.log().matches("not a frame").count() as u64;
    // A connection is closed before its line is written, or left out.
    let left_out = || statistic(&server, "log_lines_left_out");
    until("the lines are written", || lines() + left_out() >= 1_500);
    assert_eq!(lines() + left_out(), 1_500);
    if left_out() > 0 {
        until("what is left out is told", || {
            server.log().contains("were left out: too many at once")
        });
    }
    assert_eq!(statistic(&server, "log_lines_dropped"), 0);
}

/// Processor time that the threads of this name have had.
fn time_of_threads(server: &Server, name: &str) -> Duration {
    let path = format!("/proc/{}/task", server.running.pid());
    let nanoseconds = std::fs::read_dir(path).unwrap().filter_map(|thread| {
        let thread = thread.unwrap().path();
        // It may have ended meanwhile.
        let comm = std::fs::read_to_string(thread.join("comm")).ok()?;
        let schedstat = std::fs::read_to_string(thread.join("schedstat")).ok()?;
        (comm.trim_end() == name)
            .then(|| schedstat.split_whitespace().next()?.parse::<u64>().ok())
            .flatten()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// A client that asks now and then, until it is dropped.
struct NowAndThen {
    told_to_end: mpsc::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl NowAndThen {
    fn start(server: &Server) -> Self {
        let mut connection = server.connect().unwrap();
        let (told_to_end, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            while told.recv_timeout(Duration::from_millis(20)) == Err(RecvTimeoutError::Timeout) {
                assert_eq!(connection.info("status").unwrap(), "ok");
            }
        });
        Self {
            told_to_end,
            thread: Some(thread),
        }
    }
}

impl Drop for NowAndThen {
    fn drop(&mut self) {
        // Nobody to be told means that it has failed, which the join shows.
        let _ = self.told_to_end.send(());
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}

#[test]
fn who_is_new_and_never_pauses_is_served_by_other_threads_and_in_order() {
    let server = server::start();
    let mut connection = server.connect().unwrap();
    let key = RecordKey::new("test", "demo", "k");
    let get = key.get().unwrap();
    let mut number = 0;
    let mut exchange = |connection: &mut Connection, count: i64| {
        let mut sent = BytesMut::new();
        for next in number..number + count {
            let bin = Particle::integer(next);
            sent.put_slice(&key.put([("a", &bin)], WriteOptions::default()).unwrap());
            sent.put_slice(&get);
        }
        connection.send(&sent).unwrap();
        for next in number..number + count {
            assert_eq!(connection.reply().unwrap().code(), ResultCode::OK);
            let reply = connection.reply().unwrap();
            assert_eq!(reply.bin("a"), Some(&Particle::integer(next)));
        }
        number += count;
    };
    let apart = || time_of_threads(&server, "asd-busy");
    exchange(&mut connection, 300);
    assert_eq!(
        apart(),
        Duration::ZERO,
        "there is nobody whom it could keep waiting"
    );
    let _other = NowAndThen::start(&server);
    until("who is new is served by threads apart", || {
        connection = server.connect().unwrap();
        exchange(&mut connection, 300);
        apart() > Duration::from_millis(100)
    });
    for _ in 0..3 {
        exchange(&mut connection, 300);
    }
    // Those who come now, and those who wait, are not behind it.
    assert_eq!(server.connect().unwrap().info("status").unwrap(), "ok");
    assert_eq!(connection.info("status").unwrap(), "ok");
}

#[test]
fn links_in_the_way_of_files_are_not_followed() {
    let server = server::start();
    let secret = server.directory().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    let mut connection = server.connect().unwrap();
    assert_eq!(
        put_module(&mut connection, "a.lua", b"function f() end").unwrap(),
        "ok"
    );
    for folder in ["lua", "smd"] {
        let link = server.directory().join(folder).join(".asd-unfinished");
        std::os::unix::fs::symlink(&secret, link).unwrap();
    }
    assert_eq!(
        put_module(&mut connection, "b.lua", b"function f() end").unwrap(),
        "ok"
    );
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "secret");
}

/// The seed of this run, printed: `FUZZ_SEED=N` repeats it.
fn random() -> Random {
    let seed = match std::env::var("FUZZ_SEED") {
        Ok(text) => text.parse().unwrap(),
        Err(_) => {
            u64::from(std::process::id()) ^ std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()
        }
    };
    println!("FUZZ_SEED={seed}");
    Random::new(seed)
}

/// How many cases a random test runs; `FUZZ_CASES` for more.
fn cases() -> usize {
    std::env::var("FUZZ_CASES").map_or(300, |text| text.parse().unwrap())
}

#[test]
fn random_frames_leave_the_server_serving() {
    let mut random = random();
    let mut server = server::start();
    let get = RecordKey::new("test", "demo", "k").get().unwrap();
    let bin = Particle::integer(7);
    let put = RecordKey::new("test", "demo", "k")
        .put([("a", &bin)], WriteOptions::default())
        .unwrap();
    let call = RecordKey::new("test", "demo", "k")
        .apply(b"m", b"f", &[0x90], CallOptions::default())
        .unwrap();
    let many = ops_frame("k", [1, 1], 30, 2, |number| format!("b{number}"));
    let info = frame(
        MessageType::Info,
        b"statistics\nsets/test\nudf-list\nhistogram:namespace=test;type=ttl\n",
    );
    let mut packed = BytesMut::new();
    compress::encode(&mut packed, &put[8..]).unwrap();
    let seeds: [&[u8]; 6] = [&get, &put, &call, &many, &info, &packed];
    for case in 0..cases() {
        let mut bytes = seeds[random.below(seeds.len())].to_vec();
        for _ in 0..=random.below(6) {
            let at = random.below(bytes.len());
            match random.below(5) {
                0 => bytes[at] = random.byte(),
                1 => bytes[at] ^= 1 << random.below(8),
                2 => bytes.truncate(at.max(8)),
                3 => bytes.insert(at, random.byte()),
                _ => {
                    let end = (at + random.below(16)).min(bytes.len());
                    let piece = bytes[at..end].to_vec();
                    bytes.extend_from_slice(&piece);
                }
            }
        }
        // Mostly frames whose size fits: what is inside is the point.
        if random.below(4) > 0 && bytes.len() >= 8 {
            let size = (bytes.len() - 8) as u64;
            let kind = bytes[1];
            bytes[..8].copy_from_slice(&size.to_be_bytes());
            (bytes[0], bytes[1]) = (2, kind);
        }
        let mut connection = server.connect().unwrap();
        connection.send(&bytes).unwrap();
        drop(connection);
        assert!(server.running.is_running(), "case {case}: {bytes:02x?}");
    }
    let mut connection = server.connect().unwrap();
    connection.set_deadline(LIMIT).unwrap();
    assert_eq!(connection.info("status").unwrap(), "ok");
    // A record that no frame has touched: those above may have moved theirs into another set, which answers 4.
    let untouched = RecordKey::new("test", "demo", "untouched")
        .put([("a", &bin)], WriteOptions::default())
        .unwrap();
    let reply = connection.message(&untouched).unwrap();
    assert_eq!(reply.code(), ResultCode::OK);
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

/// A program that uses the API at random.
fn program(random: &mut Random) -> String {
    const ATOMS: [&str; 18] = [
        "nil",
        "true",
        "0",
        "-1",
        "9223372036854775807",
        "1.5",
        "'x'",
        "('y'):rep(1000)",
        "rec",
        "rec.a",
        "list{1, 2}",
        "map{a = 1}",
        "bytes(4)",
        "l",
        "m",
        "b",
        "{}",
        "function(...) return ... end",
    ];
    const CALLS: [&str; 30] = [
        "list.append",
        "list.prepend",
        "list.insert",
        "list.take",
        "list.drop",
        "list.concat",
        "list.merge",
        "list.trim",
        "list.remove",
        "list.size",
        "list.iterator",
        "map.keys",
        "map.values",
        "map.merge",
        "map.diff",
        "map.remove",
        "map.size",
        "map.clone",
        "bytes.get_string",
        "bytes.set_int64",
        "bytes.append_string",
        "bytes.set_size",
        "string.rep",
        "string.format",
        "tostring",
        "setmetatable",
        "record.ttl",
        "record.bin_names",
        "table.concat",
        "pcall",
    ];
    let mut source =
        String::from("function f(rec, ...) local l, m, b = list{1}, map{x = 2}, bytes(8)\n");
    let atom = |random: &mut Random| ATOMS[random.below(ATOMS.len())];
    for _ in 0..=random.below(12) {
        let call = CALLS[random.below(CALLS.len())];
        let arguments: Vec<_> = (0..random.below(4)).map(|_| atom(random)).collect();
        let value = format!("{call}({})", arguments.join(", "));
        let line = match random.below(7) {
            0 => format!("pcall(function() rec.a = {value} end)"),
            1 => format!(
                "pcall(function() l[{}] = {} end)",
                atom(random),
                atom(random)
            ),
            2 => format!("pcall(function() m[{}] = {value} end)", atom(random)),
            3 => "pcall(function() aerospike:update(rec) end)".to_owned(),
            4 => format!(
                "for i = 1, {} do pcall({call}, {}) end",
                random.below(50),
                atom(random)
            ),
            5 => format!("pcall(function() local c <close> = {} end)", atom(random)),
            _ => format!("pcall(function() return {value} end)"),
        };
        source.push_str(&line);
        source.push('\n');
    }
    source.push_str(&format!("return {} end", atom(random)));
    source
}

#[test]
fn random_programs_get_answers() {
    let mut random = random();
    let mut server = server::start();
    let mut connection = server.connect().unwrap();
    connection.set_deadline(LIMIT).unwrap();
    let key = RecordKey::new("test", "demo", "k");
    let options = CallOptions {
        timeout_ms: 60_000,
        ..CallOptions::default()
    };
    for case in 0..cases() / 3 {
        let source = program(&mut random);
        let answer = put_module(&mut connection, "random.lua", source.as_bytes()).unwrap();
        assert_eq!(answer, "ok", "case {case}:\n{source}");
        let reply = connection.message(&key.apply(b"random", b"f", &[0x90], options).unwrap());
        let reply = reply.unwrap_or_else(|error| panic!("case {case}: {error}\n{source}"));
        // What fails in such a program is caught, but for the end of its memory.
        let failure = reply.bin("FAILURE").map(|text| text.data.to_vec());
        match failure {
            None => assert_eq!(reply.code(), ResultCode::OK, "case {case}:\n{source}"),
            Some(text) => assert_eq!(
                String::from_utf8_lossy(&text),
                "not enough memory",
                "case {case}:\n{source}"
            ),
        }
        let answers = reply.bin("SUCCESS").is_some() || reply.bin("FAILURE").is_some();
        assert!(answers, "case {case}: {reply:?}\n{source}");
        assert!(server.running.is_running(), "case {case}:\n{source}");
    }
    assert!(!server.log().contains("panicked"), "{}", server.log());
}
