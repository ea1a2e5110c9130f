//! Memory that removed records leave between others is given back: those that stayed move together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::Namespace;
use crate::storage::PARTITIONS;

/// Fewer removed records are not worth it.
const REMOVED_MIN: u64 = 10_000;
/// Records move when the removed ones are at least one of so many.
const REMOVED_SHARE: u64 = 4;
/// Steps, of some dozen records each, between two pauses.
const STEPS: u32 = 32;
/// Other threads have the memory's bandwidth and the locks meanwhile.
const PAUSE: Duration = Duration::from_millis(1);

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

    fn is_due(&self, left: u64) -> bool {
        let removed = self.removed.load(Ordering::Relaxed);
        removed >= REMOVED_MIN && removed * (REMOVED_SHARE - 1) >= left
    }
}

impl Namespace {
    /// If sweeps removed many records since the last time, moves those that stayed into new memory, a few at a time, on a
    /// thread for blocking work, whose memory then holds nothing else. What is stored does not change.
    pub(super) async fn repack_if_due(self: &Arc<Self>) {
        if !self.repacking.is_due(self.usage().objects()) {
            return;
        }
        self.repacking.removed.store(0, Ordering::Relaxed);
        let namespace = Arc::clone(self);
        let moved = tokio::task::spawn_blocking(move || namespace.repack()).await;
        if let Err(error) = moved {
            tracing::warn!(target: "namespace", "{{{}}} records stay where they are: {error}", self.name());
        }
    }

    fn repack(&self) {
        let mut steps = 0;
        for partition in 0..PARTITIONS {
            let mut from = Some(0);
            while let Some(at) = from {
                if self.repacking.ends.load(Ordering::Relaxed) {
                    return;
                }
                from = self.engine().repack(partition, at);
                steps += 1;
                if steps % STEPS == 0 {
                    std::thread::sleep(PAUSE);
                }
            }
        }
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
