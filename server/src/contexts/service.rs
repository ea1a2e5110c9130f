//! The modules of a node with their pools, as one service.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use protocol::bounds::Fit as _;
use runtime::call::EXECUTION_ERROR;
use runtime::context::{CallEnd, LoadFailure};
use thiserror::Error;

use super::factory::{ContextFactory, MemoryUse, PooledContext as _};
use super::pool::{Held, Pool, Taken};
use super::renewal::Renewal;
use super::stats::{ModuleCounts, PoolCounts, RegistryWork, UdfTotals};
use super::warmer::Visits;
use crate::catalogue::{
    CatalogueKind, Catalogued, Item, ItemError, Origin, Parts, Place, Shown, StoreError, Stored,
};
use crate::modules::library::{Library, Serving};
use crate::modules::module::{Change, ModuleSet, ModuleView};
use crate::modules::names;
use crate::modules::settings::UdfSettings;
use crate::priority;

/// A context that became old while it was built is built again so often, then used as it is: the call began before
/// the change was answered.
const BUILD_ATTEMPTS: usize = 3;

/// Contexts that take no longer to build are built in order of their use.
const SOON: Duration = Duration::from_millis(10);

/// How long a clearing waits for contexts that take the place of the old ones. A module that is slow to load delays nobody who
/// clears by more than that; its calls build their own then.
const SUBSTITUTES_MAX: Duration = Duration::from_millis(100);

/// How much the thread that builds contexts ahead of need stands back, see nice(2): it gets about a tenth of a core that
/// others want.
const WARMER_NICE: i32 = 10;

/// Why the service did not start.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The registry cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gave no thread.
    #[error("cannot start the thread that builds contexts: {0}")]
    Thread(std::io::Error),
}

/// Why there is no context for a call. The text is what the caller reads.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AcquireError {
    /// No such module, or none that can be called.
    #[error("{EXECUTION_ERROR}")]
    NotFound,
    /// The module is registered but does not load.
    #[error("{EXECUTION_ERROR}: {0}")]
    Load(String),
}

/// Modules and pools at one moment.
struct Live<C> {
    set: Arc<ModuleSet>,
    pools: Parts<Arc<Pool<C>>>,
}

/// A context with the pool that it is for.
type Substitute<C> = (Arc<Pool<C>>, Held<C>);

/// Contexts that take the place of others once those are cleared.
struct Substitutes<C> {
    /// Of the set that is cleared; with any other they are of no use.
    epoch: u64,
    built: Vec<Substitute<C>>,
}

/// What is common to the service, its guards and the warmer.
struct Shared<F: ContextFactory> {
    factory: Arc<F>,
    settings: UdfSettings,
    live: ArcSwap<Live<F::Context>>,
    /// The epoch of the set in it, from a moment after it was put there until one after the next one was: before a change is
    /// answered.
    epoch: AtomicU64,
    visits: Visits,
    /// Held while a set is replaced: the next one is made from it. Never held while a file is written.
    publishing: Mutex<()>,
    renewal: Renewal,
    /// Substitutes are being built. One that is slow to build keeps later clearings from building any.
    substituting: AtomicBool,
    /// How long the last substitute for each module took to build, beyond [`SOON`].
    build_times: Mutex<HashMap<Arc<str>, Duration>>,
    /// A context of the set in force may have been lent to a call, or may have failed to be built. To clear what nobody has
    /// used would only cost.
    may_be_cleared: AtomicBool,
    /// A context was built that has looked for another module than its own.
    any_requires: AtomicBool,
    /// Counters of pools that are gone.
    retired: Mutex<PoolCounts>,
}

/// Lends contexts to run the modules of its [`Library`], which it derefs to. Cheap to share behind an `Arc`.
///
/// Calls take and give back contexts without a lock that is common to all; nothing waits for a context that is being
/// built but the call that needs it. A change is visible to every call that begins after the change was answered.
pub struct Service<F: ContextFactory> {
    library: Library,
    shared: Arc<Shared<F>>,
    warmer: Option<JoinHandle<()>>,
}

