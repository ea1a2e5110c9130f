//! How much of a worker's time a connection takes, and where one goes that takes much.
//!
//! Whatever a peer sends over and over, small or large, one frame after the other or all at once: a worker that answers it
//! has less time for others, and a thread that is always busy waits for the processor when others want it too, with all
//! whose requests it has taken in. So a connection that takes much of a worker goes on in a runtime of its own kind, with
//! as many threads as there are processors, and comes back when it has become quiet. Those who ask now and then keep
//! threads that are mostly idle, which the system lets run at once.
//!
//! What is counted is the time of every poll of the connection's task, and the processor time of its commands, which run on
//! other threads: these have the priority of the one that begins them, so those of busy connections stand back with them.
//! Up to an eighth of one thread, no connection is moved. A new one begins among the busy, so that those who come and go by
//! the thousand stay there.
//!
//! All this is for those who ask now and then. While none of them is there, all connections are served in one runtime: two
//! of them would only have the system switch between more threads, and equal connections would come and go for ever that
//! take about as much as the limit.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::{log, priority};
use protocol::bounds::Fit as _;

/// How long a task may answer one frame after the other before others have their turn. One frame may take longer.
const TURN: Duration = Duration::from_micros(100);

/// Of a poll, no more than this counts beside the processor time of what runs long: a thread that the system has put aside
/// has done nothing.
const POLL_MOST: Duration = Duration::from_millis(1);

/// The part of the time that does not count: what each of sixteen connections has when they share two processors.
const FREE_PART: u32 = 8;

/// A connection that has taken so much beyond its part is busy, until it has made up for all of it.
const BUSY: Duration = Duration::from_millis(20);

/// What a new connection is to make up for.
const NEW: Duration = Duration::from_millis(1);

/// Never more than this is to be made up for.
const LEVEL_MOST: Duration = Duration::from_millis(40);

/// Who takes less than this part of a thread asks now and then.
const LIGHT_PART: u64 = 32;

/// That is looked at in slices of 2^27 ns, an eighth of a second: a thread that is put aside does not make those light that
/// it serves.
const SLICE_BITS: u32 = 27;

/// A light one asks so often in a slice, and in the one before: a client's look at the cluster once a second is none.
const ASKS: u64 = 2;

/// For so many slices after a light one was seen, one is there.
const REMEMBERED: u64 = 24;

/// Whether anybody asks now and then.
#[derive(Debug)]
struct LightOnes {
    begun: Instant,
    /// The last slice in which one was seen, counted from 1; 0 is none.
    seen: AtomicU64,
}

impl LightOnes {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            seen: AtomicU64::new(0),
        }
    }

    /// Those of this process.
    fn all() -> &'static Self {
        static ALL: OnceLock<LightOnes> = OnceLock::new();
        ALL.get_or_init(Self::new)
    }

    /// Whether one is there in the slice `number`.
    fn are_there(&self, number: u64) -> bool {
        let seen = self.seen.load(Ordering::Relaxed);
        seen != 0 && number <= seen.saturating_add(REMEMBERED)
    }
}

/// What a connection has asked for in the slice of time that runs. Only the thread that polls it writes.
#[derive(Debug, Default)]
struct Slice {
    number: AtomicU64,
    polls: AtomicU64,
    /// Time of those polls, ns.
    polled: AtomicU64,
    /// The last slice in which it took little, and asked.
    light: AtomicU64,
}

impl Slice {
    /// A poll begins in the slice `number`. True when the one before has ended, and was the second light one in a row.
    fn begin(&self, number: u64) -> bool {
        let before = self.number.load(Ordering::Relaxed);
        if before == number {
            let polls = self.polls.load(Ordering::Relaxed);
            self.polls.store(polls + 1, Ordering::Relaxed);
            return false;
        }
        let polled = self.polled.load(Ordering::Relaxed);
        let is_light = self.polls.load(Ordering::Relaxed) >= ASKS
            && polled.saturating_mul(LIGHT_PART) < 1 << SLICE_BITS;
        let was_light = self.light.load(Ordering::Relaxed) + 1 == before;
        if is_light {
            self.light.store(before, Ordering::Relaxed);
        }
        self.number.store(number, Ordering::Relaxed);
        self.polls.store(1, Ordering::Relaxed);
        self.polled.store(0, Ordering::Relaxed);
        is_light && was_light
    }

    /// Whether it was light in the slice `number`, or the one before.
    fn is_light(&self, number: u64) -> bool {
        self.light.load(Ordering::Relaxed) + 1 >= number
    }

    fn end(&self, took: u64) {
        let polled = self.polled.load(Ordering::Relaxed);
        self.polled
            .store(polled.saturating_add(took), Ordering::Relaxed);
    }
}

