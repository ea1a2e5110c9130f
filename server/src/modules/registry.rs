//! The registered modules: what `udf-put` and `udf-remove` change, one at a time.
//!
//! The registry is the list on disk plus the modules made from it. Who runs or lists modules never waits for it: they
//! read the `ModuleSet` that was published last.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use protocol::bounds::Fit as _;
use thiserror::Error;

use super::compiler::Compiler;
use super::content::decode_content;
use super::kind::MODULES;
use super::module::{Change, Module};
use super::settings::UdfSettings;
use crate::catalogue::version::ContentHash;
use crate::catalogue::{
    Before, Item, Keeper, Proposal, Store, StoreError, Stored, StoredItem, Superseded,
    tell_of_no_copy,
};
use runtime::module::Bytecode;
use runtime::module::compile_failure::CompileFailure;

/// A module that was validated, on its way to be registered.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(crate) file_name: String,
    pub(crate) content64: String,
    pub(crate) source: Vec<u8>,
    /// What it was compiled to.
    pub(crate) bytecode: Option<Bytecode>,
}

/// Why a module was not registered.
#[derive(Debug, Error)]
pub enum PutError {
    /// The name is refused; see [`super::names::may_be_registered`].
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
    keeper: Keeper,
    /// Those of the contents that are modules.
    modules: HashMap<Arc<str>, Arc<Module>>,
    /// Places in the order of first registrations, of removed ones too.
    places: HashMap<Arc<str>, u64>,
    next_place: u64,
    /// Bytes of all modules together, as base64.
    bytes: usize,
    /// Bytes of all modules together at most, as base64.
    max_bytes: usize,
    /// Native libraries are loaded from their copies.
    copies_at_once: bool,
}

/// Makes versions: no two modules of this process have the same.
#[derive(Debug, Default)]
pub(crate) struct Versions(AtomicU64);

impl Versions {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// A module of this content. It is not validated.
pub(crate) fn build_module(
    compiler: &Arc<dyn Compiler>,
    versions: &Versions,
    file_name: &str,
    content64: &str,
    hash: &ContentHash,
    source: Vec<u8>,
) -> Module {
    Module::new(
        file_name,
        versions.next(),
        content64,
        hash,
        source.into(),
        Arc::clone(compiler),
    )
}

impl Registry {
    /// Reads the registry and brings the copies in the module directory up to it.
    pub(crate) fn open(
        settings: &UdfSettings,
        compiler: &Arc<dyn Compiler>,
        versions: &Versions,
    ) -> Result<Self, StoreError> {
        let (keeper, superseded) = Keeper::open(
            &MODULES,
            &settings.work_directory,
            Some(&settings.user_path),
            settings.node,
            settings.clustered,
        )?;
        let items = keeper.items();
        let mut modules = HashMap::with_capacity(items.len());
        for item in items {
            let file_name = item.name();
            let Some(content64) = item.content() else {
                continue;
            };
            let Some(source) = decode_content(content64.as_bytes()) else {
                tracing::warn!(
                    target: "udf",
                    "`{file_name}` is registered with a content that is not base64 and is left out"
                );
                continue;
            };
            let hash = MODULES.hash(file_name, content64);
            let module = build_module(compiler, versions, file_name, content64, &hash, source);
            modules.insert(Arc::clone(file_name), Arc::new(module));
        }
        let places: HashMap<Arc<str>, u64> = items
            .iter()
            .zip(0..)
            .map(|(item, place)| (Arc::clone(item.name()), place))
            .collect();
        let contents = items.iter().filter_map(StoredItem::content);
        let mut registry = Self {
            next_place: places.len().fit::<u64>(),
            places,
            bytes: contents.map(str::len).sum(),
            keeper,
            modules,
            max_bytes: settings.max_bytes,
            copies_at_once: settings.allow_unsafe_lua,
        };
        registry.bring_copies_up(&superseded);
        Ok(registry)
    }

    /// What the node knows of modules.
    pub(crate) fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// The same, to bring its snapshot up.
    pub(crate) fn keeper_mut(&mut self) -> &mut Keeper {
        &mut self.keeper
    }

    /// All modules.
    pub(crate) fn modules(&self) -> Vec<Change> {
        let modules = self.modules.keys();
        modules
            .filter_map(|file_name| self.module(file_name))
            .collect()
    }

    /// What there is under this name, if it was ever known.
    pub(crate) fn module(&self, file_name: &str) -> Option<Change> {
        let (file_name, place) = self.places.get_key_value(file_name)?;
        let module = self.modules.get(file_name).cloned();
        Some((*place, Arc::clone(file_name), module))
    }

