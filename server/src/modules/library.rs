//! The modules of a node: on disk, served to calls, shown to other nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::catalogue::{Proposal, Stored};
use super::compiler::Compiler;
use super::content::decode_content;
use super::failures::Failures;
use super::item::{ItemError, ModuleItem};
use super::joining::outdated_counts;
use super::module::{Module, ModuleSet, ModuleView};
use super::names;
use super::persistence::{StoreError, StoredItem};
use super::registry::{KEEP_ALIVE_MS, Known, Prepared, PutError, Registry, Versions, build_module};
use super::settings::UdfSettings;
use super::tidying::Tidying;
use super::together::{Together, Waiting};
use super::version::{DAY_MS, Decision, Summaries, decide, missing};
use crate::clock;

/// Who has the modules that calls run.
pub trait Serving: Send + Sync {
    /// The modules that calls see now.
    fn modules(&self) -> Arc<ModuleSet>;

    /// Has every call that begins from now on see these modules, which stand in the order of `udf-list`.
    fn serve(&self, modules: Vec<Arc<Module>>);

    /// Forgets that a module did not load, and has its missing contexts built.
    fn ensure_loaded(&self, file_name: &str);
}

/// Bytes of all modules, as base64, up to which they are written when the server stops.
const TIDIED_AT_THE_END: usize = 8 << 20;

/// Registers modules on one node.
///
/// A change is on disk and visible to every call that begins after it was answered. Nobody who reads waits for one.
pub struct Library {
    compiler: Arc<dyn Compiler>,
    served: Arc<dyn Serving>,
    settings: UdfSettings,
    registry: Mutex<Registry>,
    /// Changes that wait for the registry: whoever gets it next stores all of them by one sync.
    together: Together,
    tidying: Mutex<Tidying>,
    /// What the registry has on disk and the set in force serves.
    known: ArcSwap<Known>,
    changes: watch::Sender<u64>,
    failures: Failures,
    alive_until_ms: u64,
    opened_ms: u64,
    forgets_from_ms: u64,
    settled: AtomicBool,
    versions: Versions,
}

impl Library {
    /// Reads the registry, and has its modules served.
    ///
    /// # Errors
    /// The registry is damaged, or a directory cannot be used.
    pub fn open(
        settings: UdfSettings,
        compiler: Arc<dyn Compiler>,
        served: Arc<dyn Serving>,
    ) -> Result<Self, StoreError> {
        let versions = Versions::default();
        let registry = Registry::open(&settings, &*compiler, &versions)?;
        served.serve(registry.modules());
        let mut tidying = Tidying::default();
        tidying.changed(registry.behind());
        Ok(Self {
            compiler,
            served,
            settings,
            known: ArcSwap::from_pointee(registry.known()),
            alive_until_ms: registry.alive_until_ms(),
            opened_ms: registry.opened_ms(),
            forgets_from_ms: registry.forgets_from_ms(),
            settled: AtomicBool::new(registry.is_settled()),
            tidying: Mutex::new(tidying),
            registry: Mutex::new(registry),
            together: Together::default(),
            changes: watch::Sender::new(0),
            failures: Failures::default(),
            versions,
        })
    }

    /// What was said about modules at start.
    #[must_use]
    pub fn settings(&self) -> &UdfSettings {
        &self.settings
    }

    /// The modules registered now.
    #[must_use]
    pub fn modules(&self) -> Arc<ModuleSet> {
        self.served.modules()
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
        if !names::may_be_registered(file_name.as_bytes(), self.settings.allow_unsafe_lua) {
            return Err(PutError::Name);
        }
        let source = decode_content(content64.as_bytes()).ok_or(PutError::Base64)?;
        if !names::is_native_library(file_name.as_bytes()) {
            let view = ModuleView::unowned(self.modules());
            self.compiler
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
            self.served.ensure_loaded(&prepared.file_name);
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

    /// Like [`store`](Self::store) for many items, by one sync, which others that store at the same time share. What became
    /// of each stands at its place.
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
        let names: Vec<String> = newer.iter().map(|item| item.file_name.clone()).collect();
        let waiting = self.together.join(newer, modules);
        let stored = self.stored_together(&waiting);
        for file_name in &names {
            match &stored {
                Ok(_) => self.failures.succeeded(file_name),
                Err(error) => self.failures.failed(file_name, error),
            }
        }
        let mut stored = stored?.into_iter().map(Ok);
        Ok(outcomes
            .into_iter()
            .filter_map(|outcome| outcome.or_else(|| stored.next()))
            .collect())
    }

    /// Stores what waits, unless another thread has stored this part of it meanwhile.
    fn stored_together(&self, waiting: &Waiting) -> Result<Vec<Stored>, StoreError> {
        let mut registry = self.registry.lock();
        if let Some(stored) = waiting.stored() {
            return stored;
        }
        let any = self
            .together
            .store_all(|items, modules| registry.store(items, modules));
        if any {
            self.publish(&registry);
        }
        self.tidying.lock().changed(registry.behind());
        drop(registry);
        waiting.stored().unwrap_or_else(|| Ok(Vec::new()))
    }

    fn module_of(&self, item: &ModuleItem) -> Result<Option<Arc<Module>>, ItemError> {
        let source = item.checked()?;
        let content64 = item.content64.as_deref();
        Ok(source.zip(content64).map(|(source, content64)| {
            let module = build_module(
                &*self.compiler,
                &self.versions,
                &item.file_name,
                content64,
                source,
            );
            Arc::new(module)
        }))
    }

    /// Shows what the registry has: first to calls, then to other nodes.
    fn publish(&self, registry: &Registry) {
        self.served.serve(registry.modules());
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
    /// [`LONGEST_OUTAGE_MS`](crate::modules::version::LONGEST_OUTAGE_MS), so that others may have forgotten what was removed
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
            self.tidying.lock().changed(registry.behind());
        }
        Ok(())
    }

    /// `UDF.smd` should be written now: changes have ended for a while, or the log of them is long.
    #[must_use]
    pub fn is_untidy(&self) -> bool {
        self.tidying.lock().is_due()
    }

    /// Brings `UDF.smd` up to what is known, while changes go on. Blocks while files are written and synced.
    ///
    /// # Errors
    /// The disk refuses; the log still has all changes.
    pub fn tidy(&self) -> Result<(), StoreError> {
        let begun = Instant::now();
        let mut registry = self.registry.lock();
        let snapshot = registry.snapshot();
        drop(registry);
        let written = snapshot.write().and_then(|()| {
            self.registry.lock().put_in_place(&snapshot)?;
            snapshot.sync()?;
            self.registry.lock().written(&snapshot);
            Ok(())
        });
        let behind = self.registry.lock().behind();
        self.tidying.lock().ended(begun.elapsed(), behind);
        written
    }

    /// To be called when no change can come any more: like [`tidy`](Self::tidy), unless that would take long, which the
    /// next start makes up for.
    pub fn close(&self) {
        let registry = self.registry.lock();
        let tidies = registry.behind().is_some() && registry.bytes() <= TIDIED_AT_THE_END;
        drop(registry);
        if tidies && let Err(error) = self.tidy() {
            tracing::warn!(target: "udf", "{error}; the changes are in the log beside it");
        }
    }

    /// How often a running server asks whether it is [untidy](Self::is_untidy).
    pub const TIDYING: Duration = Duration::from_secs(1);

    /// How often a running server says that it is alive.
    pub const KEEP_ALIVE: Duration = Duration::from_millis(KEEP_ALIVE_MS);
}

impl Drop for Library {
    fn drop(&mut self) {
        self.close();
    }
}
