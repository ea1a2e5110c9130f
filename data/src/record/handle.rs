//! What an index names a record by.

use protocol::key::{DIGEST_SIZE, Digest};
use protocol::limits::PARTITIONS;

/// Names a record in eight bytes: the first of its digest. Handles of one partition are in the order of its records.
///
/// Digests are hashes, so a handle nearly always names one record. Clients may choose digests, so it may name several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(u64);

impl Handle {
    /// The lowest that there is, of whatever partition.
    pub const FIRST: Self = Self(0);

    /// The name of the record of this digest.
    #[must_use]
    pub fn of(digest: &Digest) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = digest.0;
        Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    /// The partition, 0 to 4095: that of every digest that begins so.
    #[must_use]
    pub fn partition_id(self) -> u16 {
        let [low, high, ..] = self.0.to_be_bytes();
        u16::from_le_bytes([low, high]) & (PARTITIONS - 1)
    }

    /// The first digest that a record of this name could have.
    #[must_use]
    pub fn first_digest(self) -> Digest {
        let mut digest = [0; DIGEST_SIZE];
        for (place, byte) in digest.iter_mut().zip(self.0.to_be_bytes()) {
            *place = byte;
        }
        Digest(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_has_the_partition_and_the_order_of_its_digests() {
        let mut digests = [0_u64, 1, 0x0f00, 0xf00f, u64::MAX, 1 << 63].map(|number| {
            let mut bytes = [0x55; DIGEST_SIZE];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            Digest(bytes)
        });
        digests.sort_unstable();
        assert!(digests.is_sorted_by_key(Handle::of));
        for digest in &digests {
            let handle = Handle::of(digest);
            assert_eq!(handle.partition_id(), digest.partition_id());
            assert!(handle.first_digest() < *digest);
            assert_eq!(Handle::of(&handle.first_digest()), handle);
        }
    }
}
