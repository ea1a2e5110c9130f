//! What kills, opens or fools a real server ends here in an ordinary answer, with the server alive.
//!
//! Each row is an input; the tests say what all answers to them have in common. Where what is:
//!
//! | subject | test |
//! |---|---|
//! | module names that leave the directory, native modules, lengths that wrap | `info_commands_with_hostile_names_…` |
//! | chunks that exit, spin, take memory, or fake error positions while they are checked | `chunks_that_misbehave_…` |
//! | chunks that take long delay nobody | `pool.rs`, `replacement.rs` |
//! | removals of unknown names | `removals_of_unknown_names_…` |
//! | circles, records in collections, indices that wrap, foreign objects, finalizers, deep nesting, `os`, `io`, `debug` | `functions_that_kill_…` |
//! | memory behind a byte buffer, iterators whose collection is gone | `nothing_is_read_that_is_not_there` |
//! | handles of records that outlive their call | `a_record_handle_dies_with_its_call` |
//! | time and memory without bound | `a_script_cannot_…`, and one by one in the server's `lua::tests` |
//! | spinning scripts and other requests | `lifecycle.rs` |
//! | state that leaks from call to call | `no_call_reads_…`, `lua::tests` |
//! | arguments that claim much or cannot be read | `arguments_that_do_not_decode_…` |
//! | zero bytes, nils, GeoJSON, failed updates | `strings_in_bins_…`, `nothing_is_lost_without_a_word` |
//! | frames and messages that are none | `frames_…`, `malformed_…`, `values_…` |

use protocol::info::Failure;
use protocol::message::Info1;
use protocol::particle::{Particle, ParticleType};
use protocol::result_code::ResultCode;
use tests::connection::{Connection, Reply};
use tests::records::{CallOptions, RecordKey, WriteOptions, put_module, put_module_once};

use crate::server::{self, Server};

/// Time limit of calls that end by themselves, ms: nothing depends on how fast the machine is.
const PATIENT_MS: u32 = 60_000;

/// Time limit of calls that do not, ms.
const HASTY_MS: u32 = 500;

/// A server with one module, and a connection to it.
struct Bench {
    server: Server,
    connection: Connection,
    /// Time limit of its calls, ms.
    limit_ms: u32,
}

impl Bench {
    fn new() -> Self {
        let server = server::start();
        let connection = server.connect().unwrap();
        Self {
            server,
            connection,
            limit_ms: PATIENT_MS,
        }
    }

    /// For scripts that do not end by themselves.
    fn hasty() -> Self {
        Self {
            limit_ms: HASTY_MS,
            ..Self::new()
        }
    }

    fn put(&mut self, source: &str) {
        let answer = put_module(&mut self.connection, "bench.lua", source.as_bytes()).unwrap();
        assert_eq!(answer, "ok", "{source}");
    }

    fn call(&mut self, key: &str, function: &str, arguments: &[u8]) -> Reply {
        let record = RecordKey::new("test", "demo", key);
        let options = CallOptions {
            timeout_ms: self.limit_ms,
            ..CallOptions::default()
        };
        let frame = record
            .apply(b"bench", function.as_bytes(), arguments, options)
            .unwrap();
        self.connection
            .message(&frame)
            .unwrap_or_else(|error| panic!("{error}; log:\n{}", self.server.log()))
    }

    /// Registers a function body and calls it on a record with the bin `a`.
    fn run(&mut self, body: &str) -> Reply {
        let record = RecordKey::new("test", "demo", "one");
        let bin = Particle::integer(1);
        let put = record.put([("a", &bin)], WriteOptions::default()).unwrap();
        assert_eq!(
            self.connection.message(&put).unwrap().code(),
            ResultCode::OK
        );
        self.put(&format!("function f(rec)\n{body}\nend"));
        self.call("one", "f", &[0x90])
    }

    fn assert_alive(&mut self) {
        assert!(self.server.running.is_running(), "{}", self.server.log());
        assert_eq!(self.connection.info("status").unwrap(), "ok");
    }
}

fn failure(reply: &Reply) -> String {
    reply
        .bin("FAILURE")
        .map(|text| String::from_utf8_lossy(&text.data).into_owned())
        .unwrap_or_default()
}