/// The load of one connection.
#[derive(Debug)]
pub(super) struct Load {
    created: Instant,
    /// When that was, ns since slices are counted.
    created_ns: u64,
    light_ones: &'static LightOnes,
    slice: Slice,
    /// What it has taken beyond its part, ns.
    level: AtomicU64,
    /// The poll that runs is counted: it has begun, see there.
    has_begun: AtomicBool,
    /// Something is being answered, from one poll to the next.
    answers: AtomicBool,
    /// When the poll that runs now has begun, ns since it was created.
    poll_begun: AtomicU64,
    /// When the last one has ended.
    poll_ended: AtomicU64,
}

impl Load {
    pub(super) fn new() -> Arc<Self> {
        Self::among(LightOnes::all())
    }

    fn among(light_ones: &'static LightOnes) -> Arc<Self> {
        let created = Instant::now();
        Arc::new(Self {
            created,
            created_ns: nanoseconds(created.saturating_duration_since(light_ones.begun)),
            light_ones,
            slice: Slice::default(),
            level: AtomicU64::new(nanoseconds(NEW)),
            has_begun: AtomicBool::new(false),
            answers: AtomicBool::new(false),
            poll_begun: AtomicU64::new(0),
            poll_ended: AtomicU64::new(0),
        })
    }

    /// The slice of time at so many ns after it was created, counted from 1.
    fn slice_at(&self, now: u64) -> u64 {
        (self.created_ns.saturating_add(now) >> SLICE_BITS) + 1
    }

    /// Something was read, and is to be answered. The poll that runs counts from now on: one that finds nothing to read, and
    /// there are more of these, is not worth two looks at the clock. True when it is over, having lasted for a turn.
    pub(super) fn asked(&self, now: Instant) -> bool {
        self.answers.store(true, Ordering::Relaxed);
        if self.has_begun.load(Ordering::Relaxed) {
            return self.is_turn_over(now);
        }
        self.begin(now.duration_since(self.created));
        false
    }

    /// All is answered.
    pub(super) fn answered(&self) {
        self.answers.store(false, Ordering::Relaxed);
    }

    /// A poll begins.
    fn begin(&self, now: Duration) {
        self.has_begun.store(true, Ordering::Relaxed);
        let idle = nanoseconds(now).saturating_sub(self.poll_ended.load(Ordering::Relaxed));
        let level = self.level.load(Ordering::Relaxed);
        let made_up = idle / u64::from(FREE_PART);
        self.level
            .store(level.saturating_sub(made_up), Ordering::Relaxed);
        self.poll_begun.store(nanoseconds(now), Ordering::Relaxed);
        let slice = self.slice_at(nanoseconds(now));
        if self.slice.begin(slice) {
            self.light_ones.seen.store(slice, Ordering::Relaxed);
        }
        priority::somebody_asks(self.light_ones.are_there(slice));
    }

    /// It ends; of what ran long in it, `long` is the processor time, and `elsewhere` that of other threads for it.
    fn end(&self, now: Duration, long: Duration, elsewhere: Duration) {
        self.has_begun.store(false, Ordering::Relaxed);
        let took = nanoseconds(now).saturating_sub(self.poll_begun.load(Ordering::Relaxed));
        let here = took.min(nanoseconds(POLL_MOST).saturating_add(nanoseconds(long)));
        let counted = here.saturating_add(nanoseconds(elsewhere));
        let level = self.level.load(Ordering::Relaxed) + counted - counted / u64::from(FREE_PART);
        self.level
            .store(level.min(nanoseconds(LEVEL_MOST)), Ordering::Relaxed);
        self.poll_ended.store(nanoseconds(now), Ordering::Relaxed);
        self.slice.end(counted);
        let begun = self.poll_begun.load(Ordering::Relaxed);
        if self.slice.is_light(self.slice_at(begun)) {
            priority::answered_one();
        }
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
        let is_busy = match is_there {
            true => level > 0,
            false => level >= nanoseconds(BUSY),
        };
        let slice = || self.slice_at(self.poll_begun.load(Ordering::Relaxed));
        is_busy && self.light_ones.are_there(slice())
    }
}

fn nanoseconds(time: Duration) -> u64 {
    time.as_nanos().fit()
}

/// A future whose polls are counted, and are of a client.
pub(super) struct Counted<F> {
    future: Pin<Box<F>>,
    load: Arc<Load>,
    peer: SocketAddr,
}

impl<F: Future> Counted<F> {
    pub(super) fn new(load: Arc<Load>, peer: SocketAddr, future: F) -> Self {
        Self {
            future: Box::pin(future),
            load,
            peer,
        }
    }
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _asks = log::peer::asks(self.peer);
        // What others had on this thread.
        priority::taken_long();
        priority::taken_elsewhere();
        if self.load.answers.load(Ordering::Relaxed) {
            self.load.begin(self.load.created.elapsed());
        }
        let polled = self.future.as_mut().poll(context);
        // A permit may have gone to another thread with what has it.
        priority::ends_long();
        if self.load.has_begun.load(Ordering::Relaxed) {
            let (long, elsewhere) = (priority::taken_long(), priority::taken_elsewhere());
            self.load.end(self.load.created.elapsed(), long, elsewhere);
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Polls one after the other: how often, idle before each, time of each, µs. What takes more than a millisecond has
    /// the processor for as long.
    type Polls = (u32, u64, u64);

    fn after(load: &Load, clock: &mut Duration, (count, idle_us, took_us): Polls) {
        for _ in 0..count {
            *clock += Duration::from_micros(idle_us);
            load.begin(*clock);
            let took = Duration::from_micros(took_us);
            *clock += took;
            let is_long = took > POLL_MOST && took != PUT_ASIDE;
            let long = if is_long { took } else { Duration::ZERO };
            load.end(*clock, long, Duration::ZERO);
        }
    }

    /// For as long a thread is put aside here; nothing else takes just that.
    const PUT_ASIDE: Duration = Duration::from_millis(30);

    fn nobody() -> &'static LightOnes {
        Box::leak(Box::new(LightOnes::new()))
    }

