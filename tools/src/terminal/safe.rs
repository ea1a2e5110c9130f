//! Text from servers and files, made safe to show: what would move the cursor, change colours, hide or turn round what
//! stands beside it is written out instead.

use std::borrow::Cow;
use std::fmt::Write;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

/// Whether a character acts on a terminal or on the direction of text, other than by being seen.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

fn written(text: &str, acts: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if !acts(c) {
            shown.push(c);
            continue;
        }
        // Writing to a string cannot fail.
        let _ = match u32::from(c) {
            code @ ..0x100 => write!(shown, "\\x{code:02x}"),
            code => write!(shown, "\\u{{{code:x}}}"),
        };
    }
    Cow::Owned(shown)
}

/// For text of several lines: line feeds and tabs stay.
pub fn text(text: &str) -> Cow<'_, str> {
    written(text, |c| acts(c) && !matches!(c, '\n' | '\t'))
}

/// For what has to stay in its line, as in a cell.
pub fn line(text: &str) -> Cow<'_, str> {
    written(text, acts)
}

/// Whether stdout goes to somebody who sees it: to a terminal or, through a pipe, perhaps to one. A file keeps data as it
/// is.
pub fn stdout_is_seen() -> bool {
    let file = io::stdout().as_fd().try_clone_to_owned().map(File::from);
    let metadata = file.and_then(|file| file.metadata());
    !metadata.is_ok_and(|metadata| metadata.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_out_what_acts_on_a_terminal() {
        for (from, as_text, as_line) in [
            ("naïve;日本;🦎", "naïve;日本;🦎", "naïve;日本;🦎"),
            (
                "\u{1b}[2JX\u{7}\r",
                "\\x1b[2JX\\x07\\x0d",
                "\\x1b[2JX\\x07\\x0d",
            ),
            ("a\nb\tc", "a\nb\tc", "a\\x0ab\\x09c"),
            (
                "\u{9b}31m\u{85}\u{7f}",
                "\\x9b31m\\x85\\x7f",
                "\\x9b31m\\x85\\x7f",
            ),
            (
                "a\u{202e}b\u{2066}\u{200f}",
                "a\\u{202e}b\\u{2066}\\u{200f}",
                "a\\u{202e}b\\u{2066}\\u{200f}",
            ),
            (
                "\u{2028}x\u{61c}",
                "\\u{2028}x\\u{61c}",
                "\\u{2028}x\\u{61c}",
            ),
        ] {
            assert_eq!(text(from), as_text);
            assert_eq!(line(from), as_line);
        }
    }
}
