//! Registry, pools and warmer as one service.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use runtime::call::EXECUTION_ERROR;
use thiserror::Error;
use tokio::sync::watch;

use super::catalogue::{Proposal, Stored};
use super::failures::Failures;
use super::item::{ItemError, ModuleItem};
use super::joining::outdated_counts;
use super::module::{Module, ModuleSet, ModuleView};
use super::names;
use super::persistence::{StoreError, StoredItem};
use super::registry::{
    KEEP_ALIVE_MS, Known, Prepared, PutError, Registry, Versions, build_module, decode_content,
};
use super::settings::UdfSettings;
use super::version::{DAY_MS, Decision, Summaries, decide, missing};
use crate::clock;
use crate::contexts::factory::{ContextFactory, PooledContext as _};
use crate::contexts::pool::{Held, Pool, Taken};
use crate::contexts::stats::{ModuleCounts, PoolCounts, UdfTotals};
use crate::contexts::warmer::Visits;
use runtime::context::CallEnd;
use runtime::context::LoadFailure;

/// A context that became old while it was built is built again so often, then used as it is: the call began before
/// the change was answered.
const BUILD_ATTEMPTS: usize = 3;

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
    pools: HashMap<Box<[u8]>, Arc<Pool<C>>>,
}

/// What is common to the service, its guards and the warmer.
struct Shared<F: ContextFactory> {
    factory: F,
    settings: UdfSettings,
    live: ArcSwap<Live<F::Context>>,
    visits: Visits,
    /// Held while a set is replaced: the next one is made from it. Never held while a file is written.
    publishing: Mutex<()>,
    /// Counters of pools that are gone.
    retired: Mutex<PoolCounts>,
}

/// Registers modules and lends contexts to run them. Cheap to share behind an `Arc`.
///
/// Calls take and give back contexts without a lock that is common to all; nothing waits for a context that is being
/// built but the call that needs it. A change is visible to every call that begins after the change was answered.
pub struct Service<F: ContextFactory> {
    shared: Arc<Shared<F>>,
    registry: Mutex<Registry>,
    /// What the registry has on disk and the set in force serves.
    known: ArcSwap<Known>,
    changes: watch::Sender<u64>,
    failures: Failures,
    alive_until_ms: u64,
    opened_ms: u64,
    forgets_from_ms: u64,
    settled: AtomicBool,
    versions: Versions,
    warmer: Option<JoinHandle<()>>,
}

impl<F: ContextFactory> Service<F> {
    /// Reads the registry and starts to build contexts in the background.
    ///
    /// # Errors
    /// The registry is damaged, a directory cannot be used, or no thread can be started.
    pub fn open(settings: UdfSettings, factory: F) -> Result<Self, OpenError> {
        let versions = Versions::default();
        let registry = Registry::open(&settings, &factory, &versions)?;
        let shared = Arc::new(Shared {
            factory,
            settings,
            live: ArcSwap::from_pointee(Live {
                set: Arc::default(),
                pools: HashMap::new(),
            }),
            visits: Visits::default(),
            publishing: Mutex::default(),
            retired: Mutex::default(),
        });
        shared.publish(|set| set.followed_by(registry.modules()));
        let warmer = if shared.settings.cache_enabled {
            let shared = Arc::clone(&shared);
            let spawned = thread::Builder::new()
                .name("udf-warm".to_owned())
                .spawn(move || shared.visits.run(|name| shared.warm_one(name)));
            Some(spawned.map_err(OpenError::Thread)?)
        } else {
            None
        };
        Ok(Self {
            shared,
            known: ArcSwap::from_pointee(registry.known()),
            alive_until_ms: registry.alive_until_ms(),
            opened_ms: registry.opened_ms(),
            forgets_from_ms: registry.forgets_from_ms(),
            settled: AtomicBool::new(registry.is_settled()),
            registry: Mutex::new(registry),
            changes: watch::Sender::new(0),
            failures: Failures::default(),
            versions,
            warmer,
        })
    }

    /// What the service was told at start.
    #[must_use]
    pub fn settings(&self) -> &UdfSettings {
        &self.shared.settings
    }

