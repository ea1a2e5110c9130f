//! The command language: a text to commands, a command to words. Pure.
//!
//! White space separates words, `;` ends a command, `#` starts a comment to the end of the line, `'…'` and `"…"` join
//! with what stands next to them, a backslash takes the next character as it is.

use std::borrow::Cow;

use thiserror::Error;

/// Longest command text, in bytes.
const TEXT_BYTES_MAX: usize = 16 << 20;

/// A text that cannot be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// A quotation that does not end.
    #[error("No closing quotation")]
    OpenQuote,
    /// Nothing after the last backslash.
    #[error("No escaped character")]
    OpenEscape,
    /// Too much.
    #[error("the command text is longer than {TEXT_BYTES_MAX} bytes")]
    TooLong,
}

/// Characters that make up words; any other one is a word by itself.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || "~!@$%^&*()_-+={}[]|:<>,./?".contains(c)
}

/// The word as it has to be written to be one word, with itself as its text.
pub fn written(word: &str) -> Cow<'_, str> {
    if !word.is_empty() && word.chars().all(is_word) {
        return Cow::Borrowed(word);
    }
    let mut quoted = String::from("'");
    for c in word.chars() {
        if matches!(c, '\'' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('\'');
    Cow::Owned(quoted)
}

/// Where the last word of a text begins; none inside a quotation.
pub fn last_word(text: &str) -> Option<usize> {
    let mut start = 0;
    let mut open = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (c, open) {
            _ if escaped => escaped = false,
            ('\\', _) => escaped = true,
            (c, Some(quote)) if c == quote => open = None,
            (_, Some(_)) => {}
            ('\'' | '"', None) => open = Some(c),
            (c, None) if c == ';' || c.is_whitespace() => start = at + c.len_utf8(),
            _ => {}
        }
    }
    (open.is_none() && !escaped).then_some(start)
}

/// The commands of a text, without the empty ones.
pub fn commands(text: &str) -> Result<Vec<Vec<String>>, ParseError> {
    let parts = split(text, |_| false)?;
    Ok(parts.into_iter().map(|part| part.words).collect())
}

/// The same where the end of a line ends a command too, unless it is quoted.
pub fn lines(text: &str) -> Result<Vec<Vec<String>>, ParseError> {
    let parts = split(text, |c| c == '\n')?;
    Ok(parts.into_iter().map(|part| part.words).collect())
}

/// The commands of a file: the end of a line ends a command too, unless the next line continues it. A line does that when
/// it is indented, or when `continues` says so of the words so far and its first word.
pub fn file(
    text: &str,
    continues: impl Fn(&[String], &str) -> bool,
) -> Result<Vec<Vec<String>>, ParseError> {
    let mut found: Vec<Vec<String>> = Vec::new();
    let mut open = false;
    for part in split(text, |c| c == '\n')? {
        match (found.last_mut(), part.words.first()) {
            (Some(before), Some(word)) if open && (part.indented || continues(before, word)) => {
                before.extend(part.words);
            }
            _ => found.push(part.words),
        }
        open = part.by_line;
    }
    Ok(found)
}

/// A command that is not empty.
struct Part {
    words: Vec<String>,
    /// It ended with its line, and not with a `;`.
    by_line: bool,
    /// Its line begins with a blank.
    indented: bool,
}

fn split(text: &str, ends: fn(char) -> bool) -> Result<Vec<Part>, ParseError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(ParseError::TooLong);
    }
    let mut parts: Vec<Part> = Vec::new();
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut indented = false;
    let mut end = |words: &mut Vec<String>, by_line, indented| {
        if !words.is_empty() {
            parts.push(Part {
                words: std::mem::take(words),
                by_line,
                indented,
            });
        } else if let Some(before) = parts.last_mut() {
            // A `;` alone behind a line ends the command there.
            before.by_line &= by_line;
        }
    };
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\'' | '"' => quoted(c, &mut rest, word.get_or_insert_default())?,
            '\\' => word
                .get_or_insert_default()
                .push(rest.next().ok_or(ParseError::OpenEscape)?),
            '#' => {
                words.extend(word.take());
                if rest.by_ref().any(|c| c == '\n') && ends('\n') {
                    end(&mut words, true, indented);
                    indented = rest.as_str().starts_with([' ', '\t']);
                }
            }
            c if c == ';' || ends(c) => {
                words.extend(word.take());
                end(&mut words, c != ';', indented);
                indented = c != ';' && rest.as_str().starts_with([' ', '\t']);
            }
            c if c.is_whitespace() => words.extend(word.take()),
            c if is_word(c) => word.get_or_insert_default().push(c),
            c => {
                words.extend(word.take());
                words.push(c.to_string());
            }
        }
    }
    words.extend(word);
    end(&mut words, false, indented);
    Ok(parts)
}

