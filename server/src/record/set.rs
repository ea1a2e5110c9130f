use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

/// Most sets of a namespace. Sets are never forgotten, so the number has to be bounded.
const MAX_SETS: usize = 4095;

/// Number and size of stored records.
#[derive(Debug, Default)]
pub struct Usage {
    objects: AtomicU64,
    bytes: AtomicU64,
}

impl Usage {
    /// Records stored now, expired ones that the sweep has not reached yet included.
    #[must_use]
    pub fn objects(&self) -> u64 {
        self.objects.load(Ordering::Relaxed)
    }

    /// Bytes of those records, see [`super::Record::size`].
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn grow(&self, size: u64) {
        self.objects.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(size, Ordering::Relaxed);
    }

    pub(super) fn shrink(&self, size: u64) {
        self.objects.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(size, Ordering::Relaxed);
    }

    pub(super) fn resize(&self, from: u64, to: u64) {
        // Wrapping addition of the difference: the sum is never below 0.
        self.bytes
            .fetch_add(to.wrapping_sub(from), Ordering::Relaxed);
    }
}

/// A set: a name that records of a namespace share, with what is counted about them.
#[derive(Debug)]
pub struct Set {
    name: Arc<str>,
    usage: Usage,
    truncate_lut_ms: AtomicU64,
}

impl Set {
    /// A set without records. Sets of a namespace come from its [`SetTable`]; others are of use in tests only.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            usage: Usage::default(),
            truncate_lut_ms: AtomicU64::new(0),
        }
    }

    /// Name, 1 to 63 bytes.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name, to be kept.
    #[must_use]
    pub fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// Records in the set.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Records last written before this are gone, in milliseconds since 2010-01-01 UTC; 0 is none.
    #[must_use]
    pub fn truncate_lut_ms(&self) -> u64 {
        self.truncate_lut_ms.load(Ordering::Acquire)
    }

    pub(super) fn raise_truncate_lut(&self, lut_ms: u64) {
        self.truncate_lut_ms.fetch_max(lut_ms, Ordering::AcqRel);
    }
}

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
