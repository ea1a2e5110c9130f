use std::cmp::Ordering;

use crate::bounds::Fit as _;
use crate::limits::MAX_DEPTH;
use crate::msgpack::{
    MsgpackError, Reader, Token, compare, order, write_bool, write_float, write_integer,
    write_list_header, write_map_header, write_nil, write_order,
};
use crate::particle::ParticleType;

/// What a particle says that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collection {
    /// A list.
    List,
    /// A map.
    Map,
}

/// Gives a list or map the form in which it is stored.
///
/// | input | result |
/// |-------|--------|
/// | over-long heads, lengths, integers, extensions; the bin family | the smallest form of the str family and so on |
/// | unsigned integers above `i64::MAX` | kept |
/// | an extension in first place, of any form but `d4` and `d6` | metadata: its type is the flags, its data, and in a map its value, are dropped |
/// | a list with flag [`order::KEY`], sorted | kept, with this flag |
/// | a map with flags [`order::KEY`] or [`order::VALUE`] or both | kept, with these flags |
/// | other flags, or no metadata | without metadata |
/// | pairs of a map without [`order::KEY`], at any depth | sorted by key |
/// | [`order::KEY`], and not sorted | [`MsgpackError::Unsorted`] |
/// | a key twice, or of a type other than integer, string, blob | error |
/// | bytes after the value, too few bytes, a list for a map, no bytes at all | error |
/// | wildcard, infinity, `d6` | error |
/// | other extensions behind the first place | kept |
/// | one that would be taken for metadata where metadata was dropped in front of it | error |
///
/// Every error is answered with result 1. Strings whose type byte is unknown, or missing, are kept; so are floats of 4
/// bytes. The output is never longer than the input.
pub fn normalize(bytes: &[u8], kind: Collection) -> Result<Vec<u8>, MsgpackError> {
    match (Reader::new(bytes).token()?, kind) {
        (Token::List(_), Collection::List) | (Token::Map(_), Collection::Map) => {}
        _ => return Err(MsgpackError::Kind),
    }
    let mut reader = Reader::new(bytes);
    let mut out = Vec::with_capacity(bytes.len());
    value(&mut reader, &mut out, 0)?;
    reader.finish()?;
    Ok(out)
}

/// The same for a value of any type, which must be all there is.
///
/// Errors: as [`normalize`].
pub fn normalize_value(bytes: &[u8]) -> Result<Vec<u8>, MsgpackError> {
    let mut reader = Reader::new(bytes);
    let mut out = Vec::with_capacity(bytes.len());
    value(&mut reader, &mut out, 0)?;
    reader.finish()?;
    Ok(out)
}

fn value(reader: &mut Reader<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), MsgpackError> {
    let large = reader.at_large_unsigned();
    let fixed4 = reader.rest().first() == Some(&FIXED_4);
    match reader.token()? {
        Token::Nil => write_nil(out),
        Token::Bool(value) => write_bool(out, value),
        Token::Integer(value) if large => {
            out.push(0xcf);
            out.extend_from_slice(&value.to_be_bytes());
        }
        Token::Integer(value) => write_integer(out, value),
        Token::Double(value) => write_float(out, value),
        Token::Float(value) => {
            out.push(0xca);
            out.extend_from_slice(&value.to_be_bytes());
        }
        Token::Text(content) => {
            super::write::write_text_header(out, content.len());
            out.extend_from_slice(content);
        }
        Token::List(_) | Token::Map(_) if depth >= MAX_DEPTH => return Err(MsgpackError::Depth),
        Token::List(count) => list(reader, out, count, depth + 1)?,
        Token::Map(count) => map(reader, out, count, depth + 1)?,
        // Wildcard, infinity, and what has no meaning beside them.
        Token::Extension {
            kind: 0xff,
            data: [_],
        } => return Err(MsgpackError::Extension),
        Token::Extension { .. } if fixed4 => return Err(MsgpackError::Extension),
        Token::Extension { kind, data } => extension(out, kind, data),
        Token::Order(kind) => extension(out, kind, &[]),
    }
    Ok(())
}

/// Lead byte of an extension with data of 4 bytes, which the reference does not read.
const FIXED_4: u8 = 0xd6;

