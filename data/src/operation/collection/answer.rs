//! What an operation answers: return types, and the values that they make.

use std::ops::Range;

use protocol::bounds::Fit as _;
use protocol::msgpack::{order, write_integer, write_list_header};
use protocol::particle::{Particle, ParticleType};
use protocol::result_code::ResultCode;

use super::stored::{Items, write_head};
use crate::operation::{OperationError, element};

/// A value that is answered, before it becomes a particle.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply<'a> {
    Nil,
    Integer(i64),
    Bool(bool),
    /// An encoded value.
    Element(&'a [u8]),
    /// An encoded value.
    Owned(Vec<u8>),
}

impl Reply<'_> {
    /// A number of elements, or a place.
    pub(super) fn number(count: usize) -> Self {
        Self::Integer(signed(count))
    }

    /// The particle; nil is none.
    pub(super) fn into_particle(self) -> Result<Option<Particle>, OperationError> {
        Ok(match self {
            Self::Nil => None,
            Self::Integer(number) => Some(Particle::integer(number)),
            Self::Bool(truth) => Some(Particle::bool(truth)),
            Self::Element(value) => {
                Some(element::particle(value)?).filter(|value| !value.as_ref().is_nil())
            }
            Self::Owned(value) => match value.first() {
                Some(0x90..=0x9f | 0xdc | 0xdd) => Some(Particle::new(ParticleType::LIST, value)),
                Some(0x80..=0x8f | 0xde | 0xdf) => Some(Particle::new(ParticleType::MAP, value)),
                _ => Some(element::particle(&value)?).filter(|value| !value.as_ref().is_nil()),
            },
        })
    }
}

/// Counts are far below 2^63.
pub(super) fn signed(count: usize) -> i64 {
    count.fit::<i64>()
}

/// The error of an operation that cannot be applied.
pub(super) fn inapplicable(cause: impl Into<String>) -> OperationError {
    OperationError::new(ResultCode::OP_NOT_APPLICABLE, cause)
}

/// What is answered of what is selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Nothing,
    Index,
    ReverseIndex,
    Rank,
    ReverseRank,
    Count,
    Key,
    Value,
    KeyValue,
    IndexRange,
    ReverseIndexRange,
    RankRange,
    ReverseRankRange,
    Exists,
    UnorderedMap,
    OrderedMap,
}

impl What {
    fn of(number: i64) -> Option<Self> {
        Some(match number & 0xffff {
            0 => Self::Nothing,
            1 => Self::Index,
            2 => Self::ReverseIndex,
            3 => Self::Rank,
            4 => Self::ReverseRank,
            5 => Self::Count,
            6 => Self::Key,
            7 => Self::Value,
            8 => Self::KeyValue,
            9 => Self::IndexRange,
            10 => Self::ReverseIndexRange,
            11 => Self::RankRange,
            12 => Self::ReverseRankRange,
            13 => Self::Exists,
            16 => Self::UnorderedMap,
            17 => Self::OrderedMap,
            _ => return None,
        })
    }

    /// Start and number of an index range.
    pub(super) fn is_index_range(self) -> bool {
        matches!(self, Self::IndexRange | Self::ReverseIndexRange)
    }

    /// Start and number of a rank range.
    pub(super) fn is_rank_range(self) -> bool {
        matches!(self, Self::RankRange | Self::ReverseRankRange)
    }

    /// Start and number of either.
    pub(super) fn is_range(self) -> bool {
        self.is_index_range() || self.is_rank_range()
    }

    /// Keys, or a map: nothing that a list has.
    pub(super) fn is_of_maps(self) -> bool {
        matches!(
            self,
            Self::Key | Self::KeyValue | Self::UnorderedMap | Self::OrderedMap
        )
    }

    /// A rank.
    pub(super) fn is_rank(self) -> bool {
        matches!(self, Self::Rank | Self::ReverseRank)
    }
}

/// A return type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Return {
    pub(super) what: What,
    /// Everything else is selected.
    pub(super) inverted: bool,
}

/// The bit for [`Return::inverted`].
const INVERTED: i64 = 0x1_0000;

impl Return {
    pub(super) fn of(number: i64) -> Result<Self, OperationError> {
        match What::of(number) {
            Some(what) => Ok(Self {
                what,
                inverted: number & INVERTED != 0,
            }),
            None => Err(inapplicable(format!("there is no return type {number:#x}"))),
        }
    }
}

/// The error of a return type that the selection does not have.
pub(super) fn wrong_return(what: What) -> OperationError {
    inapplicable(format!("the selection has no answer of kind {what:?}"))
}

/// The places of a range that begins with index or rank `first`, of so many.
///
/// A negative index counts from the end; the part of the range before the first element uses up the number.
pub(super) fn range(first: i64, number: u64, count: usize) -> Range<usize> {
    clipped(i128::from(first), number, count, true)
}

