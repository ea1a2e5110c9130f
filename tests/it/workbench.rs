//! `asudf` against a server: the same tests here and there.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::server;

fn own_tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../asudf/tests/own")
}

fn asudf(folder: &Path, words: &[&str]) -> Output {
    Command::new(tests::program::path("asudf").unwrap())
        .current_dir(folder)
        .args(words)
        .output()
        .unwrap()
}

#[test]
fn our_own_tests_find_no_difference_between_here_and_a_server() {
    let server = server::start();
    let address = server.address().to_string();
    let output = asudf(&own_tests(), &["test", "--against", &address]);
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap();
    assert!(output.status.success(), "{text}");
    assert!(last.ends_with(": 0 differences"), "{text}");
    let count = last.split(' ').next().unwrap();
    assert!(count.parse::<usize>().unwrap() >= 200, "{text}");
    // What was there for the tests is gone: modules and records.
    let mut connection = server.running.connect().unwrap();
    assert_eq!(connection.info("udf-list").unwrap(), "");
    let sets = connection.info("sets/test").unwrap();
    for set in sets.split(';').filter(|set| !set.is_empty()) {
        assert!(set.contains("objects=0:"), "{sets}");
    }
}

/// What a recorded server did with records, `asudf` and `asd` do too. CONTRIBUTING.md has the command
/// for all of it; without a server all of it is in `asudf`'s own suite.
#[test]
fn recorded_calls_come_out_the_same_on_a_server() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let folder = tempfile::tempdir().unwrap();
    let [recording, except] = ["apply.jsonl", "differences.toml"].map(|name| golden.join(name));
    let words = [
        "convert",
        recording.to_str().unwrap(),
        "--out",
        ".",
        "--except",
        except.to_str().unwrap(),
    ];
    let converted = asudf(folder.path(), &words);
    assert!(converted.status.success(), "{converted:?}");
    let server = server::start();
    let address = server.address().to_string();
    let words = ["test", "--filter", "record_", "--against", &address];
    let output = asudf(folder.path(), &words);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let last = text.lines().last().unwrap();
    assert!(last.ends_with(": 0 differences"), "{text}");
    let count = last.split(' ').next().unwrap();
    assert!(count.parse::<usize>().unwrap() >= 150, "{text}");
}

#[test]
fn a_server_that_is_not_for_tests_is_left_alone_and_differences_are_found() {
    let server = server::start();
    let address = server.address().to_string();
    let mut connection = server.running.connect().unwrap();
    let other = "function echo(rec, value) return 1 end";
    let answer = tests::records::put_module(&mut connection, "shapes.lua", other.as_bytes());
    assert_eq!(answer.unwrap(), "ok");
    let output = asudf(&own_tests(), &["test", "--against", &address]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("has another module `shapes.lua`"), "{error}");

    // A server that limits more than the project says does otherwise.
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "own.lua",
        "function big(rec, n) rec.b = string.rep('x', n) return aerospike:create(rec) end",
    );
    write(
        "own_test.lua",
        "t.test('big', function() t.apply(t.record{}, 'own', 'big', 2000000) end)",
    );
    write("asudf.toml", "[test]\nmax-record-size = 4000000\n");
    let output = asudf(folder.path(), &["test", "--against", &address]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for expected in [
        "it passes here and fails there",
        "result 13",
        "1 tests compared",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}
