//! The registered modules: what `udf-put` and `udf-remove` change, one at a time.
//!
//! The registry is the list on disk plus the modules made from it. Who runs or lists modules never waits for it: they
//! read the `ModuleSet` that was published last.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;

use super::catalogue::{Catalogue, Full, MAX_NAMES, Proposal, Stored};
use super::compiler::Compiler;
use super::content::decode_content;
use super::item::ModuleItem;
use super::module::Module;
use super::names;
use super::persistence::{Before, Opened, Snapshot, Store, StoreError, StoredItem, Superseded};
use super::settings::UdfSettings;
use super::version::{DAY_MS, LONGEST_OUTAGE_MS};
use crate::clock;
use runtime::module::compile_failure::CompileFailure;

/// How often a running server notes that it is alive, ms.
pub(crate) const KEEP_ALIVE_MS: u64 = 60 * 60 * 1_000;

/// What counts on this node, by file name, removed modules included.
pub(crate) type Known = BTreeMap<Arc<str>, StoredItem>;

/// A module that was validated, on its way to be registered.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(crate) file_name: String,
    pub(crate) content64: String,
    pub(crate) source: Vec<u8>,
}

/// Why a module was not registered.
#[derive(Debug, Error)]
pub enum PutError {
    /// The name is refused; see [`names::may_be_registered`].
    #[error("the file name is not allowed")]
    Name,
    /// The content is empty or no base64.
    #[error("the content is not base64")]
    Base64,
    /// The chunk is not accepted.
    #[error("the chunk does not compile or its body fails")]
    Compile(CompileFailure),
    /// The registry could not be written, or a file is in the way. Nothing changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug)]
pub(crate) struct Registry {
    store: Store,
    catalogue: Catalogue,
    /// Those of the catalogue's contents that are modules.
    modules: HashMap<Arc<str>, Arc<Module>>,
    /// Bytes of all modules together at most, as base64.
    max_bytes: usize,
    /// When it was opened, ms since 2010.
    opened_ms: u64,
    /// What was found on disk counts, or was dropped.
    settled: bool,
}

/// Makes versions: no two modules of this process have the same.
#[derive(Debug, Default)]
pub(crate) struct Versions(AtomicU64);

impl Versions {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// A module of this content, compiled unless it is a native library. It is not validated.
pub(crate) fn build_module(
    compiler: &dyn Compiler,
    versions: &Versions,
    file_name: &str,
    content64: &str,
    source: Vec<u8>,
) -> Module {
    let compiled = if names::is_native_library(file_name.as_bytes()) {
        Err("a native library has no chunk".into())
    } else {
        compiler
            .compile(file_name, &source)
            .map_err(|failure| String::from_utf8_lossy(&failure.message).into())
    };
    Module::new(
        file_name,
        versions.next(),
        content64,
        source.into(),
        compiled,
    )
}

impl Registry {
    /// Reads the registry and brings the copies in the module directory up to it.
    pub(crate) fn open(
        settings: &UdfSettings,
        compiler: &dyn Compiler,
        versions: &Versions,
    ) -> Result<Self, StoreError> {
        let Opened {
            store,
            items,
            superseded,
        } = Store::open(&settings.work_directory, &settings.user_path)?;
        let mut modules = HashMap::with_capacity(items.len());
        for item in &items {
            let file_name = item.file_name();
            let Some(content64) = item.content64() else {
                continue;
            };
            let Some(source) = decode_content(content64.as_bytes()) else {
                tracing::warn!(
                    target: "udf",
                    "`{file_name}` is registered with a content that is not base64 and is left out"
                );
                continue;
            };
            let module = build_module(compiler, versions, file_name, content64, source);
            modules.insert(Arc::clone(file_name), Arc::new(module));
        }
        let mut registry = Self {
            store,
            catalogue: Catalogue::new(settings.node, items),
            modules,
            max_bytes: settings.max_bytes,
            opened_ms: clock::epoch_ms(),
            settled: true,
        };
        registry.bring_copies_up(&superseded);
        if registry.outage_ms() > LONGEST_OUTAGE_MS {
            // Nodes that start within a day from now may still have what was removed.
            registry
                .catalogue
                .forget_nothing_before(registry.opened_ms.saturating_add(DAY_MS));
        }
        if registry.is_outdated() && settings.clustered {
            registry.settled = false;
        } else {
            registry.mark_alive_again()?;
        }
        Ok(registry)
    }

