//! Truncations reach every node of the cluster: each node removes what it holds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::Cluster;
use super::fabric::{FabricError, QuestionKind};
use crate::config::node_id::NodeId;
use crate::record::{Namespace, TruncateError};

/// Time for the other nodes to remove their records, at least: they go through all that they have.
const LEAST_TIME: Duration = Duration::from_secs(10);

/// Which records are to go: body of [`QuestionKind::Truncate`], as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TruncateRequest {
    /// Of this namespace.
    pub namespace: String,
    /// Of this set, or of all.
    pub set: Option<String>,
    /// Last written before this, nanoseconds since 1970. None: before each node has heard of it.
    pub lut: Option<u64>,
}

impl TruncateRequest {
    /// Removes them from this namespace of this node.
    ///
    /// # Errors
    /// The time lies in the future of this node, or the engine cannot remove them.
    pub async fn apply(&self, namespace: &Namespace) -> Result<(), TruncateError> {
        let swept = namespace.truncate(self.set.as_deref(), self.lut).await?;
        tracing::info!(
            target: "truncate",
            "{{{}|{}}} truncated {} records",
            namespace.name(),
            self.set.as_deref().unwrap_or("-"),
            swept.truncated
        );
        Ok(())
    }
}

/// Has all other live nodes remove these records, all at the same time.
///
/// # Errors
/// The first node that did not say that they are gone, and why. Others may have removed theirs.
pub(super) async fn on_others(
    cluster: &Arc<Cluster>,
    request: &TruncateRequest,
) -> Result<(), (NodeId, String)> {
    let body = serde_json::to_vec(request).map_err(|error| (cluster.me, error.to_string()))?;
    let body = Arc::new(body);
    let deadline = Instant::now() + cluster.patience.max(LEAST_TIME);
    let mut asking = JoinSet::new();
    for node in cluster.members().keys().copied() {
        let (cluster, body) = (Arc::clone(cluster), Arc::clone(&body));
        asking.spawn(async move {
            let asked = cluster
                .fabric
                .call(node, QuestionKind::Truncate, &body, deadline);
            (node, asked.await.map(drop))
        });
    }
    let mut failed = Ok(());
    while let Some(told) = asking.join_next().await {
        let said = match told {
            Ok((node, said)) => said.map_err(|error: FabricError| (node, error.to_string())),
            Err(error) => Err((cluster.me, error.to_string())),
        };
        failed = failed.and(said);
    }
    failed
}
