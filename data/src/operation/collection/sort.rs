//! Sorting of places by what stands there, with comparisons that may fail and that need not be transitive (NaN), and with
//! counted work.

use std::cmp::Ordering;

use protocol::bounds::Fit as _;

use super::stored::Items;
use crate::operation::{OperationError, element};
use crate::work::Meter;

/// Runs of so many are sorted by insertion before they are merged.
const RUN: usize = 8;

/// How many comparisons there are between two counts of the work.
const BLOCK: usize = 256;

/// Sorts places, stably. `bytes` is the size of all that is compared in one pass.
pub(super) fn sort(
    places: &mut Vec<u32>,
    bytes: usize,
    work: &mut dyn Meter,
    compare: impl Fn(u32, u32) -> Result<Ordering, OperationError>,
) -> Result<(), OperationError> {
    for (number, run) in places.chunks_mut(RUN).enumerate() {
        if number % (BLOCK / RUN) == 0 {
            work.steps(BLOCK)?;
        }
        for end in 1..run.len() {
            let mut at = end;
            while let Some([left, right]) = at
                .checked_sub(1)
                .and_then(|before| run.get(before..=at))
                .and_then(|pair| <[u32; 2]>::try_from(pair).ok())
            {
                if compare(left, right)? != Ordering::Greater {
                    break;
                }
                run.swap(at - 1, at);
                at -= 1;
            }
        }
    }
    let mut width = RUN;
    let mut merged = Vec::with_capacity(places.len());
    while width < places.len() {
        work.bytes(bytes)?;
        merged.clear();
        for pair in places.chunks(2 * width) {
            let (left, right) = pair.split_at_checked(width).unwrap_or((pair, &[]));
            merge(left, right, &mut merged, work, &compare)?;
        }
        std::mem::swap(places, &mut merged);
        width *= 2;
    }
    Ok(())
}

fn merge(
    mut left: &[u32],
    mut right: &[u32],
    out: &mut Vec<u32>,
    work: &mut dyn Meter,
    compare: impl Fn(u32, u32) -> Result<Ordering, OperationError>,
) -> Result<(), OperationError> {
    let mut until_count = 0;
    while let ([a, left_rest @ ..], [b, right_rest @ ..]) = (left, right) {
        if until_count == 0 {
            until_count = BLOCK;
            work.steps(BLOCK.min(left.len() + right.len()))?;
        }
        until_count -= 1;
        if compare(*a, *b)? == Ordering::Greater {
            out.push(*b);
            right = right_rest;
        } else {
            out.push(*a);
            left = left_rest;
        }
    }
    out.extend_from_slice(left);
    out.extend_from_slice(right);
    Ok(())
}

/// All places, in this order.
pub(super) fn places(count: usize) -> Vec<u32> {
    (0..count).map(place).collect()
}

/// A place as it is kept in long lists. There are fewer than 2^32.
pub(super) fn place(place: usize) -> u32 {
    place.fit::<u32>()
}

/// For every rank of a list the place of the element.
pub(super) fn element_order(
    items: &Items<'_>,
    work: &mut dyn Meter,
) -> Result<Vec<u32>, OperationError> {
    let mut order = places(items.count);
    sort(&mut order, items.body.len(), work, |a, b| {
        element::compare(items.get(a as usize), items.get(b as usize))
    })?;
    Ok(order)
}

/// For every rank of a map the place of the pair: by value, then by key, which is the order of the places.
pub(super) fn value_order(
    items: &Items<'_>,
    work: &mut dyn Meter,
) -> Result<Vec<u32>, OperationError> {
    let mut order = places(items.count);
    sort(&mut order, items.body.len(), work, |a, b| {
        element::compare(items.value(a as usize), items.value(b as usize))
    })?;
    Ok(order)
}

/// The places of the elements with the given ranks in an unordered list, in the order in which a heap gives them up.
///
/// Which of equal elements these are, and in which sequence, is what a binary heap over the places does that is built bottom
/// up: the first child wins ties, and only a strictly smaller (greater) child is swapped with its parent. It gives up the
/// smallest first where the range is nearer to the front, else the greatest.
pub(super) fn rank_range(
    items: &Items<'_>,
    start: usize,
    count: usize,
    work: &mut dyn Meter,
) -> Result<Ranked, OperationError> {
    let n = items.count;
    let smallest_first = start <= n - start - count;
    let wanted = if smallest_first {
        Ordering::Less
    } else {
        Ordering::Greater
    };
    let mut heap = Heap {
        places: places(n),
        items,
        wanted,
    };
    work.bytes(items.body.len())?;
    for parent in (0..n / 2).rev() {
        if parent % BLOCK == 0 {
            work.steps(BLOCK.min(n))?;
        }
        heap.sift(parent)?;
    }
    let skipped = if smallest_first {
        start
    } else {
        n - start - count
    };
    let mut sequence = Vec::with_capacity(count);
    for given in 0..skipped + count {
        if given % 16 == 0 {
            work.steps(256)?;
        }
        let top = heap.pop()?;
        if given >= skipped {
            sequence.push(top);
        }
    }
    // Both come out reversed: the last given up is the first of the answer.
    sequence.reverse();
    let mut ascending = sequence.clone();
    ascending.sort_unstable();
    Ok(Ranked {
        sequence,
        places: ascending,
    })
}

/// A range of ranks.
pub(super) struct Ranked {
    /// The places in the sequence of the answer's values.
    pub(super) sequence: Vec<u32>,
    /// The places, ascending.
    pub(super) places: Vec<u32>,
}

struct Heap<'h, 'a> {
    places: Vec<u32>,
    items: &'h Items<'a>,
    wanted: Ordering,
}

impl Heap<'_, '_> {
    /// Whether the element at one place of the heap is strictly before that at another.
    fn before(&self, left: usize, right: usize) -> Result<bool, OperationError> {
        match (self.places.get(left), self.places.get(right)) {
            (Some(left), Some(right)) => {
                let order = element::compare(
                    self.items.get(*left as usize),
                    self.items.get(*right as usize),
                )?;
                Ok(order == self.wanted)
            }
            _ => Ok(false),
        }
    }

    fn sift(&mut self, mut parent: usize) -> Result<(), OperationError> {
        loop {
            let mut child = 2 * parent + 1;
            if child >= self.places.len() {
                return Ok(());
            }
            if self.before(child + 1, child)? {
                child += 1;
            }
            if !self.before(child, parent)? {
                return Ok(());
            }
            self.places.swap(parent, child);
            parent = child;
        }
    }

    fn pop(&mut self) -> Result<u32, OperationError> {
        if self.places.is_empty() {
            return Err(element::unreadable());
        }
        let top = self.places.swap_remove(0);
        self.sift(0)?;
        Ok(top)
    }
}
