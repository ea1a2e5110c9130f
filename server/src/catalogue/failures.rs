//! What could not be stored, by file name, for people who ask why a module is missing on a node.

use std::collections::BTreeMap;
use std::fmt::Display;

use parking_lot::Mutex;

/// Most names that are kept. Beyond that the first in order is dropped.
const MAX_FAILURES: usize = 1_024;

/// The last failure of each name that has not been stored since.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<BTreeMap<String, String>>);

impl Failures {
    pub(crate) fn failed(&self, name: &str, error: &dyn Display) {
        let mut failures = self.0.lock();
        failures.insert(name.to_owned(), error.to_string());
        if failures.len() > MAX_FAILURES {
            failures.pop_first();
        }
    }

    pub(crate) fn succeeded(&self, name: &str) {
        self.0.lock().remove(name);
    }

    pub(crate) fn all(&self) -> Vec<(String, String)> {
        let failures = self.0.lock();
        failures
            .iter()
            .map(|(name, error)| (name.clone(), error.clone()))
            .collect()
    }
}