/// Writes an extension in its smallest form, but for data of 4 bytes.
fn extension(out: &mut Vec<u8>, kind: u8, data: &[u8]) {
    match (
        data.len(),
        u8::try_from(data.len()),
        u16::try_from(data.len()),
    ) {
        (1, ..) => out.push(0xd4),
        (2, ..) => out.push(0xd5),
        (8, ..) => out.push(0xd7),
        (16, ..) => out.push(0xd8),
        (_, Ok(size), _) => out.extend_from_slice(&[0xc7, size]),
        (_, _, Ok(size)) => {
            out.push(0xc8);
            out.extend_from_slice(&size.to_be_bytes());
        }
        (size, ..) => {
            out.push(0xc9);
            // A frame is smaller.
            let size = size.fit::<u32>();
            out.extend_from_slice(&size.to_be_bytes());
        }
    }
    out.push(kind);
    out.extend_from_slice(data);
}

fn list(
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
    count: usize,
    depth: usize,
) -> Result<(), MsgpackError> {
    let (flags, count) = reader.list_order(count)?;
    let ordered = flags & order::KEY != 0;
    if !ordered && count > 0 && reader.at_metadata() {
        return Err(MsgpackError::Order);
    }
    write_list_header(out, count + usize::from(ordered));
    if ordered {
        write_order(out, order::KEY);
    }
    let mut previous = None;
    for _ in 0..count {
        let start = out.len();
        value(reader, out, depth)?;
        if let (true, Some(previous)) = (ordered, previous)
            && compare_at(out, previous, start)? == Ordering::Greater
        {
            return Err(MsgpackError::Unsorted);
        }
        previous = Some(start);
    }
    Ok(())
}

fn map(
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
    count: usize,
    depth: usize,
) -> Result<(), MsgpackError> {
    let (flags, count) = reader.map_order(count)?;
    let flags = flags & (order::KEY | order::VALUE);
    let ordered = flags & order::KEY != 0;
    write_map_header(out, count + usize::from(flags != 0));
    if flags != 0 {
        write_order(out, flags);
        write_nil(out);
    }
    let first = out.len();
    let mut starts = Vec::with_capacity(count);
    let mut sorted = true;
    for _ in 0..count {
        let start = out.len();
        key(reader, out)?;
        if let Some(previous) = starts.last() {
            match compare_at(out, *previous, start)? {
                Ordering::Less => {}
                Ordering::Equal => return Err(MsgpackError::DuplicateKey),
                Ordering::Greater if ordered => return Err(MsgpackError::Unsorted),
                Ordering::Greater => sorted = false,
            }
        }
        starts.push(start);
        value(reader, out, depth)?;
    }
    if sorted {
        Ok(())
    } else {
        sort(out, first, &starts)
    }
}

fn key(reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), MsgpackError> {
    const TEXTS: [u8; 2] = [ParticleType::STRING.0, ParticleType::BLOB.0];
    let mut ahead = *reader;
    match ahead.token()? {
        Token::Integer(_) => value(reader, out, MAX_DEPTH),
        Token::Text([kind, ..]) if TEXTS.contains(kind) => value(reader, out, MAX_DEPTH),
        Token::Extension { .. } => Err(MsgpackError::Extension),
        Token::Order(_) => Err(MsgpackError::Order),
        _ => Err(MsgpackError::Key),
    }
}

/// Sorts the pairs that begin at `starts` and fill `out` from `first` to its end.
fn sort(out: &mut Vec<u8>, first: usize, starts: &[usize]) -> Result<(), MsgpackError> {
    let ends = starts.iter().skip(1).copied().chain([out.len()]);
    let mut pairs = Vec::with_capacity(starts.len());
    for (start, end) in starts.iter().copied().zip(ends) {
        pairs.push(out.get(start..end).ok_or(MsgpackError::Truncated)?);
    }
    // Keys are whole values at the front of their pair, so comparing pairs compares keys. They were read before: an
    // error cannot happen, and would only leave the order as it is.
    pairs.sort_by(|a, b| compare(a, b).unwrap_or(Ordering::Equal));
    for pair in pairs.windows(2) {
        if let [a, b] = pair
            && compare(a, b)? == Ordering::Equal
        {
            return Err(MsgpackError::DuplicateKey);
        }
    }
    let sorted = pairs.concat();
    out.truncate(first);
    out.extend_from_slice(&sorted);
    Ok(())
}

fn compare_at(out: &[u8], left: usize, right: usize) -> Result<Ordering, MsgpackError> {
    match (out.get(left..), out.get(right..)) {
        (Some(left), Some(right)) => compare(left, right),
        _ => Err(MsgpackError::Truncated),
    }
}
