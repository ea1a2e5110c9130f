//! A list or map as it is stored, read in place.
//!
//! ```text
//! head ─ metadata: flags, index ─ item ─ item ─ …        an item is an element of a list, or key and value of a map
//! ```
//!
//! The index, kept only where the collection says so ([`order::PERSIST_INDEX`]), is the data of the metadata: the start of
//! every item, relative to the first, in as many bytes as the largest needs; in key-value ordered maps then also the items'
//! places in the order of values. Where it is not, the items are walked once. Clients never see an index.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use protocol::msgpack::{
    order, without_index, write_list_header, write_map_header, write_nil, write_order,
};
use protocol::particle::ParticleType;

use crate::operation::{OperationError, element};
use crate::work::Meter;

/// Bytes of each number of the index when they go up to this.
fn index_width(largest: usize) -> usize {
    [0xff, 0xffff, 0xff_ffff]
        .iter()
        .filter(|most| largest > **most)
        .count()
        + 1
}

/// How many items are walked between two counts of the work.
const WALK: usize = 256;

/// Flags that clients see, beside the order itself.
pub(super) const ORDERED: u8 = order::KEY;

/// A list or map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored<'a> {
    pub(super) is_map: bool,
    /// Order flags, [`order::PERSIST_INDEX`] included.
    pub(super) flags: u8,
    /// Number of elements or pairs.
    pub(super) count: usize,
    /// The items.
    pub(super) body: &'a [u8],
    index: &'a [u8],
}

impl<'a> Stored<'a> {
    /// An empty list or map.
    pub(super) fn empty(is_map: bool, flags: u8) -> Self {
        Self {
            is_map,
            flags,
            count: 0,
            body: &[],
            index: &[],
        }
    }

    /// What is in the making, with all its items in one piece.
    pub(super) fn of_body(rebuilt: &Rebuilt<'_>, body: &'a [u8]) -> Self {
        Self {
            count: rebuilt.count,
            body,
            ..Self::empty(rebuilt.is_map, rebuilt.flags)
        }
    }

    /// Reads the head. `bytes` is exactly one value; `None` when it is neither list nor map.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&lead, rest) = bytes.split_first()?;
        let number = |width: usize| -> Option<(usize, &'a [u8])> {
            let (number, rest) = rest.split_at_checked(width)?;
            let number = number
                .iter()
                .fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
            Some((number, rest))
        };
        let (is_map, (count, body)) = match lead {
            0x80..=0x8f => (true, (usize::from(lead & 0x0f), rest)),
            0x90..=0x9f => (false, (usize::from(lead & 0x0f), rest)),
            0xdc => (false, number(2)?),
            0xdd => (false, number(4)?),
            0xde => (true, number(2)?),
            0xdf => (true, number(4)?),
            _ => return None,
        };
        let plain = Self {
            is_map,
            flags: 0,
            count,
            body,
            index: &[],
        };
        if count == 0 {
            return Some(plain);
        }
        let metadata = match *body {
            [0xc7, size, flags, ref rest @ ..] => Some((usize::from(size), flags, rest)),
            [0xc8, a, b, flags, ref rest @ ..] => {
                Some((usize::from(u16::from_be_bytes([a, b])), flags, rest))
            }
            [0xc9, a, b, c, d, flags, ref rest @ ..] => {
                let size = u32::from_be_bytes([a, b, c, d]);
                Some((usize::try_from(size).ok()?, flags, rest))
            }
            _ => None,
        };
        let Some((size, flags, rest)) = metadata else {
            return Some(plain);
        };
        let (index, body) = rest.split_at_checked(size)?;
        Some(Self {
            flags,
            count: count - 1,
            // A nil stands behind the metadata of a map.
            body: if is_map { body.get(1..)? } else { body },
            index,
            ..plain
        })
    }

    /// Whether elements are kept sorted, or pairs by key.
    pub(super) fn is_ordered(&self) -> bool {
        self.flags & (order::KEY | order::VALUE) != 0
    }

    /// Whether this is a key-value ordered map with a kept index, whose answers come in the order of values.
    pub(super) fn keeps_value_order(&self) -> bool {
        let all = order::KEY | order::VALUE | order::PERSIST_INDEX;
        self.is_map && self.flags & all == all
    }

    /// Where item `place` begins within the body; that of the place behind the last is the end.
    pub(super) fn start(
        &self,
        place: usize,
        work: &mut dyn Meter,
    ) -> Result<usize, OperationError> {
        if place >= self.count {
            return Ok(self.body.len());
        }
        if let Some(start) = self.kept_start(place) {
            return Ok(start);
        }
        let mut at = 0;
        for walked in 0..place {
            if walked % WALK == 0 {
                work.steps(WALK.min(place - walked) / 8)?;
            }
            at = self.after(at)?;
        }
        Ok(at)
    }

    /// The item at this place.
    pub(super) fn item(
        &self,
        place: usize,
        work: &mut dyn Meter,
    ) -> Result<&'a [u8], OperationError> {
        let start = self.start(place, work)?;
        let end = self.after(start)?;
        self.body.get(start..end).ok_or_else(element::unreadable)
    }

    /// The bytes of a range of items.
    pub(super) fn span(
        &self,
        range: &Range<usize>,
        work: &mut dyn Meter,
    ) -> Result<&'a [u8], OperationError> {
        let start = self.start(range.start, work)?;
        let end = if range.end >= self.count {
            self.body.len()
        } else if let Some(end) = self.kept_start(range.end) {
            end
        } else {
            let mut at = start;
            for walked in 0..range.len() {
                if walked % WALK == 0 {
                    work.steps(WALK.min(range.len() - walked) / 8)?;
                }
                at = self.after(at)?;
            }
            at
        };
        self.body.get(start..end).ok_or_else(element::unreadable)
    }

    /// Where the item ends that begins at `at`.
    fn after(&self, at: usize) -> Result<usize, OperationError> {
        let end = element::end(self.body, at);
        let end = if self.is_map {
            end.and_then(|value| element::end(self.body, value))
        } else {
            end
        };
        end.ok_or_else(element::unreadable)
    }

    /// Where all items are.
    pub(super) fn items(&self, work: &mut dyn Meter) -> Result<Items<'a>, OperationError> {
        let width = index_width(self.body.len());
        if self.index.len() >= self.count * width && self.count > 0 {
            return Ok(Items {
                body: self.body,
                starts: Starts::Kept(self.index, width),
                count: self.count,
            });
        }
        let mut starts = Vec::with_capacity(self.count.min(self.body.len()) + 1);
        let mut at = 0;
        for walked in 0..self.count {
            if walked % WALK == 0 {
                work.steps(WALK.min(self.count - walked) / 4)?;
            }
            starts.push(position(at)?);
            at = self.after(at)?;
        }
        starts.push(position(at)?);
        Ok(Items {
            body: self.body,
            starts: Starts::Walked(starts),
            count: self.count,
        })
    }

    /// The kept order of values: for every rank the place of the pair.
    pub(super) fn kept_value_order(&self) -> Option<Vec<u32>> {
        if !self.keeps_value_order() {
            return None;
        }
        let order = self
            .index
            .get(self.count * index_width(self.body.len())..)?;
        let width = index_width(self.count);
        (order.len() == self.count * width).then(|| {
            order
                .chunks(width)
                .map(|bytes| {
                    bytes
                        .iter()
                        .fold(0, |sum, byte| (sum << 8) | u32::from(*byte))
                })
                .collect()
        })
    }

    /// The start of an item, out of the index.
    fn kept_start(&self, place: usize) -> Option<usize> {
        index_number(self.index, index_width(self.body.len()), place)
    }
}

