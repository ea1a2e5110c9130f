//! How long scripts, and other long work, step aside for others.
//!
//! Scripts run on the runtime's worker threads: a hand-off costs more than a usual call. Work that has run for its first
//! slice (see [`runtime::machine::budget`]) gives its worker's duty to another thread and then needs one of as many permits
//! as there are processors. Work that spins thus delays neither other requests nor others' first slices.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use runtime::host::Lane;

/// Longest wait for another thread to take over a worker's duty, for scripts without a deadline.
const HAND_OVER: Duration = Duration::from_secs(1);

/// The lane of this process.
#[must_use]
pub fn slow_lane() -> &'static dyn Lane {
    static LANE: OnceLock<SlowLane> = OnceLock::new();
    LANE.get_or_init(|| {
        SlowLane::new(std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
    })
}

/// Permits for scripts that run long; first come, first served.
#[derive(Debug)]
struct SlowLane {
    queue: Mutex<Queue>,
    turn: Condvar,
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct Queue {
    free: usize,
    next_ticket: u64,
    /// Tickets in order of arrival.
    tickets: std::collections::VecDeque<u64>,
}

impl SlowLane {
    fn new(permits: usize) -> Self {
        Self {
            queue: Mutex::new(Queue {
                free: permits,
                next_ticket: 0,
                tickets: std::collections::VecDeque::new(),
            }),
            turn: Condvar::new(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Takes a permit; false when the deadline comes first.
    fn acquire(&self, deadline: Option<Instant>) -> bool {
        let mut queue = self.queue.lock();
        let ticket = queue.next_ticket;
        queue.next_ticket += 1;
        queue.tickets.push_back(ticket);
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let got = loop {
            if queue.free > 0 && queue.tickets.front() == Some(&ticket) {
                queue.free -= 1;
                break true;
            }
            match deadline {
                None => self.turn.wait(&mut queue),
                Some(deadline) => {
                    if self.turn.wait_until(&mut queue, deadline).timed_out() {
                        break false;
                    }
                }
            }
        };
        queue.tickets.retain(|waiting| *waiting != ticket);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        drop(queue);
        // The next in line may find a free permit now.
        self.turn.notify_all();
        got
    }
}

impl Lane for SlowLane {
    fn has_waiters(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    fn take_turn(&self, is_first: bool, holds_one: bool, deadline: Option<Instant>) -> bool {
        off_the_worker(|| {
            if holds_one {
                self.release();
            }
            if is_first {
                wait_for_hand_over(deadline);
            }
            self.acquire(deadline)
        })
    }

    fn release(&self) {
        self.queue.lock().free += 1;
        self.turn.notify_all();
    }
}

/// Runs what may block; inside a multi-threaded runtime the worker's duty goes to another thread meanwhile.
fn off_the_worker<R>(work: impl FnOnce() -> R) -> R {
    match multi_threaded_runtime() {
        Some(_) => tokio::task::block_in_place(work),
        None => work(),
    }
}

fn multi_threaded_runtime() -> Option<tokio::runtime::Handle> {
    use tokio::runtime::{Handle, RuntimeFlavor};
    Handle::try_current()
        .ok()
        .filter(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread)
}

/// Waits until some worker has run a task. To be called off the worker.
///
/// A thread that comes back before another has taken its queue takes it along again, and holds it for as long as the
/// script runs. On a busy machine, where threads wake up late, scripts would so occupy all workers.
fn wait_for_hand_over(deadline: Option<Instant>) {
    let Some(handle) = multi_threaded_runtime() else {
        return;
    };
    let (taken_over, wait) = std::sync::mpsc::sync_channel(1);
    handle.spawn(async move {
        // Nobody waits any more when the deadline has passed.
        let _ = taken_over.send(());
    });
    let limit = deadline.map_or(HAND_OVER, |deadline| {
        deadline.saturating_duration_since(Instant::now())
    });
    let _ = wait.recv_timeout(limit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_full_lane_refuses_at_the_deadline_and_serves_in_order() {
        let lane = Arc::new(SlowLane::new(1));
        assert!(lane.acquire(None));
        assert!(!lane.acquire(Some(Instant::now() + Duration::from_millis(5))));
        assert!(!lane.has_waiters());
        let waiter = std::thread::spawn({
            let lane = Arc::clone(&lane);
            move || lane.acquire(Some(Instant::now() + Duration::from_secs(30)))
        });
        while !lane.has_waiters() {
            std::thread::yield_now();
        }
        lane.release();
        assert!(waiter.join().unwrap());
    }
}
