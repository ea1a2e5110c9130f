//! Memory that removed records leave between others is given back: those that stayed move together.

use std::sync::Arc;
use std::time::Duration;

use super::Namespace;
use crate::allocator;
use crate::storage::PARTITIONS;

/// Steps, of some dozen records each, between two pauses.
const STEPS: u32 = 32;
/// Other threads have the memory's bandwidth and the locks meanwhile.
const PAUSE: Duration = Duration::from_millis(1);

/// How often workers are woken when records have moved, and after how long again: one that has much to do is not asleep.
const WAKES: u32 = 5;
const BETWEEN_WAKES: Duration = Duration::from_millis(100);

impl Namespace {
    /// If sweeps removed many records since the last time, moves those that stayed into new memory, a few at a time, on a
    /// thread for blocking work, whose memory then holds nothing else. What is stored does not change.
    pub(super) async fn repack_if_due(self: &Arc<Self>) {
        if !self.repacking.is_due(self.usage().objects()) {
            return;
        }
        self.repacking.begin();
        let namespace = Arc::clone(self);
        let moved = tokio::task::spawn_blocking(move || namespace.repack()).await;
        if let Err(error) = moved {
            tracing::warn!(target: "namespace", "{{{}}} records stay where they are: {error}", self.name());
        }
        self.have_all_part().await;
    }

    /// Wakes the workers, who part with what they do not use before they sleep again.
    async fn have_all_part(&self) {
        let workers = tokio::runtime::Handle::current().metrics().num_workers();
        for _ in 0..WAKES {
            // A worker that is woken wakes another while there are tasks.
            for _ in 0..2 * workers {
                tokio::spawn(tokio::task::yield_now());
            }
            tokio::time::sleep(BETWEEN_WAKES).await;
            if self.repacking.has_ended() {
                return;
            }
        }
    }

    fn repack(&self) {
        let mut steps = 0;
        for partition in 0..PARTITIONS {
            let mut from = Some(0);
            while let Some(at) = from {
                if self.repacking.has_ended() {
                    return;
                }
                from = self.engine().repack(partition, at);
                steps += 1;
                if steps % STEPS == 0 {
                    std::thread::sleep(PAUSE);
                }
            }
        }
        allocator::give_back();
    }
}
