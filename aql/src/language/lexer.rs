//! From a statement's text to tokens, one at a time: what stands behind the first mistake is never looked at.

use std::ops::Range;

use protocol::bounds::Within as _;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// In quotes.
    Text,
    /// A letter, then letters, digits, `_`, `:`, `-`.
    Word,
    /// A digit, then the same; with something else than digits in it.
    MixedWord,
    /// A number without a fraction, decimal, octal or hexadecimal.
    Integer,
    /// A number with a fraction.
    Float,
    /// `= <> < <= > >=`
    Operator,
    /// `( ) , ; . * / [ ]`
    Punctuation,
}

/// A part of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it stands, in bytes of the statement; with its quotes.
    pub span: Range<usize>,
}

/// Why there is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The statement is over.
    End,
    /// This byte begins no token: a character that has no meaning, or a quotation that does not end.
    Unreadable(usize),
}

/// Reads tokens.
#[derive(Clone, Debug)]
pub struct Lexer<'s> {
    text: &'s str,
    at: usize,
}

impl<'s> Lexer<'s> {
    /// From the beginning of a statement.
    #[must_use]
    pub fn new(text: &'s str) -> Self {
        Self { text, at: 0 }
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn end_of(&self, from: usize, belongs: impl Fn(u8) -> bool) -> usize {
        let rest = self.text.as_bytes().within(from..);
        from + rest.iter().take_while(|byte| belongs(**byte)).count()
    }

    /// The next token.
    ///
    /// # Errors
    /// There is none, see [`Stop`].
    pub fn next_token(&mut self) -> Result<Token, Stop> {
        self.at = self.end_of(self.at, |byte| byte.is_ascii_whitespace());
        let start = self.at;
        let first = self.byte(start).ok_or(Stop::End)?;
        let second = self.byte(start + 1);
        if first == b'#' || (first, second) == (b'-', Some(b'-')) {
            self.at = self.text.len();
            return Err(Stop::End);
        }
        let (kind, end) = match first {
            b'\'' | b'"' => {
                let end = self.end_of(start + 1, |byte| byte != first);
                if self.byte(end).is_none() {
                    self.at = self.text.len();
                    return Err(Stop::Unreadable(start));
                }
                (TokenKind::Text, end + 1)
            }
            b'a'..=b'z' | b'A'..=b'Z' => (TokenKind::Word, self.end_of(start, is_of_word)),
            b'+' | b'-' | b'0'..=b'9' | b'.' => match self.number(start) {
                Some(found) => found,
                None if first == b'.' => (TokenKind::Punctuation, start + 1),
                None => return Err(Stop::Unreadable(start)),
            },
            b'<' if matches!(second, Some(b'>' | b'=')) => (TokenKind::Operator, start + 2),
            b'>' if second == Some(b'=') => (TokenKind::Operator, start + 2),
            b'=' | b'<' | b'>' => (TokenKind::Operator, start + 1),
            b'(' | b')' | b',' | b';' | b'*' | b'/' | b'[' | b']' => {
                (TokenKind::Punctuation, start + 1)
            }
            _ => return Err(Stop::Unreadable(start)),
        };
        self.at = end;
        Ok(Token {
            kind,
            span: start..end,
        })
    }

    /// A number, or a word that begins with a digit.
    fn number(&self, start: usize) -> Option<(TokenKind, usize)> {
        let signed = matches!(self.byte(start), Some(b'+' | b'-'));
        let digits = start + usize::from(signed);
        let whole = self.end_of(digits, |byte| byte.is_ascii_digit());
        if self.byte(digits) == Some(b'0') && matches!(self.byte(digits + 1), Some(b'x' | b'X')) {
            let end = self.end_of(digits + 2, |byte| byte.is_ascii_hexdigit());
            let goes_on = self.byte(end).is_some_and(is_of_word);
            if end > digits + 2 && !goes_on {
                return Some((TokenKind::Integer, end));
            }
        }
        if self.byte(whole) == Some(b'.') {
            let end = self.end_of(whole + 1, |byte| byte.is_ascii_digit());
            if end > whole + 1 {
                return Some((TokenKind::Float, end));
            }
        }
        if whole == digits {
            return None;
        }
        let word = self.end_of(whole, is_of_word);
        match (word > whole, signed) {
            (false, _) | (true, true) => Some((TokenKind::Integer, whole)),
            (true, false) => Some((TokenKind::MixedWord, word)),
        }
    }
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-')
}

/// Cuts a line into statements at each `;` outside of quotes and comments; blanks in front of them are dropped.
#[must_use]
pub fn statements(line: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quote) = (0, None);
    for (at, byte) in line.bytes().enumerate() {
        match (quote, byte) {
            (None, b'\'' | b'"') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            (None, b';') => {
                parts.push(line.within(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(line.within(start..));
    parts
        .into_iter()
        .map(|part| part.trim_start_matches([' ', '\t']))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut lexer = Lexer::new(text);
        let mut found = Vec::new();
        loop {
            match lexer.next_token() {
                Ok(token) => found.push(format!("{:?} {}", token.kind, &text[token.span])),
                Err(Stop::End) => break,
                Err(Stop::Unreadable(at)) => {
                    found.push(format!("! {at}"));
                    break;
                }
            }
        }
        found.join(", ")
    }

    #[test]
    fn texts_fall_into_tokens() {
        for (text, expected) in [
            ("get x", "Word get, Word x"),
            ("a-b:c_1", "Word a-b:c_1"),
            ("1test 12", "MixedWord 1test, Integer 12"),
            (
                "-1.5 +.5 0x1f 010",
                "Float -1.5, Float +.5, Integer 0x1f, Integer 010",
            ),
            ("'a\"b' \"c'd\"", "Text 'a\"b', Text \"c'd\""),
            (
                "a<=b<>c",
                "Word a, Operator <=, Word b, Operator <>, Word c",
            ),
            ("t.lua", "Word t, Punctuation ., Word lua"),
            ("get # x", "Word get"),
            ("get -- x", "Word get"),
            ("get {", "Word get, ! 4"),
            ("'open", "! 0"),
            ("(*)", "Punctuation (, Punctuation *, Punctuation )"),
            ("", ""),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn lines_fall_into_statements() {
        assert_eq!(statements("a; b;"), ["a", "b", ""]);
        assert_eq!(statements("a ';' b;\"x;y\""), ["a ';' b", "\"x;y\""]);
        assert_eq!(statements("it's; open"), ["it's; open"]);
    }
}
