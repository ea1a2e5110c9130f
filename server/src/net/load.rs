//! How much of a worker's time a connection takes, and where one goes that takes much.
//!
//! Whatever a peer sends over and over, small or large, one frame after the other or all at once: a worker that answers it
//! has less time for others, and a thread that is always busy waits for the processor when others want it too, with all
//! whose requests it has taken in. So a connection that takes much of a worker goes on in a runtime of its own kind, with
//! as many threads as there are processors, and comes back when it has become quiet. Those who ask now and then keep
//! threads that are mostly idle, which the system lets run at once.
//!
//! What is counted is the time of every poll of the connection's task. Up to an eighth of one thread, no connection is
//! moved. A new one begins among the busy, so that those who come and go by the thousand stay there.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use protocol::bounds::Fit as _;
use tokio::runtime::{Handle, Runtime};

use crate::allocator;

/// How long a task may answer one frame after the other before others have their turn. One frame may take longer.
const TURN: Duration = Duration::from_micros(100);

/// Of a poll, no more than this counts: what runs long leaves its worker by itself, and a thread that the system has put
/// aside has done nothing.
const POLL_MOST: Duration = Duration::from_millis(1);

/// The part of the time that does not count: what each of sixteen connections has when they share two processors.
const FREE_PART: u32 = 8;

/// A connection that has taken so much beyond its part is busy, until it has made up for all of it.
const BUSY: Duration = Duration::from_millis(20);

/// What a new connection is to make up for.
const NEW: Duration = Duration::from_millis(1);

/// Never more than this is to be made up for.
const LEVEL_MOST: Duration = Duration::from_millis(40);

/// The load of one connection.
#[derive(Debug)]
pub(super) struct Load {
    created: Instant,
    /// What it has taken beyond its part, ns.
    level: AtomicU64,
    /// When the poll that runs now has begun, ns since it was created.
    poll_begun: AtomicU64,
    /// When the last one has ended.
    poll_ended: AtomicU64,
}

impl Load {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            created: Instant::now(),
            level: AtomicU64::new(nanoseconds(NEW)),
            poll_begun: AtomicU64::new(0),
            poll_ended: AtomicU64::new(0),
        })
    }

    /// A poll begins.
    fn begin(&self, now: Duration) {
        let idle = nanoseconds(now).saturating_sub(self.poll_ended.load(Ordering::Relaxed));
        let level = self.level.load(Ordering::Relaxed);
        let made_up = idle / u64::from(FREE_PART);
        self.level
            .store(level.saturating_sub(made_up), Ordering::Relaxed);
        self.poll_begun.store(nanoseconds(now), Ordering::Relaxed);
    }

    /// It ends.
    fn end(&self, now: Duration) {
        let took = nanoseconds(now).saturating_sub(self.poll_begun.load(Ordering::Relaxed));
        let counted = took.min(nanoseconds(POLL_MOST));
        let level = self.level.load(Ordering::Relaxed) + counted - counted / u64::from(FREE_PART);
        self.level
            .store(level.min(nanoseconds(LEVEL_MOST)), Ordering::Relaxed);
        self.poll_ended.store(nanoseconds(now), Ordering::Relaxed);
    }

    /// Whether the poll that runs has lasted for a turn at `now`.
    pub(super) fn is_turn_over(&self, now: Instant) -> bool {
        let since = nanoseconds(now.duration_since(self.created));
        let begun = self.poll_begun.load(Ordering::Relaxed);
        since.saturating_sub(begun) >= nanoseconds(TURN)
    }

    /// Whether the connection is to go on among the busy ones; `is_there` says whether it does already.
    pub(super) fn is_busy(&self, is_there: bool) -> bool {
        let level = self.level.load(Ordering::Relaxed);
        match is_there {
            true => level > 0,
            false => level >= nanoseconds(BUSY),
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    time.as_nanos().fit()
}

/// A future whose polls are counted.
pub(super) struct Counted<F> {
    future: Pin<Box<F>>,
    load: Arc<Load>,
}

impl<F: Future> Counted<F> {
    pub(super) fn new(load: Arc<Load>, future: F) -> Self {
        Self {
            future: Box::pin(future),
            load,
        }
    }
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.load.begin(self.load.created.elapsed());
        let polled = self.future.as_mut().poll(context);
        self.load.end(self.load.created.elapsed());
        polled
    }
}

/// The runtime of busy connections; none when the system gives no threads for it.
pub(super) fn busy_runtime() -> Option<&'static Handle> {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    let started = RUNTIME.get_or_init(|| {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let built = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .thread_name("asd-busy")
            .on_thread_park(allocator::part)
            .build();
        built
            .inspect_err(|error| {
                tracing::warn!(target: "service", "busy connections stay among the others: {error}");
            })
            .ok()
    });
    started.as_ref().map(Runtime::handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Polls one after the other: how often, idle before each, time of each, µs.
    type Polls = (u32, u64, u64);

    fn after(load: &Load, clock: &mut Duration, (count, idle_us, took_us): Polls) {
        for _ in 0..count {
            *clock += Duration::from_micros(idle_us);
            load.begin(*clock);
            *clock += Duration::from_micros(took_us);
            load.end(*clock);
        }
    }

    #[test]
    fn who_takes_much_of_a_thread_is_busy_until_he_has_been_quiet() {
        let quiet: Polls = (1, 500_000, 10);
        for (name, polls, is_busy) in [
            ("now and then", (100_000, 3_000, 50), false),
            ("a tenth", (10_000, 900, 100), false),
            ("one after the other", (400, 10, 100), true),
            ("half of a thread", (500, 100, 100), true),
            ("a long call now and then", (100, 100_000, 1_000_000), false),
            ("a thread put aside", (20, 10, 80_000), false),
            ("calls of a millisecond", (30, 10, 1_000), true),
        ] {
            let (load, mut clock) = (Load::new(), Duration::ZERO);
            after(&load, &mut clock, polls);
            assert_eq!(load.is_busy(false), is_busy, "{name}");
            if is_busy {
                after(&load, &mut clock, (1, 10_000, 10));
                assert!(load.is_busy(true), "{name}: it stays for a while");
            }
            after(&load, &mut clock, quiet);
            after(&load, &mut clock, (1, 1_000, 0));
            assert!(!load.is_busy(true), "{name}: it comes back");
        }
    }

    #[test]
    fn who_is_new_has_to_be_quiet_for_a_while() {
        for (idle_us, is_busy) in [(0, true), (7_000, true), (9_000, false)] {
            let (load, mut clock) = (Load::new(), Duration::ZERO);
            after(&load, &mut clock, (1, idle_us, 0));
            assert_eq!(load.is_busy(true), is_busy, "{idle_us}");
            assert!(!load.is_busy(false), "it is not sent back");
        }
    }

    #[test]
    fn a_turn_is_over_when_its_poll_has_lasted() {
        let load = Load::new();
        let begun = Duration::from_secs(5);
        load.begin(begun);
        for (lasted_us, is_over) in [(0, false), (99, false), (100, true), (5_000, true)] {
            let now = load.created + begun + Duration::from_micros(lasted_us);
            assert_eq!(load.is_turn_over(now), is_over, "{lasted_us}");
        }
    }
}
