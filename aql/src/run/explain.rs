//! What is said about mistakes where people read it: where, and what was likely meant.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar as _;

/// The column of a place in a statement, in characters from 1.
pub(super) fn column(statement: &str, at: usize) -> usize {
    statement.get(..at).unwrap_or(statement).chars().count() + 1
}

/// The statement with a caret under the place.
pub(super) fn caret(statement: &str, at: usize) -> String {
    let mut below = String::new();
    for character in statement.get(..at).unwrap_or(statement).chars() {
        match (character, character.width()) {
            ('\t', _) => below.push('\t'),
            (_, Some(width)) => below.extend(std::iter::repeat_n(' ', width)),
            // Nothing is seen of it.
            (_, None) => {}
        }
    }
    format!("{statement}\n{below}^ column {}\n", column(statement, at))
}

/// File, line and message of a module that does not compile, with the line itself. `told` is the node's answer.
pub(super) fn compile_error(path: &str, told: &str) -> Option<String> {
    let rest = told.strip_prefix("error=compile_error;")?;
    let (_, rest) = rest.split_once("line=")?;
    let (line, rest) = rest.split_once(';')?;
    let message = rest.strip_prefix("message=")?;
    let message = message
        .rsplit_once(" from ")
        .map_or(message, |(message, _)| message);
    let mut text = format!("{path}:{line}: {message}\n");
    // The file was read a moment ago; a line is only shown.
    let source = std::fs::read(path).ok()?;
    let source = String::from_utf8_lossy(&source);
    let number: usize = line.parse().ok()?;
    if let Some(shown) = number
        .checked_sub(1)
        .and_then(|above| source.lines().nth(above))
    {
        // Writing to memory does not fail.
        let _ = writeln!(text, "{number:>5} | {shown}");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_place() {
        for (statement, at, below) in [
            ("select * form test", 9, "         ^ column 10\n"),
            ("\tselect x", 8, "\t       ^ column 9\n"),
            ("größe x", 8, "      ^ column 7\n"),
            ("表 x", 4, "   ^ column 3\n"),
        ] {
            assert_eq!(caret(statement, at), format!("{statement}\n{below}"));
        }
    }

    #[test]
    fn a_module_that_does_not_compile_is_shown_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broken.lua");
        std::fs::write(&path, "function f(\n  return 1\nend\n").unwrap();
        let path = path.to_str().unwrap();
        let told = "error=compile_error;file=broken.lua;line=2;message=')' expected near 'return' from 127.0.0.1:3000";
        assert_eq!(
            compile_error(path, told),
            Some(format!(
                "{path}:2: ')' expected near 'return'\n    2 |   return 1\n"
            ))
        );
        assert_eq!(compile_error(path, "error=invalid_filename"), None);
    }
}
