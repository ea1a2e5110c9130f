//! Every recorded case of the reference tool whose commands are views, rendered from the recorded answers alone and
//! compared byte for byte.
//!
//! `tests/golden/asadm/cluster` holds what each node of a three-node cluster answered, `cases.jsonl` what the reference
//! printed. No socket is opened here: discovery, the line language and the exit status have suites of their own.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod case;
mod cluster;
mod damaged;
mod differences;
mod normal;
mod run;
mod sheets;

use std::collections::BTreeMap;

use case::Case;

#[test]
fn views_print_what_the_reference_printed() {
    let cases = case::read();
    let mut differing = BTreeMap::new();
    let mut equal = 0;
    for case in &cases {
        let Some(output) = run::run(case) else {
            continue;
        };
        match normal::difference(case, &output) {
            None => equal += 1,
            Some(difference) => {
                differing.insert(case.name.clone(), difference);
            }
        }
    }
    let known: BTreeMap<&str, &str> = differences::KNOWN.iter().copied().collect();
    let unknown: Vec<&String> = differing
        .keys()
        .filter(|name| !known.contains_key(name.as_str()))
        .collect();
    for name in &unknown {
        eprintln!("== {name}\n{}", differing[*name]);
    }
    let stale: Vec<&&str> = known
        .keys()
        .filter(|name| !differing.contains_key(**name))
        .collect();
    eprintln!("{equal} equal, {} differ", differing.len());
    assert!(unknown.is_empty(), "cases that differ: {unknown:?}");
    assert!(
        stale.is_empty(),
        "cases that do not differ any more: {stale:?}"
    );
    assert!(equal > 85, "only {equal} cases were found");
}

#[test]
fn only_quirks_of_the_reference_may_differ() {
    let cases = case::read();
    for (name, reason) in differences::KNOWN {
        let case: &Case = cases
            .iter()
            .find(|case| case.name == *name)
            .expect("a case of that name");
        assert!(case.quirk, "{name} is no quirk, yet it differs: {reason}");
    }
}
