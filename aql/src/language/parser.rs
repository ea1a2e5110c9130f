//! From tokens to statements: what all statements share. Each family of statements has a file of its own.
//!
//! Nothing is read ahead: a mistake is told where the original tells it, and what stands behind it does not matter.

use protocol::bounds::Within as _;

use super::lexer::{Lexer, Stop, Token, TokenKind};
use super::statement::Place;

/// Bytes of a namespace's name at most.
const NAMESPACE_BYTES_MAX: usize = 31;
/// Bytes of a set's name at most, where the tool looks.
const SET_BYTES_MAX: usize = 63;
/// Bytes of a bin's name at most.
const BIN_BYTES_MAX: usize = 15;

/// Why a text is no statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// The first word is no statement's.
    UnknownCommand(String),
    /// The statement ends too early; its last word, and what could not be read.
    Ended {
        /// As shown: bytes, because a character may be cut.
        shown: Vec<u8>,
        /// Where it ends, in bytes of the statement.
        at: usize,
    },
    /// A word that does not fit.
    Unexpected {
        /// The word.
        shown: String,
        /// Where it stands, in bytes of the statement.
        at: usize,
    },
    /// An error with words of its own, and the mistake in the form of the others if that is told too.
    Explained {
        /// What is told on stderr, with its `Error: `.
        text: String,
        /// What follows.
        then: Option<Box<ParseError>>,
    },
    /// Conditions that no query has: the error, with its `Error: `. A SELECT without rows.
    Unsent(String),
    /// A cast that is not possible: told on stdout, the mistake twice on stderr.
    Cast {
        /// What is told on stdout, if anything.
        text: Option<String>,
        /// What follows, twice.
        then: Box<ParseError>,
    },
    /// A combination of clauses that is not supported: its sentence.
    Clauses(&'static str),
}

/// Result of parsing.
pub type Parsed<T> = Result<T, ParseError>;

/// Reads one statement.
#[derive(Debug)]
pub struct Parser<'s> {
    text: &'s str,
    lexer: Lexer<'s>,
    current: Result<Token, Stop>,
    /// The last token that was read.
    last: std::ops::Range<usize>,
}

impl<'s> Parser<'s> {
    pub(super) fn new(text: &'s str) -> Self {
        let mut lexer = Lexer::new(text);
        let current = lexer.next_token();
        let last = match &current {
            Ok(token) => token.span.clone(),
            Err(_) => 0..0,
        };
        Self {
            text,
            lexer,
            current,
            last,
        }
    }

