//! What a node knows of one kind, changed one at a time: on disk first, then here.

use std::path::Path;
use std::sync::Arc;

use super::item::Item;
use super::kind::CatalogueKind;
use super::parts::Parts;
use super::persistence::{DiskWork, Opened, Snapshot, Store, StoreError, StoredItem, Superseded};
use super::state::{Catalogue, Full, MAX_NAMES, Proposal, Stored};
use super::version::{DAY_MS, LONGEST_OUTAGE_MS};
use crate::clock;

/// How often a running server notes that it is alive, ms.
pub(crate) const KEEP_ALIVE_MS: u64 = 60 * 60 * 1_000;

/// What counts on this node, by name, removed things included.
pub(crate) type Known = Parts<StoredItem>;

/// The registry of one kind.
#[derive(Debug)]
pub(crate) struct Keeper {
    kind: &'static CatalogueKind,
    store: Store,
    catalogue: Catalogue,
    /// When it was opened, ms since 2010.
    opened_ms: u64,
    /// What was found on disk counts, or was dropped.
    settled: bool,
}

impl Keeper {
    /// Reads the registry; also gives what each name that its log changes had before. `user_path` is where copies are,
    /// `node` goes into the versions of changes made here; `clustered` says that there are other nodes, so that a registry
    /// that is too old does not count until it is settled.
    pub(crate) fn open(
        kind: &'static CatalogueKind,
        work_directory: &Path,
        user_path: Option<&Path>,
        node: u64,
        clustered: bool,
    ) -> Result<(Self, Superseded), StoreError> {
        let Opened {
            store,
            items,
            superseded,
        } = Store::open(kind, work_directory, user_path)?;
        let mut keeper = Self {
            kind,
            store,
            catalogue: Catalogue::new(kind, node, items),
            opened_ms: clock::epoch_ms(),
            settled: true,
        };
        if keeper.outage_ms() > LONGEST_OUTAGE_MS {
            // Nodes that start within a day from now may still have what was removed.
            keeper
                .catalogue
                .forget_nothing_before(keeper.opened_ms.saturating_add(DAY_MS));
        }
        if keeper.is_outdated() && clustered {
            keeper.settled = false;
        } else {
            keeper.mark_alive_again()?;
        }
        Ok((keeper, superseded))
    }

    /// The registry on disk, for its copies.
    pub(crate) fn disk(&mut self) -> &mut Store {
        &mut self.store
    }

    /// What it has cost the disk so far.
    pub(crate) fn disk_work(&self) -> &Arc<DiskWork> {
        self.store.work()
    }

    /// In the order of first registration, removed ones included.
    pub(crate) fn items(&self) -> &[StoredItem] {
        self.catalogue.items()
    }

    /// The content of a thing; none where there is no such thing, or no longer.
    pub(crate) fn content(&self, name: &str) -> Option<&str> {
        self.catalogue.known(name)?.content()
    }

    /// What counts, by name: nothing until it is settled that it does.
    pub(crate) fn known(&self) -> Known {
        let counting = self.settled.then(|| self.catalogue.items());
        let items = counting.into_iter().flatten();
        Known::default().changed(items.map(|item| (item.name().as_bytes(), Some(item.clone()))))
    }

    /// What counts after a change of these names, before which `known` did.
    pub(crate) fn known_after<'n>(
        &self,
        known: &Known,
        names: impl Iterator<Item = &'n str>,
    ) -> Known {
        known.changed(names.map(|name| (name.as_bytes(), self.catalogue.known(name).cloned())))
    }

    /// What a put on this node comes to.
    pub(crate) fn propose_put(
        &mut self,
        name: &str,
        content: &str,
    ) -> Result<Proposal, StoreError> {
        self.check_settled()?;
        self.catalogue
            .propose_put(name, content, clock::epoch_ms())
            .map_err(|Full| StoreError::TooMany {
                things: self.kind.plural,
                limit: MAX_NAMES,
            })
    }

    /// What a remove on this node comes to; none when there is nothing to remove.
    pub(crate) fn propose_removal(&mut self, name: &str) -> Result<Option<Proposal>, StoreError> {
        self.check_settled()?;
        Ok(self.catalogue.propose_removal(name, clock::epoch_ms()))
    }

    pub(crate) fn check_settled(&self) -> Result<(), StoreError> {
        self.settled.then_some(()).ok_or(StoreError::Unsettled)
    }

    /// Takes what is newer of the items, which were checked. On return that is on disk, by one sync. On error nothing
    /// changed.
    pub(crate) fn store(&mut self, items: &[Item]) -> Result<Vec<Stored>, StoreError> {
        self.check_settled()?;
        let Self {
            store, catalogue, ..
        } = self;
        catalogue.store(items, clock::epoch_ms(), |before, changes| {
            store.append(changes, before)
        })
    }

    /// How much a start would have to read besides the snapshot, bytes; none if that has all.
    pub(crate) fn behind(&self) -> Option<u64> {
        self.store.behind()
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

    /// Writes all that is known as a snapshot, unless that is there. Blocks, and keeps changes waiting.
    pub(crate) fn tidy(&mut self) -> Result<(), StoreError> {
        match self.behind() {
            Some(_) => self.store.replace(self.catalogue.items()),
            None => Ok(()),
        }
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

    /// How often removed things were forgotten.
    pub(crate) fn forgot(&self) -> u64 {
        self.catalogue.forgot()
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Decides whether what was found on disk counts, or is dropped. True: something was dropped.
    pub(crate) fn settle(&mut self, counts: bool) -> Result<bool, StoreError> {
        let drops = !counts && !self.catalogue.items().is_empty();
        if drops {
            self.store.replace(&[])?;
            self.catalogue = self.catalogue.emptied();
        }
        self.settled = true;
        self.store.mark_alive(clock::epoch_ms())?;
        Ok(drops)
    }

    /// Forgets removed things whose time is over, and notes that the registry is alive. True: some were forgotten.
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
}
