//! The seam to engines, and what they are held to.

use std::fmt::Debug;
use std::sync::Arc;

use protocol::key::Digest;

use data::record::Record;

/// Number of partitions of every namespace.
pub const PARTITIONS: u16 = protocol::limits::PARTITIONS;

/// Where the records of a namespace are kept.
///
/// An engine keeps versions and knows nothing of time, sets, limits or statistics: [`crate::record::Namespace`] does. Each call
/// is atomic by itself; that nobody else changes the digest between two calls is what [`crate::record::RecordLocks`] are for.
pub trait StorageEngine: Send + Sync + Debug {
    /// The stored version.
    fn get(&self, digest: &Digest) -> Option<Arc<Record>>;

    /// Stores a version; returns the one that it replaces.
    fn put(&self, digest: &Digest, record: Arc<Record>) -> Option<Arc<Record>>;

    /// Forgets the record; returns the version that was stored.
    fn remove(&self, digest: &Digest) -> Option<Arc<Record>>;

    /// At most `limit` records of one partition, in ascending order of digest, from the first after `after`.
    ///
    /// A record that is written while a caller goes from page to page is seen once or not at all.
    fn page(
        &self,
        partition: u16,
        after: Option<&Digest>,
        limit: usize,
    ) -> Vec<(Digest, Arc<Record>)>;

    /// Records stored in one partition.
    fn partition_objects(&self, partition: u16) -> usize;

    /// Whether records are held in memory.
    fn in_memory(&self) -> bool;

    /// Whether records outlive the process.
    fn persisted(&self) -> bool;
}
