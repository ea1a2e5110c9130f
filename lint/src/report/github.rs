//! Annotations of a GitHub workflow.

use std::fmt::Write;

use super::Report;
use crate::finding::Level;

pub(super) fn text(report: &Report) -> String {
    let mut text = String::new();
    for file in &report.files {
        for finding in &file.findings {
            let (start, end) = (file.place(finding.span.start), file.place(finding.span.end));
            let command = match finding.level {
                Level::Error => "error",
                Level::Warning => "warning",
                Level::Note | Level::Off => "notice",
            };
            let message = match &finding.help {
                Some(help) => format!("{}\n{help}", finding.message),
                None => finding.message.clone(),
            };
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "::{command} file={},line={},endLine={},col={},endColumn={},title={}::{}",
                property(&file.file),
                start.line,
                end.line,
                start.column,
                end.column,
                property(finding.rule),
                escape(&message)
            );
        }
    }
    text
}

fn escape(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    escape(text).replace(':', "%3A").replace(',', "%2C")
}
