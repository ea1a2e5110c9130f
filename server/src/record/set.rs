use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use data::record::Set;
use parking_lot::Mutex;

/// Most sets of a namespace. Sets are never forgotten, so the number has to be bounded.
const MAX_SETS: usize = 4095;

/// The sets of a namespace, by name. A set stays once it has been written to.
///
/// Every write looks into this, so those who do take no lock: making a set puts a new table into the place of the old one.
#[derive(Debug, Default)]
pub struct SetTable {
    sets: ArcSwap<BTreeMap<Arc<str>, Arc<Set>>>,
    /// Held while a set is made.
    making: Mutex<()>,
}

impl SetTable {
    /// Does something with the set of this name, if there ever was one.
    pub fn with<T>(&self, name: &str, use_set: impl FnOnce(&Set) -> T) -> Option<T> {
        self.sets.load().get(name).map(|set| use_set(set))
    }

    /// The set of this name, if there ever was one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Set>> {
        self.sets.load().get(name).map(Arc::clone)
    }

    /// The set of this name, made if it is new; `None` when there are too many sets.
    #[must_use]
    pub fn get_or_create(&self, name: &str) -> Option<Arc<Set>> {
        if let Some(set) = self.get(name) {
            return Some(set);
        }
        let _making = self.making.lock();
        let known = self.sets.load_full();
        if let Some(set) = known.get(name) {
            return Some(Arc::clone(set));
        }
        if known.len() >= MAX_SETS {
            return None;
        }
        let set = Arc::new(Set::new(name));
        let mut sets = (*known).clone();
        sets.insert(set.shared_name(), Arc::clone(&set));
        self.sets.store(Arc::new(sets));
        Some(set)
    }

    /// All sets, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Set>> {
        self.sets.load().values().map(Arc::clone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_made_once_and_their_number_is_bounded() {
        let table = SetTable::default();
        let first = table.get_or_create("demo").unwrap();
        assert!(Arc::ptr_eq(&first, &table.get_or_create("demo").unwrap()));
        assert!(table.get("other").is_none());
        for index in 1..MAX_SETS {
            assert!(table.get_or_create(&format!("s{index}")).is_some());
        }
        assert!(table.get_or_create("one too many").is_none());
        assert!(table.get_or_create("demo").is_some());
    }
}