impl<F: ContextFactory> Deref for Service<F> {
    type Target = Library;

    fn deref(&self) -> &Library {
        &self.library
    }
}

impl<F: ContextFactory> Service<F> {
    /// Reads the registry and starts to build contexts in the background.
    ///
    /// # Errors
    /// The registry is damaged, a directory cannot be used, or no thread can be started.
    pub fn open(settings: UdfSettings, factory: F) -> Result<Self, OpenError> {
        let factory = Arc::new(factory);
        let shared = Arc::new(Shared::new(settings.clone(), Arc::clone(&factory)));
        let served = Arc::clone(&shared) as Arc<dyn Serving>;
        let library = Library::open(settings, factory, served)?;
        let warmer = if shared.settings.cache_enabled {
            let shared = Arc::clone(&shared);
            let spawned = thread::Builder::new()
                .name("udf-warm".to_owned())
                .spawn(move || {
                    after_what_answers();
                    let rest = || shared.factory.prepare_to_validate();
                    shared.visits.run(|name| shared.warm_one(name), rest);
                });
            Some(spawned.map_err(OpenError::Thread)?)
        } else {
            None
        };
        Ok(Self {
            library,
            shared,
            warmer,
        })
    }

    /// Has every context of every module built anew; blocks until no call that begins from then on runs in one that has
    /// served a call before. Costs next to nothing when none has since the last time; see `renewal.rs`.
    pub fn clear_cache(&self) {
        let shared = &self.shared;
        shared.renewal.join(
            || shared.may_be_cleared.load(Ordering::SeqCst),
            || shared.substitutes(),
            |substitutes| shared.clear(substitutes),
        );
    }

    /// A context for one call of this module, by the name without extension.
    ///
    /// Takes an idle one, or builds one on this thread, which takes as long as the module's body does.
    ///
    /// # Errors
    /// There is no such module, or it does not load.
    pub fn acquire(&self, name: &[u8]) -> Result<ContextGuard<'_, F>, AcquireError> {
        self.shared.acquire(name)
    }

    /// Like [`acquire`](Self::acquire), but never builds a context: none means that one has to be built.
    ///
    /// # Errors
    /// There is no such module, or it is known not to load.
    pub fn acquire_idle(&self, name: &[u8]) -> Result<Option<ContextGuard<'_, F>>, AcquireError> {
        self.shared.acquire_idle(name)
    }

    /// Builds a context on this thread, after [`acquire_idle`](Self::acquire_idle) had none.
    ///
    /// # Errors
    /// There is no such module, or it does not load.
    pub fn build(&self, name: &[u8]) -> Result<ContextGuard<'_, F>, AcquireError> {
        self.shared.build_for_call(name)
    }

    /// Numbers of every module, in the order of `udf-list`.
    #[must_use]
    pub fn counts(&self) -> Vec<ModuleCounts> {
        let live = self.shared.live.load();
        live.set
            .in_order()
            .iter()
            .map(|module| ModuleCounts {
                file_name: module.file_name().to_owned(),
                version: module.version(),
                counts: module
                    .name()
                    .and_then(|name| live.pools.get(name.as_bytes()))
                    .map(|pool| pool.counts())
                    .unwrap_or_default(),
            })
            .collect()
    }

    /// What all contexts and calls hold, and may hold.
    #[must_use]
    pub fn memory(&self) -> MemoryUse {
        self.shared.factory.memory()
    }

    /// Numbers of all modules together, since the start.
    #[must_use]
    pub fn totals(&self) -> UdfTotals {
        let live = self.shared.live.load();
        let mut pools = *self.shared.retired.lock();
        for (_, pool) in live.pools.iter() {
            pools += pool.counts();
        }
        UdfTotals {
            modules: live.set.count() as u64,
            pools,
            memory: self.shared.factory.memory(),
            registry: RegistryWork {
                syncs: self.library.shown().disk_work().syncs(),
                bytes: self.library.shown().disk_work().bytes(),
                ..RegistryWork::default()
            },
        }
    }

    /// Waits until no context is being built ahead of need. False if that takes longer than `timeout`.
    pub fn wait_until_warm(&self, timeout: Duration) -> bool {
        self.shared.visits.wait_until_idle(timeout)
    }
}

