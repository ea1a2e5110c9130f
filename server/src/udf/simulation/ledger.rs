//! What clients were told, and what must follow from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::version::{ContentHash, Summary, TOMBSTONE_LIFE_MS, Version};
use super::node::Run;

/// Clocks disagree by no more than this, ms.
pub(super) const LARGEST_SKEW_MS: u64 = 30_000;

type Key = (Arc<str>, Version, Option<ContentHash>);

fn key(name: &Arc<str>, summary: Summary) -> Key {
    (Arc::clone(name), summary.version, summary.hash)
}

/// A put or remove that was answered with `ok`.
pub(super) struct Acknowledged {
    pub(super) name: Arc<str>,
    pub(super) summary: Summary,
    pub(super) by: Run,
    pub(super) at: u64,
    /// The nodes that were live for the coordinator.
    pub(super) members: BTreeSet<Run>,
}

#[derive(Default)]
pub(super) struct Ledger {
    /// Every change that a node proposed, with the time by a clock without skew.
    proposed: BTreeMap<Key, u64>,
    pub(super) acknowledged: Vec<Acknowledged>,
    /// No node was up for a month. Those that start first may lack changes that others made before, and take puts: the
    /// others bring higher generations.
    pub(super) all_were_away: bool,
}

impl Ledger {
    pub(super) fn propose(&mut self, name: &Arc<str>, summary: Summary, clock_ms: u64) {
        self.proposed.entry(key(name, summary)).or_insert(clock_ms);
    }

    pub(super) fn was_proposed(&self, name: &Arc<str>, summary: Summary) -> bool {
        self.proposed.contains_key(&key(name, summary))
    }

    /// What a node has in the end under the name of an acknowledged change may be that change, a later one, or
    /// whatever came after a later removal was forgotten.
    pub(super) fn survives(
        &self,
        change: &Acknowledged,
        last: Option<&Summary>,
        clock_ms: u64,
    ) -> bool {
        if last.is_some_and(|last| {
            last.compare(&change.summary).is_ge()
                || self.all_were_away && last.version >= change.summary.version
        }) {
            return true;
        }
        self.forgotten_ms(&change.name, change.summary)
            .any(|forgotten_ms| {
                forgotten_ms < clock_ms + LARGEST_SKEW_MS
                    && last.is_none_or(|last| {
                        let proposed_ms = self.proposed.get(&key(&change.name, *last));
                        proposed_ms
                            .is_some_and(|proposed| proposed + LARGEST_SKEW_MS > forgotten_ms)
                    })
            })
    }

    /// A node that had this may have nothing now.
    pub(super) fn may_be_forgotten(&self, name: &Arc<str>, had: Summary, clock_ms: u64) -> bool {
        self.forgotten_ms(name, had)
            .any(|forgotten_ms| forgotten_ms < clock_ms + LARGEST_SKEW_MS)
    }

    /// When removals from this version on may be forgotten.
    fn forgotten_ms(&self, name: &Arc<str>, from: Summary) -> impl Iterator<Item = u64> {
        self.proposed
            .range(key(name, from)..)
            .take_while(move |((other, ..), _)| other == name)
            .filter(|((_, _, hash), _)| hash.is_none())
            .map(|((_, version, _), _)| version.time_ms + TOMBSTONE_LIFE_MS)
    }
}
