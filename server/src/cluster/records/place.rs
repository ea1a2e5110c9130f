//! Where a command runs.

use std::time::{Duration, Instant};

use protocol::key::Digest;
use protocol::result_code::ResultCode;

use super::super::fabric::{FabricError, QuestionKind};
use super::super::ownership::Ticket;
use super::Records;
use crate::config::node_id::NodeId;
use crate::storage::engine::PARTITIONS;
use crate::transaction::placement::Passage;

/// Pause before a command is sent on its way again.
const PAUSE: Duration = Duration::from_millis(5);

impl Records {
    /// Whether commands on this record just run here.
    #[must_use]
    pub fn is_here(&self, digest: &Digest) -> bool {
        self.owns(digest.partition_id())
    }

    /// Whether this node runs commands on a partition now.
    #[must_use]
    pub fn owns(&self, partition: u16) -> bool {
        self.rule.ticket(partition).is_some()
    }

    /// The key of the view in which this node runs commands on a partition now.
    #[must_use]
    pub fn serving(&self, partition: u16) -> Option<u64> {
        self.rule.ticket(partition).map(|ticket| ticket.key)
    }

    /// The right to run a command now.
    #[must_use]
    pub fn ticket(&self, digest: &Digest) -> Option<Ticket> {
        self.rule.ticket(digest.partition_id())
    }

    /// Whether what was done with this right may be acknowledged.
    #[must_use]
    pub fn stands(&self, ticket: Option<Ticket>) -> bool {
        ticket.is_some_and(|ticket| self.rule.stands(ticket))
    }

    /// The owner of a partition in the view in force, whether it has the partition already or not.
    #[must_use]
    pub fn owner(&self, partition: u16) -> Option<NodeId> {
        self.node.cluster.load().partitions.owner(partition)
    }

    /// Brings a command to where it runs: waits until the partition is here, or has the owner answer.
    ///
    /// `body` is the client's message; `repeatable` says that it may be run twice.
    pub async fn pass(
        &self,
        digest: &Digest,
        body: &[u8],
        repeatable: bool,
        deadline: Instant,
    ) -> Passage {
        let now = Instant::now();
        // The refusal has to arrive in time, too.
        let patience = now + deadline.saturating_duration_since(now) / 8 * 7;
        loop {
            if self.is_here(digest) {
                return Passage::Here;
            }
            match self.owner(digest.partition_id()) {
                Some(owner) if owner != self.cluster.me => {
                    match self.forward(owner, body, deadline).await {
                        Ok(frames) => return Passage::Answered(frames),
                        Err(error) if repeatable || error.nothing_happened() => {}
                        // It may have been done.
                        Err(_) => return Passage::Refused(ResultCode::TIMEOUT),
                    }
                }
                _ => {}
            }
            if Instant::now() + PAUSE > patience {
                return Passage::Refused(ResultCode::UNAVAILABLE);
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
            .call(owner, QuestionKind::Forward, body, deadline)
            .await
    }

    /// Waits until this node serves all partitions that it owns; false when that takes too long.
    pub async fn quiet(&self, deadline: Instant) -> bool {
        let is_quiet = || {
            let view = self.node.cluster.load();
            (0..PARTITIONS)
                .filter(|partition| view.partitions.owner(*partition) == Some(self.cluster.me))
                .all(|partition| self.rule.serves(partition))
        };
        while !is_quiet() {
            if Instant::now() + PAUSE > deadline {
                return false;
            }
            tokio::time::sleep(PAUSE).await;
        }
        true
    }
}
