//! What a real server was seen to do, and our own tests, all without a server.

use std::path::{Path, PathBuf};

use super::program::{asudf, folder};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/golden")
        .join(name)
}

#[test]
fn recorded_calls_of_a_real_server_come_out_the_same() {
    let place = folder(&[]);
    let (recording, except) = (golden("apply.jsonl"), golden("differences.toml"));
    let words = [
        "convert",
        recording.to_str().unwrap(),
        "--out",
        "tests",
        "--except",
    ];
    let words = [&words[..], &[except.to_str().unwrap()]].concat();
    let converted = asudf(place.path(), &words);
    assert_eq!(converted.status, 0, "{}", converted.err);
    let count = converted.out.split(' ').next().unwrap();
    assert!(count.parse::<usize>().unwrap() > 1_200, "{}", converted.out);
    let ran = asudf(&place.path().join("tests"), &["test"]);
    assert_eq!(ran.status, 0, "{}", ran.out);
    assert!(
        ran.out.contains(&format!("{count} passed, 0 failed")),
        "{}",
        ran.out
    );
}

#[test]
fn a_test_that_is_told_to_expect_something_else_fails() {
    let case = r#"{"case": "one", "topic": "x", "module": "m.lua", "function": "f", "args": [2], "before": {"b": 1},
        "expect": {"code": 0, "value": 3}, "after": {"b": 4}, "after_meta": {"gen": 5, "ttl": "never"}}"#;
    let case = case.replace('\n', " ");
    let module = "function f(r, n) r.b = n aerospike:update(r) return n + 1 end";
    let place = folder(&[("x.jsonl", &case), ("lua/m.lua", module)]);
    for (from, to, message) in [
        ("", "", "found     map{b = 2}\nexpected  map{b = 4}"),
        ("\"value\": 3", "\"value\": 7", "found     3\nexpected  7"),
        ("\"b\": 4", "\"b\": 2", "found     2\nexpected  5"),
        ("\"code\": 0", "\"code\": 100", "found     0\nexpected  100"),
    ] {
        std::fs::write(place.path().join("x.jsonl"), case.replace(from, to)).unwrap();
        assert_eq!(
            asudf(place.path(), &["convert", "x.jsonl", "--out", "out"]).status,
            0
        );
        let ran = asudf(&place.path().join("out"), &["test", "--format", "json"]);
        let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        let found = document["files"][0]["tests"][0]["message"]
            .as_str()
            .unwrap();
        assert!(found.starts_with(message), "{from} {to}: {found}");
    }
}

#[test]
fn our_own_tests_pass_and_are_many() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/own");
    let ran = asudf(&own, &["test"]);
    assert_eq!(ran.status, 0, "{}", ran.out);
    let passed = ran.out.lines().last().unwrap().split(' ').next().unwrap();
    assert!(passed.parse::<usize>().unwrap() >= 200, "{}", ran.out);
}
