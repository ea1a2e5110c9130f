//! Who owns which partition.
//!
//! Rendezvous hashing: each node has a weight for each partition, and the heaviest node owns it. Every node computes the
//! same owners from the same members, without a word between them; a node that comes takes an equal share from each of
//! the others, and the partitions of one that goes are all that move.

use protocol::partition_map::PartitionMap;

use crate::config::node_id::NodeId;
use crate::storage::engine::PARTITIONS;

/// The owner of each partition, the same in every namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partitions {
    owners: Vec<NodeId>,
}

impl Partitions {
    /// The owners among these nodes. Without nodes no partition has an owner.
    #[must_use]
    pub fn new(nodes: &[NodeId]) -> Self {
        Self::among(nodes, PARTITIONS)
    }

    /// The same with another number of partitions.
    pub(super) fn among(nodes: &[NodeId], partitions: u16) -> Self {
        if let [only] = nodes {
            return Self {
                owners: vec![*only; usize::from(partitions)],
            };
        }
        Self {
            owners: (0..partitions)
                .filter_map(|partition| {
                    let weight = |node: &&NodeId| (weight(partition, **node), node.number());
                    nodes.iter().max_by_key(weight).copied()
                })
                .collect(),
        }
    }

    /// The owner of a partition.
    #[must_use]
    pub fn owner(&self, partition: u16) -> Option<NodeId> {
        self.owners.get(usize::from(partition)).copied()
    }

    /// The partitions of a node.
    #[must_use]
    pub fn owned_by(&self, node: NodeId) -> PartitionMap {
        let mut map = PartitionMap::EMPTY;
        (0..PARTITIONS)
            .filter(|partition| self.owner(*partition) == Some(node))
            .for_each(|partition| map.insert(partition));
        map
    }
}

/// Weight of a node for a partition: the finalizer of splitmix64 over both.
fn weight(partition: u16, node: NodeId) -> u64 {
    let mix = |value: u64| {
        let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        value ^ (value >> 31)
    };
    let node = mix(node.number().wrapping_add(0x9E37_79B9_7F4A_7C15));
    mix(node ^ mix(u64::from(partition).wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

#[cfg(test)]
mod tests {
    use super::{NodeId, Partitions};

    fn nodes(numbers: impl IntoIterator<Item = u64>) -> Vec<NodeId> {
        // Identities of one machine differ in few bits.
        let id = |number| NodeId::new(0xBB9_0000_0000_0000 + number).unwrap();
        numbers.into_iter().map(id).collect()
    }

    #[test]
    fn every_partition_has_one_owner_and_shares_are_even() {
        for count in [1_u64, 2, 3, 7, 16] {
            let nodes = nodes(1..=count);
            let partitions = Partitions::new(&nodes);
            let mut all = 0;
            for node in &nodes {
                let owned = partitions.owned_by(*node).len();
                let fair = 4_096 / nodes.len();
                assert!(owned.abs_diff(fair) * 4 <= fair, "{owned} of {count} nodes");
                all += owned;
            }
            assert_eq!(all, 4_096);
        }
        assert_eq!(Partitions::new(&[]).owner(0), None);
    }

    #[test]
    fn a_change_moves_only_what_it_must() {
        let three = Partitions::new(&nodes([1, 2, 3]));
        let four = Partitions::new(&nodes([4, 1, 3, 2]));
        let newcomer = nodes([4])[0];
        for partition in 0..4_096 {
            let owner = four.owner(partition).unwrap();
            assert!(owner == newcomer || Some(owner) == three.owner(partition));
        }
    }
}
