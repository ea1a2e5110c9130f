//! What is printed of results.

pub(super) mod json;
pub(super) mod junit;
pub(super) mod pretty;
pub(super) mod tap;

use std::time::Duration;

use super::file::{FileReport, Ran, Verdict};

/// All that came of a run.
pub(crate) struct Results<'a> {
    pub(crate) files: &'a [FileReport],
    pub(crate) seed: u64,
    pub(crate) took: Duration,
}

impl Results<'_> {
    fn tests(&self) -> impl Iterator<Item = (&FileReport, &Ran)> {
        self.files
            .iter()
            .flat_map(|file| file.tests.iter().map(move |test| (file, test)))
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.tests()
            .filter(|(_, test)| test.verdict == verdict)
            .count()
    }

    /// Tests that failed and files that could not be run.
    pub(crate) fn failed(&self) -> usize {
        let broken = self.files.iter().filter(|file| file.broken.is_some());
        self.count(Verdict::Failed) + broken.count()
    }
}

/// Where a test failed, `FILE:LINE`.
fn place(file: &FileReport, test: &Ran) -> String {
    let line = test.failed_at.unwrap_or(test.line);
    format!("{}:{line}", file.path.display())
}

/// Milliseconds for people.
fn milliseconds(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1000.0)
}
