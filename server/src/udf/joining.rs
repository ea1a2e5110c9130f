//! How a node that starts becomes ready: it has every change that was acknowledged before, without input, output or clock.
//!
//! It asks each live peer; the peer looks whether the asking node is in its member list, and after that reads its
//! [`Summaries`](super::version::Summaries), and answers with both. Whatever the peer acknowledged to a client before
//! it listed the node is in that answer; from then on it waits for the node as for any other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where the comparison with one peer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Comparison {
    /// The peer has not answered yet, or did not list this node.
    Due,
    /// What the peer has and this node lacks; empty once done.
    Lacking(BTreeSet<Arc<str>>),
}

/// A node on its way to `ready`. `N` identifies one run of a node.
#[derive(Clone, Debug)]
pub struct Joining<N> {
    peers: BTreeMap<N, Comparison>,
}

impl<N> Default for Joining<N> {
    fn default() -> Self {
        Self {
            peers: BTreeMap::new(),
        }
    }
}

impl<N: Copy + Ord> Joining<N> {
    /// These other nodes are live now.
    pub fn members(&mut self, live: impl IntoIterator<Item = N>) {
        let mut before = std::mem::take(&mut self.peers);
        self.peers = live
            .into_iter()
            .map(|peer| (peer, before.remove(&peer).unwrap_or(Comparison::Due)))
            .collect();
    }

    /// Peers to ask, again and again, until they list this node.
    pub fn to_ask(&self) -> impl Iterator<Item = N> + '_ {
        self.peers
            .iter()
            .filter(|(_, comparison)| **comparison == Comparison::Due)
            .map(|(peer, _)| *peer)
    }

    /// `peer` answered: whether this node is in its member list, and which of its modules, removed ones included, are
    /// newer than here; see [`missing`](super::version::missing).
    pub fn answered(
        &mut self,
        peer: N,
        lists_us: bool,
        missing: impl IntoIterator<Item = Arc<str>>,
    ) {
        if let Some(comparison) = self.peers.get_mut(&peer)
            && lists_us
            && *comparison == Comparison::Due
        {
            *comparison = Comparison::Lacking(missing.into_iter().collect());
        }
    }

    /// What is to be fetched, with the peer that has it.
    pub fn to_fetch(&self) -> impl Iterator<Item = (N, &Arc<str>)> + '_ {
        self.peers.iter().flat_map(|(peer, comparison)| {
            let names = match comparison {
                Comparison::Due => None,
                Comparison::Lacking(names) => Some(names),
            };
            names.into_iter().flatten().map(|name| (*peer, name))
        })
    }

    /// What `peer` has under this name was stored here, or there is a newer one here, or the peer no longer has any.
    pub fn fetched(&mut self, peer: N, name: &str) {
        if let Some(Comparison::Lacking(names)) = self.peers.get_mut(&peer) {
            names.remove(name);
        }
    }

    /// Every peer of `live` lists this node, and everything that it had is here. `live` must be read for this question.
    pub fn is_ready(&mut self, live: impl IntoIterator<Item = N>) -> bool {
        self.members(live);
        self.peers
            .values()
            .all(|comparison| matches!(comparison, Comparison::Lacking(names) if names.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_listed_by_and_caught_up_with_every_live_peer() {
        let mut joining = Joining::default();
        assert!(joining.is_ready([]), "alone");
        joining.members([1, 2]);
        joining.answered(1, false, []);
        assert_eq!(
            joining.to_ask().collect::<Vec<_>>(),
            [1, 2],
            "1 does not list us yet"
        );
        joining.answered(1, true, ["a.lua".into(), "b.lua".into()]);
        joining.answered(2, true, []);
        assert_eq!(joining.to_ask().count(), 0);
        joining.fetched(2, "b.lua");
        joining.fetched(1, "a.lua");
        assert!(!joining.is_ready([1, 2]));
        assert_eq!(
            joining.to_fetch().collect::<Vec<_>>(),
            [(1, &Arc::from("b.lua"))]
        );
        joining.fetched(1, "b.lua");
        assert!(joining.is_ready([1, 2]));
        assert!(!joining.is_ready([1, 2, 3]), "3 appeared");
        assert!(joining.is_ready([1]), "2 and 3 left");
        assert!(!joining.is_ready([1, 2]), "2 came back");
    }
}