#[test]
fn info_commands_with_hostile_names_touch_nothing_outside_the_module_directory() {
    let mut bench = Bench::new();
    let victim = bench.server.directory().join("victim.txt");
    std::fs::write(&victim, "secret").unwrap();
    let content = "content=LS0g;content-len=4;udf-type=LUA;";
    let name = "invalid_filename";
    for (command, refusal) in [
        ("udf-get:filename=".to_owned(), name),
        ("udf-get:filename=.".to_owned(), name),
        ("udf-get:filename=..".to_owned(), name),
        ("udf-get:filename=../victim.txt".to_owned(), "not_found"),
        (
            format!("udf-get:filename={}", victim.display()),
            "not_found",
        ),
        ("udf-get:filename=../aerospike.conf".to_owned(), "not_found"),
        ("udf-remove:filename=../victim.txt".to_owned(), name),
        (format!("udf-remove:filename={}", victim.display()), name),
        (format!("udf-put:filename=/../x.lua;{content}"), name),
        (format!("udf-put:filename=../x.lua;{content}"), name),
        (format!("udf-put:filename=a/../../x.lua;{content}"), name),
        (format!("udf-put:filename=native.so;{content}"), name),
        (
            "udf-put:filename=long.lua;content=LS0g;content-len=4294967300;udf-type=LUA;"
                .to_owned(),
            "invalid_content_len",
        ),
    ] {
        let answer = bench.connection.info(&command).unwrap();
        assert_eq!(answer, format!("error={refusal}"), "{command}");
    }
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "secret");
    assert!(!bench.server.directory().join("x.lua").exists());
    assert_eq!(bench.connection.info("udf-list").unwrap(), "");
    bench.assert_alive();
}

#[test]
fn chunks_that_misbehave_while_they_are_checked_are_refused() {
    let mut bench = Bench::new();
    // The module's body takes too long, or the machine is too busy to run it.
    let too_long = "UDF Execution Timeout: ";
    for (chunk, reasons) in [
        (
            r#"error('["' .. string.rep('A', 5000) .. '":1:x', 0)"#,
            &["[\"AAAA"][..],
        ),
        (
            r#"error('[string "x"]:' .. string.rep('9', 5000) .. ':x', 0)"#,
            &["[string \"x\"]:9999"],
        ),
        (
            "os.exit(1)",
            &["attempt to call a nil value (field 'exit')"],
        ),
        (
            "os.execute('true')",
            &["attempt to call a nil value (field 'execute')"],
        ),
        (
            "io.popen('id')",
            &["attempt to call a nil value (field 'popen')"],
        ),
        (
            "io.open('/etc/passwd')",
            &["attempt to call a nil value (field 'open')"],
        ),
        ("while true do end", &[too_long]),
        (
            "pcall(function() while true do end end) while true do end",
            &[too_long],
        ),
        // What a machine runs out of first depends on the machine.
        (
            "local s = 'x' while true do s = s .. s end",
            &["not enough memory", too_long],
        ),
        (
            "local t = {} while true do t[#t + 1] = {} end",
            &["not enough memory", too_long],
        ),
        (
            "local function f() return f() + 1 end f()",
            &["stack overflow", too_long],
        ),
        (
            "string.find(string.rep('a', 40), string.rep('a-', 40) .. 'b')",
            &[too_long],
        ),
        (
            "coroutine.wrap(function() while true do end end)()",
            &[too_long],
        ),
        ("\x1bLua", &["attempt to load a binary chunk"]),
    ] {
        let answer =
            put_module_once(&mut bench.connection, "hostile.lua", chunk.as_bytes()).unwrap();
        assert!(
            answer.starts_with("error=compile_error;"),
            "{chunk}: {answer}"
        );
        let message = Failure::of(&answer).unwrap().message.unwrap();
        assert!(
            reasons.iter().any(|reason| message.starts_with(reason)),
            "{chunk}: {message}"
        );
        bench.assert_alive();
    }
    assert_eq!(bench.connection.info("udf-list").unwrap(), "");
}

#[test]
fn removals_of_unknown_names_leave_no_trace_on_disk() {
    let mut bench = Bench::new();
    bench.put("function f() end");
    let size = |bench: &Bench| -> u64 {
        std::fs::read_dir(bench.server.directory().join("lua"))
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum()
    };
    let before = size(&bench);
    for number in 0..200 {
        let answer = bench
            .connection
            .info(&format!("udf-remove:filename=never_{number}.lua"));
        assert_eq!(answer.unwrap(), "ok");
    }
    assert_eq!(size(&bench), before);
}

