use std::sync::Arc;

use data::record::{Set, StoredRecord};
use protocol::particle::ParticleRef;

/// What a version to be stored is besides its bins.
#[derive(Clone, Debug)]
pub struct Version<'a> {
    /// Number of writes so far, from 1; 65535 is followed by 1.
    pub generation: u16,
    /// When it expires, in seconds since 2010-01-01 UTC; 0 never.
    pub void_time: u32,
    /// When it was last written, in milliseconds since 2010-01-01 UTC.
    pub last_update_ms: u64,
    /// The set that it is in.
    pub set: Option<Arc<Set>>,
    /// The key that the digest was made of, if a client had it stored.
    pub key: Option<ParticleRef<'a>>,
}

/// A version that may be stored: it was found to be within all limits.
#[derive(Debug)]
pub struct Prepared {
    pub(super) record: StoredRecord,
    /// Its [`StoredRecord::size`].
    pub(super) size: u64,
    pub(super) set: Option<Arc<Set>>,
}

impl Prepared {
    /// What is going to be stored.
    #[must_use]
    pub fn record(&self) -> &StoredRecord {
        &self.record
    }
}

/// A version that is stored, for those who count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accounted<'a> {
    pub(super) record: &'a StoredRecord,
    /// Its [`StoredRecord::size`].
    pub(super) size: u64,
    pub(super) set: Option<&'a Set>,
}
