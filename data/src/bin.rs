//! Names of bins, and what reads bins by name.

use std::fmt;

use protocol::bounds::Within as _;
use protocol::limits::MAX_BIN_NAME;
use protocol::particle::ParticleRef;

use crate::encoded::Landmarks;

/// Name of a bin: 0 to 15 bytes, none of them zero, kept inline. Bytes, because nothing on the wire says that it is
/// UTF-8.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BinName(
    // The bytes of the name, then zeros, so that the derived comparison is that of the names, and at the end how many there
    // are. One array: it is moved as one, where a processor would have to wait for parts of it that overlap.
    [u8; MAX_BIN_NAME + 1],
);

impl BinName {
    /// The empty name, which is a name like others.
    pub const EMPTY: Self = Self([0; MAX_BIN_NAME + 1]);

    /// `None` when the name has more than 15 bytes, or a zero byte.
    #[must_use]
    #[inline]
    pub fn new(name: &[u8]) -> Option<Self> {
        if name.len() > MAX_BIN_NAME {
            return None;
        }
        // Made in a register, for the same reason.
        let mut bytes = u128::from(u8::try_from(name.len()).ok()?) << (8 * MAX_BIN_NAME);
        for (place, byte) in name.iter().enumerate() {
            if *byte == 0 {
                return None;
            }
            bytes |= u128::from(*byte) << (8 * place);
        }
        Some(Self(bytes.to_le_bytes()))
    }

    /// The name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        let [.., size] = self.0;
        // It never exceeds what is before it.
        self.0.within(..usize::from(size))
    }
}

impl fmt::Display for BinName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}

impl fmt::Debug for BinName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Bins of one record, read by name. Names that no bin can have are names of bins that are not there.
pub trait Bins {
    /// The value in its stored form; `None` when there is no such bin.
    fn bin(&self, name: &[u8]) -> Option<ParticleRef<'_>>;

    /// The landmarks that are kept beside a value which [`Bins::bin`] has given.
    fn landmarks(&self, _value: ParticleRef<'_>) -> Landmarks<'_> {
        Landmarks::NONE
    }

    /// Names that a look-up compares at most, for those who count work.
    fn steps_of_a_look_up(&self) -> usize {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_up_to_15_bytes_and_no_zero() {
        for name in [&b""[..], b"a", b"123456789012345", b"\xff"] {
            assert_eq!(BinName::new(name).unwrap().as_bytes(), name);
        }
        for name in [&b"1234567890123456"[..], b"a\0", b"\0", b"a\0b"] {
            assert_eq!(BinName::new(name), None, "{name:?}");
        }
    }
}
