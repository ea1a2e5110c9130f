//! Pairs by key, index, value and rank: what is answered of them, and which they are for removal.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use protocol::bounds::Within as _;

use super::super::super::arguments::Arguments;
use super::super::answer::{
    Reply, Return, What, gaps, numbers, pairs, range, range_start, relative_range, rest, reversed,
    signed, single, start_and_count, wrong_return,
};
use super::super::list::out_of_range;
use super::super::stored::{Items, Rebuilt, Stored};
use super::super::wanted::Wanted;
use super::modify::value_order;
use super::{BLOCK, find, lists, number};
use crate::operation::{OperationError, element};
use crate::work::Meter;

/// What a selection answers, and which pairs it means.
#[derive(Debug)]
pub(super) struct Selected<'a> {
    pub(super) reply: Reply<'a>,
    /// Places of the pairs, ascending.
    pub(super) chosen: Vec<Range<usize>>,
}

impl<'a> Selected<'a> {
    /// The map without what is selected; `None` when that is nothing.
    pub(super) fn remove(
        &self,
        map: &Stored<'a>,
        work: &mut dyn Meter,
    ) -> Result<Option<Rebuilt<'a>>, OperationError> {
        let removed: usize = self.chosen.iter().map(ExactSizeIterator::len).sum();
        if removed == 0 {
            return Ok(None);
        }
        let left = map.count - removed;
        if let [one] = self.chosen.as_slice()
            && one.len() == 1
        {
            let start = map.start(one.start, work)?;
            let end = start + map.item(one.start, work)?.len();
            let before = map.body.within(..start);
            let after = map.body.within(end..);
            return Ok(Some(Rebuilt::of(map, left, [before.into(), after.into()])));
        }
        let items = map.items_for(2 * self.chosen.len(), work)?;
        let mut parts = Vec::with_capacity(self.chosen.len() + 1);
        let mut from = 0;
        for range in &self.chosen {
            parts.push(Cow::Borrowed(items.range(from, range.start - from)));
            from = range.end;
        }
        parts.push(Cow::Borrowed(items.range(from, map.count - from)));
        Ok(Some(Rebuilt::of(map, left, parts)))
    }
}

/// How a selection is made, which decides the return types that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Index,
    Rank,
    KeyList,
    ValueList,
}

/// Does the reading operation with this number (97 to 110).
pub(super) fn apply<'a>(
    map: &Stored<'a>,
    operation: i64,
    arguments: &Arguments<'a>,
    work: &mut dyn Meter,
) -> Result<Selected<'a>, OperationError> {
    let ret = Return::of(arguments.integer(0)?)?;
    let by = match operation {
        97 | 98 | 103 | 104 | 109 => By::Index,
        107 => By::KeyList,
        108 => By::ValueList,
        _ => By::Rank,
    };
    let is_single = matches!(operation, 97..=100);
    check(ret, by, is_single)?;
    if operation == 97 || operation == 98 {
        return one_by_place(map, ret, operation, arguments, work);
    }
    let is_by_place = matches!(operation, 103 | 104 | 109) && !ret.what.is_rank();
    let items = if is_by_place {
        map.few(work)?
    } else if operation == 107 {
        let keys = arguments.get(1).unwrap_or_default();
        map.items_for(lists::count(keys), work)?
    } else {
        map.items(work)?
    };
    let selection = Selection {
        map,
        items,
        ret,
        work,
    };
    selection.select(operation, arguments)
}

/// Whether the selection has answers of this kind.
fn check(ret: Return, by: By, single: bool) -> Result<(), OperationError> {
    let what = ret.what;
    let wrong = match by {
        By::Index => what.is_rank_range(),
        By::Rank => what.is_index_range(),
        By::KeyList => what.is_range() || what.is_rank(),
        By::ValueList => what.is_range(),
    };
    if wrong || (single && ret.inverted) {
        return Err(wrong_return(what));
    }
    Ok(())
}

