//! Selection of pairs by a list of keys, or by a list of values.

use std::ops::Range;

use super::super::answer::{Reply, What, gaps, numbers, pairs, reversed};
use super::super::list::split_values;
use super::super::sort;
use super::modify::value_order;
use super::select::{Selected, Selection};
use crate::encoded::Head;
use crate::operation::{OperationError, element};

/// How many values are looked up between two counts of the work.
const BLOCK: usize = 16;

/// Leaves out all but the last of those that are the same.
fn last_of_each<T: Clone + Eq + std::hash::Hash>(found: Vec<T>) -> Vec<T> {
    let mut seen = std::collections::HashSet::with_capacity(found.len());
    let mut last: Vec<T> = found
        .into_iter()
        .rev()
        .filter(|entry| seen.insert(entry.clone()))
        .collect();
    last.reverse();
    last
}

fn one_by_one(places: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    places.map(|place| place..place + 1).collect()
}

/// How many values the list says that it has.
pub(super) fn count(values: &[u8]) -> usize {
    Head::read(values).map_or(0, |head| head.count)
}

pub(super) fn by_keys<'a>(
    selection: Selection<'_, 'a>,
    keys: &'a [u8],
) -> Result<Selected<'a>, OperationError> {
    let Selection {
        map,
        items,
        ret,
        work,
    } = selection;
    let count = items.count;
    let mut found = Vec::new();
    for (number, key) in split_values(keys, work)?.into_iter().enumerate() {
        if number % BLOCK == 0 {
            work.steps(BLOCK * 8)?;
        }
        work.bytes(key.len())?;
        let start = items.bound(key, false, |place| items.key(place))?;
        if element::is_wildcard(key) || element::has_special(key) {
            let end = items.bound(key, true, |place| items.key(place))?;
            found.extend(start..end);
        } else if start < count && element::compare(items.key(start), key)?.is_eq() {
            found.push(start);
        }
    }
    if !map.is_ordered() {
        found = last_of_each(found);
    }
    let mut places = found.clone();
    places.sort_unstable();
    places.dedup();
    let others = gaps(places.iter().copied(), count);
    let chosen = if ret.inverted {
        others.clone()
    } else {
        one_by_one(places.iter().copied())
    };
    let shown: Vec<usize> = chosen.iter().cloned().flatten().collect();
    let reply = match ret.what {
        What::Nothing => Reply::Nil,
        What::Index if !ret.inverted => numbers(found.into_iter()),
        What::ReverseIndex if !ret.inverted => {
            numbers(found.into_iter().map(|place| count - 1 - place))
        }
        What::Index => numbers(shown.into_iter()),
        What::ReverseIndex => numbers(reversed(&others, count).into_iter()),
        What::Count => Reply::number(shown.len()),
        What::Exists => Reply::Bool(!shown.is_empty()),
        what => pairs(&items, shown.into_iter(), what).unwrap_or(Reply::Nil),
    };
    Ok(Selected { reply, chosen })
}

pub(super) fn by_values<'a>(
    mut selection: Selection<'_, 'a>,
    values: &'a [u8],
) -> Result<Selected<'a>, OperationError> {
    let wanted = split_values(values, selection.work)?;
    if wanted.is_empty() && selection.ret.inverted {
        // Everything, as a range.
        selection.ret.inverted = false;
        let all = 0..selection.items.count;
        return selection.index_range(all);
    }
    let Selection {
        map,
        items,
        ret,
        work,
    } = selection;
    let count = items.count;
    let order = if wanted.is_empty() {
        Vec::new()
    } else {
        value_order(map, &items, work)?
    };
    let place_of = |rank: usize| order.get(rank).map_or(rank, |place| *place as usize);
    let mut found = Vec::new();
    for (number, value) in wanted.into_iter().enumerate() {
        if number % BLOCK == 0 {
            work.steps(BLOCK * 8)?;
        }
        work.bytes(value.len())?;
        let at = |rank: usize| items.value(place_of(rank));
        let start = items.bound(value, false, at)?;
        let end = items.bound(value, true, at)?;
        if end > start {
            found.push(start..end);
        }
    }
    let found = last_of_each(found);
    let mut taken = vec![false; count];
    for range in &found {
        work.steps(range.len() / 8)?;
        if let Some(taken) = taken.get_mut(range.clone()) {
            taken.fill(true);
        }
    }
    let taken_ranks = || (0..count).filter(|rank| taken.get(*rank) == Some(&true));
    let mut places: Vec<u32> = taken_ranks()
        .map(|rank| sort::place(place_of(rank)))
        .collect();
    places.sort_unstable();
    let places = || places.iter().map(|place| *place as usize);
    let other_ranks = gaps(taken_ranks(), count);
    let chosen = if ret.inverted {
        gaps(places(), count)
    } else {
        one_by_one(places())
    };
    let shown: Vec<usize> = chosen.iter().cloned().flatten().collect();
    let found_ranks = || found.iter().cloned().flatten().collect::<Vec<_>>();
    let by_request = map.keeps_value_order() && !ret.inverted;
    let reply = match ret.what {
        What::Nothing => Reply::Nil,
        What::Index if by_request => numbers(
            found_ranks()
                .into_iter()
                .map(place_of)
                .collect::<Vec<_>>()
                .into_iter(),
        ),
        What::ReverseIndex if by_request => numbers(
            found_ranks()
                .into_iter()
                .map(|rank| count - 1 - place_of(rank))
                .collect::<Vec<_>>()
                .into_iter(),
        ),
        What::Index => numbers(shown.into_iter()),
        What::ReverseIndex => numbers(shown.into_iter().map(|place| count - 1 - place)),
        What::Rank if ret.inverted => numbers(
            other_ranks
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .into_iter(),
        ),
        What::ReverseRank if ret.inverted => numbers(reversed(&other_ranks, count).into_iter()),
        What::Rank => numbers(found_ranks().into_iter()),
        What::ReverseRank => numbers(found_ranks().into_iter().map(|rank| count - 1 - rank)),
        What::Count => Reply::number(shown.len()),
        What::Exists => Reply::Bool(!shown.is_empty()),
        what => pairs(&items, shown.into_iter(), what).unwrap_or(Reply::Nil),
    };
    Ok(Selected { reply, chosen })
}
