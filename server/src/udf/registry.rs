//! The registered modules: what `udf-put` and `udf-remove` change, one at a time.
//!
//! The registry is the list on disk plus the modules made from it. Who runs or lists modules never waits for it: they
//! read the [`ModuleSet`] that was published last.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use thiserror::Error;

use super::compile_failure::CompileFailure;
use super::factory::ContextFactory;
use super::module::Module;
use super::names;
use super::persistence::{Store, StoreError, StoredItem};
use super::settings::UdfSettings;
use crate::clock;

/// Source files are smaller than this, bytes; counted from the base64 length, padding included.
pub(crate) const MAX_SOURCE: usize = 1 << 20;

/// Removed modules whose place and generation are remembered. Beyond that the longest removed ones are forgotten.
const MAX_REMOVED: usize = 1_024;

/// Left-over bits of the last character may have any value, as in the real server.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Decodes the content of a `udf-put`; none when it is empty or no base64.
#[must_use]
pub(crate) fn decode_content(content64: &[u8]) -> Option<Vec<u8>> {
    if content64.is_empty() {
        return None;
    }
    BASE64.decode(content64).ok()
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

/// One module or what is left of a removed one, in the order of first registration.
#[derive(Debug)]
struct Entry {
    stored: StoredItem,
    module: Option<Arc<Module>>,
}

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// There are other modules now.
    Made,
    /// Everything is as it was.
    None,
}

#[derive(Debug)]
pub(crate) struct Registry {
    store: Store,
    entries: Vec<Entry>,
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
pub(crate) fn build_module<F: ContextFactory>(
    factory: &F,
    versions: &Versions,
    file_name: &str,
    content64: &str,
    source: Vec<u8>,
) -> Module {
    let compiled = if names::is_native_library(file_name.as_bytes()) {
        Err("a native library has no chunk".into())
    } else {
        factory
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
    pub(crate) fn open<F: ContextFactory>(
        settings: &UdfSettings,
        factory: &F,
        versions: &Versions,
    ) -> Result<Self, StoreError> {
        let (store, items) = Store::open(&settings.work_directory, &settings.user_path)?;
        let mut entries = Vec::with_capacity(items.len());
        for stored in items {
            let module = stored.content64().and_then(|content64| {
                let Some(source) = decode_content(content64.as_bytes()) else {
                    tracing::warn!(
                        target: "udf",
                        "`{}` is registered with a content that is not base64 and is left out",
                        stored.file_name()
                    );
                    return None;
                };
                let module = build_module(factory, versions, stored.file_name(), content64, source);
                if let Err(error) = store.write_copy(stored.file_name(), module.source()) {
                    tracing::warn!(target: "udf", "no copy of `{}`: {error}", stored.file_name());
                }
                Some(Arc::new(module))
            });
            entries.push(Entry { stored, module });
        }
        Ok(Self { store, entries })
    }

    /// The modules in the order of their first registration.
    pub(crate) fn modules(&self) -> Vec<Arc<Module>> {
        self.entries
            .iter()
            .filter_map(|entry| entry.module.clone())
            .collect()
    }

    /// Registers a validated module. On return it is on disk, unless nothing changed.
    pub(crate) fn put(&mut self, module: Module) -> Result<Change, StoreError> {
        let file_name = module.file_name().to_owned();
        let position = self.position(&file_name);
        let old = position
            .and_then(|position| self.entries.get(position))
            .and_then(|entry| entry.module.clone());
        if let Some(old) = &old
            && old.content64() == module.content64()
        {
            self.copy_again(old);
            return Ok(Change::None);
        }
        let ours = old.as_ref().map(|old| &**old.source());
        self.store.check_copy(&file_name, ours, module.source())?;

        let module = Arc::new(module);
        let content64 = Some(module.content64());
        let now_ms = clock::epoch_ms();
        let mut items = self.items();
        let stored = match position.and_then(|position| items.get_mut(position)) {
            Some(item) => {
                *item = item.followed_by(content64, now_ms);
                item.clone()
            }
            None => {
                let item = StoredItem::new(&file_name, content64, 1, now_ms);
                items.push(item.clone());
                item
            }
        };
        self.replace(old.as_ref(), &items)?;
        let entry = Entry {
            stored,
            module: Some(Arc::clone(&module)),
        };
        match position.and_then(|position| self.entries.get_mut(position)) {
            Some(place) => *place = entry,
            None => self.entries.push(entry),
        }
        self.copy_again(&module);
        Ok(Change::Made)
    }

    /// Removes a module. On return that is on disk. An unknown name changes nothing.
    pub(crate) fn remove(&mut self, file_name: &str) -> Result<Change, StoreError> {
        let Some(position) = self.position(file_name) else {
            return Ok(Change::None);
        };
        let Some(old) = self
            .entries
            .get(position)
            .and_then(|entry| entry.module.clone())
        else {
            return Ok(Change::None);
        };
        let mut items = self.items();
        if let Some(item) = items.get_mut(position) {
            *item = item.followed_by(None, clock::epoch_ms());
        }
        let forgotten = longest_removed(&items);
        if let Some(forgotten) = forgotten {
            items.remove(forgotten);
        }
        self.replace(Some(&old), &items)?;
        if let Some(entry) = self.entries.get_mut(position) {
            entry.module = None;
        }
        if let Some(forgotten) = forgotten {
            self.entries.remove(forgotten);
        }
        for (entry, item) in self.entries.iter_mut().zip(items) {
            entry.stored = item;
        }
        Ok(Change::Made)
    }

    fn position(&self, file_name: &str) -> Option<usize> {
        self.entries
            .iter()
            .position(|entry| entry.stored.file_name() == file_name)
    }

    fn items(&self) -> Vec<StoredItem> {
        self.entries
            .iter()
            .map(|entry| entry.stored.clone())
            .collect()
    }

    /// Removes the copy of what changes, then replaces the list on disk; see `persistence` for why in this order.
    fn replace(
        &mut self,
        old: Option<&Arc<Module>>,
        items: &[StoredItem],
    ) -> Result<(), StoreError> {
        if let Some(old) = old {
            self.store.remove_copy(old.file_name(), old.source())?;
        }
        let saved = self.store.save(items);
        if saved.is_err()
            && let Some(old) = old
        {
            self.copy_again(old);
        }
        saved
    }

    /// A copy that cannot be written does no harm to the module: the registry holds it.
    fn copy_again(&self, module: &Module) {
        if let Err(error) = self.store.write_copy(module.file_name(), module.source()) {
            tracing::warn!(target: "udf", "no copy of `{}`: {error}", module.file_name());
        }
    }
}

/// Position of the removed module to forget, if there are too many.
fn longest_removed(items: &[StoredItem]) -> Option<usize> {
    let removed = || {
        items
            .iter()
            .enumerate()
            .filter(|(_, item)| item.content64().is_none())
    };
    if removed().count() <= MAX_REMOVED {
        return None;
    }
    removed()
        .min_by_key(|(_, item)| item.timestamp_ms())
        .map(|(position, _)| position)
}