    /// The modules registered now.
    #[must_use]
    pub fn modules(&self) -> Arc<ModuleSet> {
        Arc::clone(&self.shared.live.load().set)
    }

    /// Validates, stores and publishes a module on this node. Blocks: the body of the chunk runs, and files are synced.
    ///
    /// On return the module is on disk, and no call that begins from now on runs older code. The same content again
    /// changes nothing, but a failure to load it is forgotten and missing contexts are built.
    ///
    /// # Errors
    /// See [`PutError`]; nothing changed.
    pub fn put(&self, file_name: &str, content64: &str) -> Result<(), PutError> {
        let prepared = self.prepare(file_name, content64)?;
        let proposal = self.propose_put(&prepared)?;
        if !proposal.is_known {
            self.store(proposal.item)?;
        }
        Ok(())
    }

    /// Removes a module on this node, and its copy in the module directory. Blocks while files are synced.
    ///
    /// An unknown name is no error, and leaves no trace.
    ///
    /// # Errors
    /// The registry cannot be written; nothing changed.
    pub fn remove(&self, file_name: &str) -> Result<(), StoreError> {
        if let Some(proposal) = self.propose_removal(file_name)?
            && !proposal.is_known
        {
            self.store(proposal.item)?;
        }
        Ok(())
    }

    /// Checks and validates what a client wants to register. Nothing changes. Blocks: the body of the chunk runs.
    ///
    /// # Errors
    /// See [`PutError`].
    pub fn prepare(&self, file_name: &str, content64: &str) -> Result<Prepared, PutError> {
        let shared = &self.shared;
        if !names::may_be_registered(file_name.as_bytes(), shared.settings.allow_unsafe_lua) {
            return Err(PutError::Name);
        }
        let source = decode_content(content64.as_bytes()).ok_or(PutError::Base64)?;
        if !names::is_native_library(file_name.as_bytes()) {
            let view = ModuleView::unowned(self.modules());
            shared
                .factory
                .validate(file_name, &source, Arc::new(view))
                .map_err(PutError::Compile)?;
        }
        Ok(Prepared {
            file_name: file_name.to_owned(),
            content64: content64.to_owned(),
            source,
        })
    }

    /// Gives a put its version, which is to be [`store`](Self::store)d on this node and on all others. No two changes
    /// get the same. The module does not change yet.
    ///
    /// When the content is what it was, a failure to load it is forgotten and missing contexts are built. May block
    /// while another change is written.
    ///
    /// # Errors
    /// A file that the server did not write is in the way, there are too many names, or the node is not settled.
    pub fn propose_put(&self, prepared: &Prepared) -> Result<Proposal, StoreError> {
        let proposal = self.registry.lock().propose_put(prepared)?;
        if proposal.is_known {
            self.shared.ensure_loaded(&prepared.file_name);
        }
        Ok(proposal)
    }

    /// Gives a removal its version, like [`propose_put`](Self::propose_put). None: no node that this one heard from ever
    /// had such a module, or it was forgotten since.
    ///
    /// # Errors
    /// The node is not settled.
    pub fn propose_removal(&self, file_name: &str) -> Result<Option<Proposal>, StoreError> {
        self.registry.lock().propose_removal(file_name)
    }

    /// Takes an item of another node, or one that was proposed here, if it is newer than what is here. Blocks while
    /// files are synced.
    ///
    /// On return it is on disk, and no call that begins from now on runs older code. A script is not validated: one that
    /// does not load says so to its callers.
    ///
    /// # Errors
    /// The item is damaged, the registry cannot be written, or the node is not settled; nothing changed. [`failures`](Self::failures) keeps the
    /// error until the name can be stored.
    pub fn store(&self, item: ModuleItem) -> Result<Stored, StoreError> {
        let file_name = item.file_name.clone();
        let mut outcomes = self.store_many(vec![item])?;
        match outcomes.pop() {
            Some(Ok(stored)) => Ok(stored),
            Some(Err(reason)) => Err(StoreError::Item { file_name, reason }),
            None => Ok(Stored::Same),
        }
    }