fn index_number(index: &[u8], width: usize, place: usize) -> Option<usize> {
    let bytes = index.get(place * width..(place + 1) * width)?;
    Some(
        bytes
            .iter()
            .fold(0, |sum, byte| (sum << 8) | usize::from(*byte)),
    )
}

/// Writes a number of the index.
fn push_number(out: &mut Vec<u8>, width: usize, number: usize) {
    let bytes = number.to_be_bytes();
    out.extend_from_slice(bytes.get(bytes.len() - width..).unwrap_or_default());
}

/// A place in the body. Particles are far smaller than 4 GiB.
fn position(at: usize) -> Result<u32, OperationError> {
    u32::try_from(at).map_err(|_| element::unreadable())
}

#[derive(Clone, Debug)]
enum Starts<'a> {
    Walked(Vec<u32>),
    /// The index and the bytes of its numbers.
    Kept(&'a [u8], usize),
}

/// The items of a list or map, each found at once.
#[derive(Clone, Debug)]
pub(super) struct Items<'a> {
    pub(super) body: &'a [u8],
    starts: Starts<'a>,
    pub(super) count: usize,
}

impl<'a> Items<'a> {
    /// Where the item begins; that of the place behind the last is the end.
    #[inline]
    pub(super) fn start(&self, place: usize) -> usize {
        if place >= self.count {
            return self.body.len();
        }
        match &self.starts {
            Starts::Walked(starts) => starts.get(place).map_or(self.body.len(), |at| *at as usize),
            Starts::Kept(index, width) => {
                index_number(index, *width, place).unwrap_or(self.body.len())
            }
        }
    }

