//! The path from a bin to the element that is indexed.

use std::fmt::Write as _;

use protocol::bounds::Within as _;
use protocol::msgpack::{self, Reader, Token};

/// Why bytes are no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// No list of types and values, or a type that indexes do not have.
    #[error("invalid cdt context")]
    Invalid,
    /// An integer or string that could be encoded in fewer bytes.
    #[error("not normalized msgpack")]
    NotNormal,
}

/// Types of steps, and their names.
const TYPES: &[(i64, &str)] = &[
    (0x10, "list_index"),
    (0x11, "list_rank"),
    (0x13, "list_value"),
    (0x20, "map_index"),
    (0x21, "map_rank"),
    (0x22, "map_key"),
    (0x23, "map_value"),
];

/// A checked path: msgpack, a list of types and values. Bytes behind the list mean nothing.
#[derive(Clone, Debug)]
pub struct IndexContext {
    /// As it was given, with what stands behind the list.
    given: Box<[u8]>,
    /// Where the list ends.
    end: usize,
}

impl PartialEq for IndexContext {
    fn eq(&self, other: &Self) -> bool {
        self.path() == other.path()
    }
}

impl IndexContext {
    /// Checks the bytes.
    ///
    /// # Errors
    /// They are no path, or not in the smallest encoding.
    pub fn parse(bytes: &[u8]) -> Result<Self, ContextError> {
        let mut reader = Reader::new(bytes);
        let count = match reader.token() {
            Ok(Token::List(count)) if count > 0 && count % 2 == 0 => count,
            _ => return Err(ContextError::Invalid),
        };
        for _ in 0..count / 2 {
            match reader.token() {
                Ok(Token::Integer(kind)) if TYPES.iter().any(|(known, _)| *known == kind) => {}
                _ => return Err(ContextError::Invalid),
            }
            reader.value().map_err(|_| ContextError::Invalid)?;
        }
        let end = bytes.len() - reader.rest().len();
        let path = bytes.within(..end);
        if !is_normal(path) {
            return Err(ContextError::NotNormal);
        }
        Ok(Self {
            given: bytes.into(),
            end,
        })
    }

    /// The list.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        self.given.within(..self.end)
    }

    /// All bytes as they were given.
    #[must_use]
    pub fn given(&self) -> &[u8] {
        &self.given
    }

    /// `[map_key(<string#3>), list_index(2)]`
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::from("[");
        let mut reader = Reader::new(self.path());
        if let Ok(Token::List(count)) = reader.token() {
            for step in 0..count / 2 {
                let kind = match reader.token() {
                    Ok(Token::Integer(kind)) => kind,
                    _ => break,
                };
                let name = TYPES.iter().find(|(known, _)| *known == kind);
                let separator = if step == 0 { "" } else { ", " };
                let name = name.map_or("", |(_, name)| name);
                let value = reader.value().map_or_else(|_| String::new(), shown);
                // Writing to memory cannot fail.
                let _ = write!(out, "{separator}{name}({value})");
            }
        }
        out.push(']');
        out
    }
}

fn shown(value: &[u8]) -> String {
    match Reader::new(value).token() {
        Ok(Token::Nil) => "nil".to_owned(),
        Ok(Token::Bool(truth)) => truth.to_string(),
        Ok(Token::Integer(number)) => number.to_string(),
        Ok(Token::Double(number)) => number.to_string(),
        Ok(Token::Float(number)) => number.to_string(),
        Ok(Token::Text([3, text @ ..])) => format!("<string#{}>", text.len()),
        Ok(Token::Text([23, text @ ..])) => format!("<geojson#{}>", text.len()),
        Ok(Token::Text(text)) => format!("<blob#{}>", text.len().saturating_sub(1)),
        Ok(Token::List(count)) => format!("<list#{count}>"),
        Ok(Token::Map(count)) => format!("<map#{count}>"),
        Ok(Token::Extension { data: [1], .. }) => "inf".to_owned(),
        Ok(Token::Extension { .. } | Token::Order(_)) => "wildcard".to_owned(),
        Err(_) => String::new(),
    }
}

/// Whether every integer has its shortest form, and every string and list its shortest head.
fn is_normal(path: &[u8]) -> bool {
    let mut reader = Reader::new(path);
    let mut shortest = Vec::new();
    while !reader.is_empty() {
        let before = reader.rest();
        let Ok(token) = reader.token() else {
            return false;
        };
        let used = before.len() - reader.rest().len();
        let lead = before.first().copied().unwrap_or_default();
        let head = |count: usize, small: usize, bytes: [usize; 3]| {
            let [tiny, medium, large] = bytes;
            match count {
                count if count < small => tiny,
                count if count < 1 << 16 => medium,
                _ => large,
            }
        };
        let expected = match token {
            // One that only an unsigned integer holds has one form.
            Token::Integer(number) if lead == 0xcf && number < 0 => used,
            Token::Integer(number) => {
                shortest.clear();
                msgpack::write_integer(&mut shortest, number);
                shortest.len()
            }
            Token::Text(text) => {
                let size = text.len();
                size + match lead {
                    0xc4..=0xc6 => head(size, 256, [2, 3, 5]),
                    _ if size < 32 => 1,
                    _ => head(size, 256, [2, 3, 5]),
                }
            }
            Token::List(count) | Token::Map(count) => head(count, 16, [1, 3, 5]),
            Token::Nil
            | Token::Bool(_)
            | Token::Double(_)
            | Token::Float(_)
            | Token::Extension { .. }
            | Token::Order(_) => used,
        };
        if used != expected {
            return false;
        }
    }
    true
}