/// By key or by index: one pair, read in place.
fn one_by_place<'a>(
    map: &Stored<'a>,
    ret: Return,
    operation: i64,
    arguments: &Arguments<'a>,
    work: &mut dyn Meter,
) -> Result<Selected<'a>, OperationError> {
    let (place, pair) = if operation == 97 {
        let key = arguments.get(1).unwrap_or_default();
        let found = find(map, key, work)?;
        let pair = map.body.within(found.start..found.end);
        (found.there.then_some(found.place), pair)
    } else {
        let index = arguments.integer(1)?;
        let place = single(index, map.count).ok_or_else(|| out_of_range(index, map.count))?;
        (Some(place), map.item(place, work)?)
    };
    let rank = match place {
        Some(place) if ret.what.is_rank() => rank_of(map, place, work)?,
        _ => 0,
    };
    let reply = one(map.count, ret.what, place, rank, pair, -1);
    Ok(Selected {
        reply,
        chosen: place.map(|place| place..place + 1).into_iter().collect(),
    })
}

/// How many pairs come before this one in the order of values.
fn rank_of(map: &Stored<'_>, place: usize, work: &mut dyn Meter) -> Result<usize, OperationError> {
    let items = map.items(work)?;
    let value = items.value(place);
    let mut rank = 0;
    for other in 0..items.count {
        if other % BLOCK == 0 {
            work.steps(BLOCK.min(items.count - other))?;
        }
        let before = match element::compare(items.value(other), value)? {
            Ordering::Less => true,
            Ordering::Equal => other < place,
            Ordering::Greater => false,
        };
        rank += usize::from(before);
    }
    Ok(rank)
}

/// What is answered of one pair, or of none; then `missing` is the start of a range.
fn one<'a>(
    count: usize,
    what: What,
    place: Option<usize>,
    rank: usize,
    pair: &'a [u8],
    missing: i64,
) -> Reply<'a> {
    let found = usize::from(place.is_some());
    let at = place.unwrap_or(0);
    let or_none = |number: usize| Reply::Integer(place.map_or(-1, |_| signed(number)));
    let start = |number: usize| place.map_or(missing, |_| signed(number));
    let from_end = |number: usize| count.saturating_sub(number + 1);
    let end = element::end(pair, 0).unwrap_or(pair.len());
    let (key, value) = pair.split_at_checked(end).unwrap_or((pair, &[]));
    match what {
        What::Nothing => Reply::Nil,
        What::Index => or_none(at),
        What::ReverseIndex => or_none(from_end(at)),
        What::Rank => or_none(rank),
        What::ReverseRank => or_none(from_end(rank)),
        What::Count => Reply::number(found),
        What::Key if found > 0 => Reply::Element(key),
        What::Value if found > 0 => Reply::Element(value),
        What::Key | What::Value => Reply::Nil,
        What::IndexRange => start_and_count(start(at), found),
        What::ReverseIndexRange => start_and_count(start(from_end(at)), found),
        What::RankRange => start_and_count(start(rank), found),
        What::ReverseRankRange => start_and_count(start(from_end(rank)), found),
        What::Exists => Reply::Bool(found > 0),
        What::KeyValue | What::UnorderedMap | What::OrderedMap => {
            let flags = match what {
                What::KeyValue => protocol::msgpack::order::PRESERVE,
                What::OrderedMap => protocol::msgpack::order::KEY,
                _ => 0,
            };
            let mut out = Vec::with_capacity(pair.len() + 5);
            super::super::stored::write_head(&mut out, true, found, flags);
            out.extend_from_slice(pair);
            Reply::Owned(out)
        }
    }
}

pub(super) struct Selection<'s, 'a> {
    pub(super) map: &'s Stored<'a>,
    pub(super) items: Items<'a>,
    pub(super) ret: Return,
    pub(super) work: &'s mut dyn Meter,
}

