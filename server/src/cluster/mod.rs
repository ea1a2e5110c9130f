//! What this node knows of its cluster, as info commands show it.
//!
//! A view is a value: membership makes a new one and swaps it in, so every answer within one command comes from the same
//! moment.

mod answers;
pub mod catalogue;
pub mod fabric;
mod followers;
pub mod form;
mod handle;
mod heartbeat;
pub mod incarnation;
mod indexes;
mod local;
mod member;
pub mod membership;
mod mesh;
pub mod modules;
pub mod ownership;
pub mod partitions;
pub mod records;
pub mod rule;
pub mod secret;
mod sockets;
mod truncation;
mod view;

pub use crate::config::node_id::NodeId;
pub use answers::Answers;
pub use followers::{Follower, Followers};
pub use handle::Cluster;
pub use heartbeat::HeartbeatSocket;
pub use indexes::ClusterIndexes;
pub use local::LocalNode;
pub use mesh::Mesh;
pub use sockets::{ClusterSockets, SocketsError};
pub use truncation::TruncateRequest;

use std::sync::Arc;

use self::partitions::Partitions;

use protocol::partition_map::PartitionMap;

/// Another node of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its identity.
    pub id: NodeId,
    /// Where clients reach it: `host:port`, IPv6 in brackets.
    pub addresses: Vec<String>,
    /// Where clients that ask for alternate addresses reach it.
    pub alternate_addresses: Vec<String>,
}

/// The cluster as one node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterView {
    /// Number that the members of this cluster share and other clusters do not: 48 bits, not 0.
    pub key: u64,
    /// Changes with the members or their addresses.
    pub peers_generation: u64,
    /// Changes with the owners of partitions.
    pub partition_generation: u64,
    /// Changes when partitions are given out anew.
    pub rebalance_generation: u64,
    /// The member that decides.
    pub principal: NodeId,
    /// The other members.
    pub peers: Vec<Peer>,
    /// All members have this view.
    pub integrity: bool,
    /// The members of the past, the present ones included.
    pub alumni: Vec<Peer>,
    /// The owners of the partitions.
    pub partitions: Arc<Partitions>,
    /// The largest difference between two clocks of the cluster, milliseconds.
    pub clock_skew_ms: u64,
    /// Partitions of which this node holds the first copy, the second, and so on: the same in each namespace.
    pub replicas: Vec<PartitionMap>,
}

/// Bits of a cluster key.
const KEY_BITS: u32 = 48;

impl ClusterView {
    /// A cluster of one node, which owns every partition.
    #[must_use]
    pub fn single(node: NodeId, seed: u64) -> Self {
        // Spread the seed over the bits of a key; a golden-ratio step, as in splitmix64.
        let key = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - KEY_BITS);
        Self {
            key: key.max(1),
            peers_generation: 0,
            partition_generation: 0,
            rebalance_generation: 1,
            principal: node,
            peers: Vec::new(),
            integrity: true,
            alumni: Vec::new(),
            partitions: Arc::new(Partitions::new(&[node])),
            clock_skew_ms: 0,
            replicas: vec![PartitionMap::FULL],
        }
    }

    /// Members, this node included.
    #[must_use]
    pub fn size(&self) -> usize {
        self.peers.len() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::{ClusterView, NodeId};

    #[test]
    fn a_single_node_owns_everything() {
        let node = NodeId::new(7).unwrap();
        let view = ClusterView::single(node, 0);
        assert_eq!((view.size(), view.key), (1, 1));
        assert!(ClusterView::single(node, u64::MAX).key < 1 << 48);
        assert_eq!(view.replicas[0].len(), 4_096);
    }
}
