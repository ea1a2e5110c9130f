//! Operations that change a list.

use std::borrow::Cow;

use protocol::bounds::Within as _;
use protocol::msgpack::order;

use super::super::super::arguments::Arguments;
use super::super::answer::{Reply, block, inapplicable, range, single};
use super::super::sort;
use super::super::stored::{Items, ORDERED, Rebuilt, Stored};
use super::super::{Done, number_of};
use super::unique::{Flags, additions, contains, exists};
use super::{number, out_of_range, rebuilt, value_list};
use crate::operation::{OperationError, element};
use crate::work::Meter;

/// Sort: from the greatest to the smallest.
const DESCENDING: u64 = 1;
/// Sort: one of those that are equal.
const DROP_DUPLICATES: u64 = 2;

/// Largest index at which is inserted.
const MAX_INDEX: i64 = i32::MAX as i64;

const NIL: &[u8] = element::NIL;

pub(super) fn apply<'a>(
    list: &Stored<'a>,
    arguments: &Arguments<'a>,
    work: &mut dyn Meter,
) -> Result<Done<'a>, OperationError> {
    let flags_at = |place| -> Result<Flags, OperationError> {
        Ok(Flags(arguments.optional_unsigned(place)?.unwrap_or(0)))
    };
    let count = list.count;
    match arguments.number {
        0 => set_type(list, arguments.integer(0)?.cast_unsigned(), work),
        1 => {
            let value = element::stored(arguments.get(0).unwrap_or_default())?;
            append(list, value, flags_at(2)?, work)
        }
        2 => {
            let values = items_to_store(arguments, 0, work)?;
            append_items(list, values, flags_at(2)?, work)
        }
        3 => {
            let values = vec![element::stored(arguments.get(1).unwrap_or_default())?];
            insert(
                list,
                arguments.integer(0)?,
                values,
                flags_at(2)?,
                true,
                work,
            )
        }
        4 => {
            let values = items_to_store(arguments, 1, work)?;
            insert(
                list,
                arguments.integer(0)?,
                values,
                flags_at(2)?,
                false,
                work,
            )
        }
        5 | 7 => {
            let index = arguments.integer(0)?;
            let place = single(index, count).ok_or_else(|| out_of_range(index, count))?;
            let start = list.start(place, work)?;
            let item = list.item(place, work)?;
            let (before, after) = split(list.body, start, start + item.len());
            let changed = rebuilt(list, count - 1, [before.into(), after.into()]);
            let reply = match arguments.number {
                5 => Reply::Element(item),
                _ => Reply::Integer(1),
            };
            Ok((changed, reply))
        }
        6 | 8 | 10 => {
            let range = range(arguments.integer(0)?, number(arguments, 1)?, count);
            let items = list.few(work)?;
            let inside = items.range(range.start, range.len());
            if arguments.number == 10 {
                let removed = count - range.len();
                let changed = rebuilt(list, range.len(), [inside.into()]).filter(|_| removed > 0);
                return Ok((changed, Reply::number(removed)));
            }
            let before = items.range(0, range.start);
            let after = items.range(range.end, count - range.end);
            let left = count - range.len();
            let changed =
                rebuilt(list, left, [before.into(), after.into()]).filter(|_| !range.is_empty());
            let reply = match arguments.number {
                6 => block(inside, range.len()),
                _ => Reply::number(range.len()),
            };
            Ok((changed, reply))
        }
        9 => {
            let value = element::stored(arguments.get(1).unwrap_or_default())?;
            let changed = set(list, arguments.integer(0)?, value, flags_at(2)?, work)?;
            Ok((changed, Reply::Nil))
        }
        11 => Ok((rebuilt(list, 0, []), Reply::Nil)),
        12 => increment(list, arguments, flags_at(3)?, work),
        _ => {
            let flags = arguments.optional_unsigned(0)?.unwrap_or(0);
            sorted(list, flags, work).map(|changed| (changed, Reply::Nil))
        }
    }
}

/// The bytes before `start` and from `end` on.
fn split(body: &[u8], start: usize, end: usize) -> (&[u8], &[u8]) {
    (body.within(..start), body.within(end..))
}

/// The elements of a list to store, in their stored form.
fn items_to_store<'a>(
    arguments: &Arguments<'a>,
    place: usize,
    work: &mut dyn Meter,
) -> Result<Vec<Cow<'a, [u8]>>, OperationError> {
    let list = arguments.get(place).unwrap_or_default();
    work.bytes(list.len())?;
    value_list::split(list, work)?
        .into_iter()
        .map(element::stored)
        .collect()
}

