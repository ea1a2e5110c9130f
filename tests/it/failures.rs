//! What failed is found in the log: one line, with who asked, what for, where, and why.

use protocol::particle::Particle;
use tests::connection::Connection;
use tests::process::{PROCESS_DEADLINE, wait_until};
use tests::records::{CallOptions, RecordKey, put_module};

use crate::server::{self, Server};

const MODULE: &str = "local function inner(r) return r.a + 1 end
function nothing(r) return inner({}) end
function thrown(r) error({ code = 7 }) end
function forever(r) while true do end end
function update_none(r) return aggregate_status(aerospike:update(r)) end
function aggregate_status(s) return s end
function total(r) return math.sum(nil, 1) end
function merged(r) return map.merge(map{ a = 1 }, map{ a = map() }, math.sum) end
function lost(r) return {} end
function nested(r) return map{ a = {} } end
function handle(r) r.h = r return aerospike:create(r) end
";

const NO_ARGUMENTS: &[u8] = &[0x90];

fn call(connection: &mut Connection, module: &str, function: &str) -> (u8, String) {
    let key = RecordKey::new("test", "failures", "one");
    let options = CallOptions {
        timeout_ms: 100,
        ..CallOptions::default()
    };
    let frame = key
        .apply(
            module.as_bytes(),
            function.as_bytes(),
            NO_ARGUMENTS,
            options,
        )
        .unwrap();
    let reply = connection.message(&frame).unwrap();
    let text = reply
        .bin("FAILURE")
        .map_or_else(String::new, |text: &Particle| {
            String::from_utf8_lossy(&text.data).into_owned()
        });
    (reply.code().0, text)
}

/// Waits for a line that has all of these; gives it.
fn line_with(server: &Server, parts: &[&str]) -> String {
    let mut found = String::new();
    let looked = wait_until(&format!("a line with {parts:?}"), PROCESS_DEADLINE, || {
        let log = server.log();
        let mut lines = log.lines();
        let line = lines.find(|line| parts.iter().all(|part| line.contains(part)));
        found = line.unwrap_or_default().to_owned();
        Ok(!found.is_empty())
    });
    if looked.is_err() {
        panic!("no line with {parts:?} in\n{}", server.log());
    }
    found
}

#[test]
fn each_failed_call_has_one_line_with_its_place_and_its_peer() {
    let server = server::start();
    let mut connection = server.connect().unwrap();
    assert_eq!(
        put_module(&mut connection, "broken.lua", MODULE.as_bytes()).unwrap(),
        "ok"
    );
    let table = b"local m = {} function m.add(r) return 1 end return m";
    assert_eq!(
        put_module(&mut connection, "tabled.lua", table).unwrap(),
        "ok"
    );
    let cases: &[(&str, &str, u8, &str, &[&str])] = &[
        (
            "broken",
            "nothing",
            100,
            "broken.lua:1: attempt",
            &["at=", "broken.lua:1 "],
        ),
        (
            "broken",
            "thrown",
            100,
            "result value type",
            &["broken.lua:3 ", "the error value is a table"],
        ),
        (
            "broken",
            "forever",
            100,
            "UDF Execution Timeout",
            &["broken.lua:4 "],
        ),
        (
            "broken",
            "totl",
            100,
            "function not found",
            &["did you mean `total`?"],
        ),
        (
            "broken",
            "total",
            100,
            "broken.lua:7: attempt to perform arithmetic on a nil value",
            &["broken.lua:7 "],
        ),
        (
            "broken",
            "merged",
            100,
            "broken.lua:8: attempt to perform arithmetic on a Map value",
            &["broken.lua:8 "],
        ),
        (
            "broken",
            "update_none",
            0,
            "",
            &["broken.lua:5 ", "aerospike:update returned -2"],
        ),
        (
            "broken",
            "handle",
            12,
            "",
            &["broken.lua:11 ", "aerospike:create returned -1: result 12"],
        ),
        (
            "tabled",
            "add",
            100,
            "function not found",
            &["it returns a table that has it"],
        ),
        (
            "broken.lua",
            "total",
            100,
            "UDF: Execution Error 1",
            &["without the extension: `broken`"],
        ),
        (
            "brokn",
            "total",
            100,
            "UDF: Execution Error 1",
            &["did you mean `broken`?"],
        ),
        (
            "none_such",
            "total",
            100,
            "UDF: Execution Error 1",
            &["no module `none_such` is registered"],
        ),
    ];
    for (module, function, code, text, told) in cases {
        let (found, reply) = call(&mut connection, module, function);
        assert_eq!(found, *code, "{module}.{function}: {reply}");
        assert!(reply.contains(text), "{module}.{function}: {reply}");
        let (module, function) = (format!("module={module} "), format!("function={function} "));
        let result = format!("result={code} ");
        let mut parts = vec![
            module.as_str(),
            function.as_str(),
            result.as_str(),
            "peer=127.0.0.1:",
        ];
        parts.extend(*told);
        let line = line_with(&server, &parts);
        assert!(line.contains("WARNING (udf)"), "{line}");
        let same = |line: &&str| line.contains(&module) && line.contains(&function);
        assert_eq!(server.log().lines().filter(same).count(), 1, "{line}");
    }
}

