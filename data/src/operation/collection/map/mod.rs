//! Operations on maps. Index is the place in the order of keys, rank that in the order of values.

mod lists;
mod modify;
mod select;

use protocol::bounds::Within as _;

use super::super::arguments::{Arguments, malformed};
use super::answer::Reply;
use super::list::number;
use super::stored::{Items, Stored};
use super::{Done, unchanged};
use crate::operation::{OperationError, element};
use crate::work::Meter;

pub(super) use modify::{order_flags, pair_inserted, value_order};

/// How many pairs are looked at between two counts of the work.
const BLOCK: usize = 256;

/// Applies a map operation.
pub(super) fn apply<'a>(
    map: &Stored<'a>,
    arguments: &Arguments<'a>,
    work: &mut dyn Meter,
) -> Result<Done<'a>, OperationError> {
    match arguments.number {
        64..=75 => modify::apply(map, arguments, work),
        96 => unchanged(Reply::number(map.count)),
        97..=110 => select::apply(map, arguments.number, arguments, work)
            .map(|selected| (None, selected.reply)),
        76..=89 => {
            let reading = match arguments.number {
                81 => 107,
                82 => 102,
                83 => 108,
                number @ ..=79 | number @ 88.. => number + 21,
                number => number + 19,
            };
            let selected = select::apply(map, reading, arguments, work)?;
            let rebuilt = selected.remove(map, work)?;
            Ok((rebuilt, selected.reply))
        }
        number => Err(malformed(&format!("there is no map operation {number}"))),
    }
}

/// Where a key is, and where it would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// How many keys are smaller.
    pub(super) place: usize,
    /// Whether the key is there.
    pub(super) there: bool,
    /// Where the pair begins in the body, or would.
    pub(super) start: usize,
    /// Where the value begins; the end of the pair when it is not there.
    pub(super) value: usize,
    /// Where the pair ends.
    pub(super) end: usize,
}

/// Looks for a key without decoding the map: by halves where items are found quickly, else from the front.
pub(super) fn find(
    map: &Stored<'_>,
    key: &[u8],
    work: &mut dyn Meter,
) -> Result<Found, OperationError> {
    if map.is_quick() {
        let items = map.few(work)?;
        return find_among(&items, key);
    }
    let mut at = 0;
    for place in 0..map.count {
        if place % BLOCK == 0 {
            work.steps(BLOCK.min(map.count - place) / 4)?;
        }
        let value = element::end(map.body, at).ok_or_else(element::unreadable)?;
        let there = map.body.within(at..value);
        let order = element::compare(there, key)?;
        if order.is_ge() {
            let end = if order.is_eq() {
                element::end(map.body, value).ok_or_else(element::unreadable)?
            } else {
                at
            };
            return Ok(Found {
                place,
                there: order.is_eq(),
                start: at,
                value: if order.is_eq() { value } else { at },
                end,
            });
        }
        at = element::end(map.body, value).ok_or_else(element::unreadable)?;
    }
    Ok(Found {
        place: map.count,
        there: false,
        start: at,
        value: at,
        end: at,
    })
}

/// The same among items that are found at once.
pub(super) fn find_among(items: &Items<'_>, key: &[u8]) -> Result<Found, OperationError> {
    let place = items.bound(key, false, |place| items.key(place))?;
    let start = items.start(place);
    let mut found = Found {
        place,
        there: false,
        start,
        value: start,
        end: start,
    };
    if place < items.count {
        let (own, value) = items.pair(place);
        if element::compare(own, key)?.is_eq() {
            found.there = true;
            found.value = start + own.len();
            found.end = found.value + value.len();
        }
    }
    Ok(found)
}
