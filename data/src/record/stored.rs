use std::sync::Arc;

use protocol::key::Digest;
use protocol::particle::{Particle, ParticleRef, ParticleType};

use super::{Bin, Set};
use crate::bin::Bins;
use crate::metadata::Metadata;

/// One version of a stored record. Never changed: a write stores another.
#[derive(Clone, Debug, Default)]
pub struct Record {
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
    pub set: Option<Arc<Set>>,
    /// The key that the digest was made of, if a client had it stored.
    pub key: Option<Particle>,
}

/// Bytes that every stored record takes besides set, key and bins: digest, times, generation, lengths, marks.
const FIXED_SIZE: usize = 36;

/// Sizes are rounded up to this.
const SIZE_UNIT: usize = 16;

impl Record {
    /// Name of the set, `""` when it is in none.
    #[must_use]
    pub fn set_name(&self) -> &str {
        self.set.as_ref().map_or("", |set| set.name())
    }

    /// The bin of this name.
    #[must_use]
    pub fn bin(&self, name: &[u8]) -> Option<&Bin> {
        self.bins.iter().find(|bin| bin.name.as_bytes() == name)
    }

    /// What is known of the record besides its bins.
    #[must_use]
    pub fn metadata<'a>(&'a self, digest: &'a Digest) -> Metadata<'a> {
        Metadata {
            digest,
            set: self.set_name().as_bytes(),
            key: self.key.as_ref().map(Particle::as_ref),
            generation: self.generation,
            void_time: self.void_time,
            last_update_ms: self.last_update_ms,
            size: self.size(),
        }
    }

    /// Bytes that the record counts for, in limits and statistics; a multiple of 16.
    ///
    /// This is the size of a compact layout, not what the allocator gave: it must not depend on how a version came
    /// to be. Source: golden case `record_meta/size_value` (two small bins in a set count for 64).
    #[must_use]
    pub fn size(&self) -> u64 {
        let set = self.set.as_ref().map_or(0, |set| 1 + set.name().len());
        let key = self.key.as_ref().map_or(0, |key| 2 + key.data.len());
        let void_time = if self.void_time == 0 { 0 } else { 4 };
        let bins: usize = self
            .bins
            .iter()
            .map(|bin| 2 + bin.name.as_bytes().len() + particle_size(&bin.particle))
            .sum();
        let size = FIXED_SIZE + set + key + void_time + bins;
        u64::try_from(size.next_multiple_of(SIZE_UNIT)).unwrap_or(u64::MAX)
    }
}

impl Bins for Record {
    fn bin(&self, name: &[u8]) -> Option<ParticleRef<'_>> {
        Self::bin(self, name).map(|bin| bin.particle.as_ref())
    }
}

/// Bytes of a value: the fewest that hold an integer, the others with a length in front.
fn particle_size(particle: &Particle) -> usize {
    match particle.kind {
        ParticleType::INTEGER => {
            let value = particle.as_ref().as_integer().unwrap_or(0).cast_unsigned();
            match value {
                0..=0xff => 1,
                0x100..=0xffff => 2,
                0x1_0000..=0xffff_ffff => 4,
                _ => 8,
            }
        }
        ParticleType::FLOAT | ParticleType::BOOL => particle.data.len(),
        _ => 4 + particle.data.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::BinName;

    #[test]
    fn size_follows_the_parts_in_steps_of_16() {
        let bin = |name: &str, particle| Bin {
            name: BinName::new(name.as_bytes()).unwrap(),
            particle,
        };
        let golden = Record {
            bins: vec![
                bin("a", Particle::integer(1)),
                bin("b", Particle::string("two")),
            ],
            set: Some(Arc::new(Set::new("golden"))),
            ..Record::default()
        };
        assert_eq!(golden.size(), 64);
        assert_eq!(Record::default().size(), 48);
        let large = Record {
            bins: vec![bin("a", Particle::string(vec![0; 1 << 20]))],
            ..Record::default()
        };
        assert_eq!(large.size(), (1 << 20) + 48);
    }
}
