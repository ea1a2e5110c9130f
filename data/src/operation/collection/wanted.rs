//! Elements of a list, or values of a map, that are looked at one by one: which are smaller than what is wanted, and which
//! are it.

use std::cmp::Ordering;

use super::sort;
use crate::operation::{OperationError, element};
use crate::work::Meter;

/// How many elements are compared between two counts of the work.
const BLOCK: usize = 256;

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted<'a> {
    /// Whatever is equal to this.
    Equal(&'a [u8]),
    /// From this, to what is smaller than the second; to the end where there is none.
    Interval(&'a [u8], Option<&'a [u8]>),
}

impl Wanted<'_> {
    /// How an element stands to what is wanted: before it, part of it, or behind it.
    fn order(self, element: &[u8]) -> Result<Ordering, OperationError> {
        match self {
            Self::Equal(value) => element::compare(element, value),
            Self::Interval(begin, end) => {
                if element::compare(element, begin)?.is_lt() {
                    return Ok(Ordering::Less);
                }
                Ok(match end {
                    Some(end) if element::compare(element, end)?.is_ge() => Ordering::Greater,
                    _ => Ordering::Equal,
                })
            }
        }
    }

    /// How many of `count` elements stand before what is wanted, and the places of those that are wanted.
    pub(super) fn find<'i>(
        self,
        count: usize,
        element: impl Fn(usize) -> &'i [u8],
        work: &mut dyn Meter,
    ) -> Result<(usize, Vec<u32>), OperationError> {
        let mut less = 0;
        let mut equal = Vec::new();
        for place in 0..count {
            if place % BLOCK == 0 {
                work.steps(BLOCK.min(count - place))?;
            }
            match self.order(element(place))? {
                Ordering::Less => less += 1,
                Ordering::Equal => equal.push(sort::place(place)),
                Ordering::Greater => {}
            }
        }
        Ok((less, equal))
    }
}