#[test]
fn functions_that_kill_a_real_server_get_an_ordinary_answer() {
    let mut bench = Bench::new();
    for (code, body) in [
        (100, "local l = list() list.append(l, l) return l"),
        (100, "local l = list() list.append(l, l) return tostring(l)"),
        (
            100,
            "local l = list() list.append(l, l) return list.nbytes(l)",
        ),
        (
            12,
            "local l = list() list.append(l, l) rec.l = l aerospike:update(rec)",
        ),
        (100, "local m = map() m.a = m return m"),
        (100, "local m = map() m.a = m return tostring(m)"),
        (100, "return list{ rec }"),
        (100, "return map{ a = rec }"),
        (100, "local l = list{ 1 } l[-1] = 5 return l"),
        (100, "local l = list{ 1 } l[2147483648] = 5 return l"),
        (
            0,
            "local l = list{ 1 } list.insert(l, 4000000000, 5) return list.size(l)",
        ),
        (0, "local l = list{ 1, 2 } list.concat(l, l) return l"),
        (100, "return aerospike:update(list{ 1 })"),
        (100, "return aerospike:exists(map())"),
        (100, "return aerospike:remove(bytes())"),
        (100, "return aerospike:create(aerospike)"),
        (0, "return bytes.get_string(bytes(), 1, 3)"),
        (0, "return bytes.get_var_int(bytes(), 1)"),
        (0, "return bytes.get_int16(bytes(4), 4294967295)"),
        (0, "return bytes.set_string(bytes(4), 4294967295, 'abc')"),
        (0, "return bytes.get_bytes(bytes(4), 1, 100000000)"),
        (
            0,
            "local b = bytes(4) bytes.set_bytes(b, 1, bytes(2), 100000) return b",
        ),
        (
            0,
            "for k, v in map.pairs(map{ a = 1, b = 2, c = 3 }) do collectgarbage() end return 1",
        ),
        (
            0,
            "local n = 0 for v in list.iterator(list{ 1, 2, 3 }) do collectgarbage() n = n + v end return n",
        ),
        (
            0,
            "getmetatable(rec).__gc(rec) return aerospike:update(rec)",
        ),
        (
            100,
            "local l = list() for i = 1, 100000 do local o = list() list.append(o, l) l = o end return tostring(l)",
        ),
        (
            100,
            "local l = list() for i = 1, 100000 do local o = list() list.append(o, l) l = o end return l",
        ),
        (100, "os.exit(3)"),
        (100, "return io.popen('id'):read('a')"),
        (100, "return package.loaded.debug.getregistry()"),
        (100, "return package.loadlib('libc.so.6', '*')"),
        (100, "return require('debug')"),
        (100, "return load('\\27Lua')()"),
        (0, "return string.dump(f)"),
        (
            100,
            "setmetatable(_G, { __index = function() error(setmetatable({}, { __tostring = f })) end }) return missing",
        ),
        (
            100,
            "error(setmetatable({}, { __tostring = function() while true do end end }))",
        ),
        (
            0,
            "return coroutine.wrap(function() coroutine.yield(1) end)()",
        ),
        (
            0,
            "return setmetatable({}, { __gc = function() while true do end end })",
        ),
    ] {
        let reply = bench.run(body);
        assert_eq!(reply.code().0, code, "{body}: {reply:?}");
        bench.assert_alive();
    }
}

#[test]
fn nothing_is_read_that_is_not_there() {
    let mut bench = Bench::new();
    for body in [
        "return bytes.size(bytes.get_bytes(bytes(4), 1, 32) or bytes(4)) <= 4",
        "return #(bytes.get_string(bytes(4), 1, 32) or '') <= 4",
        "local b = bytes(2) bytes.set_bytes(b, 1, bytes(2), 32) return bytes.size(b) <= 32",
        "local n = 0 for k, v in map.pairs(map{ a = 1, b = 2, c = 3 }) do collectgarbage() n = n + v end return n == 6",
        "local seen = '' for v in list.iterator(list{ 'x', 'y', 'z' }) do collectgarbage() seen = seen .. v end
         return seen == 'xyz'",
        "local l = list{ 1, 2 } list.concat(l, l) return list.size(l) == 4",
    ] {
        let reply = bench.run(body);
        assert_eq!(reply.bin("SUCCESS"), Some(&Particle::bool(true)), "{body}: {reply:?}");
        bench.assert_alive();
    }
}