    /// Like [`store`](Self::store) for many items, in one writing of the registry. What became of each stands at its
    /// place.
    ///
    /// # Errors
    /// The registry cannot be written, or the node is not settled; nothing changed.
    pub fn store_many(
        &self,
        items: Vec<ModuleItem>,
    ) -> Result<Vec<Result<Stored, ItemError>>, StoreError> {
        let known = self.known.load_full();
        let mut outcomes = Vec::with_capacity(items.len());
        let mut newer = Vec::new();
        let mut modules = Vec::new();
        for item in items {
            let known = known.get(&*item.file_name).map(StoredItem::summary);
            outcomes.push(match (decide(known, &item.summary), known) {
                (Decision::Same, _) => {
                    self.failures.succeeded(&item.file_name);
                    Some(Ok(Stored::Same))
                }
                (Decision::Older, Some(known)) => Some(Ok(Stored::Older(*known))),
                _ => match self.module_of(&item) {
                    Ok(module) => {
                        modules.push(module);
                        newer.push(item);
                        None
                    }
                    Err(reason) => {
                        self.failures.failed(&item.file_name, &reason);
                        Some(Err(reason))
                    }
                },
            });
        }
        if newer.is_empty() {
            return Ok(outcomes.into_iter().flatten().collect());
        }
        let mut registry = self.registry.lock();
        let stored = registry.store(&newer, modules);
        if stored.is_ok() {
            self.publish(&registry);
        }
        drop(registry);
        for item in &newer {
            match &stored {
                Ok(_) => self.failures.succeeded(&item.file_name),
                Err(error) => self.failures.failed(&item.file_name, error),
            }
        }
        let mut stored = stored?.into_iter().map(Ok);
        Ok(outcomes
            .into_iter()
            .filter_map(|outcome| outcome.or_else(|| stored.next()))
            .collect())
    }

    fn module_of(&self, item: &ModuleItem) -> Result<Option<Module>, ItemError> {
        let source = item.checked()?;
        let content64 = item.content64.as_deref();
        Ok(source.zip(content64).map(|(source, content64)| {
            let shared = &self.shared;
            build_module(
                &shared.factory,
                &self.versions,
                &item.file_name,
                content64,
                source,
            )
        }))
    }

    /// Shows what the registry has: first to calls, then to other nodes.
    fn publish(&self, registry: &Registry) {
        self.shared
            .publish(|set| set.followed_by(registry.modules()));
        self.known.store(Arc::new(registry.known()));
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// What this node has on disk and serves, removed modules included. Waits for nobody.
    #[must_use]
    pub fn summaries(&self) -> Summaries {
        self.known
            .load()
            .iter()
            .map(|(file_name, item)| (Arc::clone(file_name), *item.summary()))
            .collect()
    }

    /// The names that this node must fetch from one with `theirs`; see [`missing`].
    #[must_use]
    pub fn missing(&self, theirs: &Summaries) -> Vec<Arc<str>> {
        let now_ms = Some(clock::epoch_ms()).filter(|now_ms| *now_ms >= self.forgets_from_ms);
        missing(&self.summaries(), theirs, now_ms)
    }

    /// Its value changes after every change of [`summaries`](Self::summaries).
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What this node has under this name, for another node.
    #[must_use]
    pub fn item(&self, file_name: &str) -> Option<ModuleItem> {
        self.known.load().get(file_name).map(StoredItem::to_item)
    }

    /// Names that could not be stored, each with the last reason.
    #[must_use]
    pub fn failures(&self) -> Vec<(String, String)> {
        self.failures.all()
    }

    /// Until when this node is known to have been alive, ms since 2010: now, once it has run for a day; else when the
    /// server before it was, to the hour, and 0 without a registry.
    #[must_use]
    pub fn alive_until_ms(&self) -> u64 {
        let now_ms = clock::epoch_ms();
        if now_ms.saturating_sub(self.opened_ms) > DAY_MS {
            now_ms
        } else {
            self.alive_until_ms
        }
    }

    /// What was found on disk counts, or was dropped. False only on one of several nodes whose registry is outdated:
    /// until it [`settle`](Self::settle)s it serves its modules, but neither offers any to others nor takes any.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// Decides about a registry that is outdated, which means that this node was away for longer than
    /// [`LONGEST_OUTAGE_MS`](super::version::LONGEST_OUTAGE_MS), so that others may have forgotten what was removed
    /// meanwhile; otherwise nothing happens. `peers` is what [`alive_until_ms`](Self::alive_until_ms) is on every other
    /// live node. If one of them was alive a day later than this one, what was found here is dropped: what counts is what
    /// the others have. Blocks while files are synced.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn settle(&self, peers: impl IntoIterator<Item = u64>) -> Result<(), StoreError> {
        let mut registry = self.registry.lock();
        if !registry.is_settled() {
            registry.settle(outdated_counts(self.alive_until_ms, peers))?;
            self.publish(&registry);
            // Whoever sees this sees what is published, and who asks at every change asks once more.
            self.settled.store(true, Ordering::Release);
            self.changes.send_modify(|changes| *changes += 1);
        }
        Ok(())
    }

