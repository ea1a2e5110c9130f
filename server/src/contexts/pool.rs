//! The contexts of one module that wait for calls.
//!
//! Each processor has some of them: a call gets one that was used last on the processor that runs it, whose cache has what
//! is in it, and writes to nothing that calls on others write to. Where there is none, it gets one of another.
//!
//! A lock is held only while a context is taken or given back: never while one is built, runs, or is closed. Whether a
//! context is old is decided against the module set in force when it is *taken*, so no change can slip between a check and
//! a use.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use protocol::bounds::Fit as _;

use super::factory::PooledContext;
use super::stats::PoolCounts;
use crate::modules::module::{ModuleSet, ModuleView};
use crate::processor::PerProcessor;
use runtime::context::{CallEnd, LoadFailure};

/// Contexts that hold more are closed on a thread of their own: that takes milliseconds.
const LARGE_CONTEXT: usize = 1 << 20;

/// How long a failure that may pass by itself is answered without another attempt.
const TRANSIENT_FAILURE: Duration = Duration::from_secs(1);

/// A context with what tells whether it is old.
pub(crate) struct Held<C> {
    /// Lent and given back for every call: it stays where it is.
    pub(crate) context: Box<C>,
    pub(crate) view: Arc<ModuleView>,
    /// Module set that the context was last found to be current in.
    pub(crate) epoch: u64,
    /// Memory after its last use, bytes.
    pub(crate) bytes: usize,
}

impl<C> Held<C> {
    /// The context may serve a call that sees `set`.
    pub(crate) fn follow(&mut self, set: &Arc<ModuleSet>) -> bool {
        if self.epoch == set.epoch() {
            return true;
        }
        if !self.view.follow(set) {
            return false;
        }
        self.epoch = set.epoch();
        true
    }
}

/// What a pool has for a call.
pub(crate) enum Taken<C> {
    Context(Held<C>),
    /// The module is known not to load.
    Failed(LoadFailure),
    /// None is idle: build one.
    Miss,
}

struct CachedFailure {
    failure: LoadFailure,
    view: Arc<ModuleView>,
    until: Option<Instant>,
}

/// What one processor has of a pool.
struct Share<C> {
    /// The last one was used last: its memory is warm.
    idle: Vec<Held<C>>,
    /// So many may be idle here: the sum over all processors is that of the pool.
    max_idle: usize,
    /// Taken here, less those that were given back here: the sum over all processors are those that serve a call now.
    busy: i64,
    busy_bytes: i64,
    counts: PoolCounts,
}

/// How many contexts there are.
#[derive(Clone, Copy, Debug, Default)]
struct Gauges {
    idle: usize,
    busy: i64,
    bytes: i64,
}

pub(crate) struct Pool<C> {
    name: Arc<str>,
    shares: PerProcessor<Mutex<Share<C>>>,
    failure: Mutex<Option<CachedFailure>>,
}

impl<C: PooledContext> Pool<C> {
    /// A pool that keeps up to `max_idle` contexts.
    pub(crate) fn new(name: &str, max_idle: usize) -> Self {
        let left = Cell::new(max_idle);
        let share = |shares: usize| {
            let part = max_idle.div_ceil(shares).min(left.get());
            left.set(left.get() - part);
            Mutex::new(Share {
                idle: Vec::new(),
                max_idle: part,
                busy: 0,
                busy_bytes: 0,
                counts: PoolCounts::default(),
            })
        };
        Self {
            name: name.into(),
            shares: PerProcessor::new(share),
            failure: Mutex::default(),
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What this processor has.
    fn here(&self) -> Option<MutexGuard<'_, Share<C>>> {
        self.shares.here().map(Mutex::lock)
    }

    /// Takes the idle context that was used last on this processor, else one of another. Old ones that it meets are closed.
    pub(crate) fn take(&self, set: &Arc<ModuleSet>) -> Taken<C> {
        // Closed when no lock is held.
        let mut old = Vec::new();
        for share in self.shares.from_here() {
            let mut share = share.lock();
            while let Some(mut held) = share.idle.pop() {
                if held.follow(set) {
                    share.busy += 1;
                    share.busy_bytes += held.bytes.fit::<i64>();
                    share.counts.hits += 1;
                    return Taken::Context(held);
                }
                share.counts.dropped += 1;
                old.push(held);
            }
        }
        match self.current_failure(set) {
            Some(failure) => Taken::Failed(failure),
            None => {
                if let Some(mut share) = self.here() {
                    share.counts.misses += 1;
                }
                Taken::Miss
            }
        }
    }

    /// Counts a context that was built for a call.
    pub(crate) fn built_for_call(&self, bytes: usize) {
        *self.failure.lock() = None;
        if let Some(mut share) = self.here() {
            share.counts.created += 1;
            share.busy += 1;
            share.busy_bytes += bytes.fit::<i64>();
        }
    }

    /// Remembers that the module does not load, until something that it used changes. True: this is news.
    pub(crate) fn failed(&self, failure: LoadFailure, view: Arc<ModuleView>) -> bool {
        let until = failure
            .transient
            .then(|| Instant::now() + TRANSIENT_FAILURE);
        if let Some(mut share) = self.here() {
            share.counts.load_failures += 1;
        }
        let mut known = self.failure.lock();
        let news = known.as_ref().is_none_or(|known| known.failure != failure);
        *known = Some(CachedFailure {
            failure,
            view,
            until,
        });
        news
    }

    /// Forgets a failure: the next call, or the warmer, tries again.
    pub(crate) fn retry(&self) {
        *self.failure.lock() = None;
    }

    /// Takes a context back after a call; keeps it if it is to be kept and neither spent nor one too many. True: one more is
    /// wanted.
    pub(crate) fn give_back(
        &self,
        mut held: Held<C>,
        taken_bytes: usize,
        end: Option<CallEnd>,
        keep: bool,
        initial: usize,
    ) -> bool {
        let retirement = held.context.retirement();
        let keep = keep && retirement.is_none();
        held.bytes = held.context.memory_bytes();
        if let Some(mut share) = self.here() {
            share.busy -= 1;
            share.busy_bytes -= taken_bytes.fit::<i64>();
            share.counts.ended(end);
            if let Some(why) = retirement {
                share.counts.retired(why);
            }
            if keep && share.idle.len() < share.max_idle {
                share.idle.push(held);
                return false;
            }
        }
        if keep && let Some(mut share) = self.with_room() {
            share.idle.push(held);
            return false;
        }
        if let Some(mut share) = self.here() {
            share.counts.dropped += 1;
        }
        close(held);
        self.is_below(initial)
    }

    /// What this processor has, with room for one more, which is that of another if need be. None when the pool is full.
    fn with_room(&self) -> Option<MutexGuard<'_, Share<C>>> {
        // One lock at a time: who holds one and waits for another could wait for ever.
        let mut room = 0;
        for share in self.shares.from_here() {
            let mut share = share.lock();
            // Half of it, so that it is not asked for one by one.
            room = share.max_idle.saturating_sub(share.idle.len()).div_ceil(2);
            share.max_idle -= room;
            if room > 0 {
                break;
            }
        }
        let mut here = self.here()?;
        here.max_idle += room;
        (here.idle.len() < here.max_idle).then_some(here)
    }

