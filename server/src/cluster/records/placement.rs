use std::sync::Arc;
use std::time::Instant;

use protocol::key::Digest;

use super::super::ownership::Ticket;
use super::Records;
use crate::config::node_id::NodeId;
use crate::transaction::placement::{NotForwarded, Passage, Placement};

/// Where commands run, on a node of a cluster and on one that is alone.
#[derive(Clone, Default)]
pub struct ClusterPlacement(pub Option<Arc<Records>>);

impl Placement for ClusterPlacement {
    type Ticket = Option<Ticket>;

    fn is_here(&self, digest: &Digest) -> bool {
        self.0
            .as_ref()
            .is_none_or(|records| records.is_here(digest))
    }

    fn serving(&self, partition: u16) -> Option<u64> {
        match &self.0 {
            Some(records) => records.serving(partition),
            None => Some(0),
        }
    }

    fn serving_among(&self, among: u16) -> (u64, u64) {
        match &self.0 {
            Some(records) => records.rule.serving_among(among),
            None => (u64::MAX, 0),
        }
    }

    fn elsewhere(&self, partition: u16) -> Option<NodeId> {
        let records = self.0.as_ref()?;
        records
            .owner(partition)
            .filter(|owner| *owner != records.cluster.me)
    }

    async fn pass(
        &self,
        _namespace: &str,
        digest: &Digest,
        body: &[u8],
        repeatable: bool,
        deadline: Instant,
    ) -> Passage {
        match &self.0 {
            Some(records) => records.pass(digest, body, repeatable, deadline).await,
            None => Passage::Here,
        }
    }

    async fn forward(
        &self,
        owner: NodeId,
        body: &[u8],
        deadline: Instant,
    ) -> Result<Vec<u8>, NotForwarded> {
        let Some(records) = &self.0 else {
            return Err(NotForwarded::NothingHappened);
        };
        records
            .forward(owner, body, deadline)
            .await
            .map_err(|error| match error.nothing_happened() {
                true => NotForwarded::NothingHappened,
                false => NotForwarded::Unknown,
            })
    }

    fn ticket(&self, digest: &Digest) -> Option<Ticket> {
        self.0.as_ref()?.ticket(digest)
    }

    fn stands(&self, ticket: Option<Ticket>) -> bool {
        self.0.as_ref().is_none_or(|records| records.stands(ticket))
    }

    async fn quiet(&self, deadline: Instant) -> bool {
        match &self.0 {
            Some(records) => records.quiet(deadline).await,
            None => true,
        }
    }
}