    /// The modules in the order of their first registration.
    pub(crate) fn modules(&self) -> Vec<Arc<Module>> {
        self.catalogue
            .items()
            .iter()
            .filter_map(|item| self.modules.get(item.file_name()).cloned())
            .collect()
    }

    /// What counts, by name: nothing until it is settled that it does.
    pub(crate) fn known(&self) -> Known {
        let counting = self.settled.then(|| self.catalogue.items());
        counting
            .into_iter()
            .flatten()
            .map(|item| (Arc::clone(item.file_name()), item.clone()))
            .collect()
    }

    /// What a put on this node comes to. When nothing changes, a copy that is missing is written again.
    pub(crate) fn propose_put(&mut self, prepared: &Prepared) -> Result<Proposal, StoreError> {
        self.check_settled()?;
        let file_name = &*prepared.file_name;
        self.check_size(file_name, prepared.content64.len())?;
        let proposal = self
            .catalogue
            .propose_put(file_name, &prepared.content64, clock::epoch_ms())
            .map_err(|Full| StoreError::TooMany { limit: MAX_NAMES })?;
        let old = self.modules.get(file_name);
        if proposal.is_known {
            if let Some(module) = old.cloned() {
                bring_copy(&mut self.store, file_name, NEVER, Some(module.source()));
            }
        } else {
            let ours = old.map(|old| &**old.source());
            self.store.check_copy(file_name, ours, &prepared.source)?;
        }
        Ok(proposal)
    }

    /// What a remove on this node comes to; none when there is nothing to remove.
    pub(crate) fn propose_removal(
        &mut self,
        file_name: &str,
    ) -> Result<Option<Proposal>, StoreError> {
        self.check_settled()?;
        let now_ms = clock::epoch_ms();
        Ok(self.catalogue.propose_removal(file_name, now_ms))
    }

    /// Refuses what would make all modules together too large.
    fn check_size(&self, file_name: &str, bytes: usize) -> Result<(), StoreError> {
        let others: usize = self
            .catalogue
            .items()
            .iter()
            .filter(|item| **item.file_name() != *file_name)
            .filter_map(|item| item.content64())
            .map(str::len)
            .sum();
        let wanted = others.saturating_add(bytes);
        let limit = self.max_bytes;
        if wanted > limit {
            return Err(StoreError::TooLarge { wanted, limit });
        }
        Ok(())
    }

    fn check_settled(&self) -> Result<(), StoreError> {
        self.settled.then_some(()).ok_or(StoreError::Unsettled)
    }

    /// Takes what is newer; the items were checked, and `modules` are made of them in the same order. On return that is
    /// on disk, by one sync. On error nothing changed.
    pub(crate) fn store(
        &mut self,
        items: &[ModuleItem],
        modules: &[Option<Arc<Module>>],
    ) -> Result<Vec<Stored>, StoreError> {
        self.check_settled()?;
        let Self {
            store,
            catalogue,
            modules: current,
            ..
        } = self;
        let outcomes = catalogue.store(items, clock::epoch_ms(), |before, changes| {
            store.append(changes, before)
        })?;
        for ((item, outcome), module) in items.iter().zip(&outcomes).zip(modules) {
            let file_name = &*item.file_name;
            if *outcome != Stored::Taken {
                continue;
            }
            let same = |old: &Arc<Module>| {
                module
                    .as_ref()
                    .is_some_and(|module| old.content64() == module.content64())
            };
            if current.get(file_name).is_some_and(same) {
                continue;
            }
            let old = match module {
                Some(module) => current.insert(file_name.into(), Arc::clone(module)),
                None => current.remove(file_name),
            };
            let old: Vec<Vec<u8>> = old.iter().map(|old| old.source().to_vec()).collect();
            let before = Before {
                contents: &old,
                may_be_torn: false,
            };
            let new = module.as_ref().map(|module| &**module.source());
            bring_copy(store, file_name, before, new);
        }
        Ok(outcomes)
    }

    /// How much a start would have to read besides `UDF.smd`, bytes; none if `UDF.smd` has all.
    pub(crate) fn behind(&self) -> Option<u64> {
        self.store.behind()
    }