impl<'a> Selection<'_, 'a> {
    fn select(
        mut self,
        operation: i64,
        arguments: &Arguments<'a>,
    ) -> Result<Selected<'a>, OperationError> {
        let count = self.items.count;
        match operation {
            99 => {
                let value = arguments.get(1).unwrap_or_default();
                let (smaller, places) = self.find(Wanted::Equal(value))?;
                let place = places.first().map(|place| *place as usize);
                let pair = place.map_or(&[][..], |place| self.items.get(place));
                let missing = if count == 0 { -1 } else { signed(smaller) };
                let reply = one(count, self.ret.what, place, smaller, pair, missing);
                Ok(Selected {
                    reply,
                    chosen: place.map(|place| place..place + 1).into_iter().collect(),
                })
            }
            100 => {
                let rank = arguments.integer(1)?;
                let rank = single(rank, count).ok_or_else(|| out_of_range(rank, count))?;
                let order = value_order(self.map, &self.items, self.work)?;
                let place = order.get(rank).map_or(0, |place| *place as usize);
                let pair = self.items.get(place);
                Ok(Selected {
                    reply: one(count, self.ret.what, Some(place), rank, pair, -1),
                    chosen: std::iter::once(place..place + 1).collect(),
                })
            }
            102 | 105 => {
                let begin = arguments.get(1).unwrap_or_default();
                let end = arguments.get(2);
                let one_value = operation == 102;
                let wanted = match one_value {
                    true => Wanted::Equal(begin),
                    false => Wanted::Interval(begin, end),
                };
                let (smaller, places) = self.find(wanted)?;
                self.value_range(smaller..smaller + places.len(), places)
            }
            103 => {
                let begin = arguments.get(1).unwrap_or_default();
                let start = self.bound(begin)?;
                let end = match arguments.get(2) {
                    Some(end) => self.bound(end)?,
                    None => count,
                };
                self.key_interval(start..end.max(start))
            }
            104 => {
                let range = range(arguments.integer(1)?, number(arguments, 2)?, count);
                self.index_range(range)
            }
            106 => {
                let range = range(arguments.integer(1)?, number(arguments, 2)?, count);
                self.rank_range(range)
            }
            107 => lists::by_keys(self, arguments.get(1).unwrap_or_default()),
            108 => lists::by_values(self, arguments.get(1).unwrap_or_default()),
            109 => {
                let place = self.bound(arguments.get(1).unwrap_or_default())?;
                let first = arguments.integer(2)?;
                let number = number(arguments, 3)?;
                self.index_range(relative_range(place, first, number, count))
            }
            _ => {
                let value = arguments.get(1).unwrap_or_default();
                let (smaller, _) = self.find(Wanted::Equal(value))?;
                let first = arguments.integer(2)?;
                let number = number(arguments, 3)?;
                self.rank_range(relative_range(smaller, first, number, count))
            }
        }
    }

    /// How many keys are smaller.
    fn bound(&self, key: &[u8]) -> Result<usize, OperationError> {
        let items = &self.items;
        items.bound(key, false, |place| items.key(place))
    }

    /// How many values stand before what is wanted, and the places of those that are wanted.
    fn find(&mut self, wanted: Wanted<'_>) -> Result<(usize, Vec<u32>), OperationError> {
        let items = &self.items;
        wanted.find(items.count, |place| items.value(place), self.work)
    }

    /// For every place the rank.
    pub(super) fn ranks(&mut self) -> Result<Vec<usize>, OperationError> {
        let order = value_order(self.map, &self.items, self.work)?;
        let mut ranks = vec![0; order.len()];
        for (rank, place) in order.into_iter().enumerate() {
            if let Some(slot) = ranks.get_mut(place as usize) {
                *slot = rank;
            }
        }
        Ok(ranks)
    }

    /// Whether the map is ordered, or keeps an index although it is not.
    fn is_indexed(&self) -> bool {
        self.map.is_ordered() || self.map.flags & protocol::msgpack::order::PERSIST_INDEX != 0
    }

    fn key_interval(self, range: Range<usize>) -> Result<Selected<'a>, OperationError> {
        let unordered = !self.is_indexed();
        if unordered
            && range.is_empty()
            && self.ret.what == What::ReverseIndexRange
            && !self.ret.inverted
        {
            return Ok(Selected {
                reply: start_and_count(signed(self.items.count - range.start), 0),
                chosen: Vec::new(),
            });
        }
        if unordered && self.ret.inverted {
            if self.ret.what.is_range() {
                return Err(wrong_return(self.ret.what));
            }
            if self.ret.what == What::Exists {
                let chosen = rest(&range, self.items.count);
                return Ok(Selected {
                    reply: Reply::Bool(range.is_empty()),
                    chosen,
                });
            }
        }
        self.index_range(range)
    }

    /// A range of places.
    pub(super) fn index_range(
        mut self,
        mut range: Range<usize>,
    ) -> Result<Selected<'a>, OperationError> {
        let count = self.items.count;
        let mut ranges = vec![range.clone()];
        let mut inside = false;
        if self.ret.inverted {
            ranges = rest(&range, count);
            match ranges.as_slice() {
                // What is left is one range, which is answered as such.
                [one] => range = one.clone(),
                [] => range = count..count,
                _ => inside = true,
            }
        }
        let total: usize = ranges.iter().map(ExactSizeIterator::len).sum();
        let places: Vec<usize> = ranges.iter().cloned().flatten().collect();
        let reply = match self.ret.what {
            What::Nothing => Reply::Nil,
            What::Index => numbers(places.into_iter()),
            What::ReverseIndex => numbers(reversed(&ranges, count).into_iter()),
            What::Rank | What::ReverseRank if total == count => numbers(places.into_iter()),
            What::Rank | What::ReverseRank => {
                let ranks = if total == 0 {
                    Vec::new()
                } else {
                    self.ranks()?
                };
                let reverse = self.ret.what == What::ReverseRank;
                let ranks: Vec<usize> = places
                    .into_iter()
                    .filter_map(|place| ranks.get(place).copied())
                    .map(|rank| if reverse { count - 1 - rank } else { rank })
                    .collect();
                numbers(ranks.into_iter())
            }
            What::Count => Reply::number(total),
            what if what.is_range() && inside => return Err(wrong_return(what)),
            what if what.is_range() => start_and_count(range_start(what, &range, count), total),
            What::Exists if inside && !self.is_indexed() => Reply::Bool(false),
            What::Exists => Reply::Bool(total > 0),
            what => pairs(&self.items, places.into_iter(), what).unwrap_or(Reply::Nil),
        };
        Ok(Selected {
            reply,
            chosen: ranges,
        })
    }

    /// A range of ranks.
    fn rank_range(self, mut range: Range<usize>) -> Result<Selected<'a>, OperationError> {
        let count = self.items.count;
        let mut inside = false;
        if self.ret.inverted {
            match rest(&range, count).as_slice() {
                [one] => range = one.clone(),
                [] => range = count..count,
                _ => inside = true,
            }
        }
        if inside && self.ret.what.is_range() {
            return Err(wrong_return(self.ret.what));
        }
        let order = if range.is_empty() {
            Vec::new()
        } else {
            value_order(self.map, &self.items, self.work)?
        };
        let at = |rank: usize| order.get(rank).map_or(0, |place| *place as usize);
        let mut places: Vec<usize> = range.clone().map(at).collect();
        if inside {
            // Of the two parts around the range, in the order of keys.
            places.sort_unstable();
            let chosen = gaps(places.into_iter(), count);
            let ranges = rest(&range, count);
            let reply = self.others(&chosen, &ranges, range.is_empty());
            return Ok(Selected { reply, chosen });
        }
        let reply = match self.ret.what {
            What::Nothing => Reply::Nil,
            What::Index => numbers(places.clone().into_iter()),
            What::ReverseIndex => {
                numbers(places.clone().into_iter().map(|place| count - 1 - place))
            }
            What::Rank => numbers(range.clone().collect::<Vec<_>>().into_iter()),
            What::ReverseRank => numbers(reversed(std::slice::from_ref(&range), count).into_iter()),
            What::Count => Reply::number(range.len()),
            what if what.is_range() => {
                start_and_count(range_start(what, &range, count), range.len())
            }
            What::Exists => Reply::Bool(!range.is_empty()),
            What::OrderedMap => {
                let mut sorted = places.clone();
                sorted.sort_unstable();
                pairs(&self.items, sorted.into_iter(), What::OrderedMap).unwrap_or(Reply::Nil)
            }
            what => pairs(&self.items, places.clone().into_iter(), what).unwrap_or(Reply::Nil),
        };
        places.sort_unstable();
        Ok(Selected {
            reply,
            chosen: places.into_iter().map(|place| place..place + 1).collect(),
        })
    }

    /// The pairs at these places (ascending), whose ranks are a range.
    fn value_range(
        mut self,
        ranks: Range<usize>,
        places: Vec<u32>,
    ) -> Result<Selected<'a>, OperationError> {
        let count = self.items.count;
        let as_range = !self.map.keeps_value_order() || self.ret.what.is_range();
        if self.ret.inverted && places.is_empty() && as_range {
            // Everything, as a range.
            self.ret.inverted = false;
            return self.index_range(0..count);
        }
        if self.ret.inverted {
            if self.ret.what.is_range() {
                return Err(wrong_return(self.ret.what));
            }
            let chosen = gaps(places.iter().map(|place| *place as usize), count);
            let reply = self.others(&chosen, &rest(&ranks, count), ranks.is_empty());
            return Ok(Selected { reply, chosen });
        }
        let by_key: Vec<usize> = places.iter().map(|place| *place as usize).collect();
        let mut shown = by_key.clone();
        if self.map.keeps_value_order() && !by_key.is_empty() {
            let ranks = self.ranks()?;
            shown.sort_by_key(|place| ranks.get(*place).copied());
        }
        let reply = match self.ret.what {
            What::Nothing => Reply::Nil,
            What::Index => numbers(shown.into_iter()),
            What::ReverseIndex => numbers(shown.into_iter().map(|place| count - 1 - place)),
            What::Rank => numbers(ranks.clone().collect::<Vec<_>>().into_iter()),
            What::ReverseRank => numbers(reversed(std::slice::from_ref(&ranks), count).into_iter()),
            What::Count => Reply::number(by_key.len()),
            what if what.is_range() && count == 0 => start_and_count(-1, 0),
            what if what.is_range() => {
                start_and_count(range_start(what, &ranks, count), by_key.len())
            }
            What::Exists => Reply::Bool(!by_key.is_empty()),
            What::OrderedMap => pairs(&self.items, by_key.clone().into_iter(), What::OrderedMap)
                .unwrap_or(Reply::Nil),
            what => pairs(&self.items, shown.into_iter(), what).unwrap_or(Reply::Nil),
        };
        Ok(Selected {
            reply,
            chosen: by_key.into_iter().map(|place| place..place + 1).collect(),
        })
    }

    /// What is answered of everything but a range of ranks: `chosen` are the places, `ranks` the ranks.
    fn others(
        &self,
        chosen: &[Range<usize>],
        ranks: &[Range<usize>],
        was_empty: bool,
    ) -> Reply<'static> {
        let count = self.items.count;
        let places: Vec<usize> = chosen.iter().cloned().flatten().collect();
        match self.ret.what {
            What::Nothing => Reply::Nil,
            What::Index => numbers(places.into_iter()),
            What::ReverseIndex => numbers(places.into_iter().map(|place| count - 1 - place)),
            What::Rank => numbers(
                ranks
                    .iter()
                    .cloned()
                    .flatten()
                    .collect::<Vec<_>>()
                    .into_iter(),
            ),
            What::ReverseRank => numbers(reversed(ranks, count).into_iter()),
            What::Count => Reply::number(places.len()),
            // The reference says whether the range itself is empty.
            What::Exists => Reply::Bool(was_empty),
            what => pairs(&self.items, places.into_iter(), what).unwrap_or(Reply::Nil),
        }
    }
}
