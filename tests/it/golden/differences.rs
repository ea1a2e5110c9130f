//! The one table of recorded answers that are deliberately not given, `golden/differences.toml`.
//!
//! `COMPATIBILITY.md` shows it between two marks; after a change:
//! `UPDATE_REFERENCE=1 cargo test -p tests --test it differences`.

use std::collections::HashSet;
use std::sync::LazyLock;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    difference: Vec<Difference>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    file: String,
    cases: Vec<String>,
    reason: String,
    /// Of a run of a tool: other requests are sent too.
    #[serde(default)]
    sent: bool,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let text = std::fs::read_to_string(super::path("differences.toml")).unwrap();
    toml::from_str(&text).unwrap()
});

/// Whether a case is to answer differently from the recording.
pub(crate) fn listed(file: &str, case: &str) -> bool {
    static ROWS: LazyLock<HashSet<(&str, &str)>> = LazyLock::new(|| {
        TABLE
            .difference
            .iter()
            .flat_map(|row| {
                let cases = row.cases.iter();
                cases.map(|case| (row.file.as_str(), case.as_str()))
            })
            .collect()
    });
    ROWS.contains(&(file, case))
}

/// Whether the requests of a case may differ too.
pub(crate) fn sends_otherwise(file: &str, case: &str) -> bool {
    let rows = TABLE.difference.iter();
    let mut rows = rows.filter(|row| row.sent && row.file == file);
    rows.any(|row| row.cases.iter().any(|listed| listed == case))
}

#[test]
fn every_row_names_one_recorded_case_and_a_reason() {
    let name = |case: &serde_json::Value| {
        ["scenario", "case", "name"]
            .iter()
            .find_map(|key| case[key].as_str().map(str::to_owned))
            .unwrap()
    };
    let recorded: HashSet<(String, String)> = [
        "info.jsonl",
        "apply.jsonl",
        "expressions.jsonl",
        "operate.jsonl",
        "records.jsonl",
        "aql/cases.jsonl",
        crate::tools::FILE,
    ]
    .iter()
    .flat_map(|file| {
        super::cases(file)
            .iter()
            .filter(|case| case.get("dataset").is_none())
            .map(move |case| ((*file).to_owned(), name(case)))
    })
    .collect();
    let mut seen = HashSet::new();
    for row in &TABLE.difference {
        assert!(
            !row.reason.trim().is_empty(),
            "{:?} has no reason",
            row.cases
        );
        for case in &row.cases {
            let key = (row.file.clone(), case.clone());
            assert!(recorded.contains(&key), "no recorded case is {key:?}");
            assert!(seen.insert(key.clone()), "{key:?} stands twice");
        }
    }
}

/// The lines of `COMPATIBILITY.md` around the table.
const BEGIN: &str = "<!-- differences: written from tests/golden/differences.toml -->";
const END: &str = "<!-- differences end -->";

/// The table as it is to stand in `COMPATIBILITY.md`.
fn shown() -> String {
    let mut text = String::from("\n\n| recorded case | here |\n|---|---|\n");
    for row in &TABLE.difference {
        let cases: Vec<String> = row.cases.iter().map(|case| format!("`{case}`")).collect();
        text.push_str(&format!("| {} | {} |\n", cases.join(", "), row.reason));
    }
    text.push('\n');
    text
}

#[test]
fn compatibility_shows_the_differences() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../COMPATIBILITY.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = document
        .split_once(BEGIN)
        .unwrap_or_else(|| panic!("COMPATIBILITY.md has no line {BEGIN}"));
    let (between, after) = rest
        .split_once(END)
        .unwrap_or_else(|| panic!("COMPATIBILITY.md has no line {END}"));
    let expected = shown();
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
    } else {
        assert!(
            between == expected,
            "COMPATIBILITY.md is stale: run `UPDATE_REFERENCE=1 cargo test -p tests --test it differences`"
        );
    }
}