/// As its library.
impl<F: ContextFactory> Catalogued for Service<F> {
    fn kind(&self) -> &'static CatalogueKind {
        self.library.kind()
    }

    fn shown(&self) -> &Shown {
        self.library.shown()
    }

    fn store(
        &self,
        items: Vec<Item>,
        origin: Origin,
    ) -> Result<Vec<Result<Stored, ItemError>>, StoreError> {
        self.library.store(items, origin)
    }

    fn settle(&self, peers: Vec<u64>) -> Result<(), StoreError> {
        self.library.settle(peers)
    }

    fn keep_alive(&self) -> Result<(), StoreError> {
        self.library.keep_alive()
    }
}

/// Has the system prefer every other thread to this one: a call that finds no context builds its own.
fn after_what_answers() {
    priority::stands_back(WARMER_NICE, "builds contexts");
}

impl<F: ContextFactory> Drop for Service<F> {
    fn drop(&mut self) {
        self.shared.visits.stop();
        if let Some(warmer) = self.warmer.take() {
            // The thread has nothing to give; that it ended is what is waited for.
            let _ = warmer.join();
        }
    }
}

impl<F: ContextFactory> Serving for Shared<F> {
    fn modules(&self) -> Arc<ModuleSet> {
        Arc::clone(&self.live.load().set)
    }

    fn serve(&self, changes: &[Change]) {
        self.publish(|set| set.followed_by(changes), Some(changes));
    }

    fn serve_only(&self, modules: &[Change]) {
        self.publish(|set| set.replaced_by(modules), None);
    }

    fn make_ready(&self) {
        self.visits.begin();
    }

    fn ensure_loaded(&self, file_name: &str) {
        let live = self.live.load();
        let Some(pool) =
            names::callable(file_name).and_then(|name| live.pools.get(name.as_bytes()))
        else {
            return;
        };
        pool.retry();
        if self.settings.cache_enabled {
            self.visits.ask(pool.name());
        }
    }
}

impl<F: ContextFactory> Shared<F> {
    fn new(settings: UdfSettings, factory: Arc<F>) -> Self {
        Self {
            factory,
            settings,
            live: ArcSwap::from_pointee(Live {
                set: Arc::default(),
                pools: Parts::default(),
            }),
            epoch: AtomicU64::new(0),
            visits: Visits::default(),
            publishing: Mutex::default(),
            renewal: Renewal::default(),
            substituting: AtomicBool::new(false),
            build_times: Mutex::default(),
            may_be_cleared: AtomicBool::new(true),
            any_requires: AtomicBool::new(false),
            retired: Mutex::default(),
        }
    }

