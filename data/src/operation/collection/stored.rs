//! A list or map as it is stored, read in place: by its index, by landmarks beside it, or by a walk over its items.

use std::borrow::Cow;
use std::cell::Cell;
use std::cmp::Ordering;
use std::ops::Range;

use protocol::bounds::Within as _;
use protocol::msgpack::{
    order, without_index, write_list_header, write_map_header, write_nil, write_order,
};
use protocol::particle::ParticleType;

use crate::encoded::{Head, Landmarks, index};
use crate::operation::{OperationError, element};
use crate::work::Meter;

/// How many items are walked between two counts of the work.
const WALK: usize = 256;

/// From the item that was found last so many items are walked rather than looked for among landmarks.
const NEAR: usize = 8;

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
    landmarks: Landmarks<'a>,
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
            landmarks: Landmarks::NONE,
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
        let head = Head::read(bytes)?;
        Some(Self {
            is_map: head.is_map,
            flags: head.flags,
            count: head.count,
            body: head.body,
            index: head.index,
            landmarks: Landmarks::NONE,
        })
    }

    /// The same with the landmarks that are beside it.
    pub(super) fn with_landmarks(self, landmarks: Landmarks<'a>) -> Self {
        Self { landmarks, ..self }
    }

    fn head(&self) -> Head<'a> {
        Head {
            is_map: self.is_map,
            flags: self.flags,
            count: self.count,
            body: self.body,
            index: self.index,
        }
    }

    /// Whether an item is found without a walk over all in front of it.
    pub(super) fn is_quick(&self) -> bool {
        self.flags & order::PERSIST_INDEX != 0 || !self.landmarks.is_empty()
    }

    /// Whether elements are kept sorted, or pairs by key.
    pub(super) fn is_ordered(&self) -> bool {
        self.flags & (order::KEY | order::VALUE) != 0
    }

    /// Whether this is a key-value ordered map with a kept index, whose answers come in the order of values.
    pub(super) fn keeps_value_order(&self) -> bool {
        index::keeps_values(self.is_map, self.flags)
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
        let (from, mut at) = self.landmarks.before(place);
        for walked in 0..place - from {
            if walked % WALK == 0 {
                work.steps(WALK.min(place - from - walked) / 8)?;
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
        let end = if range.end >= self.count || self.is_quick() {
            self.start(range.end, work)?
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
        self.head().after(at).ok_or_else(element::unreadable)
    }

    /// The items, for a few look-ups or one pass: where there are landmarks, each is walked to from the one before it.
    pub(super) fn few(&self, work: &mut dyn Meter) -> Result<Items<'a>, OperationError> {
        if self.landmarks.is_empty() {
            return self.items(work);
        }
        Ok(Items {
            body: self.body,
            starts: Starts::Landmarks {
                head: self.head(),
                landmarks: self.landmarks,
                last: Cell::new((0, 0)),
            },
            count: self.count,
        })
    }

    /// The items, for so many look-ups: where those are many, where all of them are.
    pub(super) fn items_for(
        &self,
        look_ups: usize,
        work: &mut dyn Meter,
    ) -> Result<Items<'a>, OperationError> {
        // A look-up by landmarks takes about as long as a walk over so many items.
        if look_ups.saturating_mul(64) < self.count {
            self.few(work)
        } else {
            self.items(work)
        }
    }

    /// Where all items are.
    pub(super) fn items(&self, work: &mut dyn Meter) -> Result<Items<'a>, OperationError> {
        let width = index::width(self.body.len());
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
            .get(self.count * index::width(self.body.len())..)?;
        let width = index::width(self.count);
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
        index::number(self.index, index::width(self.body.len()), place)
    }
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
    Landmarks {
        head: Head<'a>,
        landmarks: Landmarks<'a>,
        /// The item that was found last: its place and its start.
        last: Cell<(usize, usize)>,
    },
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
                index::number(index, *width, place).unwrap_or(self.body.len())
            }
            Starts::Landmarks {
                head,
                landmarks,
                last,
            } => {
                let (mut from, mut at) = last.get();
                if from > place || place - from > NEAR {
                    let landmark = landmarks.before(place);
                    if from > place || landmark.0 > from {
                        (from, at) = landmark;
                    }
                }
                while from < place {
                    match head.after(at) {
                        Some(end) => at = end,
                        // It was walked when the landmarks were made.
                        None => return self.body.len(),
                    }
                    from += 1;
                }
                last.set((place, at));
                at
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
        self.body.within(start..end)
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
        let is_below = |place: usize| -> Result<bool, OperationError> {
            Ok(match element::compare(part(place), value)? {
                Ordering::Less => true,
                Ordering::Equal => or_equal,
                Ordering::Greater => false,
            })
        };
        if let Starts::Landmarks { landmarks, .. } = &self.starts {
            return self.bound_by_landmarks(*landmarks, is_below);
        }
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if is_below(middle)? {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// By halves among the landmarks, then one item after the other.
    fn bound_by_landmarks(
        &self,
        landmarks: Landmarks<'_>,
        is_below: impl Fn(usize) -> Result<bool, OperationError>,
    ) -> Result<usize, OperationError> {
        let place = |number: usize| landmarks.get(number).map_or(self.count, |found| found.0);
        let (mut low, mut high) = (0, landmarks.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if is_below(place(middle))? {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let end = place(low);
        // The landmark in front is below; the first item, which is none, may not be.
        let mut found = low.checked_sub(1).map_or(0, |last| place(last) + 1);
        while found < end && is_below(found)? {
            found += 1;
        }
        Ok(found)
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
        count,
        body,
        ..Stored::empty(is_map, flags)
    };
    let items = plain.items(work)?;
    let by_value = if plain.keeps_value_order() {
        super::sort::value_order(&items, work)?
    } else {
        Vec::new()
    };
    let width = index::width(body.len());
    let order_width = index::width(count);
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
        index::push_number(&mut out, width, items.start(place));
    }
    for place in by_value {
        index::push_number(&mut out, order_width, place as usize);
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
