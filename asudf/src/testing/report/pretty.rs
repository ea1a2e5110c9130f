//! For people.

use std::fmt::Write;

use super::{Results, milliseconds, place};
use crate::testing::file::Verdict;

/// What failed and why, then one line of sums.
// Writing to a string does not fail.
pub(crate) fn text(results: &Results<'_>, colour: bool) -> String {
    let paint = |code: &str, text: &str| match colour {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_owned(),
    };
    let mut out = String::new();
    for file in results.files {
        let shown = file.path.display();
        let count = |verdict| {
            let tests = file.tests.iter();
            tests.filter(|test| test.verdict == verdict).count()
        };
        if let Some(broken) = &file.broken {
            let _ = writeln!(out, "{} {shown}", paint("31", "BROKEN"));
            for line in broken.lines() {
                let _ = writeln!(out, "       {line}");
            }
            continue;
        }
        if file.tests.is_empty() {
            continue;
        }
        let word = match count(Verdict::Failed) {
            0 => paint("32", "ok    "),
            _ => paint("31", "FAILED"),
        };
        let _ = writeln!(out, "{word} {shown}: {} tests", file.tests.len());
        for test in &file.tests {
            match test.verdict {
                Verdict::Passed => continue,
                Verdict::Skipped => {
                    let _ = writeln!(out, "  - {} (skipped: {})", test.name, test.message);
                    continue;
                }
                Verdict::Failed => {}
            }
            let _ = writeln!(
                out,
                "\n  {} {}  {}",
                paint("31", "✗"),
                paint("1", &test.name),
                place(file, test)
            );
            for line in test.message.lines() {
                let _ = writeln!(out, "      {line}");
            }
            if !test.traces.steps.is_empty() {
                let _ = writeln!(out, "    calls:");
                for step in &test.traces.steps {
                    for line in step.lines() {
                        let _ = writeln!(out, "      {line}");
                    }
                }
            }
            if !test.printed.is_empty() {
                let _ = writeln!(out, "    printed by the test:");
                for line in &test.printed {
                    let _ = writeln!(out, "      {line}");
                }
            }
            let _ = writeln!(
                out,
                "    again: asudf test --seed {} --filter '{}'\n",
                results.seed, test.name
            );
        }
    }
    let skipped = match results.count(Verdict::Skipped) {
        0 => String::new(),
        count => format!(", {count} skipped"),
    };
    let _ = writeln!(
        out,
        "{} passed, {} failed{skipped} in {} (seed {})",
        results.count(Verdict::Passed),
        results.failed(),
        milliseconds(results.took),
        results.seed
    );
    out
}
