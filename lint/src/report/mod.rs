//! What was found, for people and for programs.

mod github;
mod json;
mod pretty;
mod sarif;

use protocol::bounds::Within as _;

use crate::finding::{Finding, Level};

pub use json::{Document, VERSION};
pub use pretty::Style;

/// Where a place is, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// A module that was checked.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Its file, as shown.
    pub file: String,
    /// What was found in it, in order.
    pub findings: Vec<Finding>,
    /// How many more there were.
    pub left_out: usize,
    /// Its text; what is not UTF-8 is replaced, byte for byte.
    text: String,
    /// Where its lines begin, in bytes.
    lines: Vec<usize>,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In each module.
    pub files: Vec<Checked>,
}

impl Checked {
    pub(crate) fn new(file: String, text: &[u8], findings: Vec<Finding>, left_out: usize) -> Self {
        // Nobody looks at the text of a module in which nothing was found.
        let text = if findings.is_empty() {
            String::new()
        } else {
            readable(text)
        };
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0)
            .chain(ends.map(|(at, _)| at + 1))
            .collect();
        Self {
            file,
            findings,
            left_out,
            text,
            lines,
        }
    }

    /// Where a byte of the file is.
    #[must_use]
    pub fn place(&self, at: usize) -> Place {
        let line = self.lines.partition_point(|start| *start <= at).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let before = self.text.within(start..at);
        Place {
            line,
            column: before.chars().count() + 1,
        }
    }

    /// The text of a line, from 1.
    #[must_use]
    pub fn line(&self, line: usize) -> &str {
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let rest = self.text.within(start..);
        rest.lines().next().unwrap_or_default()
    }
}

/// Text whose bytes stand where they stood: each that is not UTF-8 becomes `?`.
fn readable(text: &[u8]) -> String {
    let mut readable = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        readable.push_str(chunk.valid());
        readable.extend(chunk.invalid().iter().map(|_| '?'));
    }
    readable
}

impl Report {
    /// How many findings are of a level.
    #[must_use]
    pub fn count(&self, level: Level) -> usize {
        let all = self.files.iter().flat_map(|file| &file.findings);
        all.filter(|finding| finding.level == level).count()
    }

    /// The worst level of all findings; none if there are none.
    #[must_use]
    pub fn worst(&self) -> Option<Level> {
        let all = self.files.iter().flat_map(|file| &file.findings);
        all.map(|finding| finding.level).max()
    }

    /// One line for each finding.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        pretty::lines(self)
    }

    /// For people at a terminal or in a log.
    #[must_use]
    pub fn pretty(&self, style: Style) -> String {
        pretty::text(self, style)
    }

    /// For programs: see [`Document`].
    #[must_use]
    pub fn document(&self, exit_status: u8) -> Document<'_> {
        json::document(self, exit_status)
    }

    /// SARIF 2.1.0, as a JSON value.
    #[must_use]
    pub fn sarif(&self) -> serde_json::Value {
        sarif::log(self)
    }

    /// Annotations of a GitHub workflow, a line each.
    #[must_use]
    pub fn github(&self) -> String {
        github::text(self)
    }
}
