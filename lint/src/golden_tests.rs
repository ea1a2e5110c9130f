//! Recorded answers of a real server: what failed there for a cause that a rule looks for is found.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::Value;

use crate::{Settings, Source, check};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden")
}

/// Causes that no rule looks for: part of the text, and why.
const BEYOND: &[(&str, &str)] = &[
    ("something failed", "an error of the script's own"),
    ("level one", "an error of the script's own"),
    ("at level two", "an error of the script's own"),
    ("from inner", "an error of the script's own"),
    ("größe", "an error of the script's own"),
    ("100% %s", "an error of the script's own"),
    ("say \"hi\"", "an error of the script's own"),
    ("bad value 5", "an error of the script's own"),
    ("told you", "an error of the script's own"),
    ("update failed", "an error of the script's own"),
    ("not a number", "an error of the script's own"),
    ("found two", "an error of the script's own"),
    ("no field foo", "an error of the script's own"),
    ("in wrap", "an error of the script's own"),
    ("at 7", "an error of the script's own"),
    (": late", "an error of the script's own"),
    (": undo", "an error of the script's own"),
    (": x", "an error of the script's own"),
    ("base failed", "an error of the script's own"),
    ("assertion failed", "an assertion that depends on data"),
    ("stack overflow", "recursion without end"),
    ("UDF Execution Timeout", "a loop without end"),
    ("resulting string too large", "an amount"),
    ("too many results", "an amount"),
    ("out of range", "a number outside of its range"),
    ("out of bounds", "a number outside of its range"),
    ("interval is empty", "a number outside of its range"),
    ("(zero)", "a number outside of its range"),
    ("table index is nil", "a key"),
    ("malformed pattern", "a pattern"),
    ("invalid capture index", "a pattern"),
    ("invalid use of '%' in replacement", "a pattern"),
    ("invalid UTF-8 code", "content of a text"),
    ("invalid option", "content of a text"),
    ("invalid value (table) at index", "content of a table"),
    ("protected metatable", "a metatable"),
    (
        "attempt to compare two table values",
        "tables may have metamethods",
    ),
    ("on a table value", "tables may have metamethods"),
    ("(method 'nope')", "a method of a table of the script's own"),
    (
        "attempt to call a number value (global",
        "a global of the script's own",
    ),
    (
        "no integer representation",
        "fractions that are reckoned, not written",
    ),
    ("(field '", "a bin or field that is not there"),
    (
        "attempt to index a nil value (global 'list')",
        "an earlier call has taken it away",
    ),
    (
        "'tostring' (value expected)",
        "a function that answers nothing for a number that is too small",
    ),
    (
        "attempt to index a Aerospike value",
        "a write to the object",
    ),
    (
        "attempt to call a nil value (local 'a')",
        "an argument of the call",
    ),
];

/// A line of a module where a call failed, and the text.
fn failures() -> BTreeMap<(String, usize), String> {
    let mut failures = BTreeMap::new();
    for line in fs::read_to_string(golden().join("apply.jsonl"))
        .unwrap()
        .lines()
    {
        let case: Value = serde_json::from_str(line).unwrap();
        let steps = match case["steps"].as_array() {
            Some(steps) => steps.clone(),
            None => vec![case.clone()],
        };
        // What arguments or bins of the call are to blame for is in no module.
        let has_data = case["before"].is_object()
            || steps
                .iter()
                .any(|step| step["args"].as_array().is_some_and(|args| !args.is_empty()));
        for step in steps.iter().filter(|_| !has_data) {
            let Some(text) = step["expect"]["error"].as_str() else {
                continue;
            };
            let mut parts = text.splitn(3, ':');
            let (Some(file), Some(at), Some(_)) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            if let Ok(at) = at.parse()
                && file.ends_with(".lua")
            {
                failures.insert((file.to_owned(), at), text.to_owned());
            }
        }
    }
    failures
}

#[test]
fn what_failed_on_a_real_server_for_a_cause_that_is_looked_for_is_found() {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for entry in fs::read_dir(golden().join("lua")).unwrap() {
        let entry = entry.unwrap();
        files.push((
            entry.file_name().into_string().unwrap(),
            fs::read(entry.path()).unwrap(),
        ));
    }
    files.sort();
    let sources: Vec<Source<'_>> = files
        .iter()
        .map(|(file, text)| Source {
            file: file.clone(),
            text,
            quiet: false,
        })
        .collect();
    let settings = Settings {
        complete: true,
        ..Settings::default()
    };
    let report = check(&sources, &settings);
    let mut found: BTreeSet<(String, usize)> = BTreeSet::new();
    for file in &report.files {
        for finding in &file.findings {
            found.insert((file.file.clone(), file.place(finding.span.start).line));
        }
    }
    let failures = failures();
    assert!(failures.len() > 80, "{} failures", failures.len());
    let missed: Vec<&String> = failures
        .iter()
        .filter(|(place, text)| {
            !found.contains(place) && !BEYOND.iter().any(|(part, _)| text.contains(part))
        })
        .map(|(_, text)| text)
        .collect();
    assert!(missed.is_empty(), "not found: {missed:#?}");
    let caught = failures
        .keys()
        .filter(|place| found.contains(*place))
        .count();
    assert!(caught >= 90, "{caught} of {} found", failures.len());
}

#[test]
fn what_a_real_server_refused_to_register_is_found() {
    let mut missed = Vec::new();
    let mut seen = 0;
    for line in fs::read_to_string(golden().join("info.jsonl"))
        .unwrap()
        .lines()
    {
        let scenario: Value = serde_json::from_str(line).unwrap();
        for step in scenario["steps"].as_array().into_iter().flatten() {
            let (Some(sent), Some(answer)) = (step["send"].as_str(), step["expect"].as_str())
            else {
                continue;
            };
            let Some((_, content)) = sent
                .split_once(";content=")
                .or_else(|| sent.split_once(":content="))
            else {
                continue;
            };
            if !answer.contains("error=compile_error") {
                continue;
            }
            let content = content.split(';').next().unwrap_or_default().trim_end();
            let Ok(text) = BASE64_STANDARD.decode(content) else {
                continue;
            };
            // Bodies that raise errors of their own, or run without end.
            let own = [
                &b"error("[..],
                b"error()",
                b"assert(",
                b"inner()",
                b"r() end",
            ];
            let is_own = own
                .iter()
                .any(|part| text.windows(part.len()).any(|window| window == *part));
            // What is required is there or not by what was registered before.
            if is_own
                || text.starts_with(b"\x1b")
                || text.windows(7).any(|window| window == b"require")
            {
                continue;
            }
            seen += 1;
            let source = Source {
                file: "m.lua".to_owned(),
                text: &text,
                quiet: false,
            };
            let report = check(&[source], &Settings::default());
            if report.worst() != Some(crate::Level::Error) {
                missed.push(String::from_utf8_lossy(&text).into_owned());
            }
        }
    }
    assert!(seen > 20, "{seen}");
    assert!(missed.is_empty(), "{missed:#?}");
}