/// The flags of a list that is ordered or not, as a request has them.
pub(in super::super) fn order_flags(flags: u64) -> Option<u8> {
    let flags = (flags & 0xff) as u8;
    (flags & !(ORDERED | order::PERSIST_INDEX) == 0).then_some(flags)
}

fn set_type<'a>(
    list: &Stored<'a>,
    flags: u64,
    work: &mut dyn Meter,
) -> Result<Done<'a>, OperationError> {
    let flags = order_flags(flags)
        .ok_or_else(|| inapplicable(format!("a list has no order flags {flags:#x}")))?;
    if flags == list.flags && list.count > 0 {
        return Ok((None, Reply::Nil));
    }
    let parts = if flags & ORDERED != 0 && !list.is_ordered() {
        let items = list.items(work)?;
        in_order(&items, &sort::element_order(&items, work)?)
    } else {
        vec![Cow::Borrowed(list.body)]
    };
    let changed = Rebuilt {
        flags,
        ..Rebuilt::of(list, list.count, parts)
    };
    Ok((Some(changed), Reply::Nil))
}

/// The elements at these places.
fn in_order<'a>(items: &Items<'a>, places: &[u32]) -> Vec<Cow<'a, [u8]>> {
    places
        .iter()
        .map(|place| Cow::Borrowed(items.get(*place as usize)))
        .collect()
}

/// The list with one more element, in its place by order.
fn inserted_in_order<'a>(
    list: &Stored<'a>,
    items: &Items<'a>,
    value: Cow<'a, [u8]>,
) -> Result<Option<Rebuilt<'a>>, OperationError> {
    let place = items.bound(&value, true, |place| items.get(place))?;
    let (before, after) = split(items.body, items.start(place), items.start(place));
    Ok(rebuilt(
        list,
        list.count + 1,
        [before.into(), value, after.into()],
    ))
}

fn append<'a>(
    list: &Stored<'a>,
    value: Cow<'a, [u8]>,
    flags: Flags,
    work: &mut dyn Meter,
) -> Result<Done<'a>, OperationError> {
    let ordered = list.is_ordered();
    let added = Reply::number(list.count + 1);
    if !ordered && !flags.unique() {
        let changed = rebuilt(list, list.count + 1, [list.body.into(), value]);
        return Ok((changed, added));
    }
    let items = list.few(work)?;
    if flags.unique() && contains(&items, ordered, &value, None, work)? {
        return unless_no_fail(list, flags, Reply::number(list.count), exists);
    }
    let changed = if ordered {
        inserted_in_order(list, &items, value)?
    } else {
        rebuilt(list, list.count + 1, [list.body.into(), value])
    };
    Ok((changed, added))
}

/// Nothing changes, if the operation may not fail. A list that is not there yet is made all the same.
fn unless_no_fail<'a>(
    list: &Stored<'a>,
    flags: Flags,
    reply: Reply<'a>,
    error: impl FnOnce() -> OperationError,
) -> Result<Done<'a>, OperationError> {
    if !flags.no_fail() {
        return Err(error());
    }
    let made = (list.count == 0).then(|| Rebuilt::of(list, 0, []));
    Ok((made, reply))
}

fn append_items<'a>(
    list: &Stored<'a>,
    values: Vec<Cow<'a, [u8]>>,
    flags: Flags,
    work: &mut dyn Meter,
) -> Result<Done<'a>, OperationError> {
    let ordered = list.is_ordered();
    if !ordered && !flags.unique() {
        let count = list.count + values.len();
        let parts = [Cow::Borrowed(list.body)].into_iter().chain(values);
        return Ok((rebuilt(list, count, parts), Reply::number(count)));
    }
    let items = if ordered {
        list.items_for(2 * values.len(), work)?
    } else {
        list.items(work)?
    };
    let values = if ordered {
        sorted_values(values, work)?
    } else {
        values
    };
    let Some(values) = additions(&items, ordered, values, flags, work)? else {
        let made = (list.count == 0).then(|| Rebuilt::of(list, 0, []));
        return Ok((made, Reply::number(list.count)));
    };
    let count = list.count + values.len();
    let parts = if ordered {
        merged(&items, values, work)?
    } else {
        [Cow::Borrowed(list.body)]
            .into_iter()
            .chain(values)
            .collect()
    };
    Ok((rebuilt(list, count, parts), Reply::number(count)))
}

