//! JUnit's XML, as CI servers read it: a suite a file, a case a test.

use std::fmt::Write;
use std::time::Duration;

use super::{Results, place};
use crate::testing::file::Verdict;

/// The document.
// Writing to a string does not fail.
pub(crate) fn text(results: &Results<'_>) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let broken = results.files.iter().filter(|file| file.broken.is_some());
    let broken = broken.count();
    let _ = writeln!(
        out,
        "<testsuites name=\"asudf\" tests=\"{}\" failures=\"{}\" errors=\"{broken}\" skipped=\"{}\" time=\"{:.3}\">",
        results.tests().count() + broken,
        results.count(Verdict::Failed),
        results.count(Verdict::Skipped),
        results.took.as_secs_f64()
    );
    for file in results.files {
        let name = escaped(&file.path.display().to_string());
        let count = |verdict| {
            let tests = file.tests.iter();
            tests.filter(|test| test.verdict == verdict).count()
        };
        let errors = usize::from(file.broken.is_some());
        let time: Duration = file.tests.iter().map(|test| test.took).sum();
        let time = time.as_secs_f64();
        let _ = writeln!(
            out,
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"{errors}\" skipped=\"{}\" time=\"{time:.6}\">",
            file.tests.len() + errors,
            count(Verdict::Failed),
            count(Verdict::Skipped)
        );
        let _ = writeln!(
            out,
            "    <properties><property name=\"seed\" value=\"{}\"/></properties>",
            results.seed
        );
        if let Some(text) = &file.broken {
            let _ = writeln!(
                out,
                "    <testcase name=\"(the file)\" classname=\"{name}\" file=\"{name}\"><error message=\"{}\">{}</error></testcase>",
                escaped(text.lines().next().unwrap_or("")),
                escaped(text)
            );
        }
        for test in &file.tests {
            let _ = write!(
                out,
                "    <testcase name=\"{}\" classname=\"{name}\" file=\"{name}\" line=\"{}\" time=\"{:.6}\"",
                escaped(&test.name),
                test.line,
                test.took.as_secs_f64()
            );
            match test.verdict {
                Verdict::Passed => out.push_str("/>\n"),
                Verdict::Skipped => {
                    let _ = writeln!(
                        out,
                        "><skipped message=\"{}\"/></testcase>",
                        escaped(&test.message)
                    );
                }
                Verdict::Failed => {
                    let first = test.message.lines().next().unwrap_or("");
                    let _ = write!(
                        out,
                        "><failure message=\"{}\">{}\n{}</failure>",
                        escaped(first),
                        escaped(&place(file, test)),
                        escaped(&test.message)
                    );
                    if !test.traces.steps.is_empty() {
                        let _ = write!(
                            out,
                            "<system-out>{}</system-out>",
                            escaped(&test.traces.steps.join("\n"))
                        );
                    }
                    out.push_str("</testcase>\n");
                }
            }
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

/// Text of an element or attribute; characters that XML has not are shown as others.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push(' '),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            other if other < ' ' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}
