//! What is known of a record besides its bins.

use std::fmt;

use protocol::key::Digest;
use protocol::particle::ParticleRef;

/// What is known of a record besides its bins: what filters and expressions can ask for.
#[derive(Clone, Copy, Debug)]
pub struct Metadata<'a> {
    /// What the record is found by.
    pub digest: &'a Digest,
    /// Name of its set, empty when it is in none.
    pub set: &'a [u8],
    /// The key that the digest was made of, if it is stored.
    pub key: Option<ParticleRef<'a>>,
    /// Number of writes so far, from 1; 0 for a record that is being made.
    pub generation: u16,
    /// When it expires, in seconds since 2010-01-01 UTC; 0 never.
    pub void_time: u32,
    /// When it was last written, in milliseconds since 2010-01-01 UTC.
    pub last_update_ms: u64,
    /// Tells its size.
    pub size: &'a dyn RecordSize,
}

/// Tells the bytes that a record counts for in statistics and limits: few ask, and it goes over all bins.
pub trait RecordSize: fmt::Debug + Sync {
    /// The size, bytes.
    fn bytes(&self) -> u64;
}

/// A size that is known.
impl RecordSize for u64 {
    fn bytes(&self) -> u64 {
        *self
    }
}

impl<'a> Metadata<'a> {
    /// That of a record that is being made.
    #[must_use]
    pub fn of_new(digest: &'a Digest, set: &'a [u8]) -> Self {
        Self {
            digest,
            set,
            key: None,
            generation: 0,
            void_time: 0,
            last_update_ms: 0,
            size: &0,
        }
    }
}