    /// Forgets removed modules whose time is over, and notes on disk that the node is alive. To be called every
    /// [`KEEP_ALIVE`](Self::KEEP_ALIVE). Blocks while files are synced.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn keep_alive(&self) -> Result<(), StoreError> {
        let mut registry = self.registry.lock();
        if registry.keep_alive()? {
            self.publish(&registry);
        }
        Ok(())
    }

    /// How often a running server says that it is alive.
    pub const KEEP_ALIVE: Duration = Duration::from_millis(KEEP_ALIVE_MS);

    /// Has every context of every module built anew; does not block. No call that begins from now on runs in an older one.
    pub fn clear_cache(&self) {
        self.shared.publish(ModuleSet::cleared);
    }

    /// A context for one call of this module, by the name without extension.
    ///
    /// Takes an idle one, or builds one on this thread, which takes as long as the module's body does.
    ///
    /// # Errors
    /// There is no such module, or it does not load.
    pub fn acquire(&self, name: &[u8]) -> Result<ContextGuard<F>, AcquireError> {
        match self.acquire_idle(name)? {
            Some(guard) => Ok(guard),
            None => self.shared.build_for_call(name),
        }
    }

    /// Like [`acquire`](Self::acquire), but never builds a context: none means that one has to be built.
    ///
    /// # Errors
    /// There is no such module, or it is known not to load.
    pub fn acquire_idle(&self, name: &[u8]) -> Result<Option<ContextGuard<F>>, AcquireError> {
        let live = self.shared.live.load();
        let pool = live.pools.get(name).ok_or(AcquireError::NotFound)?;
        match pool.take(&live.set) {
            Taken::Context(held) => Ok(Some(self.shared.guard(Arc::clone(pool), held))),
            Taken::Failed(failure) => Err(AcquireError::Load(failure.reason)),
            Taken::Miss => Ok(None),
        }
    }

    /// Builds a context on this thread, after [`acquire_idle`](Self::acquire_idle) had none.
    ///
    /// # Errors
    /// There is no such module, or it does not load.
    pub fn build(&self, name: &[u8]) -> Result<ContextGuard<F>, AcquireError> {
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

    /// Numbers of all modules together, since the start.
    #[must_use]
    pub fn totals(&self) -> UdfTotals {
        let live = self.shared.live.load();
        let mut pools = *self.shared.retired.lock();
        for pool in live.pools.values() {
            pools += pool.counts();
        }
        UdfTotals {
            modules: live.set.in_order().len() as u64,
            pools,
        }
    }

    /// Waits until no context is being built ahead of need. False if that takes longer than `timeout`.
    pub fn wait_until_warm(&self, timeout: Duration) -> bool {
        self.shared.visits.wait_until_idle(timeout)
    }
}

impl<F: ContextFactory> Drop for Service<F> {
    fn drop(&mut self) {
        self.shared.visits.stop();
        if let Some(warmer) = self.warmer.take() {
            let _ = warmer.join();
        }
    }
}

