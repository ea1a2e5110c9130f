//! Colour codes, padding and centring.

use unicode_width::UnicodeWidthStr;

use crate::sheet::{Cell, Value};

/// Codes of headings and titles.
pub(super) const BOLD: &str = "1";
/// Codes of separators and of the last line.
pub(super) const DIM: &str = "2";
/// Codes of aggregates.
pub(super) const BLUE: &str = "34;94";
/// Codes of the group's values in an aggregate line.
pub(super) const BOLD_BLUE: &str = "1;34;94";
/// Codes of error cells.
pub(super) const MAGENTA: &str = "35;95";

/// Text with colour codes around it, if colour is on and there are codes.
pub(super) fn paint(text: &str, codes: &str, colour: bool) -> String {
    if colour && !codes.is_empty() && !text.is_empty() {
        format!("\u{1b}[{codes}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

/// The codes of a cell.
pub(super) fn codes(cell: &Cell) -> &'static str {
    match (&cell.raw, cell.format) {
        (Value::Error, _) => MAGENTA,
        (_, Some(format)) => format.codes(),
        _ => "",
    }
}

/// Width on the screen.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// Blanks before or after the text up to the width.
pub(super) fn pad(text: &str, to: usize, right: bool) -> String {
    let blanks = " ".repeat(to.saturating_sub(width(text)));
    if right {
        blanks + text
    } else {
        text.to_owned() + &blanks
    }
}

/// The text in the middle of the width; an odd leftover goes to the left if the width is odd.
pub(super) fn centre(text: &str, to: usize, fill: &str) -> String {
    let rest = to.saturating_sub(width(text));
    let left = rest / 2 + (rest & to & 1);
    format!("{}{text}{}", fill.repeat(left), fill.repeat(rest - left))
}

/// The words of a text in lines of at most this width; a longer word has a line of its own.
pub(super) fn wrap(text: &str, to: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= to => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The width of the longest word.
pub(super) fn longest_word(text: &str) -> usize {
    text.split(' ').map(width).max().unwrap_or(0)
}

/// The title line over a table of this width; over one that is several terminals wide it stands several times.
pub(super) fn title(text: &str, to: usize, terminal: usize) -> String {
    let one = width(text).saturating_add(6).max(terminal);
    let times = to / one;
    let line = if times >= 2 {
        let each = one + terminal % one / times;
        centre(&centre(text, each, "~").repeat(times), to, "~")
    } else {
        centre(text, to, "~")
    };
    let start = if line.starts_with('~') { "" } else { "~" };
    let end = if line.ends_with('~') { "" } else { "~" };
    format!("{start}{line}{end}")
}