    /// Puts the set after the one in force into its place, with a pool for every name that can be called, and asks for visits
    /// of pools. `changes` is what differs; none: it may be anything.
    fn publish(&self, next: impl FnOnce(&ModuleSet) -> ModuleSet, changes: Option<&[Change]>) {
        let publishing = self.publishing.lock();
        let old = self.live.load_full();
        let set = next(&old.set);
        let names: BTreeSet<Box<[u8]>> = match changes {
            Some(changes) => {
                let names = changes.iter();
                names
                    .filter_map(|(_, file_name, _)| {
                        Some(names::callable(file_name)?.as_bytes().into())
                    })
                    .collect()
            }
            None => old
                .pools
                .iter()
                .map(|(name, _)| name.into())
                .chain(set.names().map(Box::from))
                .collect(),
        };
        let wanted = |name: &[u8]| {
            let called = set.of_name(name)?.name()?;
            let known = old.pools.get(name).map(Arc::clone);
            let new = || Pool::new(called, self.settings.max_idle_contexts);
            Some(known.unwrap_or_else(|| Arc::new(new())))
        };
        let pools = old
            .pools
            .changed(names.iter().map(|name| (&**name, wanted(name))));
        let live = Arc::new(Live {
            set: Arc::new(set),
            pools,
        });
        self.live.store(Arc::clone(&live));
        self.epoch.store(live.set.epoch(), Ordering::Release);
        drop(publishing);
        let gone = names.iter().filter(|name| live.pools.get(name).is_none());
        for pool in gone.filter_map(|name| old.pools.get(name)) {
            // Its idle contexts are closed with it, on the thread that made the change.
            let _ = pool.needs_one(&live.set, 0);
            *self.retired.lock() += pool.counts().without_gauges();
        }
        if !self.settings.cache_enabled {
            return;
        }
        // Contexts of modules that require others may be old too.
        if changes.is_none() || self.any_requires.load(Ordering::Relaxed) {
            let pools = live.pools.iter();
            self.visits
                .ask_after_change(pools.map(|(_, pool)| pool.name()));
        } else {
            let pools = names.iter().filter_map(|name| live.pools.get(name));
            self.visits.ask_after_change(pools.map(|pool| pool.name()));
        }
    }

    /// What takes the place of the contexts that calls have used lately, one more for each module than are in use, as far as
    /// they are built in time.
    fn substitutes(self: &Arc<Self>) -> Substitutes<F::Context> {
        let live = self.live.load_full();
        let mut substitutes = Substitutes {
            epoch: live.set.epoch(),
            built: Vec::new(),
        };
        let is_possible = self.settings.cache_enabled && !self.factory.memory().is_scarce();
        if !is_possible || self.substituting.swap(true, Ordering::SeqCst) {
            return substitutes;
        }
        let end = Instant::now() + SUBSTITUTES_MAX;
        let (give, take) = mpsc::channel();
        let shared = Arc::clone(self);
        let spawned = thread::Builder::new().name("udf-renew".to_owned());
        let spawned = spawned.spawn(move || {
            after_what_answers();
            shared.build_substitutes(&live, &give);
            shared.substituting.store(false, Ordering::SeqCst);
        });
        if let Err(error) = spawned {
            self.substituting.store(false, Ordering::SeqCst);
            tracing::warn!(target: "udf", "cannot start a thread that renews contexts: {error}");
            return substitutes;
        }
        // Until all are built, or it is time.
        while let Ok(one) = take.recv_timeout(end.saturating_duration_since(Instant::now())) {
            substitutes.built.push(one);
        }
        substitutes
    }

    /// Builds until nobody takes them any more: first those that are built soonest, so that no module that is slow to load
    /// keeps the others from theirs.
    fn build_substitutes(
        &self,
        live: &Live<F::Context>,
        give: &mpsc::Sender<Substitute<F::Context>>,
    ) {
        let set = Arc::new(live.set.cleared());
        let pools = live.pools.iter().map(|(_, pool)| (pool.counts(), pool));
        let mut used: Vec<_> = pools.filter(|(counts, _)| counts.hits > 0).collect();
        {
            let mut times = self.build_times.lock();
            times.retain(|name, _| live.pools.get(name.as_bytes()).is_some());
            used.sort_by_key(|(counts, pool)| {
                // One that was not built yet may be quick: nobody waits long to find out.
                let took = times
                    .get(pool.name())
                    .map_or(Duration::ZERO, Duration::clone);
                (took, Reverse(counts.hits))
            });
        }
        for (counts, pool) in used {
            let wanted: usize = (counts.busy + 1).at_most();
            for _ in 0..wanted.min(self.settings.initial_contexts) {
                let begun = Instant::now();
                let built = self.build(&set, pool, pool.name().as_bytes());
                let took = begun.elapsed().saturating_sub(SOON);
                let name = Arc::clone(pool.name());
                self.build_times.lock().insert(name, took);
                let Ok(held) = built else { break };
                if give.send((Arc::clone(pool), held)).is_err() {
                    return;
                }
            }
        }
    }

