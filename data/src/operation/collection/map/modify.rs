//! Operations that change a map.

use std::borrow::Cow;

use protocol::bounds::Within as _;
use protocol::msgpack::order;
use protocol::result_code::ResultCode;

use super::super::super::arguments::{Arguments, malformed};
use super::super::answer::{Reply, inapplicable};
use super::super::sort;
use super::super::stored::{Rebuilt, Stored};
use super::super::{Done, number_of};
use super::{Found, find, find_among};
use crate::operation::{OperationError, element};
use crate::work::Meter;

/// Write flags.
#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    /// Keys that are there are an error.
    no_overwrite: bool,
    /// Keys that are not there are an error.
    no_create: bool,
    no_fail: bool,
    partial: bool,
}

impl Flags {
    fn of(number: u64) -> Self {
        Self {
            no_overwrite: number & 1 != 0,
            no_create: number & 2 != 0,
            no_fail: number & 4 != 0,
            partial: number & 12 == 12,
        }
    }

    /// The error of a key that is there, or not.
    fn conflict(self, there: bool) -> Option<OperationError> {
        if there && self.no_overwrite {
            return Some(OperationError::new(
                ResultCode::ELEMENT_EXISTS,
                "the key is in the map already",
            ));
        }
        (!there && self.no_create).then(|| {
            OperationError::new(ResultCode::ELEMENT_NOT_FOUND, "the key is not in the map")
        })
    }
}

pub(super) fn apply<'a>(
    map: &Stored<'a>,
    arguments: &Arguments<'a>,
    work: &mut dyn Meter,
) -> Result<Done<'a>, OperationError> {
    let flags = |place| -> Result<Flags, OperationError> {
        Ok(match arguments.number {
            65 | 66 => Flags::of(1),
            69 | 70 => Flags::of(2),
            _ => Flags::of(arguments.optional_unsigned(place)?.unwrap_or(0)),
        })
    };
    match arguments.number {
        64 => set_type(map, arguments.integer(0)?.cast_unsigned(), work),
        65 | 67 | 69 => {
            let key = key(arguments.get(0).unwrap_or_default())?;
            let value = element::stored(arguments.get(1).unwrap_or_default())?;
            put(map, key, value, flags(3)?, work)
        }
        66 | 68 | 70 => put_items(map, arguments.get(0).unwrap_or_default(), flags(2)?, work),
        73 | 74 => increment(map, arguments, work),
        _ => Ok((Some(Rebuilt::of(map, 0, [])), Reply::Nil)),
    }
}

/// A key in its stored form.
fn key(value: &[u8]) -> Result<Cow<'_, [u8]>, OperationError> {
    if !element::is_key(value) {
        return Err(malformed("a map key is neither integer, string nor blob"));
    }
    element::stored(value)
}

/// The flags of a map's order, as a request has them.
pub(in super::super) fn order_flags(flags: u64) -> Option<u8> {
    let flags = (flags & 0xff) as u8;
    (flags & !(order::KEY | order::VALUE | order::PERSIST_INDEX) == 0).then_some(flags)
}

fn set_type<'a>(
    map: &Stored<'a>,
    flags: u64,
    _work: &mut dyn Meter,
) -> Result<Done<'a>, OperationError> {
    let flags = order_flags(flags)
        .ok_or_else(|| inapplicable(format!("a map has no order flags {flags:#x}")))?;
    if flags == map.flags && map.count > 0 {
        return Ok((None, Reply::Nil));
    }
    // Every map is stored sorted by key.
    let changed = Rebuilt {
        flags,
        ..Rebuilt::of(map, map.count, [Cow::Borrowed(map.body)])
    };
    Ok((Some(changed), Reply::Nil))
}

