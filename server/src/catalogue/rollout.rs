//! One change on its way to all live nodes, without input, output or clock.
//!
//! The coordinator pushes to every node in [`waiting`](Rollout::waiting), itself included (its own disk), and again
//! every [`RESEND`] to those still there; it says `ok` once [`is_complete`](Rollout::is_complete), and after
//! [`TIMEOUT`] that the time is over, while nodes go on to compare what they have.

use std::collections::BTreeMap;
use std::time::Duration;

use super::version::Summary;

/// Time after which an item is pushed again to nodes that have not answered.
pub const RESEND: Duration = Duration::from_millis(100);

/// Time after which the client is told that not all live nodes have answered.
pub const TIMEOUT: Duration = Duration::from_millis(2_000);

/// Who has a change and who is waited for.
///
/// `N` identifies one run of a node: a node that restarted is another one, as it may have been left out of changes
/// while it was away.
#[derive(Clone, Debug)]
pub struct Rollout<N> {
    offered: Summary,
    /// Live nodes; true: it has the change on disk and serves it, or a newer one.
    nodes: BTreeMap<N, bool>,
}

impl<N: Copy + Ord> Rollout<N> {
    /// A change that none of the nodes `live` is known to have. `live` includes the coordinator.
    #[must_use]
    pub fn new(offered: Summary, live: impl IntoIterator<Item = N>) -> Self {
        Self {
            offered,
            nodes: live.into_iter().map(|node| (node, false)).collect(),
        }
    }

    /// What is rolled out.
    #[must_use]
    pub fn offered(&self) -> &Summary {
        &self.offered
    }

    /// These nodes are live now: those that left are no longer waited for, new ones are.
    pub fn members(&mut self, live: impl IntoIterator<Item = N>) {
        let before = std::mem::take(&mut self.nodes);
        self.nodes = live
            .into_iter()
            .map(|node| (node, before.get(&node).copied().unwrap_or(false)))
            .collect();
    }

    /// `node` answered what it has on disk and serves. An older one than what is rolled out does not count; neither
    /// does a node that is not live.
    pub fn acknowledged(&mut self, node: N, has: &Summary) {
        if *has >= self.offered
            && let Some(done) = self.nodes.get_mut(&node)
        {
            *done = true;
        }
    }

    /// Nodes that have not acknowledged, to push to.
    pub fn waiting(&self) -> impl Iterator<Item = N> + '_ {
        self.nodes
            .iter()
            .filter(|(_, done)| !**done)
            .map(|(node, _)| *node)
    }

    /// Every node of `live` has acknowledged.
    ///
    /// `live` must be read for this question: a node that saw itself in the member list, and compared what it has only
    /// after that, relies on being waited for from then on.
    pub fn is_complete(&mut self, live: impl IntoIterator<Item = N>) -> bool {
        self.members(live);
        self.waiting().next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::super::version::Version;
    use super::*;

    fn summary(generation: u64) -> Summary {
        Summary {
            version: Version {
                era: 1,
                generation,
                time_ms: 1,
                node: 1,
            },
            hash: None,
        }
    }

    fn waiting(rollout: &Rollout<u8>) -> Vec<u8> {
        rollout.waiting().collect()
    }

    #[test]
    fn all_live_nodes_are_waited_for_and_no_others() {
        let mut rollout = Rollout::new(summary(5), [1, 2, 3]);
        assert_eq!(waiting(&rollout), [1, 2, 3]);
        rollout.acknowledged(1, &summary(5));
        rollout.acknowledged(9, &summary(5));
        assert!(!rollout.is_complete([1, 2, 3]));
        assert_eq!(waiting(&rollout), [2, 3]);
        // 3 leaves, 4 appears.
        assert!(!rollout.is_complete([1, 2, 4]));
        assert_eq!(waiting(&rollout), [2, 4]);
        rollout.acknowledged(2, &summary(4));
        assert_eq!(
            waiting(&rollout),
            [2, 4],
            "an older version is no acknowledgement"
        );
        rollout.acknowledged(2, &summary(6));
        rollout.acknowledged(4, &summary(5));
        assert!(rollout.is_complete([1, 2, 4]));
        assert!(
            !rollout.is_complete([1, 2, 3, 4]),
            "3 is back and may lack it"
        );
    }
}
