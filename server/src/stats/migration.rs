use std::sync::atomic::AtomicU64;

/// Records of a namespace on their way between nodes.
#[derive(Debug, Default)]
pub struct MigrationStats {
    /// Partitions of other nodes of which this node still holds records.
    pub outgoing: AtomicU64,
    /// Partitions of this node of which others may still hold records.
    pub incoming: AtomicU64,
    /// Records given to their owners.
    pub transmitted: AtomicU64,
    /// Records taken from others.
    pub received: AtomicU64,
    /// Versions of records that were thrown away when two sides of a split met.
    pub thrown_away: AtomicU64,
}