fn sorted_values<'a>(
    values: Vec<Cow<'a, [u8]>>,
    work: &mut dyn Meter,
) -> Result<Vec<Cow<'a, [u8]>>, OperationError> {
    let size = values.iter().map(|value| value.len()).sum();
    let get = |place: u32| values.get(place as usize).map_or(&[][..], |value| value);
    let mut order = sort::places(values.len());
    sort::sort(&mut order, size, work, |a, b| {
        element::compare(get(a), get(b))
    })?;
    Ok(order
        .into_iter()
        .filter_map(|place| values.get(place as usize).cloned())
        .collect())
}

/// Sorted values merged into the elements of an ordered list.
fn merged<'a>(
    items: &Items<'a>,
    values: Vec<Cow<'a, [u8]>>,
    work: &mut dyn Meter,
) -> Result<Vec<Cow<'a, [u8]>>, OperationError> {
    let mut parts = Vec::with_capacity(2 * values.len() + 1);
    let mut from = 0;
    for value in values {
        work.steps(8)?;
        let place = items
            .bound(&value, true, |place| items.get(place))?
            .max(from);
        parts.push(Cow::Borrowed(items.range(from, place - from)));
        parts.push(value);
        from = place;
    }
    parts.push(Cow::Borrowed(items.range(from, items.count - from)));
    Ok(parts)
}

/// Where an element is put: in the list, at its end, or so many nils behind that.
#[derive(Clone, Copy, Debug)]
struct Target {
    place: usize,
    nils: usize,
}

/// The place of an index at which is inserted or set; `None`: beyond a bound, which is no failure.
fn target(
    list: &Stored<'_>,
    index: i64,
    flags: Flags,
    size: usize,
    work: &mut dyn Meter,
) -> Result<Option<Target>, OperationError> {
    let count = list.count;
    if index > MAX_INDEX {
        return Err(out_of_range(index, count));
    }
    let place = match usize::try_from(index) {
        Ok(place) => place,
        Err(_) => single(index, count).ok_or_else(|| out_of_range(index, count))?,
    };
    let nils = place.saturating_sub(count);
    if nils > 0 && flags.bounded() {
        return if flags.no_fail() {
            Ok(None)
        } else {
            Err(out_of_range(index, count))
        };
    }
    // Before memory is taken for them.
    if nils > super::super::MAX_NILS {
        return Err(OperationError::new(
            protocol::result_code::ResultCode::RECORD_TOO_BIG,
            format!("index {index} of a list of {count} elements, for {size} bytes"),
        ));
    }
    work.bytes(nils)?;
    Ok(Some(Target {
        place: place.min(count),
        nils,
    }))
}

fn refused_ordered(list: &Stored<'_>) -> Result<(), OperationError> {
    if list.is_ordered() {
        return Err(inapplicable("an ordered list has no places to choose"));
    }
    Ok(())
}

fn insert<'a>(
    list: &Stored<'a>,
    index: i64,
    values: Vec<Cow<'a, [u8]>>,
    flags: Flags,
    one: bool,
    work: &mut dyn Meter,
) -> Result<Done<'a>, OperationError> {
    refused_ordered(list)?;
    let unchanged = |list: &Stored<'a>| {
        let made = (list.count == 0).then(|| Rebuilt::of(list, 0, []));
        Ok((made, Reply::number(list.count)))
    };
    let size = values.iter().map(|value| value.len()).sum();
    let Some(target) = target(list, index, flags, size, work)? else {
        return unchanged(list);
    };
    if values.is_empty() {
        return unchanged(list);
    }
    let values = if flags.unique() {
        let items = list.items(work)?;
        if let (true, [value]) = (one, values.as_slice()) {
            if contains(&items, false, value, None, work)? {
                return unless_no_fail(list, flags, Reply::number(list.count), exists);
            }
            values
        } else {
            match additions(&items, false, values, flags, work)? {
                Some(values) => values,
                None => return unchanged(list),
            }
        }
    } else {
        values
    };
    let start = list.start(target.place, work)?;
    let (before, after) = split(list.body, start, start);
    let count = list.count + target.nils + values.len();
    let nils = Cow::Owned(NIL.repeat(target.nils));
    let parts = [Cow::Borrowed(before), nils]
        .into_iter()
        .chain(values)
        .chain([Cow::Borrowed(after)]);
    Ok((rebuilt(list, count, parts), Reply::number(count)))
}