#[test]
fn nothing_is_lost_without_a_word() {
    let mut bench = Bench::new();
    let point = r#"geojson('{"type":"Point","coordinates":[1,2]}')"#;
    for (body, code) in [
        (
            "rec.l = list.clone(list{ 1 }) return aerospike:update(rec)".to_owned(),
            0,
        ),
        (format!("rec.g = {point} return aerospike:update(rec)"), 0),
        (
            "rec.g = geojson('not json') return aerospike:update(rec)".to_owned(),
            160,
        ),
        (
            "rec.g = geojson('{}') return aerospike:update(rec)".to_owned(),
            160,
        ),
        ("rec.r = rec return aerospike:update(rec)".to_owned(), 12),
    ] {
        let reply = bench.run(&body);
        assert_eq!(reply.code().0, code, "{body}: {}", failure(&reply));
        bench.assert_alive();
    }
    for (body, expected) in [
        (
            "local l = list() list.append(l, 1) list.append(l, nil) list.append(l, 3) return list.size(list.clone(l))",
            3,
        ),
        (
            "local l = list() list.append(l, 1) list.append(l, nil) return list.size(list.merge(l, list{ 2 }))",
            3,
        ),
        (
            "local b = bytes(4) bytes.append_var_int(b, 300) return bytes.size(b)",
            2,
        ),
        (
            "local m = map() m['a\\0b'] = 1 m['a'] = 2 return map.size(m)",
            2,
        ),
    ] {
        let reply = bench.run(body);
        assert_eq!(
            reply.bin("SUCCESS"),
            Some(&Particle::integer(expected)),
            "{body}: {reply:?}"
        );
    }
    // An argument that cannot be read does not take the others with it unnoticed.
    bench.put("function count(rec, ...) return select('#', ...) end");
    let float_key = [0x92, 0x01, 0x81, 0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 0x01];
    let reply = bench.call("one", "count", &float_key);
    assert_eq!(reply.code().0, 100, "{reply:?}");
    assert!(
        failure(&reply).contains("arguments cannot be read"),
        "{reply:?}"
    );
}

#[test]
fn a_script_cannot_outlive_its_time_limit() {
    let mut bench = Bench::hasty();
    for body in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function(e) while true do end end) end",
        "local co = coroutine.create(function() while true do end end) while true do coroutine.resume(co) end",
        "local co = coroutine.wrap(function() while true do pcall(function() while true do end end) end end) co()",
        "string.find(string.rep('a', 40), string.rep('a-', 40) .. 'b') return 'too far'",
        "string.gsub(string.rep('a', 40), string.rep('a?', 40) .. string.rep('a', 40), 'x') while true do end",
        "while true do string.rep('x', 100000) end",
        "local t = setmetatable({}, { __index = function(t, k) while true do end end }) return t.x",
        "table.sort({ 3, 2, 1, 5, 4 }, function(a, b) while true do end end)",
        "for i = 1, math.huge do end",
        "::top:: goto top",
    ] {
        let reply = bench.run(body);
        assert_eq!(reply.code().0, 100, "{body}: {reply:?}");
        let text = failure(&reply);
        assert!(text.contains("UDF Execution Timeout"), "{body}: {text}");
        bench.assert_alive();
    }
}

#[test]
fn a_script_cannot_take_all_memory() {
    let mut bench = Bench::hasty();
    let memory = &["not enough memory"][..];
    // What a machine runs out of first depends on the machine.
    let grows = &["not enough memory", "UDF Execution Timeout"][..];
    for (body, reasons) in [
        ("return string.rep('x', 1000000000)", memory),
        (
            "return #string.rep('x', 4000000000)",
            &["resulting string too large"],
        ),
        (
            "return bytes.size(bytes(4000000000))",
            &["size out of range)"],
        ),
        (
            "local b = bytes(4000000000) bytes.set_size(b, 4000000000) return bytes.size(b)",
            &["size out of range)"],
        ),
        (
            "local l = list() l[100000000] = 1 return list.size(l)",
            memory,
        ),
        // Sizes to begin with are advice.
        ("local l = list.create(2000000000) return list.size(l)", &[]),
        ("local m = map.create(2000000000) return map.size(m)", &[]),
        ("local s = 'x' while true do s = s .. s end", grows),
        (
            "local t = {} while true do t[#t + 1] = string.rep('x', 1000000) end",
            grows,
        ),
        (
            "local l = list() while true do list.append(l, string.rep('x', 1000000)) end",
            grows,
        ),
        (
            "while true do pcall(string.rep, 'x', 1000000000) end",
            grows,
        ),
        (
            "local b = bytes() while true do bytes.append_string(b, string.rep('x', 1000000)) end",
            grows,
        ),
    ] {
        let reply = bench.run(body);
        let text = failure(&reply);
        if reasons.is_empty() {
            assert_eq!(
                reply.bin("SUCCESS"),
                Some(&Particle::integer(0)),
                "{body}: {text}"
            );
        } else {
            assert_eq!(reply.code().0, 100, "{body}: {reply:?}");
            assert!(
                reasons.iter().any(|reason| text.ends_with(reason)),
                "{body}: {text}"
            );
        }
        bench.assert_alive();
        let resident = tests::load::resident_bytes(bench.server.pid()).unwrap();
        assert!(resident < 1 << 30, "{body}: {resident} bytes are resident");
    }
}