fn quoted(
    quote: char,
    rest: &mut std::str::Chars<'_>,
    word: &mut String,
) -> Result<(), ParseError> {
    loop {
        match rest.next().ok_or(ParseError::OpenQuote)? {
            '\\' => word.push(rest.next().ok_or(ParseError::OpenQuote)?),
            c if c == quote => return Ok(()),
            c => word.push(c),
        }
    }
}

/// The text of a command file without its comments: lines that start with `//`, and what stands from a line that starts
/// with `/*` to one that ends with `*/`.
pub fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut inside = false;
    for line in text.lines() {
        let trimmed = line.trim();
        inside |= trimmed.starts_with("/*");
        if !inside && !trimmed.starts_with("//") {
            kept.push_str(line);
            kept.push('\n');
        }
        inside &= !trimmed.ends_with("*/");
    }
    kept
}

/// The requests of `--asinfo-mode`: parts between `;` outside quotes, the quotes removed by the caller.
pub fn requests(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut open = None;
    for c in text.chars() {
        match (c, open) {
            (';', None) => parts.push(String::new()),
            ('\'' | '"', None) => {
                open = Some(c);
                push(&mut parts, c);
            }
            (c, Some(quote)) if c == quote => {
                open = None;
                push(&mut parts, c);
            }
            _ => push(&mut parts, c),
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    // Blanks around a request are the writer's, those inside its quotes its own.
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

fn push(parts: &mut [String], c: char) {
    if let Some(last) = parts.last_mut() {
        last.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match commands(text) {
            Ok(commands) => commands
                .iter()
                .map(|words| words.join("|"))
                .collect::<Vec<_>>()
                .join(" ; "),
            Err(error) => format!("ERROR {error}"),
        }
    }

    #[test]
    fn splits_commands_and_words() {
        for (text, expected) in [
            ("", ""),
            (" ; ;; ", ""),
            ("show udfs", "show|udfs"),
            ("show\nudfs", "show|udfs"),
            ("a; b c ;d", "a ; b|c ; d"),
            ("a'b c'd", "ab cd"),
            ("asinfo -v 'a:b;c'", "asinfo|-v|a:b;c"),
            ("asinfo -v \"a;b\"", "asinfo|-v|a;b"),
            ("a ''", "a|"),
            ("show ud#fs; nosuch", "show|ud"),
            ("show udfs # x\n; b", "show|udfs ; b"),
            (r"like count\er", "like|counter"),
            (r"'a\'b'", "a'b"),
            ("a § b", "a|§|b"),
            ("naïve日本", "naïve日本"),
            ("info network | head", "info|network|||head"),
            ("a 'b", "ERROR No closing quotation"),
            ("a \"b", "ERROR No closing quotation"),
            ("a \\", "ERROR No escaped character"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn a_line_of_a_file_ends_a_command_unless_the_next_continues_it() {
        let continues = |_: &[String], word: &str| word == "with" || word == "like";
        for (text, expected) in [
            ("show udfs\nshow sindex", "show|udfs ; show|sindex"),
            ("show udfs\n  like a\nb", "show|udfs|like|a ; b"),
            ("show udfs\n  x\ny", "show|udfs|x ; y"),
            ("show udfs; x\n y", "show|udfs ; x|y"),
            ("show udfs;\nlike a", "show|udfs ; like|a"),
            ("show udfs\n;\nlike a", "show|udfs ; like|a"),
            ("a # x\nwith b\n\n\nwith c;", "a|with|b|with|c"),
            ("a 'b\nc'\nd", "a|b\nc ; d"),
        ] {
            let found = file(text, continues).unwrap();
            let shown: Vec<_> = found.iter().map(|words| words.join("|")).collect();
            assert_eq!(shown.join(" ; "), expected, "{text}");
        }
    }

    #[test]
    fn drops_the_comments_of_a_file() {
        let text = "// which\nnode;\n/* and\nwhich */\nbuild\n /* one line */\nstatus\n";
        assert_eq!(without_comments(text), "node;\nbuild\nstatus\n");
    }

    #[test]
    fn requests_are_split_outside_quotes() {
        assert_eq!(requests("build;node"), ["build", "node"]);
        assert_eq!(requests("'build;node'; ;x"), ["'build;node'", "x"]);
    }
}
