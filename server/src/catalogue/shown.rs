//! What a node shows to others of one kind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::failures::Failures;
use super::item::{Item, ItemError};
use super::keeper::{Keeper, Known};
use super::kind::CatalogueKind;
use super::persistence::{DiskWork, StoreError, StoredItem};
use super::state::Stored;
use super::version::{DAY_MS, Decision, Summaries, decide, missing};
use crate::clock;

/// The things of one kind on this node, as other nodes see and change them.
pub trait Catalogued: Send + Sync {
    /// What they are.
    fn kind(&self) -> &'static CatalogueKind;

    /// What is shown of them.
    fn shown(&self) -> &Shown;

    /// Takes items of this node, where they were proposed, or of another one: those that are newer than what is here, by
    /// one sync. What became of each stands at its place. Blocks while files are synced.
    ///
    /// # Errors
    /// The registry cannot be written, or the node is not settled; nothing changed.
    fn store(
        &self,
        items: Vec<Item>,
        from: Origin,
    ) -> Result<Vec<Result<Stored, ItemError>>, StoreError>;

    /// Decides about a registry that is outdated, which means that this node was away for longer than
    /// [`LONGEST_OUTAGE_MS`](super::version::LONGEST_OUTAGE_MS), so that others may have forgotten what was removed
    /// meanwhile; otherwise nothing happens. `peers` is what [`alive_until_ms`](Shown::alive_until_ms) is on every other
    /// live node. If one of them was alive a day later than this one, what was found here is dropped: what counts is what
    /// the others have. Blocks while files are synced.
    ///
    /// # Errors
    /// The registry cannot be written.
    fn settle(&self, peers: Vec<u64>) -> Result<(), StoreError>;

    /// Forgets removed things whose time is over, and notes on disk that the node is alive. Blocks while files are
    /// synced.
    ///
    /// # Errors
    /// The disk refuses.
    fn keep_alive(&self) -> Result<(), StoreError>;

    /// Whether all that is here can be used: a node that starts waits for it before it is ready.
    fn is_usable(&self) -> bool {
        true
    }
}

/// Where an item was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// On this node: who asked for it is told.
    Here,
    /// On another node.
    Peer,
}

/// What the registry has on disk and is in force here: what other nodes see. Nobody who reads waits for a change.
#[derive(Debug)]
pub struct Shown {
    known: ArcSwap<Known>,
    changes: watch::Sender<u64>,
    failures: Failures,
    disk_work: Arc<DiskWork>,
    alive_until_ms: u64,
    opened_ms: u64,
    forgets_from_ms: u64,
    settled: AtomicBool,
}

impl Shown {
    /// What a registry has.
    pub(crate) fn of(keeper: &Keeper) -> Self {
        Self {
            known: ArcSwap::from_pointee(keeper.known()),
            changes: watch::Sender::new(0),
            failures: Failures::default(),
            disk_work: Arc::clone(keeper.disk_work()),
            alive_until_ms: keeper.alive_until_ms(),
            opened_ms: keeper.opened_ms(),
            forgets_from_ms: keeper.forgets_from_ms(),
            settled: AtomicBool::new(keeper.is_settled()),
        }
    }

    /// Shows what the registry has, which is in force here, and tells those who wait for changes.
    pub(crate) fn publish(&self, keeper: &Keeper) {
        self.known.store(Arc::new(keeper.known()));
        self.tell();
        if keeper.is_settled() && !self.is_settled() {
            // Whoever sees this sees what is published, and who asks at every change asks once more.
            self.settled.store(true, Ordering::Release);
            self.changes.send_modify(|changes| *changes += 1);
        }
    }

    /// Shows what the registry has under these names, which alone have changed; those who wait for changes are to be
    /// [told](Self::tell) before long. One change after the other.
    pub(crate) fn show<'n>(&self, keeper: &Keeper, names: impl Iterator<Item = &'n str>) {
        let known = keeper.known_after(&self.known.load(), names);
        self.known.store(Arc::new(known));
    }

    /// Tells those who wait for changes that there were some.
    pub(crate) fn tell(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Takes those items that are newer than what is here: `make` checks each of them and makes of it what is to be in
    /// force, `store` brings all of them to disk and into force. What became of each item stands at its place.
    pub(crate) fn take<T>(
        &self,
        items: Vec<Item>,
        make: impl Fn(&Item) -> Result<T, ItemError>,
        store: impl FnOnce(Vec<Item>, Vec<T>) -> Result<Vec<Stored>, StoreError>,
    ) -> Result<Vec<Result<Stored, ItemError>>, StoreError> {
        let known = self.known.load_full();
        let mut outcomes = Vec::with_capacity(items.len());
        let (mut newer, mut made) = (Vec::new(), Vec::new());
        for item in items {
            let known = known.get(item.name.as_bytes()).map(StoredItem::summary);
            outcomes.push(match (decide(known, &item.summary), known) {
                (Decision::Same, _) => {
                    self.failures.succeeded(&item.name);
                    Some(Ok(Stored::Same))
                }
                (Decision::Older, Some(known)) => Some(Ok(Stored::Older(*known))),
                _ => match make(&item) {
                    Ok(one) => {
                        made.push(one);
                        newer.push(item);
                        None
                    }
                    Err(reason) => {
                        self.failures.failed(&item.name, &reason);
                        Some(Err(reason))
                    }
                },
            });
        }
        if newer.is_empty() {
            return Ok(outcomes.into_iter().flatten().collect());
        }
        let names: Vec<String> = newer.iter().map(|item| item.name.clone()).collect();
        let stored = store(newer, made);
        for name in &names {
            match &stored {
                Ok(_) => self.failures.succeeded(name),
                Err(error) => self.failures.failed(name, error),
            }
        }
        let mut stored = stored?.into_iter().map(Ok);
        Ok(outcomes
            .into_iter()
            .filter_map(|outcome| outcome.or_else(|| stored.next()))
            .collect())
    }

    /// What this node has on disk and in force, removed things included. Waits for nobody.
    #[must_use]
    pub fn summaries(&self) -> Summaries {
        self.known
            .load()
            .iter()
            .map(|(_, item)| (Arc::clone(item.name()), *item.summary()))
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
    pub fn item(&self, name: &str) -> Option<Item> {
        self.known
            .load()
            .get(name.as_bytes())
            .map(StoredItem::to_item)
    }

    /// Names that could not be stored, each with the last reason.
    #[must_use]
    pub fn failures(&self) -> Vec<(String, String)> {
        self.failures.all()
    }

    /// What the registry has cost the disk since the start.
    #[must_use]
    pub fn disk_work(&self) -> &DiskWork {
        &self.disk_work
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

    /// Until when the server before this one was alive, ms since 2010; 0 without a registry.
    pub(crate) fn before_ms(&self) -> u64 {
        self.alive_until_ms
    }

    /// What was found on disk counts, or was dropped. False only on one of several nodes whose registry is outdated:
    /// until it [settles](Catalogued::settle) it serves what it has, but neither offers any to others nor takes any.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }
}