    /// The whole statement.
    pub(super) fn text(&self) -> &'s str {
        self.text
    }

    /// The word at the very beginning, for a command that is not known.
    pub(super) fn first_word(&self) -> String {
        match &self.current {
            Ok(token) => self.slice(token.span.clone()).to_owned(),
            Err(_) => self.text.trim().to_owned(),
        }
    }

    fn slice(&self, span: std::ops::Range<usize>) -> &'s str {
        self.text.get(span).unwrap_or("")
    }

    /// The token at hand as it is written; empty at the end.
    pub(super) fn word(&self) -> &'s str {
        match &self.current {
            Ok(token) => self.slice(token.span.clone()),
            Err(_) => "",
        }
    }

    /// What the token at hand is.
    pub(super) fn kind(&self) -> Option<TokenKind> {
        self.current.as_ref().ok().map(|token| token.kind)
    }

    /// Whether the text has no token at all.
    pub(super) fn is_empty(&self) -> bool {
        self.current == Err(Stop::End)
    }

    /// Whether nothing more can be read.
    pub(super) fn at_end(&self) -> bool {
        self.current.is_err()
    }

    /// What stands behind the token that was read last, as it is written.
    pub(super) fn rest(&self) -> &'s str {
        self.text.within(self.last.end..)
    }

    /// Goes on to the next token.
    pub(super) fn advance(&mut self) {
        if let Ok(token) = &self.current {
            self.last = token.span.clone();
            self.current = self.lexer.next_token();
        }
    }

    /// Whether the token at hand is this word, in any case and not in quotes.
    pub(super) fn is(&self, word: &str) -> bool {
        self.word().eq_ignore_ascii_case(word)
    }

    /// Passes over this word if it is there.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let found = self.is(word);
        if found {
            self.advance();
        }
        found
    }

    /// Passes over this word.
    pub(super) fn expect(&mut self, word: &str) -> Parsed<()> {
        match self.take(word) {
            true => Ok(()),
            false => Err(self.mistake()),
        }
    }

    /// The mistake where the parser stands.
    pub(super) fn mistake(&self) -> ParseError {
        match &self.current {
            Ok(token) => ParseError::Unexpected {
                shown: self.word().to_owned(),
                at: token.span.start,
            },
            Err(Stop::End) => ParseError::Ended {
                shown: self.slice(self.last.clone()).as_bytes().to_vec(),
                at: self.last.end,
            },
            Err(Stop::Unreadable(at))
                if matches!(self.text.as_bytes().get(*at), Some(b'\'' | b'"')) =>
            {
                ParseError::Ended {
                    shown: self.slice(self.last.clone()).as_bytes().to_vec(),
                    at: *at,
                }
            }
            Err(Stop::Unreadable(at)) => ParseError::Ended {
                // Up to the byte that has no meaning, and with it.
                shown: self.text.as_bytes().within(self.last.start..=*at).to_vec(),
                at: *at,
            },
        }
    }

    /// The mistake of the older statements, which name all that was read when a statement ends too early.
    pub(super) fn older_mistake(&self) -> ParseError {
        match self.mistake() {
            ParseError::Ended { at, .. } => ParseError::Ended {
                shown: self.text.trim_end().as_bytes().to_vec(),
                at,
            },
            other => other,
        }
    }

    /// A name, in quotes or not: goes on behind it. Anything can stand for one but the end.
    pub(super) fn name(&mut self) -> Parsed<String> {
        if self.at_end() {
            return Err(self.mistake());
        }
        let name = unquoted(self.word()).to_owned();
        self.advance();
        Ok(name)
    }

    /// `N[.S]`. With `checked`, names that cannot be are told here, as the original does for statements that write.
    pub(super) fn place(&mut self, checked: bool) -> Parsed<Place> {
        let namespace = self.name()?;
        if checked && namespace.contains([':', ';']) {
            return Err(self.illegal(&namespace));
        }
        if namespace.len() > NAMESPACE_BYTES_MAX {
            return Err(explained(format!(
                "Error: (-1) Namespace is too long: '{namespace}'"
            )));
        }
        let set = match self.take(".") {
            true => Some(self.name()?),
            false => None,
        };
        if let Some(set) = set.as_deref().filter(|_| checked) {
            if set.contains([':', ';']) {
                return Err(self.illegal(set));
            }
            if set.len() > SET_BYTES_MAX {
                return Err(explained(format!(
                    "Error: (-1) Set name is too long: '{set}'"
                )));
            }
        }
        Ok(Place { namespace, set })
    }

    /// A name with a character that cannot be in it: the mistake is told one word later.
    pub(super) fn illegal(&mut self, name: &str) -> ParseError {
        let character = if name.contains(':') { ':' } else { ';' };
        self.advance();
        ParseError::Explained {
            text: format!("Error: (-1) Illegal character - '{character}'"),
            then: Some(Box::new(self.mistake())),
        }
    }
}

/// An error that has words of its own.
pub(super) fn explained(text: String) -> ParseError {
    ParseError::Explained { text, then: None }
}

/// Checks a bin's name.
pub(super) fn check_bin(name: &str) -> Parsed<()> {
    if name.len() > BIN_BYTES_MAX {
        return Err(explained(format!(
            "Error: (-1) Bin name is too long: '{name}'"
        )));
    }
    Ok(())
}

/// A token without its quotes.
pub fn unquoted(word: &str) -> &str {
    for quote in ['\'', '"'] {
        if let Some(inner) = word
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
        {
            return inner;
        }
    }
    word
}
