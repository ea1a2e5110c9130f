//! Elements by index, value and rank: what is answered of them, and which they are for removal.

use std::borrow::Cow;
use std::ops::Range;

use super::super::super::arguments::Arguments;
use super::super::answer::{
    Reply, Return, What, numbers, range, range_start, relative_range, rest, reversed, signed,
    single, start_and_count, values, wrong_return,
};
use super::super::sort;
use super::super::stored::{Items, Rebuilt, Stored};
use super::super::wanted::Wanted;
use super::{number, out_of_range, rebuilt, value_list};
use crate::operation::{OperationError, element};
use crate::work::Meter;

/// Which elements are meant.
#[derive(Clone, Debug)]
pub(super) enum Chosen {
    /// Those in these ranges of places.
    Ranges(Vec<Range<usize>>),
    /// Those at these places, ascending.
    Places(Vec<u32>),
}

/// What a selection answers, and which elements it means.
#[derive(Debug)]
pub(super) struct Selected<'a> {
    pub(super) reply: Reply<'a>,
    pub(super) chosen: Chosen,
    pub(super) items: Items<'a>,
}

impl<'a> Selected<'a> {
    /// The list without what is selected; `None` when that is nothing.
    pub(super) fn remove(
        &self,
        list: &Stored<'a>,
        work: &mut dyn Meter,
    ) -> Result<Option<Rebuilt<'a>>, OperationError> {
        let count = self.items.count;
        let kept = match &self.chosen {
            Chosen::Ranges(ranges) => {
                let mut kept = Vec::with_capacity(ranges.len() + 1);
                let mut from = 0;
                for range in ranges {
                    kept.push(from..range.start);
                    from = range.end;
                }
                kept.push(from..count);
                kept
            }
            Chosen::Places(places) => {
                super::super::answer::gaps(places.iter().map(|place| *place as usize), count)
            }
        };
        let left = kept.iter().map(ExactSizeIterator::len).sum::<usize>();
        if left == count {
            return Ok(None);
        }
        work.steps(kept.len() / 4)?;
        let parts = kept
            .into_iter()
            .map(|range| Cow::Borrowed(self.items.range(range.start, range.len())));
        Ok(rebuilt(list, left, parts))
    }
}

/// How a selection is made, which decides the return types that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Index,
    Value,
    Rank,
    ValueList,
}

/// Does the reading operation with this number (19 to 27).
pub(super) fn apply<'a>(
    list: &Stored<'a>,
    number: i64,
    arguments: &Arguments<'a>,
    work: &mut dyn Meter,
) -> Result<Selected<'a>, OperationError> {
    let ret = Return::of(arguments.integer(0)?)?;
    let by = match number {
        19 | 24 => By::Index,
        21 | 26 | 27 => By::Rank,
        23 => By::ValueList,
        _ => By::Value,
    };
    let is_single = matches!(number, 19..=21);
    let empty_only = wrong_range(ret, by, list.is_ordered());
    if empty_only && (is_single || by == By::Value) {
        return Err(wrong_return(ret.what));
    }
    check(ret, by, is_single)?;
    let is_by_place = list.is_ordered() || (by == By::Index && !ret.what.is_rank());
    let items = if is_by_place && number != 23 {
        list.few(work)?
    } else {
        list.items(work)?
    };
    let selection = Selection {
        list,
        items,
        ret,
        empty_only,
        work,
    };
    selection.select(number, arguments)
}

/// Whether this is asked for the range of indexes of what is selected by rank or value, or the reverse, which an unordered
/// list has only where nothing is selected.
fn wrong_range(ret: Return, by: By, ordered: bool) -> bool {
    !ordered
        && match by {
            By::Index => ret.what.is_rank_range(),
            By::Value | By::Rank => ret.what.is_index_range(),
            By::ValueList => false,
        }
}

/// Whether the selection has answers of this kind.
fn check(ret: Return, by: By, single: bool) -> Result<(), OperationError> {
    let what = ret.what;
    let wrong = what.is_of_maps()
        || (by == By::ValueList && what.is_range())
        || (ret.inverted && (single || what.is_range()));
    if wrong {
        return Err(wrong_return(what));
    }
    Ok(())
}

pub(super) struct Selection<'s, 'a> {
    pub(super) list: &'s Stored<'a>,
    pub(super) items: Items<'a>,
    pub(super) ret: Return,
    /// The return type is one that only an empty selection has.
    empty_only: bool,
    pub(super) work: &'s mut dyn Meter,
}

