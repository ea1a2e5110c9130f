//! The modules of a node: on disk, served to calls, shown to other nodes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::afterwards::Afterwards;
use super::compiler::Compiler;
use super::content::decode_content;
use super::kind::{MODULES, checked, source_of};
use super::module::{Change, Module, ModuleSet, ModuleView};
use super::names;
use super::registry::{Prepared, PutError, Registry, Versions, build_module};
use super::settings::UdfSettings;
use super::tidying::Tidying;
use super::together::{Together, Waiting};
use super::validated::Validated;
use crate::catalogue::joining::outdated_counts;
use crate::catalogue::{
    CatalogueKind, Catalogued, Item, ItemError, Origin, Proposal, Shown, StoreError, Stored,
};

/// Who has the modules that calls run.
pub trait Serving: Send + Sync {
    /// The modules that calls see now.
    fn modules(&self) -> Arc<ModuleSet>;

    /// Has every call that begins from now on see these changes. What else follows from that waits for
    /// [`make_ready`](Self::make_ready).
    fn serve(&self, changes: &[Change]);

    /// The same, and no other modules than these.
    fn serve_only(&self, modules: &[Change]);

    /// Does in the background what makes calls of changed modules quick.
    fn make_ready(&self);

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
    settings: UdfSettings,
    /// Changes that wait for the registry: whoever gets it next stores all of them by one sync.
    together: Together,
    tidying: Mutex<Tidying>,
    /// Of modules that were proposed here and are not stored yet.
    validated: Validated,
    versions: Versions,
    kept: Arc<Kept>,
    /// The thread that follows up changes, from the first one on.
    afterwards: Mutex<Option<JoinHandle<()>>>,
}

/// What is on disk and in force.
struct Kept {
    served: Arc<dyn Serving>,
    registry: Mutex<Registry>,
    /// What the registry has on disk and the set in force serves.
    shown: Shown,
    /// Lines for the log about changes of other nodes.
    untold: Mutex<Vec<String>>,
    afterwards: Afterwards,
}

impl Kept {
    /// What a change leaves to do: who is not told of it directly hears of it, contexts and copies are made.
    fn follow_up(&self) {
        self.tell();
        self.shown.tell();
        self.served.make_ready();
        self.registry.lock().bring_copies();
    }

