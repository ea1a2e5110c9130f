use std::fmt;

use protocol::limits::MAX_BIN_NAME;
use protocol::particle::Particle;

/// Name of a bin: 0 to 15 bytes, kept inline. Bytes, because nothing on the wire says that it is UTF-8.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BinName {
    size: u8,
    // Bytes behind `size` are zero, so that the derived comparison is that of the names.
    bytes: [u8; MAX_BIN_NAME],
}

impl BinName {
    /// `None` when the name has more than 15 bytes.
    #[must_use]
    pub fn new(name: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_BIN_NAME];
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        Some(Self {
            size: u8::try_from(name.len()).ok()?,
            bytes,
        })
    }

    /// The name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.size)).unwrap_or_default()
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

/// A named value of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bin {
    /// Name.
    pub name: BinName,
    /// Value in the form in which it is stored; never nil.
    pub particle: Particle,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_up_to_15_bytes() {
        for name in [&b""[..], b"a", b"123456789012345", b"\xff\0"] {
            assert_eq!(BinName::new(name).unwrap().as_bytes(), name);
        }
        assert_eq!(BinName::new(b"1234567890123456"), None);
        assert_ne!(BinName::new(b"a"), BinName::new(b"a\0"));
    }
}
