//! The contexts of one module that wait for calls.
//!
//! The lock of a pool is held only while a context is taken or given back: never while one is built, runs, or is
//! closed. Whether a context is old is decided against the module set in force when it is *taken*, so no change can
//! slip between a check and a use.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::factory::PooledContext;
use super::stats::PoolCounts;
use crate::modules::module::{ModuleSet, ModuleView};
use runtime::context::{CallEnd, LoadFailure};

/// Contexts that hold more are closed on a thread of their own: that takes milliseconds.
const LARGE_CONTEXT: usize = 1 << 20;

/// How long a failure that may pass by itself is answered without another attempt.
const TRANSIENT_FAILURE: Duration = Duration::from_secs(1);

/// A context with what tells whether it is old.
pub(crate) struct Held<C> {
    pub(crate) context: C,
    pub(crate) view: Arc<ModuleView>,
    /// Module set that the context was last found to be current in.
    pub(crate) epoch: u64,
    /// Memory after its last use, bytes.
    pub(crate) bytes: usize,
    /// The thread that used it last, or built it.
    pub(crate) thread: Thread,
}

/// A thread, as long as it lives: what it used last is in the cache of its processor, and what others used is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Thread(usize);

impl Thread {
    pub(crate) fn current() -> Self {
        thread_local! {
            static ANYTHING: u8 = const { 0 };
        }
        Self(ANYTHING.with(|anything| std::ptr::from_ref(anything).addr()))
    }
}

/// So many contexts, those used last, are looked through for one of the thread that asks.
const LOOKED_THROUGH: usize = 8;

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

struct PoolState<C> {
    /// The last one was used last: its memory is warm.
    idle: Vec<Held<C>>,
    busy: usize,
    busy_bytes: usize,
    failure: Option<CachedFailure>,
    counts: PoolCounts,
}

pub(crate) struct Pool<C> {
    name: Arc<str>,
    max_idle: usize,
    state: Mutex<PoolState<C>>,
}

impl<C: PooledContext> Pool<C> {
    pub(crate) fn new(name: &str, max_idle: usize) -> Self {
        Self {
            name: name.into(),
            max_idle,
            state: Mutex::new(PoolState {
                idle: Vec::new(),
                busy: 0,
                busy_bytes: 0,
                failure: None,
                counts: PoolCounts::default(),
            }),
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Takes the idle context that this thread used last, if that was lately, else the one that was used last at all. Old
    /// ones that it meets are closed.
    pub(crate) fn take(&self, set: &Arc<ModuleSet>) -> Taken<C> {
        let thread = Thread::current();
        // Declared before the guard, so that contexts are closed after it is released.
        let mut old = Vec::new();
        let mut state = self.state.lock();
        let lately = state.idle.iter().enumerate().rev().take(LOOKED_THROUGH);
        let mut own = lately.filter(|(_, held)| held.thread == thread);
        if let (Some((place, _)), Some(last)) = (own.next(), state.idle.len().checked_sub(1)) {
            state.idle.swap(place, last);
        }
        while let Some(mut held) = state.idle.pop() {
            if held.follow(set) {
                state.busy += 1;
                state.busy_bytes += held.bytes;
                state.counts.hits += 1;
                drop(state);
                return Taken::Context(held);
            }
            state.counts.dropped += 1;
            old.push(held);
        }
        let taken = match state.current_failure(set) {
            Some(failure) => Taken::Failed(failure),
            None => {
                state.counts.misses += 1;
                Taken::Miss
            }
        };
        drop(state);
        drop(old);
        taken
    }

    /// Counts a context that was built for a call.
    pub(crate) fn built_for_call(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.counts.created += 1;
        state.busy += 1;
        state.busy_bytes += bytes;
        state.failure = None;
    }

    /// Remembers that the module does not load, until something that it used changes. True: this is news.
    pub(crate) fn failed(&self, failure: LoadFailure, view: Arc<ModuleView>) -> bool {
        let until = failure
            .transient
            .then(|| Instant::now() + TRANSIENT_FAILURE);
        let mut state = self.state.lock();
        state.counts.load_failures += 1;
        let news = state
            .failure
            .as_ref()
            .is_none_or(|known| known.failure != failure);
        state.failure = Some(CachedFailure {
            failure,
            view,
            until,
        });
        news
    }

    /// Forgets a failure: the next call, or the warmer, tries again.
    pub(crate) fn retry(&self) {
        self.state.lock().failure = None;
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
        held.thread = Thread::current();
        let mut state = self.state.lock();
        state.busy = state.busy.saturating_sub(1);
        state.busy_bytes = state.busy_bytes.saturating_sub(taken_bytes);
        state.counts.ended(end);
        if let Some(why) = retirement {
            state.counts.retired(why);
        }
        if keep && state.idle.len() < self.max_idle {
            state.idle.push(held);
            return false;
        }
        state.counts.dropped += 1;
        let wanted = state.idle.len() + state.busy < initial;
        drop(state);
        close(held);
        wanted
    }

    /// Closes old contexts and says whether fewer than `initial` are left and another may be built.
    pub(crate) fn needs_one(&self, set: &Arc<ModuleSet>, initial: usize) -> bool {
        let mut old = Vec::new();
        let mut state = self.state.lock();
        let mut index = 0;
        while let Some(held) = state.idle.get_mut(index) {
            if held.follow(set) {
                index += 1;
            } else {
                old.push(state.idle.remove(index));
            }
        }
        state.counts.dropped += old.len() as u64;
        let wanted =
            state.idle.len() + state.busy < initial && state.current_failure(set).is_none();
        drop(state);
        drop(old);
        wanted
    }

    /// Adds a context that was built ahead of need.
    pub(crate) fn add_idle(&self, held: Held<C>) {
        let mut state = self.state.lock();
        state.counts.created += 1;
        state.failure = None;
        if state.idle.len() < self.max_idle {
            // Below those in use: a warm context is better than a new one.
            state.idle.insert(0, held);
            return;
        }
        state.counts.dropped += 1;
        drop(state);
        drop(held);
    }

    /// The counters, with what is idle and busy now.
    pub(crate) fn counts(&self) -> PoolCounts {
        let state = self.state.lock();
        PoolCounts {
            idle: state.idle.len() as u64,
            busy: state.busy as u64,
            memory_bytes: (state.busy_bytes
                + state.idle.iter().map(|held| held.bytes).sum::<usize>())
                as u64,
            ..state.counts
        }
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

impl<C> PoolState<C> {
    fn current_failure(&mut self, set: &Arc<ModuleSet>) -> Option<LoadFailure> {
        let cached = self.failure.as_ref()?;
        let expired = cached.until.is_some_and(|until| Instant::now() >= until);
        if expired || !cached.view.follow(set) {
            self.failure = None;
            return None;
        }
        self.failure.as_ref().map(|cached| cached.failure.clone())
    }
}
