//! Single encoded values: where they end, what they are, how they compare, in what form they are stored.

use std::borrow::Cow;
use std::cmp::Ordering;

use protocol::msgpack::{self, Reader, Token};
use protocol::particle::{Particle, ParticleType};

use super::OperationError;
use super::arguments::malformed;
use crate::encoded;

pub(crate) use crate::encoded::end;

/// Wildcard: equal to anything.
pub(crate) const WILDCARD: &[u8] = &[0xd4, 0xff, 0x00];

/// Nil.
pub(crate) const NIL: &[u8] = &[0xc0];

/// Why stored bytes cannot be read. Everything is checked before it is stored, so this does not happen.
pub(crate) fn unreadable() -> OperationError {
    malformed("the stored list or map cannot be read")
}

/// The integer, when the value is one; unsigned ones of 2^63 and more wrap.
pub(crate) fn integer(value: &[u8]) -> Option<i64> {
    match Reader::new(value).token() {
        Ok(Token::Integer(number)) => Some(number),
        _ => None,
    }
}

/// The integer as unsigned, when the value is one.
pub(crate) fn unsigned(value: &[u8]) -> Option<u64> {
    integer(value).map(i64::cast_unsigned)
}

/// A number, as increments see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    /// An integer; unsigned ones of 2^63 and more have wrapped.
    Integer(i64),
    /// A double.
    Float(f64),
}

/// The number, when the value is one.
pub(crate) fn number(value: &[u8]) -> Option<Number> {
    match Reader::new(value).token() {
        Ok(Token::Integer(number)) => Some(Number::Integer(number)),
        Ok(Token::Double(number)) => Some(Number::Float(number)),
        Ok(Token::Float(number)) => Some(Number::Float(number.into())),
        _ => None,
    }
}

impl Number {
    /// The encoded number.
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(9);
        match self {
            Self::Integer(number) => msgpack::write_integer(&mut out, number),
            Self::Float(number) => msgpack::write_float(&mut out, number),
        }
        out
    }
}

/// Whether the value is a list that may be counted, and its number of elements without order metadata.
pub(crate) fn is_list(value: &[u8]) -> bool {
    matches!(value.first(), Some(0x90..=0x9f | 0xdc | 0xdd))
}

/// Whether the value is a map.
pub(crate) fn is_map(value: &[u8]) -> bool {
    matches!(value.first(), Some(0x80..=0x8f | 0xde | 0xdf))
}

/// Whether there is a wildcard or infinity in the value, at any depth.
pub(crate) fn has_special(value: &[u8]) -> bool {
    // Looking for the head alone is quick, and only a hit needs the walk over the tokens.
    if !value.windows(2).any(|pair| pair == [0xd4, 0xff]) {
        return false;
    }
    let mut reader = Reader::new(value);
    while !reader.is_empty() {
        match reader.token() {
            Ok(Token::Extension { kind: 0xff, .. }) => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    false
}

/// Whether the value is the wildcard or infinity, alone.
pub(crate) fn is_special(value: &[u8]) -> bool {
    matches!(value, [0xd4, 0xff, ..])
}

/// Whether the value is the wildcard, alone.
pub(crate) fn is_wildcard(value: &[u8]) -> bool {
    value.starts_with(WILDCARD)
}

/// Whether a map may have this key: integer, string or blob.
pub(crate) fn is_key(value: &[u8]) -> bool {
    match Reader::new(value).token() {
        Ok(Token::Integer(_)) => true,
        Ok(Token::Text(content)) => matches!(
            content.first(),
            Some(kind) if *kind == ParticleType::STRING.0 || *kind == ParticleType::BLOB.0
        ),
        _ => false,
    }
}

/// The form in which a value is stored.
///
/// Errors: it holds something that cannot be stored.
pub(crate) fn stored(value: &[u8]) -> Result<Cow<'_, [u8]>, OperationError> {
    match value {
        // Already the smallest form.
        [
            0x00..=0x7f | 0xe0..=0xff | 0xa0..=0xbf | 0xc0 | 0xc2 | 0xc3 | 0xca | 0xcb,
            ..,
        ] => Ok(Cow::Borrowed(value)),
        _ => msgpack::normalize_value(value)
            .map(Cow::Owned)
            .map_err(|error| malformed(&format!("a value cannot be stored: {error}"))),
    }
}

/// The pairs of a map in their stored form, sorted by key, whatever order they say that they have.
///
/// Errors: a key twice or of a wrong type, an ordered map that is not sorted, or what cannot be stored.
pub(crate) fn normal_map(map: &[u8]) -> Result<Vec<u8>, OperationError> {
    msgpack::normalize(map, msgpack::Collection::Map)
        .map_err(|error| malformed(&format!("the pairs cannot be stored: {error}")))
}

/// The particle that a client gets for a value inside a collection.
pub(crate) fn particle(value: &[u8]) -> Result<Particle, OperationError> {
    let mut reader = Reader::new(value);
    Ok(match reader.token().map_err(|_| unreadable())? {
        Token::Nil | Token::Extension { .. } | Token::Order(_) => Particle::NIL,
        Token::Bool(truth) => Particle::bool(truth),
        Token::Integer(number) => Particle::integer(number),
        Token::Double(number) => Particle::float(number),
        Token::Float(number) => Particle::float(number.into()),
        Token::Text(content) => match content.split_first() {
            Some((&kind, text)) => match ParticleType(kind) {
                ParticleType::GEOJSON => Particle::geojson(text),
                kind if kind.is_blob() || kind == ParticleType::STRING => {
                    Particle::new(kind, text.to_vec())
                }
                _ => Particle::new(ParticleType::BLOB, text.to_vec()),
            },
            None => Particle::new(ParticleType::BLOB, Vec::new()),
        },
        Token::List(_) => Particle::new(ParticleType::LIST, value.to_vec()),
        Token::Map(_) => Particle::new(ParticleType::MAP, value.to_vec()),
    })
}

/// Orders two encoded values as the operations do, see [`encoded::compare`].
///
/// Errors: the bytes are no values.
#[inline]
pub(crate) fn compare(left: &[u8], right: &[u8]) -> Result<Ordering, OperationError> {
    encoded::compare(left, right).ok_or_else(unreadable)
}