    /// Writes the lines that wait: to wake who writes the log would keep an answer waiting.
    fn tell(&self) {
        for line in std::mem::take(&mut *self.untold.lock()) {
            tracing::info!(target: "udf", "{line}");
        }
    }
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
        let registry = Registry::open(&settings, &compiler, &versions)?;
        served.serve_only(&registry.modules());
        let mut tidying = Tidying::default();
        tidying.changed(registry.keeper().behind());
        let no_thread = |source| StoreError::Io {
            action: "start the thread that tends",
            path: settings.user_path.clone(),
            source,
        };
        let kept = Arc::new(Kept {
            served,
            shown: Shown::of(registry.keeper()),
            registry: Mutex::new(registry),
            untold: Mutex::default(),
            afterwards: Afterwards::new().map_err(no_thread)?,
        });
        Ok(Self {
            compiler,
            settings,
            tidying: Mutex::new(tidying),
            together: Together::default(),
            validated: Validated::default(),
            versions,
            kept,
            afterwards: Mutex::default(),
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
        self.kept.served.modules()
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
            self.store_here(proposal.item)?;
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
            self.store_here(proposal.item)?;
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
        let bytecode = match names::is_native_library(file_name.as_bytes()) {
            true => None,
            false => {
                let view = ModuleView::unowned(self.modules());
                self.compiler
                    .validate(file_name, &source, Arc::new(view))
                    .map_err(PutError::Compile)?
            }
        };
        Ok(Prepared {
            file_name: file_name.to_owned(),
            content64: content64.to_owned(),
            source,
            bytecode,
        })
    }

    /// Gives a put its version, which is to be [stored](Catalogued::store) on this node and on all others. No two changes
    /// get the same. The module does not change yet.
    ///
    /// When the content is what it was, a failure to load it is forgotten and missing contexts are built. May block
    /// while another change is written.
    ///
    /// # Errors
    /// A file that the server did not write is in the way, there are too many names, or the node is not settled.
    pub fn propose_put(&self, prepared: &Prepared) -> Result<Proposal, StoreError> {
        let proposal = self.kept.registry.lock().propose_put(prepared)?;
        if proposal.is_known {
            self.kept.served.ensure_loaded(&prepared.file_name);
        } else if let Some((hash, bytecode)) =
            proposal.item.summary.hash.zip(prepared.bytecode.clone())
        {
            self.validated.keep(hash, bytecode);
        }
        Ok(proposal)
    }

    /// Gives a removal its version, like [`propose_put`](Self::propose_put). None: no node that this one heard from ever
    /// had such a module, or it was forgotten since.
    ///
    /// # Errors
    /// The node is not settled.
    pub fn propose_removal(&self, file_name: &str) -> Result<Option<Proposal>, StoreError> {
        self.kept.registry.lock().propose_removal(file_name)
    }

    /// Takes an item that was proposed here.
    fn store_here(&self, item: Item) -> Result<(), StoreError> {
        let name = item.name.clone();
        match self.store(vec![item], Origin::Here)?.pop() {
            Some(Err(reason)) => Err(StoreError::Item { name, reason }),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    /// Stores what waits, unless another thread has stored this part of it meanwhile.
    fn stored_together(&self, waiting: &Waiting) -> Result<Vec<Stored>, StoreError> {
        let mut registry = self.kept.registry.lock();
        if let Some(stored) = waiting.stored() {
            return stored;
        }
        let (mut names, forgot) = (BTreeSet::new(), registry.keeper().forgot());
        let any = self.together.store_all(|items, modules| {
            names.extend(items.iter().map(|item| item.name.clone()));
            registry.store(items, modules)
        });
        if any {
            let changes = names.iter().filter_map(|name| registry.module(name));
            self.kept.served.serve(&changes.collect::<Vec<_>>());
            if registry.keeper().forgot() == forgot {
                let names = names.iter().map(String::as_str);
                self.kept.shown.show(registry.keeper(), names);
            } else {
                self.kept.shown.publish(registry.keeper());
            }
            self.leave_the_rest();
        }
        self.tidying.lock().changed(registry.keeper().behind());
        drop(registry);
        waiting.stored().unwrap_or_else(|| Ok(Vec::new()))
    }

    /// What an item of another node is made into. One of this node was checked before it was proposed.
    fn module_of(&self, item: &Item, origin: Origin) -> Result<Option<Arc<Module>>, ItemError> {
        let content64 = item.content.as_deref();
        let source = match origin {
            Origin::Here => content64.map(source_of).transpose()?,
            Origin::Peer => checked(item)?,
        };
        let parts = source.zip(content64).zip(item.summary.hash);
        Ok(parts.map(|((source, content64), hash)| {
            let module = build_module(
                &self.compiler,
                &self.versions,
                &item.name,
                content64,
                &hash,
                source,
            );
            let validated = match origin {
                Origin::Here => self.validated.take(&hash),
                Origin::Peer => None,
            };
            Arc::new(match validated {
                Some(bytecode) => module.compiled_to(bytecode),
                None => module,
            })
        }))
    }

    /// Shows what the registry has: first to calls, then to other nodes.
    fn publish(&self, registry: &Registry) {
        self.kept.served.serve_only(&registry.modules());
        self.kept.shown.publish(registry.keeper());
        self.leave_the_rest();
    }

    /// Has what a change leaves to do be done in the background.
    fn leave_the_rest(&self) {
        self.kept.afterwards.changed();
        let mut afterwards = self.afterwards.lock();
        if afterwards.is_some() {
            return;
        }
        let kept = Arc::clone(&self.kept);
        let started = thread::Builder::new()
            .name("udf-after".to_owned())
            .spawn(move || kept.afterwards.run(|| kept.follow_up()));
        match started {
            Ok(thread) => *afterwards = Some(thread),
            Err(error) => {
                tracing::error!(target: "udf", "contexts and copies have to wait for the next change: {error}");
            }
        }
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
        let mut registry = self.kept.registry.lock();
        let snapshot = registry.keeper_mut().snapshot();
        drop(registry);
        let written = snapshot.write().and_then(|()| {
            let put = self
                .kept
                .registry
                .lock()
                .keeper_mut()
                .put_in_place(&snapshot);
            put?;
            snapshot.sync()?;
            self.kept.registry.lock().keeper_mut().written(&snapshot);
            Ok(())
        });
        let behind = self.kept.registry.lock().keeper().behind();
        self.tidying.lock().ended(begun.elapsed(), behind);
        written
    }

    /// To be called when no change can come any more: like [`tidy`](Self::tidy), unless that would take long, which the
    /// next start makes up for.
    pub fn close(&self) {
        let registry = self.kept.registry.lock();
        let tidies = registry.keeper().behind().is_some() && registry.bytes() <= TIDIED_AT_THE_END;
        drop(registry);
        if tidies && let Err(error) = self.tidy() {
            tracing::warn!(target: "udf", "{error}; the changes are in the log beside it");
        }
    }

    /// How often a running server asks whether it is [untidy](Self::is_untidy).
    pub const TIDYING: Duration = Duration::from_secs(1);
}

/// On return of [`store`](Catalogued::store) no call that begins from then on runs older code. A script is not validated:
/// one that does not load says so to its callers.
impl Catalogued for Library {
    fn kind(&self) -> &'static CatalogueKind {
        &MODULES
    }

    fn shown(&self) -> &Shown {
        &self.kept.shown
    }

    fn store(
        &self,
        items: Vec<Item>,
        origin: Origin,
    ) -> Result<Vec<Result<Stored, ItemError>>, StoreError> {
        let before = self.modules();
        let names: Vec<(String, u64)> = items
            .iter()
            .map(|item| (item.name.clone(), item.summary.version.node))
            .collect();
        let stored = self.kept.shown.take(
            items,
            |item| self.module_of(item, origin),
            |newer, modules| self.stored_together(&self.together.join(newer, modules)),
        );
        match origin {
            Origin::Peer => {
                let lines = told(&before, &self.modules(), &names);
                if !lines.is_empty() {
                    self.kept.untold.lock().extend(lines);
                    self.leave_the_rest();
                }
            }
            // Who has put a module here finds its copy.
            Origin::Here => self.kept.registry.lock().bring_copies(),
        }
        stored
    }

    fn settle(&self, peers: Vec<u64>) -> Result<(), StoreError> {
        let mut registry = self.kept.registry.lock();
        if !registry.keeper().is_settled() {
            registry.settle(outdated_counts(self.kept.shown.before_ms(), peers))?;
            self.publish(&registry);
        }
        Ok(())
    }

    fn keep_alive(&self) -> Result<(), StoreError> {
        let mut registry = self.kept.registry.lock();
        if registry.keeper_mut().keep_alive()? {
            self.publish(&registry);
            self.tidying.lock().changed(registry.keeper().behind());
        }
        Ok(())
    }
}

/// One line for each module that another node has changed here.
fn told(before: &ModuleSet, after: &ModuleSet, names: &[(String, u64)]) -> Vec<String> {
    let changed = names.iter().filter_map(|(name, node)| {
        let hash = |set: &ModuleSet| {
            set.of_file(name.as_bytes())
                .map(|module| module.hash().to_owned())
        };
        let shown = |hash: &Option<String>| hash.clone().unwrap_or_else(|| "-".to_owned());
        let (old, new) = (hash(before), hash(after));
        if old == new {
            return None;
        }
        let what = match (&old, &new) {
            (_, None) => "removed",
            (None, Some(_)) => "registered",
            (Some(_), Some(_)) => "replaced",
        };
        Some(format!(
            "module `{name}` {what} by a change of node {node:X}: hash={} (was {})",
            shown(&new),
            shown(&old)
        ))
    });
    changed.collect()
}

impl Drop for Library {
    fn drop(&mut self) {
        self.kept.afterwards.stop();
        if let Some(afterwards) = self.afterwards.get_mut().take() {
            // The thread has nothing to give; that it ended is what is waited for.
            let _ = afterwards.join();
        }
        self.kept.tell();
        self.close();
    }
}
