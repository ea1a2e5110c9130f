use std::cmp::Ordering;

use crate::limits::MAX_DEPTH;
use crate::msgpack::{MsgpackError, Reader, Token};
use crate::particle::ParticleType;

/// Order between values of different types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Nil.
    Nil,
    /// False, then true.
    Bool,
    /// Numerically.
    Integer,
    /// Bytewise.
    String,
    /// Element by element, then the shorter first.
    List,
    /// By number of elements, then the pairs in key order.
    Map,
    /// Bytewise, the type byte first.
    Blob,
    /// Numerically.
    Float,
    /// Bytewise.
    GeoJson,
    /// Extensions.
    Extension,
    /// Anything.
    Wildcard,
    /// Above everything.
    Infinity,
}

impl Rank {
    /// The rank of a token; `None` for order metadata, which is no value.
    pub fn of(token: &Token<'_>) -> Option<Self> {
        Some(match token {
            Token::Nil => Self::Nil,
            Token::Bool(_) => Self::Bool,
            Token::Integer(_) => Self::Integer,
            Token::Double(_) | Token::Float(_) => Self::Float,
            Token::Text([kind, ..]) if *kind == ParticleType::STRING.0 => Self::String,
            Token::Text([kind, ..]) if *kind == ParticleType::GEOJSON.0 => Self::GeoJson,
            Token::Text(_) => Self::Blob,
            Token::List(_) => Self::List,
            Token::Map(_) => Self::Map,
            Token::Extension {
                kind: 0xff,
                data: [0],
            } => Self::Wildcard,
            Token::Extension {
                kind: 0xff,
                data: [1],
            } => Self::Infinity,
            Token::Extension { .. } => Self::Extension,
            Token::Order(_) => return None,
        })
    }
}

/// Orders two encoded values: by [`Rank`], then within it.
///
/// Maps are compared in the order of their pairs, so both must be sorted, as [`super::normalize`] leaves them. The order is
/// total: doubles are compared by `f64::total_cmp`. Bytes after the values are not looked at.
///
/// Errors: the bytes are malformed, as far as they had to be read, or nested too deeply.
pub fn compare(left: &[u8], right: &[u8]) -> Result<Ordering, MsgpackError> {
    next(&mut Reader::new(left), &mut Reader::new(right), 0)
}

/// Compares the next value of each. When they are equal, both readers are behind them.
fn next(
    left: &mut Reader<'_>,
    right: &mut Reader<'_>,
    depth: usize,
) -> Result<Ordering, MsgpackError> {
    let large = (left.at_large_unsigned(), right.at_large_unsigned());
    let (a, b) = (left.token()?, right.token()?);
    // Behind the first place it is an extension like any other.
    let rank = |token| Rank::of(token).unwrap_or(Rank::Extension);
    let ranks = (rank(&a), rank(&b));
    if ranks.0 != ranks.1 {
        return Ok(ranks.0.cmp(&ranks.1));
    }
    Ok(match (a, b) {
        (Token::Bool(a), Token::Bool(b)) => a.cmp(&b),
        // Two that wrapped are in the same order as what they were.
        (Token::Integer(a), Token::Integer(b)) => large.0.cmp(&large.1).then(a.cmp(&b)),
        (Token::Text(a), Token::Text(b)) => a.cmp(b),
        (Token::List(a), Token::List(b)) => {
            let depth = deeper(depth)?;
            let (_, a) = left.list_order(a)?;
            let (_, b) = right.list_order(b)?;
            for _ in 0..a.min(b) {
                let order = next(left, right, depth)?;
                if order.is_ne() {
                    return Ok(order);
                }
            }
            a.cmp(&b)
        }
        (Token::Map(a), Token::Map(b)) => {
            let depth = deeper(depth)?;
            let (_, a) = left.map_order(a)?;
            let (_, b) = right.map_order(b)?;
            if a != b {
                return Ok(a.cmp(&b));
            }
            for _ in 0..a * 2 {
                let order = next(left, right, depth)?;
                if order.is_ne() {
                    return Ok(order);
                }
            }
            Ordering::Equal
        }
        (a, b) if ranks.0 >= Rank::Extension => extension(&a).cmp(&extension(&b)),
        (a, b) => match (float(&a), float(&b)) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => Ordering::Equal,
        },
    })
}

/// Type and data; metadata has none.
fn extension<'a>(token: &Token<'a>) -> (u8, &'a [u8]) {
    match token {
        Token::Extension { kind, data } => (*kind, data),
        Token::Order(kind) => (*kind, &[]),
        _ => (0, &[]),
    }
}

fn float(token: &Token<'_>) -> Option<f64> {
    match token {
        Token::Double(value) => Some(*value),
        Token::Float(value) => Some((*value).into()),
        _ => None,
    }
}

fn deeper(depth: usize) -> Result<usize, MsgpackError> {
    if depth < MAX_DEPTH {
        Ok(depth + 1)
    } else {
        Err(MsgpackError::Depth)
    }
}