/// The same relative to a place: `first` is added to it, and what is then before the first element counts as such.
pub(super) fn relative_range(place: usize, first: i64, number: u64, count: usize) -> Range<usize> {
    clipped(place as i128 + i128::from(first), number, count, false)
}

fn clipped(mut first: i128, number: u64, count: usize, from_end: bool) -> Range<usize> {
    let n = count as i128;
    if first >= n {
        return count..count;
    }
    if first < 0 && from_end {
        first += n;
    }
    let mut number = i128::from(number);
    if first < 0 {
        number = (number + first).max(0);
        first = 0;
    }
    let end = n.min(first + number);
    // Both lie within 0..=n.
    let place = |at: i128| usize::try_from(at).unwrap_or(count);
    place(first)..place(end)
}

/// The place of one element; `None` when it is not there.
pub(super) fn single(index: i64, count: usize) -> Option<usize> {
    let place = match usize::try_from(index) {
        Ok(place) => place,
        Err(_) => count.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?,
    };
    (place < count).then_some(place)
}

/// The start of a range as it is answered; that of an empty one is never counted from the other end.
pub(super) fn range_start(what: What, range: &Range<usize>, count: usize) -> i64 {
    let reverse = matches!(what, What::ReverseIndexRange | What::ReverseRankRange);
    if reverse && !range.is_empty() {
        signed(count - range.end)
    } else {
        signed(range.start)
    }
}

/// A list of numbers.
pub(super) fn numbers(numbers: impl ExactSizeIterator<Item = usize>) -> Reply<'static> {
    let mut out = Vec::with_capacity(numbers.len() * 3 + 5);
    write_list_header(&mut out, numbers.len());
    for number in numbers {
        write_integer(&mut out, signed(number));
    }
    Reply::Owned(out)
}

/// Start and number.
pub(super) fn start_and_count(start: i64, count: usize) -> Reply<'static> {
    let mut out = Vec::with_capacity(9);
    write_list_header(&mut out, 2);
    write_integer(&mut out, start);
    write_integer(&mut out, signed(count));
    Reply::Owned(out)
}

/// The ranges counted from the other end, one after the other, each ascending.
pub(super) fn reversed(ranges: &[Range<usize>], count: usize) -> Vec<usize> {
    ranges
        .iter()
        .flat_map(|range| count - range.end..count - range.start)
        .collect()
}

/// What is left of 0 to `count` without the range: none, one or two ranges.
pub(super) fn rest(range: &Range<usize>, count: usize) -> Vec<Range<usize>> {
    if range.is_empty() {
        return std::iter::once(0..count).collect();
    }
    [0..range.start, range.end..count]
        .into_iter()
        .filter(|range| !range.is_empty())
        .collect()
}

/// The numbers of 0 to `count` that are not among `taken`, which is ascending, as ranges.
pub(super) fn gaps(taken: impl Iterator<Item = usize>, count: usize) -> Vec<Range<usize>> {
    let mut gaps = Vec::new();
    let mut from = 0;
    for place in taken.chain([count]) {
        if place > from {
            gaps.push(from..place);
        }
        from = place + 1;
    }
    gaps
}

/// A list of encoded values.
pub(super) fn values<'a>(
    values: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
) -> Reply<'static> {
    let size: usize = values.clone().map(<[u8]>::len).sum();
    let mut out = Vec::with_capacity(size + 5);
    write_list_header(&mut out, values.len());
    for value in values {
        out.extend_from_slice(value);
    }
    Reply::Owned(out)
}

/// A list of what stands in the body at one piece.
pub(super) fn block(bytes: &[u8], count: usize) -> Reply<'static> {
    let mut out = Vec::with_capacity(bytes.len() + 5);
    write_list_header(&mut out, count);
    out.extend_from_slice(bytes);
    Reply::Owned(out)
}

/// Keys, values or a map of the pairs at these places. `None`: another kind of answer.
pub(super) fn pairs(
    items: &Items<'_>,
    places: impl ExactSizeIterator<Item = usize> + Clone,
    what: What,
) -> Option<Reply<'static>> {
    let flags = match what {
        What::Key => return Some(values(places.map(|place| items.key(place)))),
        What::Value => return Some(values(places.map(|place| items.value(place)))),
        What::KeyValue => order::PRESERVE,
        What::UnorderedMap => 0,
        What::OrderedMap => order::KEY,
        _ => return None,
    };
    let size: usize = places.clone().map(|place| items.get(place).len()).sum();
    let mut out = Vec::with_capacity(size + 9);
    write_head(&mut out, true, places.len(), flags);
    for place in places {
        out.extend_from_slice(items.get(place));
    }
    Some(Reply::Owned(out))
}
