//! What the real `asinfo` and `asadm` printed, returned and sent, against a frozen cluster of three nodes: compared with
//! what ours do.
//!
//! `golden/asadm/README.md` describes the recordings. The nodes are served on loopback addresses of this run's own,
//! `127.x.y.11` to `.13`, port 3000, which are as long as the recorded ones; texts are translated on their way in and out.

mod case;
mod frozen;
mod loopback;
mod run;
mod shape;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use case::Case;
use frozen::Answers;
use loopback::Loopback;

use crate::golden::{differences, path};

/// Cases that run at the same time; most of their time they wait for time limits.
const WORKERS: usize = 6;

/// The file as the table of differences names it.
pub(crate) const FILE: &str = "asadm/cases.jsonl";

#[test]
fn tools_print_return_and_send_what_was_recorded() {
    let answers = Answers::read(&path("asadm/cluster"));
    let cases: Mutex<VecDeque<Case>> = Mutex::new(case::read(&path(FILE)));
    let count = cases.lock().unwrap().len();
    assert!(count > 400, "only {count} cases");
    let report = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let loopback = Arc::new(Loopback::take());
                loop {
                    let Some(case) = cases.lock().unwrap().pop_front() else {
                        break;
                    };
                    let (mut difference, sent) = difference(&case, &answers, &loopback);
                    let mut listed = differences::listed(FILE, &case.name);
                    if sent.is_empty() == differences::sends_otherwise(FILE, &case.name) {
                        // What a tool does to a cluster has a row of its own.
                        listed = false;
                        difference += &sent;
                        difference += "  (or requests that were to differ do not)\n";
                    }
                    if difference.is_empty() == listed {
                        report.lock().unwrap().push(match listed {
                            true => format!("STALE {}: is as recorded, but listed\n", case.name),
                            false => {
                                format!("MISMATCH {}: {:?}\n{difference}", case.name, case.argv)
                            }
                        });
                    }
                }
            });
        }
    });
    let mut report = report.into_inner().unwrap();
    report.sort();
    assert!(
        report.is_empty(),
        "{} of {count}\n{}",
        report.len(),
        report.concat()
    );
}

/// What is not as recorded, of what is seen and of what was sent; empty if all is.
fn difference(case: &Case, answers: &Answers, loopback: &Arc<Loopback>) -> (String, String) {
    let ran = run::run(case, answers, loopback);
    let mut seen = String::new();
    let compare = |what: &str, recorded: &str, found: &str| {
        if recorded == found {
            return String::new();
        }
        format!("  {what} recorded: {recorded:?}\n  {what} found:    {found:?}\n")
    };
    let mut differ =
        |what: &str, recorded: &str, found: &str| seen += &compare(what, recorded, found);
    differ("rc", &case.rc.to_string(), &ran.rc);
    match case.compare.as_str() {
        "help" => {
            let missing = shape::missing_words(&ran.stdout, &case.words);
            differ("missing words", "", &missing.join(" "));
        }
        mode => {
            let (recorded, found) = (
                shape::shape(&case.stdout, mode),
                shape::shape(&ran.stdout, mode),
            );
            differ("stdout", &recorded, &found);
        }
    }
    for (name, recorded) in &case.out_files {
        let found = ran
            .out_files
            .get(name)
            .map_or("(no such file)", String::as_str);
        differ(name, recorded, found);
    }
    let sent = compare("sent", &case.sent.join("\n"), &ran.sent.join("\n"));
    (seen, sent)
}
