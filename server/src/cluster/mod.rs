//! What this node knows of its cluster, as info commands show it.
//!
//! A view is a value: membership makes a new one and swaps it in, so every answer within one command comes from the same
//! moment.

mod answers;
pub mod fabric;
pub mod form;
mod gossip;
mod handle;
pub mod membership;
pub mod modules;
pub mod partitions;
pub mod records;
mod sockets;
mod view;

pub use answers::Answers;
pub use gossip::HeartbeatSocket;
pub use handle::Cluster;
pub use sockets::{ClusterSockets, SocketsError};

use std::fmt;
use std::sync::Arc;

use self::partitions::Partitions;

use serde::{Deserialize, Serialize};

use protocol::partition_map::PartitionMap;

/// Identity of a node: 64 bits, printed as upper-case hex without leading zeros. Never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeId(u64);

impl NodeId {
    /// An identity from its number; `None` for 0.
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        (number != 0).then_some(Self(number))
    }

    /// An identity from its text, 1 to 16 hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        hex.then(|| u64::from_str_radix(text, 16).ok())
            .flatten()
            .and_then(Self::new)
    }

    /// The identity that begins with a port and ends in zeros. Port 0 counts as 1.
    #[must_use]
    pub const fn from_port(port: u16) -> Self {
        let port = if port == 0 { 1 } else { port };
        Self((port as u64) << 48)
    }

    /// The identity with these 48 bits at its end, for example of a hardware address.
    #[must_use]
    pub const fn with_low_bits(self, bits: u64) -> Self {
        Self(self.0 | (bits & ((1 << 48) - 1)))
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

impl TryFrom<String> for NodeId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a node id is 1 to 16 hex digits, not all zero")
    }
}

impl From<NodeId> for String {
    fn from(id: NodeId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:X}", self.0)
    }
}

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
    fn node_ids_are_upper_case_hex() {
        let cases = [
            ("bb9000000000777", Some("BB9000000000777")),
            ("0A1", Some("A1")),
            ("FFFFFFFFFFFFFFFF", Some("FFFFFFFFFFFFFFFF")),
            ("10000000000000000", None),
            ("0", None),
            ("", None),
            ("+1", None),
            ("xyz", None),
        ];
        for (text, expected) in cases {
            let found = NodeId::parse(text).map(|id| id.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_single_node_owns_everything() {
        let node = NodeId::new(7).unwrap();
        let view = ClusterView::single(node, 0);
        assert_eq!((view.size(), view.key), (1, 1));
        assert!(ClusterView::single(node, u64::MAX).key < 1 << 48);
        assert_eq!(view.replicas[0].len(), 4_096);
    }
}
