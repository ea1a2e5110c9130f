//! Test Anything Protocol, version 14.

use std::fmt::Write;

use super::{Results, place};
use crate::testing::file::Verdict;

/// A line a test, and why it failed as YAML.
// Writing to a string does not fail.
pub(crate) fn text(results: &Results<'_>) -> String {
    let broken = results.files.iter().filter(|file| file.broken.is_some());
    let count = results.tests().count() + broken.count();
    let mut out = format!("TAP version 14\n1..{count}\n# seed {}\n", results.seed);
    let mut number = 0;
    for file in results.files {
        if let Some(text) = &file.broken {
            number += 1;
            let _ = writeln!(
                out,
                "not ok {number} - {}",
                described(&file.path.display().to_string())
            );
            diagnosis(&mut out, text, &file.path.display().to_string());
        }
        for test in &file.tests {
            number += 1;
            let name = described(&format!("{}: {}", file.path.display(), test.name));
            match test.verdict {
                Verdict::Passed => {
                    let _ = writeln!(out, "ok {number} - {name}");
                }
                Verdict::Skipped => {
                    let _ = writeln!(
                        out,
                        "ok {number} - {name} # SKIP {}",
                        described(&test.message)
                    );
                }
                Verdict::Failed => {
                    let _ = writeln!(out, "not ok {number} - {name}");
                    diagnosis(&mut out, &test.message, &place(file, test));
                }
            }
        }
    }
    out
}

/// A description may not look like a directive, or end its line.
fn described(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('#', "\\#")
        .replace(['\n', '\r'], " ")
}

fn diagnosis(out: &mut String, message: &str, at: &str) {
    let _ = writeln!(
        out,
        "  ---\n  at: {}\n  message: |",
        serde_json::Value::from(at)
    );
    for line in message.lines() {
        let _ = writeln!(out, "    {line}");
    }
    out.push_str("  ...\n");
}
