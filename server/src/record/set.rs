use std::collections::BTreeMap;
use std::sync::Arc;

use data::record::Set;
use parking_lot::RwLock;

/// Most sets of a namespace. Sets are never forgotten, so the number has to be bounded.
const MAX_SETS: usize = 4095;

/// The sets of a namespace, by name. A set stays once it has been written to.
#[derive(Debug, Default)]
pub struct SetTable {
    sets: RwLock<BTreeMap<Box<str>, Arc<Set>>>,
}

impl SetTable {
    /// The set of this name, if there ever was one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Set>> {
        self.sets.read().get(name).map(Arc::clone)
    }

    /// The set of this name, made if it is new; `None` when there are too many sets.
    #[must_use]
    pub fn get_or_create(&self, name: &str) -> Option<Arc<Set>> {
        if let Some(set) = self.get(name) {
            return Some(set);
        }
        let mut sets = self.sets.write();
        if let Some(set) = sets.get(name) {
            return Some(Arc::clone(set));
        }
        if sets.len() >= MAX_SETS {
            return None;
        }
        let set = Arc::new(Set::new(name));
        sets.insert(name.into(), Arc::clone(&set));
        Some(set)
    }

    /// All sets, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Set>> {
        self.sets.read().values().map(Arc::clone).collect()
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