impl<F: ContextFactory> Shared<F> {
    /// Puts the set after the one in force into its place, with a pool for every name that can be called, and has the
    /// pools visited.
    fn publish(&self, next: impl FnOnce(&ModuleSet) -> ModuleSet) {
        let publishing = self.publishing.lock();
        let old = self.live.load_full();
        let set = next(&old.set);
        let mut pools = HashMap::new();
        for name in set.in_order().iter().filter_map(|module| module.name()) {
            let pool = old.pools.get(name.as_bytes()).map_or_else(
                || Arc::new(Pool::new(name, self.settings.max_idle_contexts)),
                Arc::clone,
            );
            pools.insert(name.as_bytes().into(), pool);
        }
        let set = Arc::new(set);
        let live = Arc::new(Live { set, pools });
        self.live.store(Arc::clone(&live));
        drop(publishing);
        for (name, pool) in &old.pools {
            if !live.pools.contains_key(name) {
                // Its idle contexts are closed with it, on the thread that made the change.
                let _ = pool.needs_one(&live.set, 0);
                *self.retired.lock() += pool.counts().without_gauges();
            }
        }
        if self.settings.cache_enabled {
            for pool in live.pools.values() {
                self.visits.ask(pool.name());
            }
        }
    }

    /// Forgets that the module did not load, and has missing contexts built.
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

    fn guard(
        self: &Arc<Self>,
        pool: Arc<Pool<F::Context>>,
        held: Held<F::Context>,
    ) -> ContextGuard<F> {
        ContextGuard {
            shared: Arc::clone(self),
            pool,
            taken_bytes: held.bytes,
            held: Some(held),
            end: None,
        }
    }

    fn build_for_call(self: &Arc<Self>, name: &[u8]) -> Result<ContextGuard<F>, AcquireError> {
        let mut attempt = 1;
        loop {
            let live = self.live.load_full();
            let pool = live.pools.get(name).ok_or(AcquireError::NotFound)?;
            let built = self.build(&live.set, pool, name);
            let current = self.live.load();
            match built {
                Ok(mut held) => {
                    if attempt < BUILD_ATTEMPTS && !held.follow(&current.set) {
                        attempt += 1;
                        continue;
                    }
                    pool.built_for_call(held.bytes);
                    return Ok(self.guard(Arc::clone(pool), held));
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
        if !pool.needs_one(&live.set, self.settings.initial_contexts) {
            return false;
        }
        match self.build(&live.set, pool, name.as_bytes()) {
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
        match built {
            Ok(context) => Ok(Held {
                bytes: context.memory_bytes(),
                context,
                view,
                epoch: set.epoch(),
            }),
            Err(failure) => {
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
pub struct ContextGuard<F: ContextFactory> {
    shared: Arc<Shared<F>>,
    pool: Arc<Pool<F::Context>>,
    taken_bytes: usize,
    held: Option<Held<F::Context>>,
    end: Option<CallEnd>,
}

impl<F: ContextFactory> ContextGuard<F> {
    /// Name of the module, without extension.
    #[must_use]
    pub fn module(&self) -> &str {
        self.pool.name()
    }

    /// The context. It is there until the guard is dropped.
    pub fn context(&mut self) -> Option<&mut F::Context> {
        self.held.as_mut().map(|held| &mut held.context)
    }

    /// No module that the context uses has changed since it was acquired.
    ///
    /// Ask after a wait, for a record's lock say: a change that was answered meanwhile must be seen. If not, drop the
    /// guard and acquire again.
    pub fn is_current(&mut self) -> bool {
        let live = self.shared.live.load();
        self.held
            .as_mut()
            .is_some_and(|held| held.follow(&live.set))
    }

    /// Counts the call, when the guard is dropped.
    pub fn ended(&mut self, end: CallEnd) {
        self.end = Some(end);
    }
}

impl<F: ContextFactory> Drop for ContextGuard<F> {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else { return };
        let settings = &self.shared.settings;
        let keep = settings.cache_enabled && !thread::panicking();
        let live = self.shared.live.load();
        let wanted = self.pool.give_back(
            held,
            self.taken_bytes,
            self.end,
            &live.set,
            keep,
            settings.initial_contexts,
        );
        if wanted && settings.cache_enabled {
            self.shared.visits.ask(self.pool.name());
        }
    }
}
