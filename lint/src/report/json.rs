//! The report as one JSON document.
//!
//! ```text
//! { "version": 1,                          of this format
//!   "exit_status": 1,                      that of the program
//!   "checked": 3,                          modules
//!   "errors": 1, "warnings": 0, "notes": 0,
//!   "findings": [{
//!     "file": "a.lua",
//!     "line": 2, "column": 3,              from 1; columns in characters
//!     "end_line": 2, "end_column": 9,      the one after the last
//!     "rule": "undefined-name",
//!     "level": "error" | "warning" | "note",
//!     "message": "nothing defines `totl`",
//!     "help": "did you mean `total`?",     null without
//!     "fixable": false }],
//!   "left_out": 0 }                        findings beyond 1,000 of a file
//! ```
//!
//! Members may be added within a version; one that changes or goes makes a new version.

use serde::Serialize;

use super::Report;
use crate::finding::Level;

/// The version of the format.
pub const VERSION: u32 = 1;

/// The document.
#[derive(Debug, Serialize)]
pub struct Document<'r> {
    version: u32,
    exit_status: u8,
    checked: usize,
    errors: usize,
    warnings: usize,
    notes: usize,
    findings: Vec<Found<'r>>,
    left_out: usize,
}

#[derive(Debug, Serialize)]
struct Found<'r> {
    file: &'r str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    rule: &'r str,
    level: Level,
    message: &'r str,
    help: Option<&'r str>,
    fixable: bool,
}

pub(super) fn document(report: &Report, exit_status: u8) -> Document<'_> {
    let mut findings = Vec::new();
    for file in &report.files {
        for finding in &file.findings {
            let (start, end) = (file.place(finding.span.start), file.place(finding.span.end));
            findings.push(Found {
                file: &file.file,
                line: start.line,
                column: start.column,
                end_line: end.line,
                end_column: end.column,
                rule: finding.rule,
                level: finding.level,
                message: &finding.message,
                help: finding.help.as_deref(),
                fixable: finding.fix.is_some(),
            });
        }
    }
    Document {
        version: VERSION,
        exit_status,
        checked: report.files.len(),
        errors: report.count(Level::Error),
        warnings: report.count(Level::Warning),
        notes: report.count(Level::Note),
        findings,
        left_out: report.files.iter().map(|file| file.left_out).sum(),
    }
}