/// The map with this pair in its place.
pub(in super::super) fn pair_inserted<'a>(
    map: &Stored<'a>,
    found: &Found,
    key: Cow<'a, [u8]>,
    value: Cow<'a, [u8]>,
) -> Rebuilt<'a> {
    let before = map.body.within(..found.start);
    let after = map.body.within(found.end..);
    Rebuilt::of(
        map,
        map.count + usize::from(!found.there),
        [before.into(), key, value, after.into()],
    )
}

/// Nothing changes, without failure. A map that is not there yet is made all the same.
fn unchanged<'a>(map: &Stored<'a>) -> Done<'a> {
    let made = (map.count == 0).then(|| Rebuilt::of(map, 0, []));
    (made, Reply::number(map.count))
}

fn put<'a>(
    map: &Stored<'a>,
    key: Cow<'a, [u8]>,
    value: Cow<'a, [u8]>,
    flags: Flags,
    work: &mut dyn Meter,
) -> Result<Done<'a>, OperationError> {
    let found = find(map, &key, work)?;
    if let Some(error) = flags.conflict(found.there) {
        return if flags.no_fail {
            Ok(unchanged(map))
        } else {
            Err(error)
        };
    }
    let changed = pair_inserted(map, &found, key, value);
    let count = changed.count;
    Ok((Some(changed), Reply::number(count)))
}

fn put_items<'a>(
    map: &Stored<'a>,
    pairs: &'a [u8],
    flags: Flags,
    work: &mut dyn Meter,
) -> Result<Done<'a>, OperationError> {
    work.bytes(pairs.len())?;
    // Sorted and checked like a whole map, whatever order it says that it has.
    let normal = element::normal_map(pairs)?;
    let new = Stored::read(&normal).ok_or_else(|| malformed("the pairs are no map"))?;
    if new.count == 0 {
        return Ok(unchanged(map));
    }
    // On an empty map the reference stores all, whatever it was to leave out.
    let all = map.count == 0 && flags.no_create && flags.partial;
    let items = map.items_for(new.count, work)?;
    let new_items = new.items(work)?;
    let mut parts: Vec<Cow<'a, [u8]>> = Vec::with_capacity(2 * new.count + 1);
    let (mut from, mut added, mut applied) = (0, 0, 0);
    for place in 0..new.count {
        if place % 16 == 0 {
            work.steps(128)?;
        }
        let (key, _) = new_items.pair(place);
        let found = find_among(&items, key)?;
        if let Some(error) = flags.conflict(found.there).filter(|_| !all) {
            if !flags.no_fail {
                return Err(error);
            }
            if !flags.partial {
                return Ok(unchanged(map));
            }
            continue;
        }
        parts.push(Cow::Borrowed(map.body.within(from..found.start)));
        parts.push(Cow::Owned(new_items.get(place).to_vec()));
        from = found.end;
        added += usize::from(!found.there);
        applied += 1;
    }
    if applied == 0 {
        return Ok(unchanged(map));
    }
    parts.push(Cow::Borrowed(map.body.within(from..)));
    let count = map.count + added;
    Ok((Some(Rebuilt::of(map, count, parts)), Reply::number(count)))
}

fn increment<'a>(
    map: &Stored<'a>,
    arguments: &Arguments<'a>,
    work: &mut dyn Meter,
) -> Result<Done<'a>, OperationError> {
    let key = key(arguments.get(0).unwrap_or_default())?;
    let found = find(map, &key, work)?;
    let old = found.there.then(|| map.body.within(found.value..found.end));
    let value = number_of(old, arguments.get(1), arguments.number == 74)?.encode();
    let reply = Reply::Owned(value.clone());
    let changed = pair_inserted(map, &found, key, value.into());
    Ok((Some(changed), reply))
}

/// For every rank the place of the pair.
pub(in super::super) fn value_order(
    map: &Stored<'_>,
    items: &super::super::stored::Items<'_>,
    work: &mut dyn Meter,
) -> Result<Vec<u32>, OperationError> {
    match map.kept_value_order() {
        Some(order) => Ok(order),
        None => sort::value_order(items, work),
    }
}