    /// A connection beside one that asks now and then: every 5 ms, for as long as the test takes.
    fn beside_a_light_one() -> Arc<Load> {
        let light_ones = nobody();
        light_ones.seen.store(u64::MAX, Ordering::Relaxed);
        Load::among(light_ones)
    }

    #[test]
    fn who_takes_much_of_a_thread_is_busy_until_he_has_been_quiet() {
        let quiet: Polls = (1, 500_000, 10);
        for (name, polls, is_busy) in [
            ("now and then", (100_000, 3_000, 50), false),
            ("a tenth", (10_000, 900, 100), false),
            ("one after the other", (400, 10, 100), true),
            ("half of a thread", (500, 100, 100), true),
            ("a long call now and then", (100, 100_000, 5_000), false),
            ("a long call again and again", (2, 100_000, 500_000), true),
            ("a thread put aside", (20, 10, 30_000), false),
            ("calls of a millisecond", (30, 10, 1_000), true),
        ] {
            let (load, mut clock) = (beside_a_light_one(), Duration::ZERO);
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
    fn what_runs_long_counts_by_its_processor_time() {
        for (name, processor_ms, is_busy) in [
            ("it waited", 0, false),
            ("a few milliseconds", 5, false),
            ("until its limit", 500, true),
        ] {
            let (load, mut clock) = (beside_a_light_one(), Duration::ZERO);
            after(&load, &mut clock, (1, 500_000, 10));
            load.begin(clock);
            clock += Duration::from_secs(1);
            load.end(clock, Duration::from_millis(processor_ms), Duration::ZERO);
            assert_eq!(load.is_busy(false), is_busy, "{name}");
        }
    }

    #[test]
    fn what_other_threads_do_for_it_counts() {
        for (name, idle_us, elsewhere_us, is_busy) in [
            ("now and then", 50_000, 1_000, false),
            ("a module now and then", 500_000, 10_000, false),
            ("one after the other", 200, 150, true),
            ("and long", 20_000, 20_000, true),
        ] {
            let (load, mut clock) = (beside_a_light_one(), Duration::ZERO);
            for _ in 0..200 {
                clock += Duration::from_micros(idle_us);
                load.begin(clock);
                clock += Duration::from_micros(20);
                let elsewhere = Duration::from_micros(elsewhere_us);
                load.end(clock, Duration::ZERO, elsewhere);
            }
            assert_eq!(load.is_busy(false), is_busy, "{name}");
        }
    }

    #[test]
    fn who_is_new_has_to_be_quiet_for_a_while() {
        for (idle_us, is_busy) in [(0, true), (7_000, true), (9_000, false)] {
            let (load, mut clock) = (beside_a_light_one(), Duration::ZERO);
            after(&load, &mut clock, (1, idle_us, 0));
            assert_eq!(load.is_busy(true), is_busy, "{idle_us}");
            assert!(!load.is_busy(false), "it is not sent back");
        }
    }

    #[test]
    fn nobody_is_busy_where_all_are_alike() {
        for (name, others, is_busy) in [
            ("nobody else", (0, 0, 0), false),
            ("as busy", (10_000, 120, 8), false),
            (
                "sixteen calls of ten milliseconds each",
                (100, 150_000, 10_000),
                false,
            ),
            ("every 5 ms", (200, 5_000, 10), true),
            ("every 60 ms", (20, 60_000, 10), true),
            (
                "every 50 ms, put aside each time",
                (20, 20_000, 30_000),
                true,
            ),
            ("a look at the cluster once", (3, 1_000, 10), false),
        ] {
            let light_ones = nobody();
            let (load, other) = (Load::among(light_ones), Load::among(light_ones));
            let (mut clock, mut of_other) = (Duration::ZERO, Duration::ZERO);
            after(&other, &mut of_other, others);
            after(&load, &mut clock, (300, 10, 1_000));
            assert_eq!(load.is_busy(false), is_busy, "{name}");
            assert_eq!(load.is_busy(true), is_busy, "{name}");
            // Nobody is light any more: all come back.
            after(&load, &mut clock, (6_000, 10, 1_000));
            assert!(!load.is_busy(true), "{name}: and goes");
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
