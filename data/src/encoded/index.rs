//! The index of a list or map that keeps one: the start of every item, relative to the first, in as many bytes as the
//! length of the items needs; in key-value ordered maps then also the items' places in the order of values. Clients never
//! see it. Requests cannot bring one: it is made when a value is stored. What comes from a disk or another node may, and
//! is checked ([`is_right`]).

use std::cmp::Ordering;

use protocol::bounds::Within as _;
use protocol::msgpack::order;

use super::compare::compare;
use super::end::end;
use super::head::Head;

/// Bytes of each number of the index when they go up to this.
pub(crate) fn width(largest: usize) -> usize {
    [0xff, 0xffff, 0xff_ffff]
        .iter()
        .filter(|most| largest > **most)
        .count()
        + 1
}

/// The number at this place among numbers of so many bytes.
pub(crate) fn number(index: &[u8], width: usize, place: usize) -> Option<usize> {
    let bytes = index.get(place * width..(place + 1) * width)?;
    Some(
        bytes
            .iter()
            .fold(0, |sum, byte| (sum << 8) | usize::from(*byte)),
    )
}

/// Writes a number of the index. It fits into so many bytes.
pub(crate) fn push_number(out: &mut Vec<u8>, width: usize, number: usize) {
    let bytes = number.to_be_bytes();
    out.extend_from_slice(bytes.within(bytes.len() - width..));
}

/// Whether the order of values is part of the index.
pub(crate) fn keeps_values(is_map: bool, flags: u8) -> bool {
    let all = order::KEY | order::VALUE | order::PERSIST_INDEX;
    is_map && flags & all == all
}

/// Whether the index says what is so, or there is none.
pub(crate) fn is_right(head: &Head<'_>) -> bool {
    if head.index.is_empty() {
        return true;
    }
    starts_are_right(head)
        && (!keeps_values(head.is_map, head.flags) || values_are_sorted(head) == Some(true))
}

fn starts_are_right(head: &Head<'_>) -> bool {
    let width = width(head.body.len());
    let mut at = 0;
    for place in 0..head.count {
        if number(head.index, width, place) != Some(at) {
            return false;
        }
        match head.after(at) {
            Some(end) => at = end,
            None => return false,
        }
    }
    at == head.body.len()
}

/// Whether the kept places are those of ascending values, of equal ones ascending too. Then each is there once.
fn values_are_sorted(head: &Head<'_>) -> Option<bool> {
    let starts = width(head.body.len());
    let places = head.index.get(head.count * starts..)?;
    let place_width = width(head.count);
    if places.len() != head.count * place_width {
        return Some(false);
    }
    let mut before: Option<(usize, &[u8])> = None;
    for rank in 0..head.count {
        let place = number(places, place_width, rank)?;
        if place >= head.count {
            return Some(false);
        }
        let start = end(head.body, number(head.index, starts, place)?)?;
        let value = head.body.get(start..end(head.body, start)?)?;
        if let Some((before_place, before_value)) = before {
            let sorted = match compare(before_value, value)? {
                Ordering::Less => true,
                Ordering::Equal => before_place < place,
                Ordering::Greater => false,
            };
            if !sorted {
                return Some(false);
            }
        }
        before = Some((place, value));
    }
    Some(true)
}
