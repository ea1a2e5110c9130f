//! Record keys, digests, partition ids.
//!
//! ```text
//! digest       = RIPEMD-160( set name | u8 particle type | key bytes )
//! partition id = (digest[0] | digest[1] << 8) & 0x0fff
//! ```

use std::fmt;

use ripemd::{Digest as _, Ripemd160};

use crate::limits::PARTITIONS;
use crate::particle::{ParticleRef, ParticleType};

/// Size of a digest, in bytes.
pub const DIGEST_SIZE: usize = 20;

/// What a client calls a record by.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    /// An integer.
    Integer(i64),
    /// A double.
    Float(f64),
    /// A string, UTF-8 by convention.
    String(Vec<u8>),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Key {
    /// The key of a KEY field; `None` when the type is no key's, or an integer or double has not 8 bytes.
    pub fn from_particle(particle: ParticleRef<'_>) -> Option<Self> {
        match particle.kind {
            ParticleType::INTEGER => particle
                .data
                .try_into()
                .ok()
                .map(|bytes| Self::Integer(i64::from_be_bytes(bytes))),
            ParticleType::FLOAT => particle.as_float().map(Self::Float),
            ParticleType::STRING => Some(Self::String(particle.data.to_vec())),
            ParticleType::BLOB => Some(Self::Blob(particle.data.to_vec())),
            _ => None,
        }
    }

    /// Calls `use_bytes` with the type and the bytes that are hashed and sent.
    pub fn with_particle<T>(&self, use_bytes: impl FnOnce(ParticleRef<'_>) -> T) -> T {
        match self {
            Self::Integer(value) => use_bytes(ParticleRef::new(
                ParticleType::INTEGER,
                &value.to_be_bytes(),
            )),
            Self::Float(value) => {
                use_bytes(ParticleRef::new(ParticleType::FLOAT, &value.to_be_bytes()))
            }
            Self::String(bytes) => use_bytes(ParticleRef::new(ParticleType::STRING, bytes)),
            Self::Blob(bytes) => use_bytes(ParticleRef::new(ParticleType::BLOB, bytes)),
        }
    }
}

impl From<i64> for Key {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

/// What the cluster calls a record by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; DIGEST_SIZE]);

impl Digest {
    /// The digest of a key in a set; `""` is no set.
    pub fn of(set: &str, key: &Key) -> Self {
        key.with_particle(|key| Self::of_particle(set, key))
    }

    /// The digest of a key as it stands in a KEY field.
    pub fn of_particle(set: &str, key: ParticleRef<'_>) -> Self {
        let mut hash = Ripemd160::new();
        hash.update(set.as_bytes());
        hash.update([key.kind.0]);
        hash.update(key.data);
        Self(hash.finalize().into())
    }

    /// The partition, 0 to 4095.
    pub fn partition_id(&self) -> u16 {
        let [low, high, ..] = self.0;
        u16::from_le_bytes([low, high]) & (PARTITIONS - 1)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}
