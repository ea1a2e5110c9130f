//! Lua 5.4 in words.

use protocol::bounds::Within as _;

use super::number;
use super::text;
use super::tree::{Comment, Span};
use super::{Refusal, Why};

/// A word of Lua.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'s> {
    Name(&'s str),
    Text(Box<[u8]>),
    Integer(i64),
    Float(f64),
    /// A reserved word or a sign.
    Sign(&'static str),
    End,
}

/// Reserved words, and signs from long to short.
const WORDS: [&str; 22] = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in",
    "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
];

const SIGNS: [&str; 33] = [
    "...", "..", "==", "~=", "<=", ">=", "<<", ">>", "//", "::", "+", "-", "*", "/", "%", "^", "#",
    "&", "~", "|", "<", ">", "=", "(", ")", "{", "}", "[", "]", ";", ":", ",", ".",
];

/// Reads words one after the other.
pub(super) struct Lexer<'s> {
    source: &'s [u8],
    at: usize,
    pub(super) comments: Vec<Comment>,
}

impl<'s> Lexer<'s> {
    pub(super) fn new(source: &'s [u8]) -> Self {
        Self {
            source,
            at: 0,
            comments: Vec::new(),
        }
    }

    fn rest(&self) -> &'s [u8] {
        self.source.within(self.at..)
    }

    fn peek(&self) -> Option<u8> {
        self.source.get(self.at).copied()
    }

    fn refuse<T>(&self, start: usize, why: Why) -> Result<T, Refusal> {
        Err(Refusal {
            span: Span {
                start,
                end: self.at.max(start + 1).min(self.source.len()),
            },
            why,
        })
    }

    /// The next word and where it stands.
    pub(super) fn next(&mut self) -> Result<(Token<'s>, Span), Refusal> {
        self.skip()?;
        let start = self.at;
        let token = match self.peek() {
            None => Token::End,
            Some(b'a'..=b'z' | b'A'..=b'Z' | b'_') => self.word(),
            Some(b'0'..=b'9') => self.number()?,
            Some(b'.') if matches!(self.rest().get(1), Some(b'0'..=b'9')) => self.number()?,
            Some(quote @ (b'"' | b'\'')) => self.quoted(quote)?,
            Some(b'[') if text::long_level(self.rest()).is_some() => {
                Token::Text(self.long()?.into())
            }
            Some(_) => self.sign()?,
        };
        let span = Span {
            start,
            end: self.at,
        };
        Ok((token, span))
    }

    /// Goes over space and comments.
    fn skip(&mut self) -> Result<(), Refusal> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c) => self.at += 1,
                Some(b'-') if self.rest().starts_with(b"--") => {
                    let start = self.at;
                    self.at += 2;
                    if text::long_level(self.rest()).is_some() {
                        self.long()?;
                    } else {
                        let line = self
                            .rest()
                            .iter()
                            .position(|byte| matches!(byte, b'\n' | b'\r'));
                        self.at = line.map_or(self.source.len(), |length| self.at + length);
                    }
                    let before = self.source.within(..start);
                    let alone = before
                        .iter()
                        .rev()
                        .take_while(|byte| **byte != b'\n')
                        .all(u8::is_ascii_whitespace);
                    self.comments.push(Comment {
                        span: Span {
                            start,
                            end: self.at,
                        },
                        alone,
                    });
                }
                _ => return Ok(()),
            }
        }
    }

    fn word(&mut self) -> Token<'s> {
        let rest = self.rest();
        let length = rest
            .iter()
            .position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
            .unwrap_or(rest.len());
        self.at += length;
        let text = rest
            .get(..length)
            .and_then(|word| std::str::from_utf8(word).ok())
            .unwrap_or("_");
        match WORDS.iter().find(|word| **word == text) {
            Some(word) => Token::Sign(word),
            None => Token::Name(text),
        }
    }

    fn number(&mut self) -> Result<Token<'s>, Refusal> {
        let start = self.at;
        let (length, value) = number::read(self.rest());
        self.at += length;
        match value {
            Some(number::Number::Integer(value)) => Ok(Token::Integer(value)),
            Some(number::Number::Float(value)) => Ok(Token::Float(value)),
            None => self.refuse(start, Why::Number),
        }
    }

    fn quoted(&mut self, quote: u8) -> Result<Token<'s>, Refusal> {
        let start = self.at;
        match text::quoted(self.rest(), quote) {
            Ok((length, content)) => {
                self.at += length;
                Ok(Token::Text(content.into()))
            }
            Err((length, why)) => {
                self.at += length;
                self.refuse(start, why)
            }
        }
    }

    fn long(&mut self) -> Result<Vec<u8>, Refusal> {
        let start = self.at;
        match text::long(self.rest()) {
            Some((length, content)) => {
                self.at += length;
                Ok(content)
            }
            None => {
                self.at = self.source.len();
                self.refuse(start, Why::Unfinished)
            }
        }
    }

    fn sign(&mut self) -> Result<Token<'s>, Refusal> {
        let rest = self.rest();
        match SIGNS.iter().find(|sign| rest.starts_with(sign.as_bytes())) {
            Some(sign) => {
                self.at += sign.len();
                Ok(Token::Sign(sign))
            }
            None => self.refuse(self.at, Why::Character),
        }
    }
}
