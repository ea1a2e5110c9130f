use std::sync::Arc;
use std::time::Duration;

use crate::record::Namespace;
use crate::stats::ServerStats;

/// What commands need from the node that they run on.
pub trait Services: Send + Sync {
    /// The namespace of this name.
    fn namespace(&self, name: &str) -> Option<&Arc<Namespace>>;

    /// Time limit of requests that state none (`transaction-max-ms`).
    fn transaction_max(&self) -> Duration;

    /// Most rows of a batch, 0 unlimited (`batch-max-requests`).
    fn batch_max_requests(&self) -> u32;

    /// Counters of the whole server.
    fn stats(&self) -> &ServerStats;
}
