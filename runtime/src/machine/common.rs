//! The memory of all scripts together: contexts that wait, and calls under way.
//!
//! A state takes its part in large steps, so that an allocation rarely touches what all share. Who wants more than there is
//! gets what a state gets that has reached its own limit: garbage is collected, and if that does not help the call ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Steps in which states take their part, bytes.
const STEP_BYTES: usize = 256 * 1024;

/// What all states of a process, or of a test, may hold together.
#[derive(Debug)]
pub struct ScriptMemory {
    limit: usize,
    held: AtomicUsize,
    refused: AtomicU64,
}

impl ScriptMemory {
    /// So many bytes for all.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            held: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
        })
    }

    /// Memory without a limit.
    #[must_use]
    pub fn unlimited() -> Arc<Self> {
        Self::new(usize::MAX)
    }

    /// What all may hold, bytes.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// What all hold, bytes; each state's part is rounded up.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// How often more was wanted than there was.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Whether it is time to give up what is only kept for later: more than half is held.
    #[must_use]
    pub fn is_scarce(&self) -> bool {
        self.held() > self.limit / 2
    }
}

/// The part of one state.
#[derive(Debug)]
pub(crate) struct Part {
    common: Arc<ScriptMemory>,
    held: std::cell::Cell<usize>,
}

impl Part {
    pub(crate) fn new(common: Arc<ScriptMemory>) -> Self {
        Self {
            common,
            held: std::cell::Cell::new(0),
        }
    }

    /// Whether the state may hold `bytes` in all without asking.
    #[inline]
    pub(crate) fn covers(&self, bytes: usize) -> bool {
        bytes <= self.held.get()
    }

    /// Takes what is missing for `bytes` in all; false when there is not so much, unless it is `forced`: taken in any case.
    #[cold]
    pub(crate) fn cover(&self, bytes: usize, forced: bool) -> bool {
        let held = self.held.get();
        let wanted = bytes.next_multiple_of(STEP_BYTES);
        let Some(more) = wanted.checked_sub(held) else {
            return true;
        };
        let grown = |all: usize| {
            all.checked_add(more)
                .filter(|all| forced || *all <= self.common.limit)
        };
        let taken = self
            .common
            .held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown)
            .is_ok();
        if taken {
            self.held.set(wanted);
        } else {
            self.common.refused.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// Gives back what is not needed for `bytes` in all.
    pub(crate) fn settle(&self, bytes: usize) {
        let (held, wanted) = (self.held.get(), bytes.next_multiple_of(STEP_BYTES));
        if wanted < held {
            self.common.held.fetch_sub(held - wanted, Ordering::Relaxed);
            self.held.set(wanted);
        }
    }

    /// Whether all together hold more than they may, which only forced ones can bring about.
    pub(crate) fn is_overdrawn(&self) -> bool {
        self.common.held() > self.common.limit
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.settle(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_taken_in_steps_and_given_back() {
        let all = ScriptMemory::new(4 * STEP_BYTES);
        let (one, two) = (Part::new(Arc::clone(&all)), Part::new(Arc::clone(&all)));
        assert!(one.cover(1, false) && one.covers(STEP_BYTES) && !one.covers(STEP_BYTES + 1));
        assert!(two.cover(3 * STEP_BYTES, false));
        assert!(all.is_scarce());
        assert!(!one.cover(STEP_BYTES + 1, false));
        assert_eq!((all.held(), all.refused()), (4 * STEP_BYTES, 1));
        assert!(one.cover(STEP_BYTES + 1, true) && one.is_overdrawn());
        one.settle(1);
        two.settle(0);
        assert_eq!(all.held(), STEP_BYTES);
        drop(one);
        assert_eq!(all.held(), 0);
    }
}