#[test]
fn replies_carry_the_cause_where_the_configuration_says_so() {
    let server = server::start_with(|asd| asd.mod_lua("error-detail true"));
    let mut connection = server.connect().unwrap();
    assert_eq!(
        put_module(&mut connection, "broken.lua", MODULE.as_bytes()).unwrap(),
        "ok"
    );
    for (module, function, text) in [
        (
            "broken",
            "totl",
            "function not found: module `broken` has no global function `totl`; did you mean `total`?",
        ),
        (
            "brokn",
            "f",
            "UDF: Execution Error 1: no module `brokn` is registered; did you mean `broken`?",
        ),
    ] {
        assert_eq!(
            call(&mut connection, module, function),
            (100, text.to_owned())
        );
    }
    let (_, text) = call(&mut connection, "broken", "forever");
    assert!(
        text.starts_with("UDF Execution Timeout: at ") && text.ends_with("broken.lua:4"),
        "{text}"
    );
}

#[test]
fn values_that_are_lost_are_told_of_once_for_each_function() {
    let server = server::start();
    let mut connection = server.connect().unwrap();
    assert_eq!(
        put_module(&mut connection, "losing.lua", MODULE.as_bytes()).unwrap(),
        "ok"
    );
    for _ in 0..3 {
        for function in ["lost", "nested"] {
            assert_eq!(call(&mut connection, "losing", function).0, 0);
        }
    }
    line_with(
        &server,
        &[
            "module=losing function=lost: a table is returned",
            "the client gets nil",
        ],
    );
    line_with(
        &server,
        &[
            "module=losing function=nested: a table is put into a map",
            "losing.lua:10",
            "left out",
        ],
    );
    let told = |line: &&str| line.contains("module=losing");
    assert_eq!(
        server.log().lines().filter(told).count(),
        2,
        "{}",
        server.log()
    );
}

#[test]
fn registrations_removals_and_refusals_have_a_line_each() {
    let server = server::start();
    let mut connection = server.connect().unwrap();
    assert_eq!(
        put_module(&mut connection, "a..lua", b"x = 1").unwrap(),
        "ok"
    );
    let refused = put_module(&mut connection, "b.lua", b"x = = 1").unwrap();
    assert!(refused.starts_with("error=compile_error"), "{refused}");
    assert_eq!(
        connection.info("udf-remove:filename=a..lua;").unwrap(),
        "ok"
    );
    assert_eq!(
        connection.info("udf-get:filename=../a.lua;").unwrap(),
        "error=not_found"
    );
    line_with(
        &server,
        &[
            "udf-put: module `a..lua` registered",
            "node=",
            "peer=127.0.0.1:",
            "hash=",
        ],
    );
    line_with(
        &server,
        &[
            "udf-put: module `b.lua` refused",
            "peer=127.0.0.1:",
            "line=1",
            "unexpected symbol",
        ],
    );
    line_with(
        &server,
        &["udf-remove: module `a..lua` removed", "peer=127.0.0.1:"],
    );
    let answer = connection.info("cluster-stable:size=x").unwrap();
    assert!(answer.starts_with("ERROR:4:"), "{answer}");
    line_with(
        &server,
        &[
            "INFO (info)",
            "`cluster-stable:size=x` of 127.0.0.1:",
            "refused: ERROR:4:",
        ],
    );
}

#[test]
fn modules_append_to_search_paths_when_they_load() {
    let server = server::start();
    let mut connection = server.connect().unwrap();
    let source = b"package.path = package.path .. ';./?.lua'
package.cpath = package.cpath .. ';./?.so'
function ok(r) return 'loaded' end";
    assert_eq!(
        put_module(&mut connection, "path.lua", source).unwrap(),
        "ok"
    );
    assert_eq!(call(&mut connection, "path", "ok"), (0, String::new()));
}
