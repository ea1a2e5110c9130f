//! The definitions of a node: on disk, in force in its namespaces, shown to other nodes.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::definition::Indexed;
use super::row::{INDEXES, Row, checked, key_of, parse};
use super::{DefinitionError, Index, Indexes};
use crate::catalogue::joining::outdated_counts;
use crate::catalogue::{
    CatalogueKind, Catalogued, Item, ItemError, Keeper, Origin, Proposal, Shown, StoreError, Stored,
};

/// Why a change of the indexes was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum IndexChangeError {
    /// It cannot be; nothing changed.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// This node cannot store it; nothing changed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Not every live node has said in time that it has the change; it is still being spread.
    #[error("timeout")]
    Timeout,
}

/// What operators do to the indexes of a node, alone or in a cluster.
pub trait IndexCommands: Send + Sync {
    /// Makes an index on every node of the cluster, or gives one this name. One of a namespace that this node does not have
    /// is not made, which is no error. Blocks.
    ///
    /// # Errors
    /// See [`IndexChangeError`].
    fn define(&self, namespace: &str, name: &str, indexed: Indexed)
    -> Result<(), IndexChangeError>;

    /// Takes an index away on every node of the cluster; an unknown name is no error. Blocks.
    ///
    /// # Errors
    /// See [`IndexChangeError`].
    fn remove(&self, namespace: &str, name: &str) -> Result<(), IndexChangeError>;
}

/// The namespaces that have the indexes.
pub trait IndexedNamespaces: Send + Sync {
    /// The indexes of a namespace.
    fn indexes(&self, namespace: &str) -> Option<&Indexes>;

    /// Has a set of a namespace come into being, where there is room for it.
    fn make_set(&self, namespace: &str, set: &str);

    /// Has the entries of a new index built. With `wait` a small one is built on return; then it blocks.
    fn build(&self, namespace: &str, index: Arc<Index>, wait: bool);

    /// Whether entries are being built.
    fn is_building(&self) -> bool;
}

/// Namespace and name of an index.
type Name = (String, String);

/// A new index, and its namespace.
type Made = (String, Arc<Index>);

/// The definitions of a node.
pub struct Definitions {
    keeper: Mutex<Keeper>,
    shown: Shown,
    namespaces: Arc<dyn IndexedNamespaces>,
    /// What had these names when it was removed: a removal that was not acknowledged can be asked for again.
    removed: Mutex<HashMap<Name, String>>,
    /// Held from the look at what there is until it is changed.
    changing: Mutex<()>,
}

impl Definitions {
    /// Reads the definitions, and has them in force. `node` goes into the versions of changes made here; `clustered` says
    /// that there are other nodes.
    ///
    /// # Errors
    /// The registry is damaged, or the directory cannot be used.
    pub fn open(
        work_directory: &Path,
        node: u64,
        clustered: bool,
        namespaces: Arc<dyn IndexedNamespaces>,
    ) -> Result<Self, StoreError> {
        let (mut keeper, _) = Keeper::open(&INDEXES, work_directory, None, node, clustered)?;
        // The log is short: each start begins a new one.
        keeper.tidy()?;
        let definitions = Self {
            shown: Shown::of(&keeper),
            keeper: Mutex::new(keeper),
            namespaces,
            removed: Mutex::default(),
            changing: Mutex::default(),
        };
        let keeper = definitions.keeper.lock();
        let contents = keeper
            .items()
            .iter()
            .filter_map(|item| parse(item.name(), item.content()?));
        for (row, indexed) in contents {
            if let Some(index) = definitions.put(&row, indexed) {
                definitions.namespaces.build(&row.namespace, index, false);
            }
        }
        drop(keeper);
        Ok(definitions)
    }