    /// Bytes of all modules together, as base64.
    pub(crate) fn bytes(&self) -> usize {
        let items = self.catalogue.items().iter();
        items.filter_map(StoredItem::content64).map(str::len).sum()
    }

    /// All that counts now, to be written while changes go on.
    pub(crate) fn snapshot(&mut self) -> Snapshot {
        self.store.snapshot(self.catalogue.items())
    }

    /// See [`Store::put_in_place`].
    pub(crate) fn put_in_place(&mut self, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.store.put_in_place(snapshot)
    }

    /// See [`Store::written`].
    pub(crate) fn written(&mut self, snapshot: &Snapshot) {
        self.store.written(snapshot);
    }

    /// When the server before this one was last alive, ms since 2010; 0 without a registry.
    pub(crate) fn alive_until_ms(&self) -> u64 {
        self.store.alive_until_ms().unwrap_or(0)
    }

    pub(crate) fn opened_ms(&self) -> u64 {
        self.opened_ms
    }

    /// How long there was no server before this one, ms.
    fn outage_ms(&self) -> u64 {
        self.opened_ms.saturating_sub(self.alive_until_ms())
    }

    /// There is a registry, and the server was away for longer than [`LONGEST_OUTAGE_MS`].
    fn is_outdated(&self) -> bool {
        self.store.alive_until_ms().is_some() && self.outage_ms() > LONGEST_OUTAGE_MS
    }

    /// From when on this node forgets what was removed, ms since 2010.
    pub(crate) fn forgets_from_ms(&self) -> u64 {
        self.catalogue.forgets_from_ms()
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Decides whether what was found on disk counts, or is dropped.
    pub(crate) fn settle(&mut self, counts: bool) -> Result<(), StoreError> {
        if !counts && !self.catalogue.items().is_empty() {
            self.store.replace(&[])?;
            self.catalogue = self.catalogue.emptied();
            for (file_name, module) in self.modules.drain() {
                let contents = [module.source().to_vec()];
                let before = Before {
                    contents: &contents,
                    may_be_torn: false,
                };
                bring_copy(&mut self.store, &file_name, before, None);
            }
        }
        self.settled = true;
        self.store.mark_alive(clock::epoch_ms())
    }

    /// Forgets removed modules whose time is over, and notes that the registry is alive. True: some were forgotten.
    pub(crate) fn keep_alive(&mut self) -> Result<bool, StoreError> {
        if !self.settled {
            return Ok(false);
        }
        let now_ms = clock::epoch_ms();
        let forgot = self.catalogue.forget_expired(now_ms);
        if forgot {
            self.store.forgot();
        }
        self.store.mark_alive(now_ms)?;
        Ok(forgot)
    }

    /// At start: not a write more than is needed.
    fn mark_alive_again(&self) -> Result<(), StoreError> {
        let now_ms = clock::epoch_ms();
        match self.store.alive_until_ms() {
            Some(alive_ms) if now_ms.saturating_sub(alive_ms) > KEEP_ALIVE_MS => {
                self.store.mark_alive(now_ms)
            }
            _ => Ok(()),
        }
    }

    /// At start: copies hold what is registered, as far as this server wrote them.
    fn bring_copies_up(&mut self, superseded: &Superseded) {
        for (file_name, module) in &self.modules {
            if !superseded.contains_key(file_name) {
                bring_copy(&mut self.store, file_name, NEVER, Some(module.source()));
            }
        }
        for (file_name, before) in superseded {
            let contents: Vec<Vec<u8>> = before
                .iter()
                .filter_map(|item| decode_content(item.content64()?.as_bytes()))
                .collect();
            let before = Before {
                contents: &contents,
                may_be_torn: true,
            };
            let content = self.modules.get(file_name).map(|module| &**module.source());
            bring_copy(&mut self.store, file_name, before, content);
        }
    }
}

/// The copy held nothing before.
const NEVER: Before<'static> = Before {
    contents: &[],
    may_be_torn: false,
};

/// A copy that cannot be written does no harm to the module: the registry holds it.
fn bring_copy(store: &mut Store, file_name: &str, before: Before<'_>, content: Option<&[u8]>) {
    if let Err(error) = store.bring_copy(file_name, before, content) {
        tracing::warn!(
            target: "udf",
            "no copy of `{file_name}` for people and tools: {error}; the module itself is registered and served"
        );
    }
}
