//! Whether values are in a list already, or twice among themselves.

use std::borrow::Cow;
use std::cmp::Ordering;

use protocol::result_code::ResultCode;

use super::super::answer::inapplicable;
use super::super::sort;
use super::super::stored::Items;
use crate::operation::{OperationError, element};
use crate::work::Meter;

/// How many elements are compared between two counts of the work.
const BLOCK: usize = 256;

/// Write flags.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flags(pub(super) u64);

impl Flags {
    pub(super) fn unique(self) -> bool {
        self.0 & 1 != 0
    }

    pub(super) fn bounded(self) -> bool {
        self.0 & 2 != 0
    }

    pub(super) fn no_fail(self) -> bool {
        self.0 & 4 != 0
    }

    fn partial(self) -> bool {
        self.0 & 12 == 12
    }
}

/// The error of a value that is there already.
pub(super) fn exists() -> OperationError {
    OperationError::new(
        ResultCode::ELEMENT_EXISTS,
        "the value is in the list already",
    )
}

/// Whether the list has an element that is equal, except at one place.
pub(super) fn contains(
    items: &Items<'_>,
    ordered: bool,
    value: &[u8],
    except: Option<usize>,
    work: &mut dyn Meter,
) -> Result<bool, OperationError> {
    if ordered {
        let start = items.bound(value, false, |place| items.get(place))?;
        let end = items.bound(value, true, |place| items.get(place))?;
        return Ok(match except {
            Some(place) if (start..end).contains(&place) => end - start > 1,
            _ => end > start,
        });
    }
    for place in 0..items.count {
        if place % BLOCK == 0 {
            work.steps(BLOCK.min(items.count - place))?;
        }
        if except != Some(place) && element::compare(items.get(place), value)?.is_eq() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The values that are to be added; `None`: nothing changes, and that is no failure.
///
/// `sorted` says that the values are those of an ordered list, sorted: then they are checked among themselves first.
pub(super) fn additions<'v>(
    items: &Items<'_>,
    ordered: bool,
    values: Vec<Cow<'v, [u8]>>,
    flags: Flags,
    work: &mut dyn Meter,
) -> Result<Option<Vec<Cow<'v, [u8]>>>, OperationError> {
    if !flags.unique() {
        return Ok(Some(values));
    }
    let size: usize = values.iter().map(|value| value.len()).sum();
    let get = |place: u32| values.get(place as usize).map_or(&[][..], |value| value);
    // The later ones of those that are equal among themselves.
    let mut order = sort::places(values.len());
    sort::sort(&mut order, size, work, |a, b| {
        element::compare(get(a), get(b))
    })?;
    let mut again = vec![false; values.len()];
    for pair in order.windows(2) {
        if let [before, this] = *pair
            && element::compare(get(before), get(this))?.is_eq()
            && let Some(slot) = again.get_mut(this as usize)
        {
            *slot = true;
        }
    }
    let sorted_list = if ordered || values.is_empty() {
        Vec::new()
    } else {
        sort::element_order(items, work)?
    };
    let listed = |value: &[u8]| -> Result<bool, OperationError> {
        let at = |rank: usize| {
            let place = if ordered {
                rank
            } else {
                sorted_list.get(rank).map_or(rank, |place| *place as usize)
            };
            items.get(place)
        };
        let start = items.bound(value, false, at)?;
        Ok(start < items.count && element::compare(at(start), value)? == Ordering::Equal)
    };
    let twice = || inapplicable("two of the values are equal");
    if ordered && again.contains(&true) && !flags.no_fail() {
        return Err(twice());
    }
    let mut kept = Vec::with_capacity(values.len());
    let mut conflict = false;
    for (place, value) in values.iter().enumerate() {
        if place % 16 == 0 {
            work.steps(256)?;
        }
        let is_listed = listed(value)?;
        let is_again = again.get(place) == Some(&true);
        if !is_listed && !is_again {
            kept.push(value.clone());
            continue;
        }
        conflict = true;
        if !flags.no_fail() {
            return Err(if is_listed { exists() } else { twice() });
        }
        if !flags.partial() {
            return Ok(None);
        }
    }
    Ok(if conflict && kept.is_empty() {
        None
    } else {
        Some(kept)
    })
}