    /// Keeps others on this node from changing indexes between a proposal and its end.
    pub fn hold(&self) -> MutexGuard<'_, ()> {
        self.changing.lock()
    }

    /// Gives a definition its version, which is to be [stored](Catalogued::store) on this node and on all others. The
    /// index does not change yet. None: this node does not have the namespace.
    ///
    /// # Errors
    /// It cannot be, or the node is not settled.
    pub fn propose(
        &self,
        namespace: &str,
        name: &str,
        indexed: &Indexed,
    ) -> Result<Option<Proposal>, IndexChangeError> {
        let Some(indexes) = self.namespaces.indexes(namespace) else {
            return Ok(None);
        };
        indexes.check(name, indexed)?;
        let content = Row::of(namespace, name, indexed).content();
        let key = key_of(namespace, indexed);
        Ok(Some(self.keeper.lock().propose_put(&key, &content)?))
    }

    /// Gives a removal its version, like [`propose`](Self::propose). None: there is nothing of this name.
    ///
    /// # Errors
    /// The name has more than one definition, or the node is not settled.
    pub fn propose_removal(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Proposal>, IndexChangeError> {
        let Some(indexes) = self.namespaces.indexes(namespace) else {
            return Ok(None);
        };
        let key = match indexes.only(name)? {
            Some(indexed) => Some(key_of(namespace, &indexed)),
            None => {
                let name = (namespace.to_owned(), name.to_owned());
                self.removed.lock().get(&name).cloned()
            }
        };
        match key {
            Some(key) => Ok(self.keeper.lock().propose_removal(&key)?),
            None => Ok(None),
        }
    }

    /// Has a definition in force here; the index, if it is a new one.
    fn put(&self, row: &Row, indexed: Indexed) -> Option<Arc<Index>> {
        let Row {
            namespace, name, ..
        } = row;
        let Some(indexes) = self.namespaces.indexes(namespace) else {
            tracing::warn!(target: "sindex", "index `{name}` is of namespace `{namespace}`, which this node does not have");
            return None;
        };
        if let Indexed::Set(set) = &indexed {
            self.namespaces.make_set(namespace, set);
        }
        self.removed
            .lock()
            .remove(&(namespace.clone(), name.clone()));
        tracing::info!(target: "sindex", "{{{namespace}}} index `{name}` is defined");
        indexes.put(name, indexed)
    }

    /// Has a definition no longer in force here.
    fn take_away(&self, row: Row, indexed: &Indexed) {
        let Row {
            namespace, name, ..
        } = row;
        let Some(indexes) = self.namespaces.indexes(&namespace) else {
            return;
        };
        if indexes.remove(indexed) {
            tracing::info!(target: "sindex", "{{{namespace}}} index `{name}` is gone");
        }
        let key = key_of(&namespace, indexed);
        self.removed.lock().insert((namespace, name), key);
    }

    /// Stores what is newer, and has it in force; the indexes that are new, with their namespaces.
    fn change(
        &self,
        items: &[Item],
        checked: Vec<Option<(Row, Indexed)>>,
    ) -> Result<(Vec<Stored>, Vec<Made>), StoreError> {
        let mut keeper = self.keeper.lock();
        let before: Vec<_> = items
            .iter()
            .map(|item| parse(&item.name, keeper.content(&item.name)?))
            .collect();
        let stored = keeper.store(items)?;
        let mut made = Vec::new();
        for ((stored, before), after) in stored.iter().zip(before).zip(checked) {
            if *stored != Stored::Taken {
                continue;
            }
            match (before, after) {
                (_, Some((row, indexed))) => {
                    made.extend(self.put(&row, indexed).map(|index| (row.namespace, index)));
                }
                (Some((row, indexed)), None) => self.take_away(row, &indexed),
                (None, None) => {}
            }
        }
        self.shown.publish(&keeper);
        Ok((stored, made))
    }
}

/// On return of [`store`](Catalogued::store) records that change have entries, and small indexes are built.
impl Catalogued for Definitions {
    fn kind(&self) -> &'static CatalogueKind {
        &INDEXES
    }

    fn shown(&self) -> &Shown {
        &self.shown
    }

    fn store(
        &self,
        items: Vec<Item>,
        _origin: Origin,
    ) -> Result<Vec<Result<Stored, ItemError>>, StoreError> {
        let mut made = Vec::new();
        let stored = self.shown.take(items, checked, |newer, rows| {
            let (stored, indexes) = self.change(&newer, rows)?;
            made = indexes;
            Ok(stored)
        });
        for (namespace, index) in made {
            self.namespaces.build(&namespace, index, true);
        }
        stored
    }

    fn settle(&self, peers: Vec<u64>) -> Result<(), StoreError> {
        let mut keeper = self.keeper.lock();
        if keeper.is_settled() {
            return Ok(());
        }
        let mut had: Vec<_> = keeper
            .items()
            .iter()
            .filter_map(|item| parse(item.name(), item.content()?))
            .collect();
        let counts = outdated_counts(self.shown.before_ms(), peers);
        if !keeper.settle(counts)? {
            had.clear();
        }
        for (row, indexed) in had {
            self.take_away(row, &indexed);
        }
        self.shown.publish(&keeper);
        Ok(())
    }

    fn keep_alive(&self) -> Result<(), StoreError> {
        let mut keeper = self.keeper.lock();
        if keeper.keep_alive()? {
            self.shown.publish(&keeper);
        }
        Ok(())
    }

    fn is_usable(&self) -> bool {
        !self.namespaces.is_building()
    }
}

/// On a node that is alone.
impl IndexCommands for Definitions {
    fn define(
        &self,
        namespace: &str,
        name: &str,
        indexed: Indexed,
    ) -> Result<(), IndexChangeError> {
        let _held = self.hold();
        self.store_here(self.propose(namespace, name, &indexed)?)
    }

    fn remove(&self, namespace: &str, name: &str) -> Result<(), IndexChangeError> {
        let _held = self.hold();
        self.store_here(self.propose_removal(namespace, name)?)
    }
}

impl Definitions {
    fn store_here(&self, proposal: Option<Proposal>) -> Result<(), IndexChangeError> {
        let Some(Proposal { item, is_known }) = proposal else {
            return Ok(());
        };
        if is_known {
            return Ok(());
        }
        let name = item.name.clone();
        match self.store(vec![item], Origin::Here)?.pop() {
            Some(Err(reason)) => Err(StoreError::Item { name, reason }.into()),
            Some(Ok(_)) | None => Ok(()),
        }
    }
}

/// Indexes that are forgotten when the process ends.
pub struct Unsaved(pub Arc<dyn IndexedNamespaces>);

impl IndexCommands for Unsaved {
    fn define(
        &self,
        namespace: &str,
        name: &str,
        indexed: Indexed,
    ) -> Result<(), IndexChangeError> {
        if let Some(indexes) = self.0.indexes(namespace) {
            indexes.check(name, &indexed)?;
            if let Some(index) = indexes.put(name, indexed) {
                self.0.build(namespace, index, true);
            }
        }
        Ok(())
    }

    fn remove(&self, namespace: &str, name: &str) -> Result<(), IndexChangeError> {
        if let Some(indexes) = self.0.indexes(namespace)
            && let Some(indexed) = indexes.only(name)?
        {
            indexes.remove(&indexed);
        }
        Ok(())
    }
}
