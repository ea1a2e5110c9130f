//! Single encoded values: where they end, what they are, how they compare, in what form they are stored.

use std::borrow::Cow;
use std::cmp::Ordering;

use protocol::limits::MAX_DEPTH;
use protocol::msgpack::{self, Rank, Reader, Token};
use protocol::particle::{Particle, ParticleType};

use super::OperationError;
use super::arguments::malformed;

/// Wildcard: equal to anything.
pub(crate) const WILDCARD: &[u8] = &[0xd4, 0xff, 0x00];

/// Nil.
pub(crate) const NIL: &[u8] = &[0xc0];

/// Why stored bytes cannot be read. Everything is checked before it is stored, so this does not happen.
pub(crate) fn unreadable() -> OperationError {
    malformed("the stored list or map cannot be read")
}

/// Where the value ends that begins at `at`. Steps over it without recursion.
#[inline]
pub(crate) fn end(bytes: &[u8], at: usize) -> Option<usize> {
    // Most elements are scalars with a short head.
    let next = match bytes.get(at)? {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => at + 1,
        lead @ 0xa0..=0xbf => at + 1 + usize::from(lead & 0x1f),
        0xcc | 0xd0 => at + 2,
        0xcd | 0xd1 => at + 3,
        0xce | 0xd2 | 0xca => at + 5,
        0xcf | 0xd3 | 0xcb => at + 9,
        0xd9 => at + 2 + usize::from(*bytes.get(at + 1)?),
        _ => return end_of_any(bytes, at),
    };
    (next <= bytes.len()).then_some(next)
}