/// The list with the value at the index.
fn set<'a>(
    list: &Stored<'a>,
    index: i64,
    value: Cow<'a, [u8]>,
    flags: Flags,
    work: &mut dyn Meter,
) -> Result<Option<Rebuilt<'a>>, OperationError> {
    refused_ordered(list)?;
    let unchanged = |list: &Stored<'a>| Ok((list.count == 0).then(|| Rebuilt::of(list, 0, [])));
    let Some(target) = target(list, index, flags, value.len(), work)? else {
        return unchanged(list);
    };
    let inside = target.place < list.count;
    if flags.unique() {
        let items = list.items(work)?;
        let except = inside.then_some(target.place);
        if contains(&items, false, &value, except, work)? {
            return if flags.no_fail() {
                unchanged(list)
            } else {
                Err(exists())
            };
        }
    }
    let start = list.start(target.place, work)?;
    let end = if inside {
        start + list.item(target.place, work)?.len()
    } else {
        start
    };
    let (before, after) = split(list.body, start, end);
    let count = list.count + target.nils + usize::from(!inside);
    let nils = Cow::Owned(NIL.repeat(target.nils));
    Ok(rebuilt(
        list,
        count,
        [before.into(), nils, value, after.into()],
    ))
}

fn increment<'a>(
    list: &Stored<'a>,
    arguments: &Arguments<'a>,
    flags: Flags,
    work: &mut dyn Meter,
) -> Result<Done<'a>, OperationError> {
    let index = arguments.integer(0)?;
    let delta = arguments.get(1);
    let count = list.count;
    let place = if index < 0 {
        Some(single(index, count).ok_or_else(|| out_of_range(index, count))?)
    } else {
        single(index, count)
    };
    let old = match place {
        Some(place) => Some(list.item(place, work)?),
        None => None,
    };
    let value: Cow<'a, [u8]> = Cow::Owned(number_of(old, delta, false)?.encode());
    let reply = Reply::Owned(value.to_vec());
    if !list.is_ordered() {
        return Ok((set(list, index, value, flags, work)?, reply));
    }
    // Replaced and sorted anew.
    if place.is_none() && index > super::super::answer::signed(count) {
        return if flags.bounded() && flags.no_fail() {
            Ok((None, reply))
        } else {
            Err(out_of_range(index, count))
        };
    }
    let items = list.few(work)?;
    if flags.unique() && contains(&items, true, &value, place, work)? {
        return if flags.no_fail() {
            Ok((None, reply))
        } else {
            Err(exists())
        };
    }
    let Some(place) = place else {
        return Ok((inserted_in_order(list, &items, value)?, reply));
    };
    Ok((Some(moved(list, &items, place, value)?), reply))
}

/// An ordered list in which the element at `place` is replaced.
pub(in super::super) fn moved<'a>(
    list: &Stored<'a>,
    items: &Items<'a>,
    place: usize,
    value: Cow<'a, [u8]>,
) -> Result<Rebuilt<'a>, OperationError> {
    // Between the others: how many of those before and behind it are not greater.
    let at = items.bound(&value, true, |other| items.get(other))?;
    let parts = if at > place + 1 {
        [
            items.range(0, place).into(),
            items.range(place + 1, at - place - 1).into(),
            value,
            items.range(at, items.count - at).into(),
        ]
    } else {
        let at = at.min(place);
        [
            items.range(0, at).into(),
            value,
            items.range(at, place - at).into(),
            items.range(place + 1, items.count - place - 1).into(),
        ]
    };
    Ok(Rebuilt::of(list, list.count, parts))
}

/// The list sorted; `None` when nothing changes.
fn sorted<'a>(
    list: &Stored<'a>,
    flags: u64,
    work: &mut dyn Meter,
) -> Result<Option<Rebuilt<'a>>, OperationError> {
    if list.count < 2 {
        return Ok(None);
    }
    let drop_duplicates = flags & DROP_DUPLICATES != 0;
    if list.is_ordered() && !drop_duplicates {
        return Ok(None);
    }
    let items = list.items(work)?;
    let mut order = sort::element_order(&items, work)?;
    let get = |place: u32| items.get(place as usize);
    if drop_duplicates {
        let mut kept: Vec<u32> = Vec::with_capacity(order.len());
        for place in order {
            match kept.last() {
                Some(last) if element::compare(get(*last), get(place))?.is_eq() => {}
                _ => kept.push(place),
            }
        }
        order = kept;
    }
    if flags & DESCENDING != 0 && !list.is_ordered() {
        order.reverse();
    }
    Ok(rebuilt(list, order.len(), in_order(&items, &order)))
}
