//! What clients were told, and what must follow from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::version::{Summary, TOMBSTONE_LIFE_MS};
use super::node::Run;

/// Clocks disagree by no more than this, ms.
pub(crate) const LARGEST_SKEW_MS: u64 = 60 * 60 * 1_000;

/// A put or remove that was answered with `ok`.
pub(crate) struct Acknowledged {
    pub(crate) name: Arc<str>,
    pub(crate) summary: Summary,
    pub(crate) by: Run,
    pub(crate) at: u64,
    /// The nodes that were live for the coordinator.
    pub(crate) members: BTreeSet<Run>,
}

#[derive(Default)]
pub(crate) struct Ledger {
    /// Every change that a node proposed, with the time by a clock without skew.
    proposed: BTreeMap<(Arc<str>, Summary), u64>,
    pub(crate) acknowledged: Vec<Acknowledged>,
}

impl Ledger {
    pub(crate) fn propose(&mut self, name: &Arc<str>, summary: Summary, clock_ms: u64) {
        self.proposed
            .entry((Arc::clone(name), summary))
            .or_insert(clock_ms);
    }

    pub(crate) fn was_proposed(&self, name: &Arc<str>, summary: Summary) -> bool {
        self.proposed.contains_key(&(Arc::clone(name), summary))
    }

    /// What a node has in the end under the name of an acknowledged change may be that change, a later one, or
    /// whatever came after a later removal was forgotten.
    pub(crate) fn survives(
        &self,
        change: &Acknowledged,
        last: Option<&Summary>,
        clock_ms: u64,
    ) -> bool {
        if last.is_some_and(|last| *last >= change.summary) {
            return true;
        }
        self.forgotten_ms(&change.name, change.summary)
            .any(|forgotten_ms| {
                forgotten_ms < clock_ms + LARGEST_SKEW_MS
                    && last.is_none_or(|last| {
                        let proposed_ms = self.proposed.get(&(Arc::clone(&change.name), *last));
                        proposed_ms
                            .is_some_and(|proposed| proposed + LARGEST_SKEW_MS > forgotten_ms)
                    })
            })
    }

    /// A node that had this may have nothing now.
    pub(crate) fn may_be_forgotten(&self, name: &Arc<str>, had: Summary, clock_ms: u64) -> bool {
        self.forgotten_ms(name, had)
            .any(|forgotten_ms| forgotten_ms < clock_ms + LARGEST_SKEW_MS)
    }

    /// When removals from this version on may be forgotten.
    fn forgotten_ms(&self, name: &Arc<str>, from: Summary) -> impl Iterator<Item = u64> {
        self.proposed
            .range((Arc::clone(name), from)..)
            .take_while(move |((other, _), _)| other == name)
            .filter(|((_, summary), _)| summary.hash.is_none())
            .map(|((_, summary), _)| summary.version.time_ms + TOMBSTONE_LIFE_MS)
    }
}
