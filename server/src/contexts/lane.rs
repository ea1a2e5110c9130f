//! How long scripts, and other long work, step aside for others.
//!
//! Scripts run on the runtime's worker threads: a hand-off costs more than a usual call. Work that has run for its first
//! slice (see [`runtime::machine::budget`]) gives its worker's duty to another thread and then needs one of as many permits
//! as there are processors. Work that spins thus delays neither other requests nor others' first slices.
//!
//! A permit is handed to one who waits, and wakes nobody else. Who has had few turns goes before who has had many, so that
//! work of some milliseconds does not queue behind all that spins; now and then who has waited longest goes first, so that
//! nobody waits for ever. Work for which no client waits goes last.
//!
//! To give a worker's duty away may fail: the runtime lets a thread take it back as long as no other has begun with it,
//! and also in the moment in which that other gives it away in turn. Work that has it again would hold all that waits in
//! its queue, and when all workers are held so, nobody is served. So who has a permit leaves a task behind, asks some time
//! later whether somebody has run it, and if not, gives the duty away once more.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use runtime::host::Lane;

use crate::priority;
use crate::processor::processors;

/// Longest wait for another thread to take over a worker's duty, for scripts without a deadline.
const HAND_OVER: Duration = Duration::from_secs(1);

/// The same when it is given away once more.
const HAND_OVER_AGAIN: Duration = Duration::from_millis(10);

/// Turns after which work counts as what spins.
const TURNS_MAX: u32 = 6;

/// What is added to the turns of work for which no client waits.
const BACKGROUND_TURNS: u32 = 2 * TURNS_MAX;

/// One in so many permits goes to who has waited longest.
const OLDEST_FIRST: u64 = 8;

thread_local! {
    /// The turns of the work on this thread are those of the background.
    static IN_BACKGROUND: Cell<bool> = const { Cell::new(false) };
    /// Turns that the work on this thread has had.
    static TURNS: Cell<u32> = const { Cell::new(0) };
    /// Whether the task has run that was left behind when this thread took a turn; none once that is known.
    static LEFT_BEHIND: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

/// The lane of this process.
#[must_use]
pub fn slow_lane() -> &'static dyn Lane {
    static LANE: OnceLock<SlowLane> = OnceLock::new();
    LANE.get_or_init(|| SlowLane::new(processors()))
}

/// Does work for which no client waits: its turns come last. The work does not leave the thread.
fn in_background<R>(work: impl FnOnce() -> R) -> R {
    let before = IN_BACKGROUND.replace(true);
    let result = work();
    IN_BACKGROUND.set(before);
    result
}

/// The same for work that waits now and then.
pub async fn background<R>(work: impl Future<Output = R>) -> R {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|context| in_background(|| work.as_mut().poll(context))).await
}

/// Who waits: by turns had, then in order of arrival.
type Place = (u32, u64);

