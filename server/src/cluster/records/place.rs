//! Where a command runs.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use protocol::key::Digest;
use protocol::result_code::ResultCode;

use super::super::fabric::{FabricError, Kind};
use super::Records;
use crate::config::node_id::NodeId;
use crate::transaction::placement::Passage;

/// Pause before a command is sent on its way again.
const PAUSE: Duration = Duration::from_millis(5);

impl Records {
    /// Whether commands on this record just run here.
    #[must_use]
    pub fn is_here(&self, digest: &Digest) -> bool {
        !self.busy.load(Ordering::Acquire) && self.owns(digest.partition_id())
    }

    /// Whether this node owns a partition, as far as it knows.
    #[must_use]
    pub fn owns(&self, partition: u16) -> bool {
        self.owner(partition) == Some(self.cluster.me)
    }

    /// The owner of a partition: who claims it, else who has it in the view in force.
    #[must_use]
    pub fn owner(&self, partition: u16) -> Option<NodeId> {
        if !self.has_view.load(Ordering::Acquire) {
            return None;
        }
        if self.busy.load(Ordering::Acquire) {
            let state = self.state.lock();
            let claimed = state
                .claimed
                .get(&partition)
                .filter(|(_, since)| since.elapsed() < super::CLAIM_LIFE);
            if let Some((claimant, _)) = claimed {
                return Some(*claimant);
            }
        }
        self.node.cluster.load().partitions.owner(partition)
    }

    /// Brings a command to where it runs: gets the record here, or has the owner answer.
    ///
    /// `body` is the client's message; `repeatable` says that it may be run twice.
    pub async fn pass(
        &self,
        namespace: &str,
        digest: &Digest,
        body: &[u8],
        repeatable: bool,
        deadline: Instant,
    ) -> Passage {
        loop {
            match self.owner(digest.partition_id()) {
                Some(owner) if owner == self.cluster.me => {
                    return match self.resolve(namespace, digest, deadline).await {
                        Ok(()) => Passage::Here,
                        Err(code) => Passage::Refused(code),
                    };
                }
                Some(owner) => match self.forward(owner, body, deadline).await {
                    Ok(frames) => return Passage::Answered(frames),
                    Err(error) if repeatable || error.nothing_happened() => {}
                    // It may have been done.
                    Err(_) => return Passage::Refused(ResultCode::TIMEOUT),
                },
                None => {}
            }
            if Instant::now() + PAUSE > deadline {
                return Passage::Refused(ResultCode::TIMEOUT);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Has another node run commands.
    pub async fn forward(
        &self,
        owner: NodeId,
        body: &[u8],
        deadline: Instant,
    ) -> Result<Vec<u8>, FabricError> {
        self.cluster
            .fabric
            .call(owner, Kind::Forward, body, deadline)
            .await
    }

    /// Waits until nothing is on its way to this node's partitions; false when that takes too long.
    pub async fn quiet(&self, deadline: Instant) -> bool {
        while self.busy.load(Ordering::Acquire) {
            if Instant::now() + PAUSE > deadline {
                return false;
            }
            tokio::time::sleep(PAUSE).await;
        }
        true
    }
}
