use data::record::{Set, StoredRecord};
use protocol::particle::ParticleRef;

/// What a version to be stored is besides its bins.
#[derive(Clone, Debug)]
pub struct Version<'v> {
    /// Number of writes so far, from 1; 65535 is followed by 1.
    pub generation: u16,
    /// When it expires, in seconds since 2010-01-01 UTC; 0 never.
    pub void_time: u32,
    /// When it was last written, in milliseconds since 2010-01-01 UTC.
    pub last_update_ms: u64,
    /// Name of the set that it is in, `""` for none.
    pub set: &'v str,
    /// The key that the digest was made of, if a client had it stored.
    pub key: Option<ParticleRef<'v>>,
    /// The [`StoredRecord::size`] of the version that it follows, if that was reckoned.
    pub size_before: Option<u64>,
}

/// A version that may be stored: it was found to be within all limits.
#[derive(Debug)]
pub struct Prepared<'a> {
    pub(super) record: StoredRecord,
    /// Its [`StoredRecord::size`].
    pub(super) size: u64,
    /// The set, where it was looked for.
    pub(super) set: Option<&'a Set>,
    pub(super) follows: Option<Follows>,
}

/// A version that is followed by another one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Follows {
    /// Its [`StoredRecord::token`].
    pub(super) token: u64,
    /// Its [`StoredRecord::size`].
    pub(super) size: u64,
}

impl Prepared<'_> {
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
    /// The set, where it was looked for: a change of a record need not know it, unless it changes its size.
    pub(super) set: Option<&'a Set>,
    /// The version that it follows, if its size is known.
    pub(super) follows: Option<Follows>,
}