    /// Makes all contexts old but those.
    fn clear(&self, substitutes: Substitutes<F::Context>) {
        // What is used from now on of the set in force is cleared once more for nothing; what is used of the next one counts.
        self.may_be_cleared.store(false, Ordering::SeqCst);
        let is_as_it_was = Cell::new(false);
        let next = |set: &ModuleSet| {
            is_as_it_was.set(set.epoch() == substitutes.epoch);
            set.cleared()
        };
        self.publish(next, None);
        if is_as_it_was.get() {
            let mut pools = Vec::with_capacity(substitutes.built.len());
            for (pool, held) in substitutes.built {
                pool.add_idle(held);
                pools.push(pool);
            }
            // Else the calls that come next would close the old ones.
            let live = self.live.load_full();
            for pool in pools {
                pool.needs_one(&live.set, 0);
            }
        }
        self.visits.begin();
    }

    /// Lends a context of the pool of this name in `live`.
    fn guard(
        &self,
        live: Guard<Arc<Live<F::Context>>>,
        place: Place,
        held: Held<F::Context>,
    ) -> ContextGuard<'_, F> {
        // Seen in the set that the context is of: once that is replaced, the mark is about the next one.
        if !self.may_be_cleared.load(Ordering::SeqCst) {
            self.may_be_cleared.store(true, Ordering::SeqCst);
        }
        ContextGuard {
            shared: self,
            live,
            place,
            taken_bytes: held.bytes,
            held: Some(held),
            end: None,
        }
    }

    /// Whether a context may serve a call that begins now.
    fn is_current(&self, held: &mut Held<F::Context>) -> bool {
        held.epoch == self.epoch.load(Ordering::Acquire) || held.follow(&self.live.load().set)
    }

    fn acquire(&self, name: &[u8]) -> Result<ContextGuard<'_, F>, AcquireError> {
        match self.acquire_idle(name)? {
            Some(guard) => Ok(guard),
            None => self.build_for_call(name),
        }
    }

    fn acquire_idle(&self, name: &[u8]) -> Result<Option<ContextGuard<'_, F>>, AcquireError> {
        let live = self.live.load();
        let place = live.pools.place(name).ok_or(AcquireError::NotFound)?;
        let pool = live.pools.at(place).ok_or(AcquireError::NotFound)?;
        match pool.take(&live.set) {
            Taken::Context(held) => Ok(Some(self.guard(live, place, held))),
            Taken::Failed(failure) => Err(AcquireError::Load(failure.reason)),
            Taken::Miss => Ok(None),
        }
    }

    fn build_for_call(&self, name: &[u8]) -> Result<ContextGuard<'_, F>, AcquireError> {
        let mut attempt = 1;
        loop {
            let live = self.live.load();
            let place = live.pools.place(name).ok_or(AcquireError::NotFound)?;
            let pool = live.pools.at(place).ok_or(AcquireError::NotFound)?;
            let built = self.build(&live.set, pool, name);
            let current = self.live.load();
            match built {
                Ok(mut held) => {
                    if attempt < BUILD_ATTEMPTS && !held.follow(&current.set) {
                        attempt += 1;
                        continue;
                    }
                    pool.built_for_call(held.bytes);
                    return Ok(self.guard(live, place, held));
                }
                Err(failure) => {
                    if attempt < BUILD_ATTEMPTS && current.set.epoch() != live.set.epoch() {
                        attempt += 1;
                        continue;
                    }
                    return Err(AcquireError::Load(failure.reason));
                }
            }
        }
    }

    /// One visit of the warmer. True: the pool wants another one.
    fn warm_one(&self, name: &Arc<str>) -> bool {
        let live = self.live.load_full();
        let Some(pool) = live.pools.get(name.as_bytes()) else {
            return false;
        };
        // Contexts ahead of need take none of the memory that calls may need.
        if self.factory.memory().is_scarce()
            || !pool.needs_one(&live.set, self.settings.initial_contexts)
        {
            return false;
        }
        match self.build(&self.live.load_full().set, pool, name.as_bytes()) {
            Ok(held) => {
                pool.add_idle(held);
                true
            }
            Err(_) => false,
        }
    }

    /// Builds one context. A failure is remembered by the pool, and logged when it is news.
    fn build(
        &self,
        set: &Arc<ModuleSet>,
        pool: &Pool<F::Context>,
        name: &[u8],
    ) -> Result<Held<F::Context>, LoadFailure> {
        let view = Arc::new(ModuleView::new(Arc::clone(set), name));
        let built = match set.of_name(name) {
            // A bug of the factory harms the one call, not the pool and not the warmer.
            Some(module) => catch_unwind(AssertUnwindSafe(|| {
                self.factory.create(module, Arc::clone(&view) as _)
            }))
            .unwrap_or_else(|_| {
                Err(LoadFailure {
                    reason: "building a context panicked".to_owned(),
                    transient: true,
                })
            }),
            None => Err(LoadFailure {
                reason: "the module was removed".to_owned(),
                transient: true,
            }),
        };
        if view.uses_others() {
            self.any_requires.store(true, Ordering::Relaxed);
        }
        match built {
            Ok(context) => Ok(Held {
                bytes: context.memory_bytes(),
                context: Box::new(context),
                view,
                epoch: set.epoch(),
            }),
            Err(failure) => {
                self.may_be_cleared.store(true, Ordering::SeqCst);
                if pool.failed(failure.clone(), view) {
                    tracing::warn!(
                        target: "udf",
                        "module `{}` does not load: {}",
                        pool.name(),
                        failure.reason
                    );
                }
                Err(failure)
            }
        }
    }
}

