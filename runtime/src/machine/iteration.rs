//! Where an iteration over a list or a map stands.

use std::ops::Bound;
use std::rc::Rc;

use protocol::bounds::Fit as _;

use super::value::{Key, List, Map, Value};

/// Where an iteration stands.
pub(crate) enum Iteration {
    List {
        list: Rc<List>,
        next: usize,
    },
    Map {
        map: Rc<Map>,
        /// The last key that was given, and how many were: as long as the map keeps its size both lead to the same
        /// entry, and the way from the key is the shorter one.
        last: Option<Key>,
        given: usize,
        size: usize,
        give: Give,
    },
}

/// What a map iteration gives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Give {
    Pairs,
    Keys,
    Values,
}

impl Iteration {
    pub(crate) fn over_list(list: &Rc<List>) -> Self {
        Self::List {
            list: Rc::clone(list),
            next: 0,
        }
    }

    pub(crate) fn over_map(map: &Rc<Map>, give: Give) -> Self {
        Self::Map {
            map: Rc::clone(map),
            last: None,
            given: 0,
            size: map.len(),
            give,
        }
    }

    pub(crate) fn has_next(&self) -> bool {
        match self {
            Self::List { list, next } => *next < list.len(),
            Self::Map { map, given, .. } => *given < map.len(),
        }
    }

    /// How long the way to the next entry is.
    pub(crate) fn steps(&self) -> usize {
        match self {
            Self::Map {
                map, given, size, ..
            } if *size != map.len() => *given,
            _ => 1,
        }
    }

    pub(crate) fn advance(&mut self) -> Option<(Key, Value)> {
        match self {
            Self::List { list, next } => {
                let value = list.get(*next)?;
                *next += 1;
                Some((Key::Integer((*next).fit::<i64>()), value))
            }
            Self::Map {
                map,
                last,
                given,
                size,
                ..
            } => {
                let found = if *size == map.len() {
                    following(map, last.as_ref())
                } else {
                    *size = map.len();
                    at(map, *given)
                }?;
                *last = Some(found.0.clone());
                *given += 1;
                Some(found)
            }
        }
    }
}

fn following(map: &Map, last: Option<&Key>) -> Option<(Key, Value)> {
    let from = last.map_or(Bound::Unbounded, Bound::Excluded);
    let entries = map.entries.borrow();
    entries
        .range((from, Bound::Unbounded))
        .next()
        .map(|(key, value)| (key.clone(), value.clone()))
}

/// The entry at a position.
fn at(map: &Map, position: usize) -> Option<(Key, Value)> {
    let entries = map.entries.borrow();
    let (key, value) = entries.iter().nth(position)?;
    Some((key.clone(), value.clone()))
}
