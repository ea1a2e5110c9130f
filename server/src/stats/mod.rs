//! What the server counts: counters by the names that Aerospike's tools know, and latency histograms.

mod counter;
mod histogram;
mod migration;
mod namespace;
mod server;

pub use counter::{BusyCounter, Counter};
pub use histogram::{Histogram, NamespaceLatency, Scale, THRESHOLDS};
pub use migration::MigrationStats;
pub use namespace::{NamespaceStats, RemovalStats};
pub use server::ServerStats;
