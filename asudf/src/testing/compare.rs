//! The same tests here and on a cluster: verdicts, and all that calls gave.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use super::file::{FileReport, Ran, Running, Verdict};
use super::suite::Suite;
use crate::cluster::{self, Cluster};
use crate::project::Project;
use crate::random::seed_of;
use crate::status::Failure;

/// Where to compare with.
pub(super) struct Against<'a> {
    /// A cluster of `asudf.toml`, or hosts.
    pub(super) name: &'a str,
    pub(super) namespace: &'a str,
}

/// What came of a comparison.
pub(super) struct Compared {
    /// Tests that were run in both places.
    pub(super) count: usize,
    /// What differs, a paragraph each.
    pub(super) differences: Vec<String>,
    /// Tests that say nothing about another place: file, name, why.
    pub(super) left_out: Vec<(String, String)>,
}

/// The set of a run, which no other run has.
pub(super) fn own_set() -> String {
    format!("asudf_{:05x}", seed_of(super::new_seed(), "set") & 0xf_ffff)
}

/// Runs what was run here on a cluster.
///
/// # Errors
/// The cluster cannot be reached, or is not one for tests.
pub(super) fn compare(
    project: &Project,
    against: &Against<'_>,
    suite: &Suite,
    running: &Running,
    here: &[FileReport],
) -> Result<Compared, Failure> {
    let (connection, alternate) = cluster::named(project, against.name)?;
    let cluster = Cluster::open(connection, alternate, against.namespace)?;
    let mut compared = Compared {
        count: 0,
        differences: Vec::new(),
        left_out: Vec::new(),
    };
    let mut without = BTreeSet::new();
    for file in here {
        for test in &file.tests {
            let reason = match (test.verdict, test.traces.only_here) {
                (Verdict::Skipped, _) => "it is skipped",
                (_, Some(reason)) => reason,
                _ => continue,
            };
            without.insert((file.path.clone(), test.name.clone()));
            compared
                .left_out
                .push((shown(&file.path, test), reason.to_owned()));
        }
    }
    let running = Running {
        without,
        ..running.clone()
    };
    let ran = suite.run_on(&cluster, &running);
    let removed = cluster.unregister();
    let there = ran?;
    removed?;
    for (file, other) in here.iter().zip(&there) {
        if file.broken.is_none()
            && let Some(broken) = &other.broken
        {
            compared
                .differences
                .push(format!("{}: there: {broken}", file.path.display()));
        }
        for test in &file.tests {
            let Some(found) = other.tests.iter().find(|other| other.name == test.name) else {
                continue;
            };
            compared.count += 1;
            if let Some(text) = difference(test, found) {
                compared
                    .differences
                    .push(format!("{}\n{text}", shown(&file.path, test)));
            }
        }
    }
    Ok(compared)
}

fn shown(path: &Path, test: &Ran) -> String {
    format!("{}:{}: {}", path.display(), test.line, test.name)
}

/// What differs between two runs of a test.
fn difference(here: &Ran, there: &Ran) -> Option<String> {
    let word = |verdict| match verdict {
        Verdict::Passed => "passes",
        Verdict::Failed => "fails",
        Verdict::Skipped => "is skipped",
    };
    let mut text = String::new();
    // Writing to a string does not fail.
    if here.verdict != there.verdict {
        let _ = writeln!(
            text,
            "  it {} here and {} there",
            word(here.verdict),
            word(there.verdict)
        );
        for message in [&here.message, &there.message] {
            for line in message.lines() {
                let _ = writeln!(text, "      {line}");
            }
        }
    }
    let calls = here.traces.exchanges.iter().zip(&there.traces.exchanges);
    for (own, other) in calls {
        if own != other {
            let _ = writeln!(text, "  {}\n    here   {}", own.call, own.outcome);
            if own.call != other.call {
                let _ = writeln!(text, "  {}", other.call);
            }
            let _ = writeln!(text, "    there  {}", other.outcome);
            // What follows from it differs, too.
            break;
        }
    }
    (!text.is_empty()).then_some(text)
}

/// What is printed of a comparison.
pub(super) fn text(compared: &Compared, name: &str) -> String {
    let mut out = String::new();
    for difference in &compared.differences {
        let _ = writeln!(out, "DIFFERS {difference}");
    }
    for (test, reason) in &compared.left_out {
        let _ = writeln!(out, "not compared: {test}: {reason}");
    }
    let _ = writeln!(
        out,
        "{} tests compared with {name}: {} differences",
        compared.count,
        compared.differences.len()
    );
    out
}
