use protocol::particle::Particle;

use super::{Bin, Set, StoredRecord};

/// A version to be stored, as those make it who have its bins one by one.
#[derive(Clone, Debug, Default)]
pub struct Record<'s> {
    /// Bins in storage order: that of their first write; removing one moves the last into its place. Not empty when
    /// the record is stored, and no name occurs twice.
    pub bins: Vec<Bin>,
    /// Number of writes so far, from 1; 65535 is followed by 1.
    pub generation: u16,
    /// When it expires, in seconds since 2010-01-01 UTC; 0 never.
    pub void_time: u32,
    /// When it was last written, in milliseconds since 2010-01-01 UTC.
    pub last_update_ms: u64,
    /// The set that it is in.
    pub set: Option<&'s Set>,
    /// The key that the digest was made of, if a client had it stored.
    pub key: Option<Particle>,
}

/// The bins of a stored record, to work on. Values stay where they are stored.
#[must_use]
pub fn bins_of(record: &StoredRecord) -> Vec<Bin> {
    let bins = record.to_particles();
    bins.map(|(bin, particle)| Bin {
        name: bin.bin_name(),
        particle,
    })
    .collect()
}
