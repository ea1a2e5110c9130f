//! One JSON document.

use serde_json::{Value, json};

use super::Results;
use crate::testing::file::Verdict;

/// The document, and a newline.
pub(crate) fn text(results: &Results<'_>) -> String {
    let files: Vec<Value> = results
        .files
        .iter()
        .map(|file| {
            let tests: Vec<Value> = file
                .tests
                .iter()
                .map(|test| {
                    let verdict = match test.verdict {
                        Verdict::Passed => "passed",
                        Verdict::Failed => "failed",
                        Verdict::Skipped => "skipped",
                    };
                    json!({
                        "name": test.name,
                        "line": test.line,
                        "verdict": verdict,
                        "seconds": test.took.as_secs_f64(),
                        "message": test.message,
                        "failed_at": test.failed_at,
                        "calls": test.traces.steps,
                        "printed": test.printed,
                    })
                })
                .collect();
            json!({
                "file": file.path.display().to_string(),
                "broken": file.broken,
                "tests": tests,
            })
        })
        .collect();
    let document = json!({
        "seed": results.seed,
        "seconds": results.took.as_secs_f64(),
        "passed": results.count(Verdict::Passed),
        "failed": results.failed(),
        "skipped": results.count(Verdict::Skipped),
        "files": files,
    });
    format!("{document}\n")
}
