//! How a node that starts becomes ready: it has every change that was acknowledged before, without input, output or clock.
//!
//! It asks each live peer; the peer looks whether the asking node is in its member list, and after that reads its
//! [`Summaries`](super::version::Summaries), and answers with both. Whatever the peer acknowledged to a client before
//! it listed the node is in that answer; from then on it waits for the node as for any other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::version::DAY_MS;

/// What a peer answers of itself, beside its summaries. It looks these up in this order, and the summaries last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The node that asks is in its member list.
    pub lists_asker: bool,
    /// See `Service::alive_until_ms`.
    pub alive_until_ms: u64,
    /// See `Service::is_settled`.
    pub is_settled: bool,
}

/// Whether a registry that is outdated counts all the same. `ours_ms` is until when it was alive, `peers` what the other
/// live nodes say: it does unless one of them was alive a day later, and may have removed modules and forgotten them.
#[must_use]
pub fn outdated_counts(ours_ms: u64, peers: impl IntoIterator<Item = u64>) -> bool {
    peers
        .into_iter()
        .all(|peer_ms| peer_ms <= ours_ms.saturating_add(DAY_MS))
}

/// How far a peer has been asked.
#[derive(Clone, Debug, Default)]
struct Progress {
    /// What it said.
    standing: Option<Standing>,
    /// What it has and this node lacks; empty once done. None until it listed this node and was settled.
    lacking: Option<BTreeSet<Arc<str>>>,
}

/// A node on its way to `ready`. `N` identifies one run of a node.
#[derive(Clone, Debug)]
pub struct Joining<N> {
    peers: BTreeMap<N, Progress>,
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
            .map(|peer| (peer, before.remove(&peer).unwrap_or_default()))
            .collect();
    }

    /// Peers to ask, again and again, until they list this node and are settled.
    pub fn to_ask(&self) -> impl Iterator<Item = N> + '_ {
        self.peers
            .iter()
            .filter(|(_, progress)| progress.lacking.is_none())
            .map(|(peer, _)| *peer)
    }

    /// `peer` answered; `missing` are those of its names, removed ones included, that are newer than here, see
    /// [`missing`](super::version::missing). They count once this node `is_settled`.
    pub fn answered(
        &mut self,
        peer: N,
        standing: Standing,
        is_settled: bool,
        missing: impl IntoIterator<Item = Arc<str>>,
    ) {
        if let Some(progress) = self.peers.get_mut(&peer) {
            progress.standing = Some(standing);
            if standing.lists_asker && standing.is_settled && is_settled {
                progress
                    .lacking
                    .get_or_insert_with(|| missing.into_iter().collect());
            }
        }
    }

    /// For `Service::settle`: until when each peer of `live` was alive, once all have
    /// answered. `live` must be read for this question.
    pub fn peers_alive_until_ms(&mut self, live: impl IntoIterator<Item = N>) -> Option<Vec<u64>> {
        self.members(live);
        self.peers
            .values()
            .map(|progress| progress.standing.map(|standing| standing.alive_until_ms))
            .collect()
    }

    /// What is to be fetched, with the peer that has it.
    pub fn to_fetch(&self) -> impl Iterator<Item = (N, &Arc<str>)> + '_ {
        self.peers.iter().flat_map(|(peer, progress)| {
            let names = progress.lacking.iter().flatten();
            names.map(|name| (*peer, name))
        })
    }

    /// What `peer` has under this name was stored here, or there is a newer one here, or the peer no longer has any. It
    /// must have been asked for after the answer: what was on its way before may be older.
    pub fn fetched(&mut self, peer: N, name: &str) {
        if let Some(progress) = self.peers.get_mut(&peer)
            && let Some(names) = &mut progress.lacking
        {
            names.remove(name);
        }
    }

    /// Every peer of `live` lists this node, and everything that it had is here. `live` must be read for this question.
    pub fn is_ready(&mut self, live: impl IntoIterator<Item = N>) -> bool {
        self.members(live);
        self.peers
            .values()
            .all(|progress| matches!(&progress.lacking, Some(names) if names.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: Standing = Standing {
        lists_asker: true,
        alive_until_ms: 9,
        is_settled: true,
    };

    #[test]
    fn ready_means_listed_by_and_caught_up_with_every_live_peer() {
        let mut joining = Joining::default();
        assert!(joining.is_ready([]), "alone");
        joining.members([1, 2]);
        let unlisted = Standing {
            lists_asker: false,
            ..LISTED
        };
        joining.answered(1, unlisted, true, []);
        assert_eq!(
            joining.to_ask().collect::<Vec<_>>(),
            [1, 2],
            "1 does not list us yet"
        );
        joining.answered(1, LISTED, true, ["a.lua".into(), "b.lua".into()]);
        joining.answered(2, LISTED, true, []);
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

    #[test]
    fn nodes_settle_before_they_are_compared() {
        let mut joining = Joining::default();
        joining.members([1, 2]);
        assert_eq!(joining.peers_alive_until_ms([1, 2]), None);
        let unsettled = Standing {
            alive_until_ms: 7,
            is_settled: false,
            ..LISTED
        };
        joining.answered(1, unsettled, false, []);
        joining.answered(2, LISTED, false, ["a.lua".into()]);
        assert_eq!(joining.peers_alive_until_ms([1, 2]), Some(vec![7, 9]));
        assert_eq!(joining.to_ask().collect::<Vec<_>>(), [1, 2]);
        joining.answered(1, unsettled, true, []);
        joining.answered(2, LISTED, true, []);
        assert_eq!(joining.to_ask().collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn an_outdated_registry_counts_unless_a_peer_was_alive_much_later() {
        let ours_ms = 5 * DAY_MS;
        for (peers, counts) in [
            (&[][..], true),
            (&[0], true),
            (&[ours_ms], true),
            (&[0, ours_ms + DAY_MS], true),
            (&[0, ours_ms + DAY_MS + 1], false),
        ] {
            assert_eq!(
                outdated_counts(ours_ms, peers.iter().copied()),
                counts,
                "{peers:?}"
            );
        }
    }
}
