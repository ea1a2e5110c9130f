//! Case files.
//!
//! ```text
//! # A comment, between cases.
//!
//! == An error has its position (24)          title, and items of the conformance list
//! @ lib.lua                                  a further module
//! return { two = 2 }
//! @ m.lua                                    the module that is called; the line is not needed without others
//! function f(rec, x) error("boom") end
//! > call f(1) ttl=100                        a request: see `request.rs`
//! ! 100 /udf/m.lua:1: boom                   what comes of it: code and text of a failure …
//! > call g("a")
//! = [1, "a"]                                 … or the result
//! ```
//!
//! Long texts are written short: `{x*1000}` stands for a thousand `x`. An expectation that ends in `…` says only how the
//! answer begins.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules, requests, and what comes of them.
pub(crate) struct Case {
    /// What is shown.
    pub(crate) title: String,
    /// What it covers: items of the conformance list, or numbers of failures.
    pub(crate) items: Vec<String>,
    /// Where it begins in its file.
    pub(crate) line: usize,
    /// File names and sources, in the order in which they are registered.
    pub(crate) modules: Vec<(String, String)>,
    pub(crate) steps: Vec<Step>,
}

pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) request: String,
    /// With its mark.
    pub(crate) expected: String,
}

/// Where case files are.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/cases")
}

/// The cases of a file.
pub(crate) fn read(name: &str) -> Vec<Case> {
    let path = directory().join(format!("{name}.cases"));
    let text = fs::read_to_string(&path).unwrap();
    let mut cases: Vec<Case> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        if let Some(title) = line.strip_prefix("== ") {
            cases.push(begin(title, line_number));
            continue;
        }
        let Some(case) = cases.last_mut() else {
            assert!(
                line.is_empty() || line.starts_with("# "),
                "{name}:{line_number}"
            );
            continue;
        };
        add(case, line, line_number)
            .unwrap_or_else(|error| panic!("{name}:{line_number}: {error}"));
    }
    cases
}

fn begin(title: &str, line: usize) -> Case {
    let items = title.rsplit_once(" (").and_then(|(_, rest)| {
        let items = rest.strip_suffix(')')?.split(", ");
        Some(items.map(str::to_owned).collect())
    });
    Case {
        title: title.to_owned(),
        items: items.unwrap_or_default(),
        line,
        modules: Vec::new(),
        steps: Vec::new(),
    }
}

fn add(case: &mut Case, line: &str, number: usize) -> Result<(), String> {
    if let Some(request) = line.strip_prefix("> ") {
        case.steps.push(Step {
            line: number,
            request: expand(request),
            expected: String::new(),
        });
    } else if let Some(step) = case.steps.last_mut() {
        match line {
            "" => {}
            line if line.starts_with("# ") => {}
            line if (line.starts_with("= ") || line.starts_with("! "))
                && step.expected.is_empty() =>
            {
                step.expected = expand(line);
            }
            _ => return Err(format!("not an expectation: {line}")),
        }
    } else if let Some(name) = line.strip_prefix("@ ") {
        case.modules.push((name.to_owned(), String::new()));
    } else {
        if case.modules.is_empty() {
            case.modules.push(("m.lua".to_owned(), String::new()));
        }
        if let Some((_, source)) = case.modules.last_mut() {
            source.push_str(line);
            source.push('\n');
        }
    }
    Ok(())
}

/// Writes out what is repeated.
fn expand(text: &str) -> String {
    let mut whole = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, after) = rest.split_at(at);
        let repeat = after.split_once('}').and_then(|(inner, after)| {
            let (unit, count) = inner[1..].rsplit_once('*')?;
            Some((unit.repeat(count.parse().ok()?), after))
        });
        match repeat {
            Some((long, after)) => {
                whole.extend([before, &long]);
                rest = after;
            }
            None => {
                whole.extend([before, "{"]);
                rest = &after[1..];
            }
        }
    }
    whole + rest
}

/// Whether an answer is the expected one.
pub(crate) fn matches(expected: &str, found: &str) -> bool {
    match expected.strip_suffix('…') {
        Some(start) => found.starts_with(start),
        None => expected == found,
    }
}