impl<'a> Selection<'_, 'a> {
    fn select(
        mut self,
        operation: i64,
        arguments: &Arguments<'a>,
    ) -> Result<Selected<'a>, OperationError> {
        let count = self.items.count;
        let ordered = self.list.is_ordered();
        match operation {
            19 | 21 => {
                let index = arguments.integer(1)?;
                let place = single(index, count).ok_or_else(|| out_of_range(index, count))?;
                if operation == 19 || ordered {
                    return self.one_by_place(place);
                }
                let ranked = sort::rank_range(&self.items, place, 1, self.work)?;
                let at = ranked.places.first().map_or(0, |place| *place as usize);
                self.one(Some(at), place)
            }
            20 => {
                let value = arguments.get(1).unwrap_or_default();
                let (smaller, equal) = if ordered {
                    let smaller = self.bound(value, false)?;
                    let equal = (self.bound(value, true)? > smaller).then_some(smaller);
                    (smaller, equal)
                } else {
                    let (smaller, places) = self.find(Wanted::Equal(value))?;
                    (smaller, places.first().map(|place| *place as usize))
                };
                // An ordered list says 0 where it has no such value.
                let rank = if ordered && equal.is_none() {
                    0
                } else {
                    smaller
                };
                self.one(equal, rank)
            }
            22 | 25 => {
                let begin = arguments.get(1).unwrap_or_default();
                let end = arguments.get(2);
                let one_value = operation == 22;
                if ordered {
                    let start = self.bound(begin, false)?;
                    let end = match end {
                        _ if one_value => self.bound(begin, true)?,
                        Some(end) => self.bound(end, false)?,
                        None => count,
                    };
                    return self.index_range(start..end.max(start));
                }
                let wanted = match one_value {
                    true => Wanted::Equal(begin),
                    false => Wanted::Interval(begin, end),
                };
                let (start, places) = self.find(wanted)?;
                let count = places.len();
                self.ranked(start..start + count, places.clone(), places)
            }
            23 => value_list::select(self, arguments.get(1).unwrap_or_default()),
            24 => {
                let range = range(arguments.integer(1)?, number(arguments, 2)?, count);
                self.index_range(range)
            }
            26 => {
                let range = range(arguments.integer(1)?, number(arguments, 2)?, count);
                self.rank_range(range)
            }
            _ => {
                let value = arguments.get(1).unwrap_or_default();
                let smaller = if ordered {
                    self.bound(value, false)?
                } else {
                    self.find(Wanted::Equal(value))?.0
                };
                let first = arguments.integer(2)?;
                self.rank_range(relative_range(smaller, first, number(arguments, 3)?, count))
            }
        }
    }

    /// In an ordered list: how many elements are smaller, or smaller and equal.
    pub(super) fn bound(&self, value: &[u8], or_equal: bool) -> Result<usize, OperationError> {
        let items = &self.items;
        items.bound(value, or_equal, |place| items.get(place))
    }

    /// How many elements stand before what is wanted, and the places of those that are wanted.
    fn find(&mut self, wanted: Wanted<'_>) -> Result<(usize, Vec<u32>), OperationError> {
        let items = &self.items;
        wanted.find(items.count, |place| items.get(place), self.work)
    }

    /// One element that was asked for by its place.
    fn one_by_place(mut self, place: usize) -> Result<Selected<'a>, OperationError> {
        let rank = if self.ret.what.is_rank() && !self.list.is_ordered() {
            let value = self.items.get(place);
            self.find(Wanted::Equal(value))?.0
        } else {
            place
        };
        self.one(Some(place), rank)
    }

    /// One element with its place and rank, or none, and the rank that it would have.
    fn one(self, place: Option<usize>, rank: usize) -> Result<Selected<'a>, OperationError> {
        let count = self.items.count;
        let found = usize::from(place.is_some());
        let or_none = |number: usize| Reply::Integer(place.map_or(-1, |_| signed(number)));
        let from_end = |number: usize| match place {
            Some(_) => signed(count) - signed(number) - 1,
            None => signed(number),
        };
        let at = place.unwrap_or(0);
        let reply = match self.ret.what {
            What::Index => or_none(at),
            What::ReverseIndex => or_none(count.saturating_sub(at + 1)),
            What::Rank => or_none(rank),
            What::ReverseRank => or_none(count.saturating_sub(rank + 1)),
            What::Count => Reply::number(found),
            What::Value => place.map_or(Reply::Nil, |place| Reply::Element(self.items.get(place))),
            What::IndexRange => start_and_count(
                signed(if self.list.is_ordered() { rank } else { at }),
                found,
            ),
            What::ReverseIndexRange => start_and_count(
                from_end(if self.list.is_ordered() { rank } else { at }),
                found,
            ),
            What::RankRange => start_and_count(signed(rank), found),
            What::ReverseRankRange => start_and_count(from_end(rank), found),
            What::Exists => Reply::Bool(place.is_some()),
            _ => Reply::Nil,
        };
        let chosen = Chosen::Ranges(place.map(|place| place..place + 1).into_iter().collect());
        Ok(Selected {
            reply,
            chosen,
            items: self.items,
        })
    }

    /// A range of ranks.
    fn rank_range(self, range: Range<usize>) -> Result<Selected<'a>, OperationError> {
        if self.list.is_ordered() {
            return self.index_range(range);
        }
        if range.is_empty() {
            return self.ranked(range, Vec::new(), Vec::new());
        }
        if self.empty_only {
            return Err(wrong_return(self.ret.what));
        }
        let ranked = sort::rank_range(&self.items, range.start, range.len(), self.work)?;
        self.ranked(range, ranked.places, ranked.sequence)
    }

    /// A range of indexes; in an ordered list also one of ranks or values.
    pub(super) fn index_range(self, range: Range<usize>) -> Result<Selected<'a>, OperationError> {
        if self.empty_only && !range.is_empty() {
            return Err(wrong_return(self.ret.what));
        }
        let count = self.items.count;
        let ranges = if self.ret.inverted {
            rest(&range, count)
        } else {
            vec![range.clone()]
        };
        let total: usize = ranges.iter().map(ExactSizeIterator::len).sum();
        let ordered = self.list.is_ordered();
        let places = || ranges.iter().cloned().flatten().collect::<Vec<_>>();
        let reply = match self.ret.what {
            What::Index => numbers(places().into_iter()),
            What::Rank if ordered || total == count => numbers(places().into_iter()),
            What::ReverseIndex => numbers(reversed(&ranges, count).into_iter()),
            What::ReverseRank if ordered || total == count => {
                numbers(reversed(&ranges, count).into_iter())
            }
            What::Rank | What::ReverseRank => {
                let ranks = ranks(&self.items, self.work)?;
                let reverse = self.ret.what == What::ReverseRank;
                let ranks: Vec<usize> = places()
                    .into_iter()
                    .filter_map(|place| ranks.get(place).map(|rank| *rank as usize))
                    .map(|rank| if reverse { count - 1 - rank } else { rank })
                    .collect();
                numbers(ranks.into_iter())
            }
            What::Count => Reply::number(total),
            What::Value => {
                let mut out = Vec::new();
                protocol::msgpack::write_list_header(&mut out, total);
                for range in &ranges {
                    out.extend_from_slice(self.items.range(range.start, range.len()));
                }
                Reply::Owned(out)
            }
            what if what.is_range() => start_and_count(range_start(what, &range, count), total),
            What::Exists => Reply::Bool(total > 0),
            _ => Reply::Nil,
        };
        Ok(Selected {
            reply,
            chosen: Chosen::Ranges(ranges),
            items: self.items,
        })
    }

    /// A range of ranks in an unordered list, whose elements are at `places` (ascending); `sequence` is that of the values.
    fn ranked(
        self,
        ranks: Range<usize>,
        places: Vec<u32>,
        sequence: Vec<u32>,
    ) -> Result<Selected<'a>, OperationError> {
        let count = self.items.count;
        let (ranges, places, chosen, sequence) = if self.ret.inverted {
            let gaps =
                super::super::answer::gaps(places.iter().map(|place| *place as usize), count);
            let others: Vec<u32> = gaps.into_iter().flatten().map(sort::place).collect();
            let chosen = Chosen::Places(others.clone());
            let around = vec![0..ranks.start, ranks.end..count];
            (around, others.clone(), chosen, others)
        } else {
            (
                vec![ranks.clone()],
                places.clone(),
                Chosen::Places(places),
                sequence,
            )
        };
        let at = |places: &[u32]| {
            places
                .iter()
                .map(|place| *place as usize)
                .collect::<Vec<_>>()
        };
        let reply = match self.ret.what {
            What::Index => numbers(at(&places).into_iter()),
            What::ReverseIndex => numbers(at(&places).into_iter().map(|place| count - 1 - place)),
            What::Rank => numbers(
                ranges
                    .iter()
                    .cloned()
                    .flatten()
                    .collect::<Vec<_>>()
                    .into_iter(),
            ),
            What::ReverseRank => numbers(reversed(&ranges, count).into_iter()),
            What::Count => Reply::number(places.len()),
            What::Value => values(
                at(&sequence)
                    .into_iter()
                    .map(|place| self.items.get(place))
                    .collect::<Vec<_>>()
                    .into_iter(),
            ),
            what if what.is_range() => {
                start_and_count(range_start(what, &ranks, count), places.len())
            }
            // Inverted, the reference says whether the range itself is empty.
            What::Exists => Reply::Bool(ranks.is_empty() == self.ret.inverted),
            _ => Reply::Nil,
        };
        Ok(Selected {
            reply,
            chosen,
            items: self.items,
        })
    }
}

/// The rank of every element: how many are smaller.
pub(super) fn ranks(items: &Items<'_>, work: &mut dyn Meter) -> Result<Vec<u32>, OperationError> {
    let order = sort::element_order(items, work)?;
    let mut ranks = vec![0; items.count];
    let mut previous: Option<(u32, u32)> = None;
    for (rank, place) in order.into_iter().enumerate() {
        let rank = match previous {
            Some((before, rank))
                if element::compare(items.get(before as usize), items.get(place as usize))?
                    .is_eq() =>
            {
                rank
            }
            _ => sort::place(rank),
        };
        if let Some(slot) = ranks.get_mut(place as usize) {
            *slot = rank;
        }
        previous = Some((place, rank));
    }
    Ok(ranks)
}
