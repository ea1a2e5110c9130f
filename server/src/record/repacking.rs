//! When memory that removed records leave between others is worth giving back.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Fewer removed records are not worth it.
const REMOVED_MIN: u64 = 10_000;
/// Records move when the removed ones are at least one of so many.
const REMOVED_SHARE: u64 = 4;
/// What is known about memory that could be given back.
#[derive(Debug, Default)]
pub(super) struct Repacking {
    /// Records that sweeps removed since records moved.
    removed: AtomicU64,
    /// The namespace ends.
    ends: AtomicBool,
}

impl Repacking {
    pub(super) fn removed(&self, records: u64) {
        self.removed.fetch_add(records, Ordering::Relaxed);
    }

    /// Ends what is going on.
    pub(super) fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    /// The namespace ends: so does what is going on.
    pub(super) fn has_ended(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }

    /// Records move now, and removed ones are counted anew.
    pub(super) fn begin(&self) {
        self.removed.store(0, Ordering::Relaxed);
    }

    /// Enough was removed, with so many records left.
    pub(super) fn is_due(&self, left: u64) -> bool {
        let removed = self.removed.load(Ordering::Relaxed);
        removed >= REMOVED_MIN && removed * (REMOVED_SHARE - 1) >= left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_move_when_a_share_of_all_was_removed() {
        for (removed, left, due) in [
            (0, 0, false),
            (REMOVED_MIN - 1, 0, false),
            (REMOVED_MIN, 0, true),
            (REMOVED_MIN, 3 * REMOVED_MIN, true),
            (REMOVED_MIN, 3 * REMOVED_MIN + 1, false),
        ] {
            let repacking = Repacking::default();
            repacking.removed(removed);
            assert_eq!(repacking.is_due(left), due, "{removed} of {left} more");
        }
    }
}