#[test]
fn arguments_that_do_not_decode_are_refused_or_harmless() {
    let mut bench = Bench::new();
    bench.put(
        "function count(rec, ...) return select('#', ...) end function echo(rec, v) return v end",
    );
    let deep = [vec![0x91; 100_000], vec![0xc0]].concat();
    let cases: [(u8, &[u8]); 7] = [
        // A map that claims 2^32 entries, lists that claim more than there is, text cut short.
        (100, &[0x91, 0xdf, 0xff, 0xff, 0xff, 0xf0, 0x01]),
        (0, &[0xdd, 0xff, 0xff, 0xff, 0xff]),
        (0, &[0x92, 0x01]),
        (100, &[0x91, 0xdb, 0x7f, 0xff, 0xff, 0xff, 0x03]),
        (100, &[0x91, 0xc1]),
        // A map in place of the list.
        (0, &[0x81, 0x01, 0x02]),
        (100, &deep),
    ];
    for (code, arguments) in cases {
        let reply = bench.call("one", "count", arguments);
        let head = &arguments[..arguments.len().min(8)];
        assert_eq!(reply.code().0, code, "{head:02x?}: {reply:?}");
        match code {
            // A list that is not there to its end is no list: the function gets no arguments.
            0 => assert_eq!(reply.bin("SUCCESS"), Some(&Particle::integer(0))),
            _ => assert!(
                failure(&reply).starts_with("the arguments cannot be read: "),
                "{reply:?}"
            ),
        }
        bench.assert_alive();
    }
}

#[test]
fn a_record_handle_dies_with_its_call() {
    let mut bench = Bench::new();
    bench.put(
        "function keep(rec) kept = rec return 1 end
         function write(rec)
            if kept == nil then return 'nothing kept' end
            kept.a = 'stolen'
            aerospike:update(kept)
            return kept.a
         end",
    );
    let value = Particle::string("own");
    for key in ["victim", "other"] {
        let record = RecordKey::new("test", "demo", key);
        let put = record
            .put([("a", &value)], WriteOptions::default())
            .unwrap();
        assert_eq!(
            bench.connection.message(&put).unwrap().code(),
            ResultCode::OK
        );
    }
    for _ in 0..30 {
        let kept = bench.call("victim", "keep", &[0x90]);
        assert_eq!(kept.bin("SUCCESS"), Some(&Particle::integer(1)), "{kept:?}");
        let written = bench.call("other", "write", &[0x90]);
        assert_eq!(
            written.bin("SUCCESS"),
            Some(&Particle::string("nothing kept")),
            "{written:?}"
        );
        bench.assert_alive();
    }
    for key in ["victim", "other"] {
        let get = RecordKey::new("test", "demo", key).get().unwrap();
        let reply = bench.connection.message(&get).unwrap();
        assert_eq!(reply.bin("a"), Some(&value), "{key}");
    }
}

#[test]
fn no_call_reads_what_another_left_and_none_breaks_the_module() {
    let mut bench = Bench::new();
    bench.put(
        "function set(rec, v) secret = v result = v success = v return v end
         function read(rec)
            return tostring(secret) .. tostring(result) .. tostring(success)
         end
         function spoil(rec)
            list = nil map = nil tostring = nil string.format = nil read = nil
            getmetatable('').__index = nil
         end
         function use(rec) return list.size(list{ 1 }) + map.size(map{ a = 1 }) + #('x'):upper() end",
    );
    for _ in 0..30 {
        bench.call(
            "one",
            "set",
            &[0x91, 0xa7, 0x03, b's', b'e', b'c', b'r', b'e', b't'],
        );
        let reply = bench.call("one", "read", &[0x90]);
        assert_eq!(
            reply.bin("SUCCESS"),
            Some(&Particle::string("nilnilnil")),
            "{reply:?}"
        );
    }
    for _ in 0..30 {
        let spoiled = bench.call("one", "spoil", &[0x90]);
        assert_eq!(spoiled.code(), ResultCode::OK, "{}", failure(&spoiled));
        let reply = bench.call("one", "use", &[0x90]);
        assert_eq!(
            reply.bin("SUCCESS"),
            Some(&Particle::integer(3)),
            "{reply:?}"
        );
    }
}

