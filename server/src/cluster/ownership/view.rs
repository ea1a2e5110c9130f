//! Who is there, and who owns which partition.

use sha1::{Digest, Sha1};

use super::super::NodeId;
use super::super::partitions::Partitions;
use super::Run;

/// The cluster as one node counts it.
#[derive(Debug, Clone)]
pub struct View {
    /// 48 bits, not 0, that a node never has a second time.
    pub key: u64,
    /// The live nodes, this one included, each with its epoch.
    pub members: Vec<(Run, u64)>,
    /// Those that own partitions, in the order of their identities.
    pub owners: Vec<NodeId>,
    /// Owner of each partition.
    pub partitions: std::sync::Arc<Partitions>,
}

impl View {
    pub(super) fn empty(partitions: u16) -> Self {
        Self {
            key: 0,
            members: Vec::new(),
            owners: Vec::new(),
            partitions: Partitions::among(&[], partitions).into(),
        }
    }

    /// The view of these members, if it is another; `None` when nothing has changed.
    pub(super) fn changed(
        &self,
        members: Vec<(Run, u64)>,
        owners: Vec<NodeId>,
        partitions: u16,
    ) -> Option<Self> {
        if members == self.members && owners == self.owners {
            return None;
        }
        let mut hash = Sha1::new();
        for ((id, incarnation), epoch) in &members {
            hash.update(id.number().to_be_bytes());
            hash.update(incarnation.to_be_bytes());
            hash.update(epoch.to_be_bytes());
        }
        let key = hash
            .finalize()
            .iter()
            .take(6)
            .fold(0, |number, byte| number << 8 | u64::from(*byte));
        // Owners are found by much reckoning, and seldom change.
        let partitions = match owners == self.owners {
            true => std::sync::Arc::clone(&self.partitions),
            false => Partitions::among(&owners, partitions).into(),
        };
        Some(Self {
            key: key.max(1),
            members,
            owners,
            partitions,
        })
    }

    /// Whether a node owns a partition.
    #[must_use]
    pub fn is_owner(&self, node: NodeId, partition: u16) -> bool {
        self.partitions.owner(partition) == Some(node)
    }
}