/// Permits for work that runs long.
#[derive(Debug)]
struct SlowLane {
    queue: Mutex<Queue>,
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct Queue {
    free: usize,
    arrivals: u64,
    given: u64,
    waiting: BTreeMap<Place, Arc<Waiter>>,
}

/// Where one waits until the permit is his.
#[derive(Debug, Default)]
struct Waiter {
    is_his: Mutex<bool>,
    turn: Condvar,
}

impl SlowLane {
    fn new(permits: usize) -> Self {
        Self {
            queue: Mutex::new(Queue {
                free: permits,
                arrivals: 0,
                given: 0,
                waiting: BTreeMap::new(),
            }),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Takes a permit; false when the deadline comes first.
    fn acquire(&self, turns: u32, deadline: Option<Instant>) -> bool {
        let waiter = Arc::new(Waiter::default());
        let place = {
            let mut queue = self.queue.lock();
            if queue.free > 0 {
                queue.free -= 1;
                return true;
            }
            queue.arrivals += 1;
            let place = (turns, queue.arrivals);
            queue.waiting.insert(place, Arc::clone(&waiter));
            self.waiting.store(queue.waiting.len(), Ordering::Relaxed);
            place
        };
        let mut is_his = waiter.is_his.lock();
        while !*is_his {
            let is_late = match deadline {
                None => {
                    waiter.turn.wait(&mut is_his);
                    false
                }
                Some(deadline) => waiter.turn.wait_until(&mut is_his, deadline).timed_out(),
            };
            if is_late && !*is_his {
                drop(is_his);
                return self.give_up(place);
            }
        }
        true
    }

    /// Leaves the queue; true when the permit has come in the last moment.
    fn give_up(&self, place: Place) -> bool {
        let mut queue = self.queue.lock();
        let was_waiting = queue.waiting.remove(&place).is_some();
        self.waiting.store(queue.waiting.len(), Ordering::Relaxed);
        drop(queue);
        if !was_waiting {
            self.pass_on();
        }
        false
    }

    /// Gives a permit to who is next.
    fn pass_on(&self) {
        let mut queue = self.queue.lock();
        let Some(waiter) = queue.next() else {
            queue.free += 1;
            return;
        };
        self.waiting.store(queue.waiting.len(), Ordering::Relaxed);
        drop(queue);
        *waiter.is_his.lock() = true;
        waiter.turn.notify_one();
    }
}

impl Queue {
    /// Who gets the next permit.
    fn next(&mut self) -> Option<Arc<Waiter>> {
        self.given += 1;
        if self.given.is_multiple_of(OLDEST_FIRST) {
            let oldest = self
                .waiting
                .keys()
                .copied()
                .min_by_key(|(_, arrival)| *arrival)?;
            return self.waiting.remove(&oldest);
        }
        self.waiting.pop_first().map(|(_, waiter)| waiter)
    }
}

impl Lane for SlowLane {
    fn has_waiters(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    fn take_turn(&self, is_first: bool, holds_one: bool, deadline: Option<Instant>) -> bool {
        let had = match is_first {
            true => 0,
            false => (TURNS.get() + 1).min(TURNS_MAX),
        };
        TURNS.set(had);
        let turns = match IN_BACKGROUND.get() {
            true => had + BACKGROUND_TURNS,
            false => had,
        };
        let got = off_the_worker(|| {
            if holds_one {
                self.pass_on();
            }
            if is_first {
                let limit = deadline.map_or(HAND_OVER, |deadline| {
                    deadline.saturating_duration_since(Instant::now())
                });
                wait_for_hand_over(limit);
            }
            self.acquire(turns, deadline)
        });
        if is_first || LEFT_BEHIND.with_borrow(Option::is_some) {
            leave_task_behind();
        }
        if got {
            priority::begins_long();
        }
        got
    }

    fn others_are_served(&self) -> bool {
        let is_run = LEFT_BEHIND.with_borrow(|left| {
            left.as_ref()
                .is_none_or(|is_run| is_run.load(Ordering::Relaxed))
        });
        if is_run {
            LEFT_BEHIND.set(None);
            return true;
        }
        off_the_worker(|| wait_for_hand_over(HAND_OVER_AGAIN));
        leave_task_behind();
        false
    }

    fn release(&self) {
        self.pass_on();
        priority::ends_long();
    }

    fn breathe(&self, now: Instant) {
        priority::breathe(now);
    }

    fn processor_time(&self) -> Duration {
        priority::processor_time()
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
fn wait_for_hand_over(limit: Duration) {
    let Some(handle) = multi_threaded_runtime() else {
        return;
    };
    let (taken_over, wait) = std::sync::mpsc::sync_channel(1);
    handle.spawn(async move {
        // Nobody waits any more when the deadline has passed.
        let _ = taken_over.send(());
    });
    // Whether the other took over or the time is up: the work begins.
    let _ = wait.recv_timeout(limit);
}

/// Leaves a task behind on the worker of this thread, if it has one, else with the others.
fn leave_task_behind() {
    let left = multi_threaded_runtime().map(|handle| {
        let is_run = Arc::new(AtomicBool::new(false));
        let of_task = Arc::clone(&is_run);
        handle.spawn(async move { of_task.store(true, Ordering::Relaxed) });
        is_run
    });
    LEFT_BEHIND.set(left);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn later() -> Option<Instant> {
        Some(Instant::now() + Duration::from_secs(60))
    }

    /// Threads that wait with so many turns, in order of arrival; what they say when their turn comes.
    fn order(lane: &Arc<SlowLane>, turns: &[u32]) -> Vec<u32> {
        assert!(lane.acquire(0, None));
        let said = Arc::new(Mutex::new(Vec::new()));
        let threads: Vec<_> = turns
            .iter()
            .enumerate()
            .map(|(before, turns)| {
                let (lane_of, said, turns) = (Arc::clone(lane), Arc::clone(&said), *turns);
                let thread = std::thread::spawn(move || {
                    assert!(lane_of.acquire(turns, later()));
                    said.lock().push(turns);
                    lane_of.release();
                });
                while lane.queue.lock().waiting.len() <= before {
                    std::thread::yield_now();
                }
                thread
            })
            .collect();
        lane.release();
        for thread in threads {
            thread.join().unwrap();
        }
        Arc::into_inner(said).unwrap().into_inner()
    }

    #[test]
    fn a_full_lane_refuses_at_the_deadline() {
        let lane = SlowLane::new(1);
        assert!(lane.acquire(0, None));
        assert!(!lane.acquire(0, Some(Instant::now() + Duration::from_millis(5))));
        assert!(!lane.has_waiters());
        lane.release();
        assert!(lane.acquire(0, later()));
    }

    #[test]
    fn who_has_had_few_turns_goes_first_and_the_background_last() {
        let lane = Arc::new(SlowLane::new(1));
        assert_eq!(
            order(&lane, &[BACKGROUND_TURNS, 6, 0, 6, 1]),
            [0, 1, 6, 6, BACKGROUND_TURNS]
        );
    }

    /// Waits until something is so.
    fn until(is_so: impl Fn() -> bool) {
        let end = later().unwrap();
        while !is_so() {
            assert!(Instant::now() < end, "it is never so");
            std::thread::yield_now();
        }
    }

    #[test]
    fn who_has_got_a_worker_back_gives_it_away_again() {
        // One worker, and one more thread: a duty that is given away stays where it is while both are in use.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(1)
            .build()
            .unwrap();
        let lane: &'static SlowLane = Box::leak(Box::new(SlowLane::new(1)));
        assert!(lane.acquire(0, None));
        let (works, ends, is_served) =
            <(Arc<AtomicBool>, Arc<AtomicBool>, Arc<AtomicBool>)>::default();
        let (gives, goes_on) = std::sync::mpsc::sync_channel::<()>(0);
        let (of_work, end_of_work) = (Arc::clone(&works), Arc::clone(&ends));
        runtime.spawn(async move {
            // The other thread has the duty, while this one waits for its permit.
            assert!(lane.take_turn(true, false, later()));
            of_work.store(true, Ordering::Relaxed);
            until(|| lane.others_are_served() || end_of_work.load(Ordering::Relaxed));
            until(|| end_of_work.load(Ordering::Relaxed));
        });
        until(|| lane.has_waiters());
        let gives_away = Arc::new(AtomicBool::new(false));
        let of_other = Arc::clone(&gives_away);
        runtime.spawn(async move {
            off_the_worker(|| {
                of_other.store(true, Ordering::Relaxed);
                // Until the first one has taken the duty back.
                goes_on.recv()
            })
        });
        until(|| gives_away.load(Ordering::Relaxed));
        lane.release();
        until(|| works.load(Ordering::Relaxed));
        gives.send(()).unwrap();
        let of_task = Arc::clone(&is_served);
        runtime.spawn(async move { of_task.store(true, Ordering::Relaxed) });
        until(|| is_served.load(Ordering::Relaxed));
        ends.store(true, Ordering::Relaxed);
        lane.release();
    }

    #[test]
    fn nobody_waits_for_ever() {
        let lane = Arc::new(SlowLane::new(1));
        let mut turns = vec![6];
        turns.extend([0; 20]);
        let said = order(&lane, &turns);
        let place = said.iter().position(|turns| *turns == 6).unwrap();
        assert!(place < OLDEST_FIRST as usize, "{said:?}");
    }

    #[test]
    fn processor_time_is_that_of_the_thread() {
        let lane = SlowLane::new(1);
        let begun = lane.processor_time();
        let mut sum = 0_u64;
        while lane.processor_time() < begun + Duration::from_millis(2) {
            sum = std::hint::black_box(sum + 1);
        }
        let others = std::thread::spawn(move || SlowLane::new(1).processor_time());
        assert!(others.join().unwrap() < begun + Duration::from_millis(2));
    }
}
