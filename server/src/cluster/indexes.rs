//! The commands on indexes of a node in a cluster.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::Cluster;
use super::catalogue::{RollOutError, roll_out};
use crate::catalogue::{Catalogued, Proposal, answer_by};
use crate::index::{Definitions, IndexChangeError, IndexCommands, Indexed};

/// Changes of indexes of a node in a cluster: they go to every node.
pub struct ClusterIndexes {
    cluster: Arc<Cluster>,
    definitions: Arc<Definitions>,
    runtime: Handle,
}

impl ClusterIndexes {
    /// The commands of this node; to be called on its runtime.
    #[must_use]
    pub fn new(cluster: &Arc<Cluster>, definitions: &Arc<Definitions>) -> Self {
        Self {
            cluster: Arc::clone(cluster),
            definitions: Arc::clone(definitions),
            runtime: Handle::current(),
        }
    }

    fn roll_out(&self, proposal: Option<Proposal>) -> Result<(), IndexChangeError> {
        let Some(proposal) = proposal else {
            return Ok(());
        };
        let catalogue = Arc::clone(&self.definitions) as Arc<dyn Catalogued>;
        Ok(roll_out(
            &self.runtime,
            &self.cluster,
            &catalogue,
            proposal,
        )?)
    }
}

/// Changes wait on the thread of a blocking command for what happens on the runtime.
impl IndexCommands for ClusterIndexes {
    fn define(
        &self,
        namespace: &str,
        name: &str,
        indexed: Indexed,
    ) -> Result<(), IndexChangeError> {
        answer_by::begins();
        let _held = self.definitions.hold();
        self.roll_out(self.definitions.propose(namespace, name, &indexed)?)
    }

    fn remove(&self, namespace: &str, name: &str) -> Result<(), IndexChangeError> {
        answer_by::begins();
        let _held = self.definitions.hold();
        self.roll_out(self.definitions.propose_removal(namespace, name)?)
    }
}

impl From<RollOutError> for IndexChangeError {
    fn from(error: RollOutError) -> Self {
        match error {
            RollOutError::Store(error) => error.into(),
            RollOutError::Timeout => Self::Timeout,
        }
    }
}