/// A context lent to one call. It goes back to its pool when dropped.
///
/// Pools are found through the version of all that was in force, which a guard holds without counting: calls on all
/// processors would write to one counter.
pub struct ContextGuard<'s, F: ContextFactory> {
    shared: &'s Shared<F>,
    live: Guard<Arc<Live<F::Context>>>,
    place: Place,
    taken_bytes: usize,
    held: Option<Held<F::Context>>,
    end: Option<CallEnd>,
}

impl<'s, F: ContextFactory> ContextGuard<'s, F> {
    /// The context. It is there until the guard is dropped.
    pub fn context(&mut self) -> Option<&mut F::Context> {
        self.held.as_mut().map(|held| &mut *held.context)
    }

    /// No module that the context uses has changed since it was acquired.
    ///
    /// Ask after a wait, for a record's lock say: a change that was answered meanwhile must be seen. If not, drop the
    /// guard and acquire again.
    pub fn is_current(&mut self) -> bool {
        let held = self.held.as_mut();
        held.is_some_and(|held| self.shared.is_current(held))
    }

    /// Another context of the same module, as [`Service::acquire`] gives it.
    ///
    /// # Errors
    /// There is no such module any more, or it does not load.
    pub fn anew(&self) -> Result<ContextGuard<'s, F>, AcquireError> {
        let (name, _) = self
            .live
            .pools
            .entry(self.place)
            .ok_or(AcquireError::NotFound)?;
        self.shared.acquire(name)
    }

    /// Counts the call, when the guard is dropped.
    pub fn ended(&mut self, end: CallEnd) {
        self.end = Some(end);
    }
}

impl<F: ContextFactory> Drop for ContextGuard<'_, F> {
    fn drop(&mut self) {
        let Some(mut held) = self.held.take() else {
            return;
        };
        let settings = &self.shared.settings;
        let keep = settings.cache_enabled
            && !thread::panicking()
            && !self.shared.factory.memory().is_scarce()
            && self.shared.is_current(&mut held);
        let Some(pool) = self.live.pools.at(self.place) else {
            return;
        };
        let wanted = pool.give_back(
            held,
            self.taken_bytes,
            self.end,
            keep,
            settings.initial_contexts,
        );
        if wanted && settings.cache_enabled {
            self.shared.visits.ask(pool.name());
        }
    }
}
