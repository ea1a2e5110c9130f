//! Replays what a real server was recorded to answer.
//!
//! Each topic is a test with a server of its own. With `CONFORMANCE_ADDR=host:port` the cases go to that server instead:
//! it needs the namespaces `test` and `bar`, loses all its modules, and the topics must not run side by side
//! (`--test-threads=1`).

mod apply;
mod aql;
pub(crate) mod differences;
mod expressions;
mod info;
mod operate;
mod records;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;

use serde_json::Value;

use crate::server::{self, Server};

/// A file of the recorded data.
pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(name)
}

/// The cases of a file, one JSON object a line. A file is read once, for all the tests of its topics: megabytes of JSON
/// take a debug build seconds.
fn cases(file: &str) -> &'static [Value] {
    static READ: Mutex<BTreeMap<String, &'static [Value]>> = Mutex::new(BTreeMap::new());
    let mut read = READ.lock().unwrap();
    if let Some(cases) = read.get(file) {
        return cases;
    }
    let cases: Vec<Value> = std::fs::read_to_string(path(file))
        .unwrap()
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let cases: &'static [Value] = cases.leak();
    read.insert(file.to_owned(), cases);
    cases
}

/// What cases are replayed against.
enum Target {
    Own(Box<Server>),
    Given(SocketAddr),
}

impl Target {
    fn open() -> Self {
        match std::env::var("CONFORMANCE_ADDR") {
            Ok(address) => Self::Given(
                address
                    .parse()
                    .expect("CONFORMANCE_ADDR is an address and a port"),
            ),
            // Recorded answers do not depend on how fast the machine is: cases that are to time out say so themselves.
            Err(_) => Self::Own(Box::new(server::start_with(|asd| {
                asd.mod_lua("body-time-limit-ms 20000")
            }))),
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Own(server) => server.address(),
            Self::Given(address) => *address,
        }
    }

    fn log(&self) -> String {
        match self {
            Self::Own(server) => server.log(),
            Self::Given(_) => String::new(),
        }
    }
}

/// What one replay of a topic found.
#[derive(Default)]
struct Findings {
    passed: usize,
    /// Case and what differs, for cases that have no row in the table of differences.
    mismatches: Vec<(String, String)>,
    /// Cases that have a row and answer as recorded nevertheless.
    stale: Vec<String>,
}

impl Findings {
    /// Books the outcome of a case: `difference` is empty when it answered as recorded.
    fn add(&mut self, file: &str, case: &str, difference: String) {
        let listed = differences::listed(file, case);
        match (difference.is_empty(), listed) {
            (true, false) | (false, true) => self.passed += 1,
            (true, true) => self.stale.push(case.to_owned()),
            (false, false) => self.mismatches.push((case.to_owned(), difference)),
        }
    }

    fn check(self, file: &str, topic: &str, log: &str) {
        if self.mismatches.is_empty() && self.stale.is_empty() {
            assert_ne!(self.passed, 0, "{file} has no case of topic {topic}");
            return;
        }
        let mut report = String::new();
        for (case, difference) in &self.mismatches {
            writeln!(report, "MISMATCH {case}\n{difference}").unwrap();
        }
        for case in &self.stale {
            writeln!(
                report,
                "STALE {case}: answers as recorded, but golden/differences.toml lists it"
            )
            .unwrap();
        }
        let tail: Vec<&str> = log.lines().rev().take(20).collect();
        for line in tail.iter().rev() {
            writeln!(report, "log: {line}").unwrap();
        }
        panic!(
            "{file}, {topic}: {} passed, {} differ, {} stale\n{report}",
            self.passed,
            self.mismatches.len(),
            self.stale.len()
        );
    }
}

/// Declares one test a topic, and one that the file has no other topics.
macro_rules! topics {
    ($file:literal, $replay:path: $($topic:ident)*) => {
        $(
            #[test]
            fn $topic() {
                $replay(stringify!($topic));
            }
        )*

        #[test]
        fn every_topic_of_the_file_has_a_test() {
            crate::golden::assert_topics($file, &[$(stringify!($topic)),*]);
        }
    };
}
use topics;

fn assert_topics(file: &str, tested: &[&str]) {
    let recorded: BTreeSet<String> = cases(file)
        .iter()
        .map(|case| case["topic"].as_str().unwrap().to_owned())
        .collect();
    let tested: BTreeSet<String> = tested.iter().map(|topic| (*topic).to_owned()).collect();
    assert_eq!(recorded, tested);
}

/// A long text, cut in the middle for a report.
fn short(text: &str) -> String {
    let count = text.chars().count();
    if count <= 600 {
        return text.to_owned();
    }
    let head: String = text.chars().take(350).collect();
    let tail: String = text.chars().skip(count - 200).collect();
    format!("{head} ... ({count} characters) ... {tail}")
}