    /// What a put on this node comes to. When nothing changes, a copy that is missing is written again.
    pub(crate) fn propose_put(&mut self, prepared: &Prepared) -> Result<Proposal, StoreError> {
        self.keeper.check_settled()?;
        let file_name = &*prepared.file_name;
        self.check_size(file_name, prepared.content64.len())?;
        let proposal = self.keeper.propose_put(file_name, &prepared.content64)?;
        let old = self.modules.get(file_name);
        if proposal.is_known {
            if let Some(module) = old.cloned() {
                let disk = self.keeper.disk();
                disk.bring_copies();
                bring_copy(disk, file_name, NEVER, Some(module.source()));
            }
        } else {
            let ours = old.map(|old| &**old.source());
            self.keeper
                .disk()
                .check_copy(file_name, ours, &prepared.source)?;
        }
        Ok(proposal)
    }

    /// What a remove on this node comes to; none when there is nothing to remove.
    pub(crate) fn propose_removal(
        &mut self,
        file_name: &str,
    ) -> Result<Option<Proposal>, StoreError> {
        self.keeper.propose_removal(file_name)
    }

    /// Refuses what would make all modules together too large.
    fn check_size(&self, file_name: &str, bytes: usize) -> Result<(), StoreError> {
        let before = self.keeper.content(file_name).map_or(0, str::len);
        let others = self.bytes.saturating_sub(before);
        let wanted = others.saturating_add(bytes);
        let limit = self.max_bytes;
        if wanted > limit {
            return Err(StoreError::TooLarge { wanted, limit });
        }
        Ok(())
    }

    /// Takes what is newer; the items were checked, and `modules` are made of them in the same order. On return that is
    /// on disk, by one sync. On error nothing changed.
    pub(crate) fn store(
        &mut self,
        items: &[Item],
        modules: &[Option<Arc<Module>>],
    ) -> Result<Vec<Stored>, StoreError> {
        let Self {
            keeper,
            modules: current,
            places,
            next_place,
            bytes,
            ..
        } = self;
        let known = |keeper: &Keeper| -> usize {
            let names: BTreeSet<&str> = items.iter().map(|item| &*item.name).collect();
            let contents = names.into_iter().filter_map(|name| keeper.content(name));
            contents.map(str::len).sum()
        };
        let before = known(keeper);
        let outcomes = keeper.store(items)?;
        *bytes = bytes.saturating_sub(before).saturating_add(known(keeper));
        for ((item, outcome), module) in items.iter().zip(&outcomes).zip(modules) {
            let file_name = &*item.name;
            if *outcome != Stored::Taken {
                continue;
            }
            if !places.contains_key(file_name) {
                places.insert(file_name.into(), *next_place);
                *next_place += 1;
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
            let source = |module: &Arc<Module>| Arc::clone(module.source());
            let (held, content) = (old.as_ref().map(source), module.as_ref().map(source));
            keeper.disk().owe_copy(file_name, held, content);
            if self.copies_at_once {
                keeper.disk().bring_copies();
            }
        }
        Ok(outcomes)
    }

    /// Writes the copies that are owed.
    pub(crate) fn bring_copies(&mut self) {
        self.keeper.disk().bring_copies();
    }

    /// Bytes of all modules together, as base64.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Decides whether what was found on disk counts, or is dropped.
    pub(crate) fn settle(&mut self, counts: bool) -> Result<(), StoreError> {
        self.keeper.disk().bring_copies();
        if self.keeper.settle(counts)? {
            self.bytes = 0;
            self.places.clear();
            for (file_name, module) in self.modules.drain() {
                let contents = [module.source().to_vec()];
                let before = Before {
                    contents: &contents,
                    may_be_torn: false,
                };
                bring_copy(self.keeper.disk(), &file_name, before, None);
            }
        }
        Ok(())
    }

    /// At start: copies hold what is registered, as far as this server wrote them.
    fn bring_copies_up(&mut self, superseded: &Superseded) {
        for (file_name, module) in &self.modules {
            if !superseded.contains_key(file_name) {
                bring_copy(self.keeper.disk(), file_name, NEVER, Some(module.source()));
            }
        }
        for (file_name, before) in superseded {
            let contents: Vec<Vec<u8>> = before
                .iter()
                .filter_map(|item| decode_content(item.content()?.as_bytes()))
                .collect();
            let before = Before {
                contents: &contents,
                may_be_torn: true,
            };
            let content = self.modules.get(file_name).map(|module| &**module.source());
            bring_copy(self.keeper.disk(), file_name, before, content);
        }
    }
}

/// The copy held nothing before.
const NEVER: Before<'static> = Before {
    contents: &[],
    may_be_torn: false,
};

fn bring_copy(store: &mut Store, file_name: &str, before: Before<'_>, content: Option<&[u8]>) {
    if let Err(error) = store.bring_copy(file_name, before, content) {
        tell_of_no_copy(file_name, &error);
    }
}