    /// Whether there are fewer than so many, idle and busy.
    fn is_below(&self, wanted: usize) -> bool {
        let Gauges { idle, busy, .. } = self.gauges();
        idle.fit::<i64>() + busy < wanted.fit::<i64>()
    }

    fn gauges(&self) -> Gauges {
        let mut sum = Gauges::default();
        for share in self.shares.each() {
            let share = share.lock();
            sum.idle += share.idle.len();
            sum.busy += share.busy;
            let idle_bytes: usize = share.idle.iter().map(|held| held.bytes).sum();
            sum.bytes += share.busy_bytes + idle_bytes.fit::<i64>();
        }
        sum
    }

    /// Closes old contexts and says whether fewer than `initial` are left and another may be built.
    pub(crate) fn needs_one(&self, set: &Arc<ModuleSet>, initial: usize) -> bool {
        let mut old = Vec::new();
        for share in self.shares.each() {
            let mut share = share.lock();
            let mut index = 0;
            while let Some(held) = share.idle.get_mut(index) {
                if held.follow(set) {
                    index += 1;
                } else {
                    old.push(share.idle.remove(index));
                    share.counts.dropped += 1;
                }
            }
        }
        drop(old);
        self.is_below(initial) && self.current_failure(set).is_none()
    }

    /// Adds a context that was built ahead of need.
    pub(crate) fn add_idle(&self, held: Held<C>) {
        *self.failure.lock() = None;
        if let Some(mut share) = self.here() {
            share.counts.created += 1;
        }
        if let Some(mut share) = self.with_room() {
            // Below those in use: a warm context is better than a new one.
            share.idle.insert(0, held);
            return;
        }
        if let Some(mut share) = self.here() {
            share.counts.dropped += 1;
        }
    }

    /// The counters, with what is idle and busy now.
    pub(crate) fn counts(&self) -> PoolCounts {
        let mut counts = PoolCounts::default();
        for share in self.shares.each() {
            counts += share.lock().counts;
        }
        let Gauges { idle, busy, bytes } = self.gauges();
        PoolCounts {
            idle: idle.fit::<u64>(),
            // One on its way from one processor to another may be seen at the second one only.
            busy: busy.max(0).unsigned_abs(),
            memory_bytes: bytes.max(0).unsigned_abs(),
            ..counts
        }
    }

    fn current_failure(&self, set: &Arc<ModuleSet>) -> Option<LoadFailure> {
        let mut known = self.failure.lock();
        let cached = known.as_ref()?;
        let expired = cached.until.is_some_and(|until| Instant::now() >= until);
        if expired || !cached.view.follow(set) {
            *known = None;
            return None;
        }
        known.as_ref().map(|cached| cached.failure.clone())
    }
}

/// Closes a context that nobody uses any more.
fn close<C: PooledContext>(held: Held<C>) {
    // Outside of a runtime nobody waits behind this thread.
    if held.bytes > LARGE_CONTEXT
        && let Ok(runtime) = tokio::runtime::Handle::try_current()
    {
        runtime.spawn_blocking(move || drop(held));
    }
}
