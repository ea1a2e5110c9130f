use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use data::record::Set;
use parking_lot::Mutex;

/// Most sets of a namespace. Sets are never forgotten, so the number has to be bounded.
const MAX_SETS: usize = CHUNKS * CHUNK - 1;

/// Sets that get their memory at once.
const CHUNK: usize = 64;
const CHUNKS: usize = 64;

/// The sets of a namespace, by name. A set stays once it has been written to.
///
/// Every write looks into this, so those who do take no lock and count no reference: making a set puts a new table of names
/// into the place of the old one, and sets stay where they are.
#[derive(Debug)]
pub struct SetTable {
    names: ArcSwap<BTreeMap<Arc<str>, usize>>,
    sets: [OnceLock<Box<[OnceLock<Set>; CHUNK]>>; CHUNKS],
    /// Held while a set is made.
    making: Mutex<()>,
}

impl Default for SetTable {
    fn default() -> Self {
        Self {
            names: ArcSwap::default(),
            sets: [const { OnceLock::new() }; CHUNKS],
            making: Mutex::default(),
        }
    }
}

impl SetTable {
    /// The set of this name, if there ever was one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Set> {
        let place = *self.names.load().get(name)?;
        self.place(place)?.get()
    }

    /// Where the set of this number is, or will be.
    fn place(&self, number: usize) -> Option<&OnceLock<Set>> {
        let chunk = self.sets.get(number / CHUNK)?;
        let chunk = chunk.get_or_init(|| Box::new([const { OnceLock::new() }; CHUNK]));
        chunk.get(number % CHUNK)
    }

    /// The set of this name, made if it is new; `None` when there are too many sets.
    #[must_use]
    pub fn get_or_create(&self, name: &str) -> Option<&Set> {
        if let Some(set) = self.get(name) {
            return Some(set);
        }
        let _making = self.making.lock();
        if let Some(set) = self.get(name) {
            return Some(set);
        }
        let known = self.names.load();
        let number = known.len();
        if number >= MAX_SETS {
            return None;
        }
        let set = self.place(number)?.get_or_init(|| Set::new(name));
        let mut names = BTreeMap::clone(&known);
        names.insert(set.shared_name(), number);
        self.names.store(Arc::new(names));
        Some(set)
    }

    /// All sets, by name.
    #[must_use]
    pub fn all(&self) -> Vec<&Set> {
        let names = self.names.load();
        let sets = names.values().filter_map(|place| self.place(*place)?.get());
        sets.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_made_once_and_their_number_is_bounded() {
        let table = SetTable::default();
        let first = table.get_or_create("demo").unwrap();
        assert!(std::ptr::eq(first, table.get_or_create("demo").unwrap()));
        assert!(table.get("other").is_none());
        for index in 1..MAX_SETS {
            assert!(table.get_or_create(&format!("s{index}")).is_some());
        }
        assert!(table.get_or_create("one too many").is_none());
        assert!(table.get_or_create("demo").is_some());
    }
}