#[test]
fn strings_in_bins_keep_their_zero_bytes() {
    let mut bench = Bench::new();
    bench.put(
        "function echo(rec, v) return v end
         function copy(rec) rec.b = rec.a return aerospike:update(rec) end
         function length(rec) return #rec.a end",
    );
    let text = Particle::string(&b"a\0b"[..]);
    let reply = bench.call("one", "echo", &[0x91, 0xa4, 0x03, b'a', 0, b'b']);
    // Arguments end at the first zero byte, as recorded (`args/string_argument_length`).
    assert_eq!(reply.bin("SUCCESS"), Some(&Particle::string(&b"a"[..])));
    let record = RecordKey::new("test", "demo", "one");
    let put = record.put([("a", &text)], WriteOptions::default()).unwrap();
    bench.connection.message(&put).unwrap();
    assert_eq!(
        bench.call("one", "length", &[0x90]).bin("SUCCESS"),
        Some(&Particle::integer(3))
    );
    assert_eq!(bench.call("one", "copy", &[0x90]).code(), ResultCode::OK);
    let reply = bench.connection.message(&record.get().unwrap()).unwrap();
    assert_eq!(reply.bin("b"), Some(&text));
}

#[test]
fn frames_that_are_not_of_the_protocol_end_their_connection_only() {
    let mut bench = Bench::new();
    let cases: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[1, 1, 0, 0, 0, 0, 0, 0],
        &[2, 0, 0, 0, 0, 0, 0, 0],
        &[2, 9, 0, 0, 0, 0, 0, 0],
        &[2, 3, 0, 0, 8, 0, 0, 1],
        &[2, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x16, 3, 1, 2, 0, 1, 0, 0],
    ];
    for bytes in cases {
        let mut connection = bench.server.connect().unwrap();
        connection.send(bytes).unwrap();
        let error = connection.receive().unwrap_err();
        assert!(error.is_disconnect(), "{bytes:02x?}: {error}");
    }
    bench.assert_alive();
}

#[test]
fn malformed_record_messages_are_answered_and_the_connection_goes_on() {
    let mut bench = Bench::new();
    let get = RecordKey::new("test", "demo", "one").get().unwrap();
    let body = &get[8..];
    // Every truncation, and one byte too many.
    let mut bodies: Vec<Vec<u8>> = (0..body.len()).map(|end| body[..end].to_vec()).collect();
    bodies.push([body, &[0]].concat());
    for body in bodies {
        let size = body.len() as u64;
        let header = protocol::header::Header::new(protocol::header::MessageType::Message, size);
        bench
            .connection
            .send(&[&header.to_bytes(), body.as_slice()].concat())
            .unwrap();
        let (_, answer) = bench.connection.receive().unwrap();
        assert_eq!(
            answer.get(5),
            Some(&ResultCode::PARAMETER.0),
            "{} bytes",
            body.len()
        );
    }
    bench.assert_alive();
}

#[test]
fn values_that_cannot_be_stored_are_refused() {
    let mut bench = Bench::new();
    let record = RecordKey::new("test", "demo", "one");
    for (kind, data) in [
        (ParticleType::INTEGER, &[1, 2, 3][..]),
        (ParticleType::FLOAT, &[0; 4]),
        (ParticleType::BOOL, &[2]),
        (ParticleType::LIST, &[0x92, 1]),
        (ParticleType::LIST, &[0xdd, 0xff, 0xff, 0xff, 0xff]),
        (ParticleType::MAP, &[0xdf, 0xff, 0xff, 0xff, 0xff, 1]),
        (ParticleType::GEOJSON, &[0, 0xff, 0xff]),
        (ParticleType(99), &[1]),
    ] {
        let value = Particle::new(kind, data);
        let put = record
            .put([("a", &value)], WriteOptions::default())
            .unwrap();
        let code = bench.connection.message(&put).unwrap().code();
        assert_ne!(code, ResultCode::OK, "{kind} {data:02x?}");
        bench.assert_alive();
    }
    let reply = bench.connection.message(&record.get().unwrap()).unwrap();
    assert_eq!(reply.code(), ResultCode::NOT_FOUND);
    assert_eq!(reply.header.info1, Info1::empty());
}
