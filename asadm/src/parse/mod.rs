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
    split(text, |_| false)
}

/// The same where the end of a line ends a command too, unless it is quoted.
pub fn lines(text: &str) -> Result<Vec<Vec<String>>, ParseError> {
    split(text, |c| c == '\n')
}

fn split(text: &str, ends: fn(char) -> bool) -> Result<Vec<Vec<String>>, ParseError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(ParseError::TooLong);
    }
    let mut commands = Vec::new();
    let mut words = Vec::new();
    let mut word: Option<String> = None;
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
                    commands.push(std::mem::take(&mut words));
                }
            }
            c if c == ';' || ends(c) => {
                words.extend(word.take());
                commands.push(std::mem::take(&mut words));
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
    commands.push(words);
    commands.retain(|words| !words.is_empty());
    Ok(commands)
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
