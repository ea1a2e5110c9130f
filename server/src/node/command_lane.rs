//! Turns of commands that take long: the validation of a module, above all.
//!
//! A few run at a time, each on a thread of its own. Of those who wait, the connection goes first that has had the least of
//! this time so far, so that one that asks for much delays those who ask for little by no more than a few turns. Waiting
//! takes no thread, and who goes away does not get his turn.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use protocol::bounds::Fit as _;
use tokio::sync::oneshot;

/// Commands that run at a time at least. More wait for disks and other nodes than for processors.
const TURNS_MIN: usize = 4;

/// Who waits: by time had so far, µs, then in order of arrival.
type Place = (u64, u64);

/// The turns of a node.
#[derive(Debug)]
pub struct CommandLane {
    state: Mutex<LaneState>,
}

#[derive(Debug)]
struct LaneState {
    free: usize,
    arrivals: u64,
    waiting: BTreeMap<Place, oneshot::Sender<Turn>>,
}

/// Leave to run one command; the next in line gets it when it is dropped.
#[derive(Debug)]
pub struct Turn {
    /// None only in one that could not be passed on.
    lane: Option<Arc<CommandLane>>,
}

impl Default for CommandLane {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::new(processors.max(TURNS_MIN))
    }
}

impl CommandLane {
    /// A lane in which so many run at a time.
    #[must_use]
    pub fn new(turns: usize) -> Self {
        Self {
            state: Mutex::new(LaneState {
                free: turns,
                arrivals: 0,
                waiting: BTreeMap::new(),
            }),
        }
    }

    /// Waits for a turn; `had` is the time that the connection has had so far. Dropped, the wait is over.
    pub async fn turn(self: &Arc<Self>, had: Duration) -> Turn {
        let own = || Turn {
            lane: Some(Arc::clone(self)),
        };
        let wait = {
            let mut state = self.state.lock();
            if state.free > 0 {
                state.free -= 1;
                return own();
            }
            state.arrivals += 1;
            let place = (had.as_micros().fit::<u64>(), state.arrivals);
            let (give, wait) = oneshot::channel();
            state.waiting.insert(place, give);
            wait
        };
        match wait.await {
            Ok(turn) => turn,
            // The lane lives as long as those who wait in it.
            Err(_) => own(),
        }
    }

    /// Whether somebody waits.
    #[must_use]
    pub fn has_waiters(&self) -> bool {
        self.state
            .lock()
            .waiting
            .values()
            .any(|give| !give.is_closed())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(lane) = self.lane.take() else { return };
        let mut state = lane.state.lock();
        while let Some((_, give)) = state.waiting.pop_first() {
            let turn = Self {
                lane: Some(Arc::clone(&lane)),
            };
            match give.send(turn) {
                Ok(()) => return,
                // It has gone away. What came back must not give what it never had.
                Err(mut refused) => refused.lane = None,
            }
        }
        state.free += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn settle() {
        for _ in 0..16 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_has_had_least_goes_first_and_who_is_gone_not_at_all() {
        let lane = Arc::new(CommandLane::new(1));
        let first = lane.turn(Duration::ZERO).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for (name, had_ms) in [
            ("much", 300),
            ("gone", 0),
            ("little", 2),
            ("also little", 2),
            ("none", 0),
        ] {
            let (lane, order) = (Arc::clone(&lane), Arc::clone(&order));
            tasks.push((
                name,
                tokio::spawn(async move {
                    let _turn = lane.turn(Duration::from_millis(had_ms)).await;
                    order.lock().push(name);
                }),
            ));
            settle().await;
        }
        assert!(lane.has_waiters());
        for (name, task) in &tasks {
            if *name == "gone" {
                task.abort();
            }
        }
        settle().await;
        drop(first);
        for (name, task) in tasks {
            assert_eq!(task.await.is_err(), name == "gone");
        }
        assert_eq!(*order.lock(), ["none", "little", "also little", "much"]);
        assert!(!lane.has_waiters());
        assert_eq!(lane.state.lock().free, 1);
    }
}
