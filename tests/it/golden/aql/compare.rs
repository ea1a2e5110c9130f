//! What differs from run to run is taken out of both sides; where the order of rows does not count, it is taken out too.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use regex::Regex;
use serde_json::Value;

/// Where a case runs.
pub(super) struct Places {
    node: SocketAddr,
    work: String,
    home: String,
}

impl Places {
    pub(super) fn new(node: SocketAddr, work: &Path, home: &Path) -> Self {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        Self {
            node,
            work: text(work),
            home: text(home),
        }
    }

    /// A text of a case with the names that hold for this run.
    pub(super) fn enter(&self, text: &str) -> String {
        text.replace("{host}", &self.node.ip().to_string())
            .replace("{port}", &self.node.port().to_string())
            .replace("{cwd}", &self.work)
            .replace("{home}", &self.home)
    }
}

fn replaced(pattern: &'static str, text: &str, with: &str) -> String {
    // Compiling one takes a debug build longer than a case.
    static COMPILED: LazyLock<Mutex<HashMap<&str, Regex>>> = LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap();
    let pattern = compiled
        .entry(pattern)
        .or_insert_with(|| Regex::new(pattern).unwrap())
        .clone();
    drop(compiled);
    pattern.replace_all(text, with).into_owned()
}

/// A text with bytes that are no UTF-8 as the recordings have them: JSON cannot hold these, so they are one sign each.
pub(super) fn normalised(bytes: &[u8], places: &Places, case: &Value) -> String {
    static ROW: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?m)^\|.*$").unwrap());
    let node = places.node.to_string();
    let mut text = String::from_utf8_lossy(bytes)
        .replace(&places.home, "<home>")
        .replace(&places.work, "<cwd>");
    // Widths count in rows of tables.
    let marked = format!("<node{}>", "_".repeat(node.len() - 6));
    text = ROW
        .replace_all(&text, |row: &regex::Captures<'_>| {
            row[0].replace(&node, &marked)
        })
        .into_owned();
    text = text.replace(&node, "<node>");
    text = replaced(r"(?m)^(Seed: +)127\.0\.0\.1(:\d+)?$", &text, "${1}<host>");
    text = replaced(r"\(\d+\.\d{3} secs?\)", &text, "(<t> secs)");
    text = replaced(r"\b(job \()\d+(\) created)", &text, "${1}<id>${2}");
    text = replaced(r"(?m)^(Version|Build) .*$", &text, "${1} <version>");
    text = replaced(r"(?m)^\tno (?:field package\.preload|file ).*\n", &text, "");
    // Directories in front of a module and its line.
    text = replaced(
        r#"(?:\.\.\.)?[^\s'":,;()\[\]{}<>=|]*/([^/\s'":|]+\.lua:\d)"#,
        &text,
        "${1}",
    );
    if let Some(seconds) = case["ttl"].as_i64() {
        for less in 1..8 {
            let pattern = Regex::new(&format!(r"\b{}\b", seconds - less)).unwrap();
            text = pattern.replace_all(&text, seconds.to_string()).into_owned();
        }
    }
    text
}

/// Standard error without what newer versions warn of, and with either of the two codes of an aggregation that fails on
/// both sides.
pub(super) fn stderr(text: &str, case: &Value) -> String {
    let mut text = text.to_owned();
    if case["version"] == 7 {
        text = replaced(r"(?m)^Warning: .*\n?", &text, "");
    }
    either(&text, case)
}

fn either(text: &str, case: &Value) -> String {
    if case["either_code"] != true {
        return text.to_owned();
    }
    let text = replaced(r"Error: \((?:-1|100)\) UDF:", text, "Error: (<code>) UDF:");
    replaced(r#"("Status": )(?:-1|100)\b"#, &text, "${1}<code>")
}

/// The lines in alphabetical order, without numbers of rows, widths of columns and commas between rows; of masked columns
/// only that they are there. A table of several parts may be cut anywhere.
pub(super) fn canonical(text: &str, case: &Value) -> String {
    let text = either(text, case);
    let masked: Vec<&str> = case["mask"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let any_columns = case["columns"] == "any";
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| {
            let in_table = !masked.is_empty() && line.starts_with('|');
            !in_table && !masked.iter().any(|name| line.contains(name))
        })
        .map(|line| {
            let line = replaced(r"\d+\. row", line, "N. row");
            let line = replaced(r"-{3,}", &line, "---");
            let line = replaced(r" {2,}", &line, " ");
            let line = line.trim_end_matches([',', ' ']).to_owned();
            if any_columns {
                let mut cells: Vec<&str> = line.split('|').map(str::trim).collect();
                cells.sort_unstable();
                return cells.join("|");
            }
            line
        })
        .filter(|line| !line.starts_with("+-"))
        .collect();
    lines.sort();
    // Headings stand as often as a result has parts.
    lines.dedup_by(|left, right| left == right && left.starts_with("| "));
    lines.join("\n")
}
