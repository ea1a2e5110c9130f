//! Memory that removed records leave between others is given back: those that stayed move together.

use std::sync::Arc;
use std::time::Duration;

use super::Namespace;
use crate::storage::PARTITIONS;

/// Steps, of some dozen records each, between two pauses.
const STEPS: u32 = 32;
/// Other threads have the memory's bandwidth and the locks meanwhile.
const PAUSE: Duration = Duration::from_millis(1);

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
    }
}
