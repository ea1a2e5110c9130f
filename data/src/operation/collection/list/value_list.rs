//! Selection of the elements that are equal to one of a list of values.

use protocol::msgpack::{Reader, Token};

use super::super::answer::{Reply, What, gaps, numbers, reversed, values};
use super::super::sort;
use super::select::{Chosen, Selected, Selection};
use crate::operation::arguments::malformed;
use crate::operation::{OperationError, element};
use crate::work::Meter;

/// Most values to look up at once.
const MAX_VALUES: usize = 1_048_576;

/// How many values are looked up between two counts of the work.
const BLOCK: usize = 64;

/// The values of a list to look up.
pub(in super::super) fn split<'a>(
    list: &'a [u8],
    work: &mut dyn Meter,
) -> Result<Vec<&'a [u8]>, OperationError> {
    let mut reader = Reader::new(list);
    let Ok(Token::List(count)) = reader.token() else {
        return Err(malformed("the values to look up are no list"));
    };
    let (_, count) = reader
        .list_order(count)
        .map_err(|_| element::unreadable())?;
    if count > MAX_VALUES {
        return Err(malformed("too many values to look up"));
    }
    let mut values = Vec::with_capacity(count);
    for place in 0..count {
        if place % BLOCK == 0 {
            work.steps(BLOCK.min(count - place))?;
        }
        values.push(reader.value().map_err(|_| element::unreadable())?);
    }
    Ok(values)
}

pub(super) fn select<'a>(
    mut selection: Selection<'_, 'a>,
    list: &'a [u8],
) -> Result<Selected<'a>, OperationError> {
    let wanted = split(list, selection.work)?;
    if wanted.is_empty() && selection.ret.inverted {
        // Everything, as a range.
        selection.ret.inverted = false;
        let all = 0..selection.items.count;
        return selection.index_range(all);
    }
    let Selection {
        list: stored,
        items,
        ret,
        work,
        ..
    } = selection;
    let count = items.count;
    let ordered = stored.is_ordered();
    // In an unordered list: for every rank the place.
    let order = if ordered || wanted.is_empty() {
        Vec::new()
    } else {
        sort::element_order(&items, work)?
    };
    let place_of = |rank: usize| {
        if ordered {
            rank
        } else {
            order.get(rank).map_or(rank, |place| *place as usize)
        }
    };
    let mut found = Vec::with_capacity(wanted.len());
    for (number, value) in wanted.iter().enumerate() {
        if number % BLOCK == 0 {
            work.steps(BLOCK.min(wanted.len()) * 8)?;
        }
        work.bytes(value.len())?;
        let at = |rank: usize| items.get(place_of(rank));
        let start = items.bound(value, false, at)?;
        let end = items.bound(value, true, at)?;
        if end > start {
            found.push(start..end);
        }
    }
    if !ordered {
        // What is asked twice counts once, at its last place.
        let mut seen = std::collections::HashSet::with_capacity(found.len());
        let mut last: Vec<_> = found
            .into_iter()
            .rev()
            .filter(|range| seen.insert((range.start, range.end)))
            .collect();
        last.reverse();
        found = last;
    }
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
    if !ordered {
        places.sort_unstable();
    }
    let others = gaps(places.iter().map(|place| *place as usize), count);
    let chosen_places: Vec<u32> = if ret.inverted {
        others.iter().cloned().flatten().map(sort::place).collect()
    } else {
        places
    };
    let at = || {
        chosen_places
            .iter()
            .map(|place| *place as usize)
            .collect::<Vec<_>>()
    };
    let in_request_order = ordered && !ret.inverted;
    let reply = match ret.what {
        What::Index if in_request_order => numbers(
            found
                .iter()
                .cloned()
                .flatten()
                .collect::<Vec<_>>()
                .into_iter(),
        ),
        What::ReverseIndex if in_request_order => numbers(reversed(&found, count).into_iter()),
        What::Index => numbers(at().into_iter()),
        What::Rank if ordered && ret.inverted => numbers(at().into_iter()),
        What::ReverseRank if ordered && ret.inverted => {
            numbers(at().into_iter().map(|place| count - 1 - place))
        }
        What::ReverseIndex => numbers(at().into_iter().map(|place| count - 1 - place)),
        What::Rank if ret.inverted => {
            let ranks = gaps(taken_ranks(), count);
            numbers(ranks.into_iter().flatten().collect::<Vec<_>>().into_iter())
        }
        What::ReverseRank if ret.inverted => {
            numbers(reversed(&gaps(taken_ranks(), count), count).into_iter())
        }
        What::Rank => numbers(
            found
                .iter()
                .cloned()
                .flatten()
                .collect::<Vec<_>>()
                .into_iter(),
        ),
        What::ReverseRank if ordered => numbers(reversed(&found, count).into_iter()),
        What::ReverseRank => numbers(
            found
                .iter()
                .cloned()
                .flatten()
                .map(|rank| count - 1 - rank)
                .collect::<Vec<_>>()
                .into_iter(),
        ),
        What::Count => Reply::number(chosen_places.len()),
        What::Value if in_request_order => values(
            found
                .iter()
                .cloned()
                .flatten()
                .map(|place| items.get(place))
                .collect::<Vec<_>>()
                .into_iter(),
        ),
        What::Value => values(
            at().into_iter()
                .map(|place| items.get(place))
                .collect::<Vec<_>>()
                .into_iter(),
        ),
        What::Exists => Reply::Bool(!chosen_places.is_empty()),
        _ => Reply::Nil,
    };
    Ok(Selected {
        reply,
        chosen: Chosen::Places(chosen_places),
        items,
    })
}
