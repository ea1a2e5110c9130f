//! Changes that come at the same time and are stored by one sync.

use std::sync::Arc;

use parking_lot::Mutex;

use super::module::Module;
use crate::catalogue::{Item, StoreError, Stored};

/// What became of the items of one caller, until that caller takes it.
type Outcome = Arc<Mutex<Option<Result<Vec<Stored>, StoreError>>>>;

/// One caller's part.
struct Part {
    items: Vec<Item>,
    /// Made of the items, in the same order.
    modules: Vec<Option<Arc<Module>>>,
    outcome: Outcome,
}

/// The parts that nobody stores yet.
#[derive(Default)]
pub(crate) struct Together(Mutex<Vec<Part>>);

/// A part that was handed in.
pub(crate) struct Waiting(Outcome);

impl Waiting {
    /// What became of it; none while it was not stored, and once this was answered.
    pub(crate) fn stored(&self) -> Option<Result<Vec<Stored>, StoreError>> {
        self.0.lock().take()
    }
}

impl Together {
    /// Hands in a part.
    pub(crate) fn join(&self, items: Vec<Item>, modules: Vec<Option<Arc<Module>>>) -> Waiting {
        let outcome = Outcome::default();
        self.0.lock().push(Part {
            items,
            modules,
            outcome: Arc::clone(&outcome),
        });
        Waiting(outcome)
    }

    /// Stores all parts at once; if that fails, each by itself, so that everybody hears of his own. True: something was
    /// stored.
    pub(crate) fn store_all(
        &self,
        mut store: impl FnMut(&[Item], &[Option<Arc<Module>>]) -> Result<Vec<Stored>, StoreError>,
    ) -> bool {
        let parts = std::mem::take(&mut *self.0.lock());
        let mut items = Vec::new();
        let mut modules = Vec::new();
        let mut outcomes = Vec::with_capacity(parts.len());
        for part in parts {
            outcomes.push((part.items.len(), part.outcome));
            items.extend(part.items);
            modules.extend(part.modules);
        }
        let (mut items, mut modules) = (&*items, &*modules);
        let mut all = store(items, modules).map(Vec::into_iter);
        let mut any = all.is_ok();
        let alone = outcomes.len() == 1;
        for (count, outcome) in outcomes {
            let (own_items, more_items) = items.split_at(count.min(items.len()));
            let (own_modules, more_modules) = modules.split_at(count.min(modules.len()));
            (items, modules) = (more_items, more_modules);
            let stored = match &mut all {
                Ok(stored) => Ok(stored.by_ref().take(count).collect()),
                Err(_) if !alone => store(own_items, own_modules),
                Err(_) => match std::mem::replace(&mut all, Ok(Vec::new().into_iter())) {
                    Ok(_) => Ok(Vec::new()),
                    Err(error) => Err(error),
                },
            };
            any |= stored.is_ok();
            *outcome.lock() = Some(stored);
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use super::super::kind::MODULES;
    use super::*;
    use crate::catalogue::version::Version;

    fn items(names: &[&str]) -> Vec<Item> {
        let item = |name: &&str| Item::new(&MODULES, name, Version::following(None, 1, 1), None);
        names.iter().map(item).collect()
    }

    fn outcome(waiting: &Waiting) -> Option<usize> {
        waiting.stored().unwrap().ok().map(|stored| stored.len())
    }

    #[test]
    fn what_waits_is_stored_at_once_and_everybody_hears_of_his_own() {
        let together = Together::default();
        let first = together.join(items(&["a", "b"]), vec![None; 2]);
        let second = together.join(items(&["c"]), vec![None]);
        let mut writings = Vec::new();
        assert!(together.store_all(|items, modules| {
            assert_eq!(items.len(), modules.len());
            writings.push(items.len());
            Ok(vec![Stored::Taken; items.len()])
        }));
        assert_eq!(writings, [3]);
        assert_eq!((outcome(&first), outcome(&second)), (Some(2), Some(1)));
        assert!(first.stored().is_none(), "it was told");
    }

    #[test]
    fn one_that_cannot_be_stored_keeps_no_other_from_it() {
        let together = Together::default();
        let parts = ["a", "bad", "c"].map(|name| together.join(items(&[name]), vec![None]));
        let refuse = |items: &[Item], _: &[Option<Arc<Module>>]| match items
            .iter()
            .any(|item| item.name == "bad")
        {
            true => Err(StoreError::Unsettled),
            false => Ok(vec![Stored::Taken; items.len()]),
        };
        assert!(together.store_all(refuse));
        assert_eq!(parts.each_ref().map(outcome), [Some(1), None, Some(1)]);
        let alone = together.join(items(&["bad"]), vec![None]);
        assert!(!together.store_all(refuse));
        assert_eq!(outcome(&alone), None);
    }
}
