use std::cmp::Ordering;

use protocol::limits::MAX_DEPTH;
use protocol::msgpack::{self, Rank, Reader, Token};

/// Orders two encoded values as the operations do.
///
/// NaN is equal to every double, a wildcard to everything, and a wildcard met inside of a list ends the comparison:
/// `[1, *]` is equal to every list that begins with 1.
///
/// `None`: the bytes are no values.
#[inline]
pub(crate) fn compare(left: &[u8], right: &[u8]) -> Option<Ordering> {
    // Small integers are most of what is compared.
    if let ([a @ 0x00..=0x7f, ..], [b @ 0x00..=0x7f, ..]) = (left, right) {
        return Some(a.cmp(b));
    }
    // So are short texts of the same type.
    if let (Some([a, left @ ..]), Some([b, right @ ..])) = (short_text(left), short_text(right))
        && a == b
    {
        return Some(left.cmp(right));
    }
    match compare_next(&mut Reader::new(left), &mut Reader::new(right), 0) {
        Ok(order) => Some(order),
        Err(Stop::Wildcard) => Some(Ordering::Equal),
        Err(Stop::Unreadable) => None,
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
