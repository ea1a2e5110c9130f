//! For people: each finding with its line, and what in it is meant.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use super::{Checked, Report};
use crate::finding::{Finding, Level};

/// Longest part of a line that is shown, columns.
const MOST_COLUMNS: usize = 120;

/// How it is shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// With colours.
    pub colour: bool,
    /// One line for each finding.
    pub short: bool,
}

pub(super) fn text(report: &Report, style: Style) -> String {
    let mut text = String::new();
    for file in &report.files {
        for finding in &file.findings {
            one(file, finding, style, &mut text);
        }
        if file.left_out > 0 {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{}: {} more\n", file.file, file.left_out);
        }
    }
    text += &summary(report);
    text
}

pub(super) fn lines(report: &Report) -> Vec<String> {
    let style = Style {
        colour: false,
        short: true,
    };
    let mut text = String::new();
    for file in &report.files {
        for finding in &file.findings {
            one(file, finding, style, &mut text);
        }
    }
    text.lines().map(str::to_owned).collect()
}

fn summary(report: &Report) -> String {
    let modules = many(report.files.len(), "module");
    let counts: Vec<String> = [
        (Level::Error, "error"),
        (Level::Warning, "warning"),
        (Level::Note, "note"),
    ]
    .into_iter()
    .map(|(level, name)| (report.count(level), name))
    .filter(|(count, _)| *count > 0)
    .map(|(count, name)| many(count, name))
    .collect();
    let fixable = report.files.iter().flat_map(|file| &file.findings);
    let fixable = fixable.filter(|finding| finding.fix.is_some()).count();
    let mut text = match counts.as_slice() {
        [] => format!("{modules}: nothing found\n"),
        _ => format!("{modules}: {}\n", counts.join(", ")),
    };
    if fixable > 0 {
        let what = if fixable == 1 {
            "one of them"
        } else {
            "of them"
        };
        let count = if fixable == 1 {
            String::new()
        } else {
            format!("{fixable} ")
        };
        text += &format!("{count}{what} can be mended with --fix\n");
    }
    text
}

fn many(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

fn one(file: &Checked, finding: &Finding, style: Style, text: &mut String) {
    let start = file.place(finding.span.start);
    let colour = match finding.level {
        Level::Error => "\x1b[1;31m",
        Level::Warning => "\x1b[1;33m",
        Level::Note | Level::Off => "\x1b[1;36m",
    };
    let (on, off) = if style.colour {
        (colour, "\x1b[0m")
    } else {
        ("", "")
    };
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "{}:{}:{}: {on}{}{off}: {} [{}]",
        file.file,
        start.line,
        start.column,
        finding.level.name(),
        shown(&finding.message),
        finding.rule
    );
    let help = finding.help.as_deref().map(shown);
    if style.short {
        return;
    }
    let line = file.line(start.line);
    if line.trim().is_empty() {
        if let Some(help) = help {
            let _ = writeln!(text, "  = {help}");
        }
        text.push('\n');
        return;
    }
    let end = file.place(finding.span.end);
    let length = if end.line == start.line {
        end.column.saturating_sub(start.column)
    } else {
        line.chars().count().saturating_sub(start.column - 1)
    };
    // A long line is shown from a little before the place on.
    let skip = if start.column > MOST_COLUMNS {
        start.column - 20
    } else {
        0
    };
    let part: String = line
        .chars()
        .skip(skip)
        .take(MOST_COLUMNS)
        .map(printable)
        .collect();
    let before: String = part.chars().take(start.column - 1 - skip).collect();
    let marked: String = part
        .chars()
        .skip(start.column - 1 - skip)
        .take(length.max(1))
        .collect();
    let number = start.line.to_string();
    let margin = " ".repeat(number.len());
    let _ = writeln!(text, "{margin} |");
    let _ = writeln!(text, "{number} | {part}");
    let _ = writeln!(
        text,
        "{margin} | {}{on}{}{off}{}",
        " ".repeat(before.width()),
        "^".repeat(marked.width().max(1)),
        help.map_or_else(String::new, |help| format!(" {help}"))
    );
    text.push('\n');
}

/// What would move the cursor stays out.
fn printable(character: char) -> char {
    match character {
        '\t' => ' ',
        character if character.is_control() => '?',
        character => character,
    }
}

fn shown(text: &str) -> String {
    text.chars().map(printable).collect()
}
