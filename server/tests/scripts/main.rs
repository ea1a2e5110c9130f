//! Scripts and what comes of them: tables of cases in files, run against real modules, contexts and records, without a
//! server and without a socket.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod allocations;
mod case;
mod conformance;
mod functions;
mod node;
mod notation;
mod request;

use std::collections::BTreeSet;
use std::fmt::Write;

use case::Case;
use node::Bench;

/// Runs a case; empty when all is as expected.
fn run(bench: &Bench, file: &str, case: &Case) -> String {
    let mut found = String::new();
    request::clean(bench);
    for (name, source) in &case.modules {
        let answer = request::register(bench, name, source);
        if answer != "ok" {
            let _ = writeln!(found, "{file}:{}: {name} is refused: {answer}", case.line);
        }
    }
    for step in &case.steps {
        let result = request::run(bench, &step.request, &step.expected)
            .unwrap_or_else(|error| format!("cannot be sent: {error}"));
        if !case::matches(&step.expected, &result) {
            let _ = writeln!(
                found,
                "{file}:{}: {}\n    expected {}\n    found    {result}",
                step.line, case.title, step.expected
            );
        }
    }
    found
}

fn run_file(file: &str) {
    let cases = case::read(file);
    assert!(!cases.is_empty(), "no cases in {file}");
    let bench = Bench::new();
    let different: String = cases.iter().map(|case| run(&bench, file, case)).collect();
    assert!(different.is_empty(), "\n{different}");
}

/// A test for each file of cases.
macro_rules! files {
    ($($file:ident)*) => {
        const FILES: &[&str] = &[$(stringify!($file)),*];

        $(#[test]
        fn $file() {
            run_file(stringify!($file));
        })*
    };
}

files!(registry calls conversion records writes lists maps bytes safety);

#[test]
fn a_traceback_stands_behind_the_message_where_the_configuration_wants_it() {
    const SOURCE: &str = "local function inner() error('boom') end\nfunction f(rec) inner() end\nfunction t(rec) error({}) end";
    let message = "! 100 /udf/m.lua:1: boom";
    for traceback in [false, true] {
        let bench = Bench::with_traceback(traceback);
        assert_eq!(request::register(&bench, "m.lua", SOURCE), "ok");
        let found = request::run(&bench, "call f()", "").unwrap();
        match found.strip_prefix(message) {
            Some("") => assert!(!traceback),
            Some(behind) => {
                assert!(
                    traceback && behind.starts_with("\nstack traceback:\n"),
                    "{found}"
                );
                assert!(
                    behind.contains("m.lua:1: in ") && behind.contains("m.lua:2: in "),
                    "{found}"
                );
            }
            None => panic!("{found}"),
        }
        let found = request::run(&bench, "call t()", "").unwrap();
        assert_eq!(found, "! 100 result value type unexpected");
    }
}

#[test]
fn every_file_of_cases_is_run() {
    let there: BTreeSet<String> = std::fs::read_dir(case::directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let run = FILES.iter().map(|file| format!("{file}.cases")).collect();
    assert_eq!(there, run);
}