fn end_of_any(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut open = 1_usize;
    while open > 0 {
        open -= 1;
        let sized = |width: usize| -> Option<usize> {
            let field = bytes.get(at + 1..at + 1 + width)?;
            Some(
                field
                    .iter()
                    .fold(0, |sum, byte| (sum << 8) | usize::from(*byte)),
            )
        };
        let lead = *bytes.get(at)?;
        at = match lead {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => at + 1,
            0x80..=0x8f => {
                open = open.checked_add(2 * usize::from(lead & 0x0f))?;
                at + 1
            }
            0x90..=0x9f => {
                open = open.checked_add(usize::from(lead & 0x0f))?;
                at + 1
            }
            0xa0..=0xbf => at + 1 + usize::from(lead & 0x1f),
            0xc1 => return None,
            0xc4 | 0xd9 => at + 2 + sized(1)?,
            0xc5 | 0xda => at + 3 + sized(2)?,
            0xc6 | 0xdb => at + 5 + sized(4)?,
            0xc7 => at + 3 + sized(1)?,
            0xc8 => at + 4 + sized(2)?,
            0xc9 => at + 6 + sized(4)?,
            0xcc | 0xd0 => at + 2,
            0xcd | 0xd1 => at + 3,
            0xce | 0xd2 | 0xca => at + 5,
            0xcf | 0xd3 | 0xcb => at + 9,
            0xd4 => at + 3,
            0xd5 => at + 4,
            0xd6 => at + 6,
            0xd7 => at + 10,
            0xd8 => at + 18,
            0xdc | 0xdd => {
                let width = if lead == 0xdc { 2 } else { 4 };
                open = open.checked_add(sized(width)?)?;
                at + 1 + width
            }
            0xde | 0xdf => {
                let width = if lead == 0xde { 2 } else { 4 };
                open = open.checked_add(2 * sized(width)?)?;
                at + 1 + width
            }
        };
        // Every value still open has at least one byte, so a lying count ends the walk at once.
        if at > bytes.len() || open > bytes.len() - at {
            return None;
        }
    }
    Some(at)
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

/// Orders two encoded values as the operations do.
///
/// NaN is equal to every double, a wildcard to everything, and a wildcard met inside of a list ends the comparison:
/// `[1, *]` is equal to every list that begins with 1.
///
/// Errors: the bytes are no values.
#[inline]
pub(crate) fn compare(left: &[u8], right: &[u8]) -> Result<Ordering, OperationError> {
    // Small integers are most of what is compared.
    if let ([a @ 0x00..=0x7f, ..], [b @ 0x00..=0x7f, ..]) = (left, right) {
        return Ok(a.cmp(b));
    }
    // So are short texts of the same type.
    if let (Some([a, left @ ..]), Some([b, right @ ..])) = (short_text(left), short_text(right))
        && a == b
    {
        return Ok(left.cmp(right));
    }
    match compare_next(&mut Reader::new(left), &mut Reader::new(right), 0) {
        Ok(order) => Ok(order),
        Err(Stop::Wildcard) => Ok(Ordering::Equal),
        Err(Stop::Unreadable) => Err(unreadable()),
    }
}

/// Type byte and content of a text with the shortest head.
#[inline]
fn short_text(value: &[u8]) -> Option<&[u8]> {
    match value {
        [lead @ 0xa1..=0xbf, rest @ ..] => rest.get(..usize::from(lead & 0x1f)),
        _ => None,
    }
}

/// Why a comparison ends before its end.
enum Stop {
    Wildcard,
    Unreadable,
}

impl From<msgpack::MsgpackError> for Stop {
    fn from(_: msgpack::MsgpackError) -> Self {
        Self::Unreadable
    }
}

fn compare_next(
    left: &mut Reader<'_>,
    right: &mut Reader<'_>,
    depth: usize,
) -> Result<Ordering, Stop> {
    let large = (
        left.rest().first() == Some(&0xcf),
        right.rest().first() == Some(&0xcf),
    );
    let (a, b) = (left.token()?, right.token()?);
    let ranks = (
        Rank::of(&a).ok_or(Stop::Unreadable)?,
        Rank::of(&b).ok_or(Stop::Unreadable)?,
    );
    if ranks.0 == Rank::Wildcard || ranks.1 == Rank::Wildcard {
        return Err(Stop::Wildcard);
    }
    if ranks.0 != ranks.1 {
        return Ok(ranks.0.cmp(&ranks.1));
    }
    Ok(match (a, b) {
        (Token::Bool(a), Token::Bool(b)) => a.cmp(&b),
        (Token::Integer(a), Token::Integer(b)) => match large {
            (false, false) => a.cmp(&b),
            _ => wide(a, large.0).cmp(&wide(b, large.1)),
        },
        (Token::Text(a), Token::Text(b)) => a.cmp(b),
        (Token::List(a), Token::List(b)) => {
            let depth = deeper(depth)?;
            let a = list_length(left, a)?;
            let b = list_length(right, b)?;
            for _ in 0..a.min(b) {
                let order = compare_next(left, right, depth)?;
                if order.is_ne() {
                    return Ok(order);
                }
            }
            a.cmp(&b)
        }
        (Token::Map(a), Token::Map(b)) => {
            let depth = deeper(depth)?;
            let a = map_length(left, a)?;
            let b = map_length(right, b)?;
            if a != b {
                return Ok(a.cmp(&b));
            }
            for _ in 0..a * 2 {
                let order = compare_next(left, right, depth)?;
                if order.is_ne() {
                    return Ok(order);
                }
            }
            Ordering::Equal
        }
        (Token::Extension { kind: a, data: x }, Token::Extension { kind: b, data: y }) => {
            (a, x).cmp(&(b, y))
        }
        (a, b) => match (float(&a), float(&b)) {
            (Some(a), Some(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
            _ => Ordering::Equal,
        },
    })
}

/// Any integer of 64 bits, signed or not. A wrapped one was written as unsigned.
fn wide(value: i64, unsigned: bool) -> i128 {
    if unsigned {
        value.cast_unsigned().into()
    } else {
        value.into()
    }
}

fn list_length(reader: &mut Reader<'_>, count: usize) -> Result<usize, Stop> {
    Ok(reader.list_order(count)?.1)
}

fn map_length(reader: &mut Reader<'_>, count: usize) -> Result<usize, Stop> {
    Ok(reader.map_order(count)?.1)
}

fn float(token: &Token<'_>) -> Option<f64> {
    match token {
        Token::Double(value) => Some(*value),
        Token::Float(value) => Some((*value).into()),
        _ => None,
    }
}

fn deeper(depth: usize) -> Result<usize, Stop> {
    if depth < MAX_DEPTH {
        Ok(depth + 1)
    } else {
        Err(Stop::Unreadable)
    }
}