    /// The whole item: an element, or key and value.
    #[inline]
    pub(super) fn get(&self, place: usize) -> &'a [u8] {
        self.range(place, 1)
    }

    /// The bytes of so many items.
    pub(super) fn range(&self, place: usize, count: usize) -> &'a [u8] {
        let (start, end) = (self.start(place), self.start(place + count));
        self.body.get(start..end).unwrap_or_default()
    }

    /// Key and value of a pair.
    #[inline]
    pub(super) fn pair(&self, place: usize) -> (&'a [u8], &'a [u8]) {
        let pair = self.get(place);
        element::end(pair, 0)
            .and_then(|end| pair.split_at_checked(end))
            .unwrap_or((pair, &[]))
    }

    /// The key of a pair.
    #[inline]
    pub(super) fn key(&self, place: usize) -> &'a [u8] {
        self.pair(place).0
    }

    /// The value of a pair.
    #[inline]
    pub(super) fn value(&self, place: usize) -> &'a [u8] {
        self.pair(place).1
    }

    /// How many of the sorted items are smaller than `value`; with `or_equal` also those that are equal. `part` is what
    /// is compared of the item at a place.
    pub(super) fn bound<'s>(
        &self,
        value: &[u8],
        or_equal: bool,
        part: impl Fn(usize) -> &'s [u8],
    ) -> Result<usize, OperationError> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let below = match element::compare(part(middle), value)? {
                Ordering::Less => true,
                Ordering::Equal => or_equal,
                Ordering::Greater => false,
            };
            if below {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}

/// A list or map in the making: what is kept of the old one is borrowed, so that it is copied once.
#[derive(Clone, Debug)]
pub(super) struct Rebuilt<'a> {
    pub(super) is_map: bool,
    pub(super) flags: u8,
    pub(super) count: usize,
    pub(super) parts: Vec<Cow<'a, [u8]>>,
}

impl<'a> Rebuilt<'a> {
    /// One of these items, one after the other.
    pub(super) fn of(
        stored: &Stored<'a>,
        count: usize,
        parts: impl IntoIterator<Item = Cow<'a, [u8]>>,
    ) -> Self {
        Self {
            is_map: stored.is_map,
            flags: stored.flags,
            count,
            parts: parts.into_iter().filter(|part| !part.is_empty()).collect(),
        }
    }

    /// Size of the items.
    pub(super) fn body_size(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    /// Writes it as a value inside another one, where no index is kept.
    pub(super) fn write_nested(&self, out: &mut Vec<u8>) {
        let flags = self.flags & !order::PERSIST_INDEX;
        write_head(out, self.is_map, self.count, flags);
        for part in &self.parts {
            out.extend_from_slice(part);
        }
    }

    /// The bytes of the particle.
    pub(super) fn into_particle(self, work: &mut dyn Meter) -> Result<Vec<u8>, OperationError> {
        let size = self.body_size();
        work.bytes(size)?;
        if self.flags & order::PERSIST_INDEX == 0 {
            let mut out = Vec::with_capacity(size + 9);
            self.write_nested(&mut out);
            return Ok(out);
        }
        let mut body = Vec::with_capacity(size);
        for part in &self.parts {
            body.extend_from_slice(part);
        }
        indexed(self.is_map, self.flags, self.count, &body, work)
    }
}

/// The head, with metadata where there are flags.
pub(super) fn write_head(out: &mut Vec<u8>, is_map: bool, count: usize, flags: u8) {
    let count = count + usize::from(flags != 0);
    if is_map {
        write_map_header(out, count);
    } else {
        write_list_header(out, count);
    }
    if flags != 0 {
        write_order(out, flags);
        if is_map {
            write_nil(out);
        }
    }
}

/// A collection with its index.
fn indexed(
    is_map: bool,
    flags: u8,
    count: usize,
    body: &[u8],
    work: &mut dyn Meter,
) -> Result<Vec<u8>, OperationError> {
    let plain = Stored {
        is_map,
        flags,
        count,
        body,
        index: &[],
    };
    let items = plain.items(work)?;
    let by_value = if plain.keeps_value_order() {
        super::sort::value_order(&items, work)?
    } else {
        Vec::new()
    };
    let width = index_width(body.len());
    let order_width = index_width(count);
    let size = count * width + by_value.len() * order_width;
    let mut out = Vec::with_capacity(body.len() + size + 16);
    if is_map {
        write_map_header(&mut out, count + 1);
    } else {
        write_list_header(&mut out, count + 1);
    }
    out.push(0xc9);
    out.extend_from_slice(&position(size)?.to_be_bytes());
    out.push(flags);
    for place in 0..count {
        push_number(&mut out, width, items.start(place));
    }
    for place in by_value {
        push_number(&mut out, order_width, place as usize);
    }
    if is_map {
        write_nil(&mut out);
    }
    out.extend_from_slice(body);
    Ok(out)
}

/// The form in which clients see a list or map: without an index.
pub(super) fn visible(kind: ParticleType, bytes: &[u8]) -> Cow<'_, [u8]> {
    if kind != ParticleType::LIST && kind != ParticleType::MAP {
        return Cow::Borrowed(bytes);
    }
    match without_index(bytes) {
        Some((mut head, items)) => {
            head.extend_from_slice(items);
            Cow::Owned(head)
        }
        None => Cow::Borrowed(bytes),
    }
}
