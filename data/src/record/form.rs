//! The stored form of a record: flat bytes, read in place; the same in memory, on disk and between nodes.
//!
//! ```text
//! mark u8 │ digest 20 │ token u48 │ generation u16 │ last update u48 │ bins u16
//! │ void-time u32, if marked │ set: u8 + text, if marked │ key: type u8, length varint, bytes, if marked
//! │ bins: head u8, name, type u8, value
//!
//! head:   low half  bytes of the name, 0 to 15
//!         high half bytes of a value that stands alone: 8 of a number, 1 of a truth value; 0: length varint, then so many
//! ```
//!
//! Numbers are little-endian; values stand as in messages, so that they are sent from where they are. The low half of
//! the mark is the version of the form. What leaves memory gets a checksum around it from whom it leaves through: a
//! disk, a connection.

use super::size::Size;
use crate::bin::BinName;
use crate::encoded::{Head, index};
use bytes::BufMut;

use protocol::key::{DIGEST_SIZE, Digest};
use protocol::particle::{ParticleRef, ParticleType};

/// Version of the form that is written. A reader refuses others.
const FORM_VERSION: u8 = 1;

/// The low half of the mark.
const VERSION_MASK: u8 = 0x0f;
/// A void-time stands behind the fixed part.
pub(super) const HAS_VOID_TIME: u8 = 0x10;
/// The name of a set stands there.
pub(super) const HAS_SET: u8 = 0x20;
/// The key stands there.
pub(super) const HAS_KEY: u8 = 0x40;
/// The bins are elsewhere; in their place stands the size of the whole form, u32.
pub(super) const OUTLINE: u8 = 0x80;

/// Where the parts of fixed place begin.
pub(super) mod at {
    pub(crate) const DIGEST: usize = 1;
    pub(crate) const TOKEN: usize = 21;
    pub(crate) const GENERATION: usize = 27;
    pub(crate) const LAST_UPDATE: usize = 29;
    pub(crate) const BINS: usize = 35;
    /// Where the parts begin that may be missing.
    pub(crate) const VARIABLE: usize = 37;
}

/// Largest number of 48 bits.
pub(super) const MAX_U48: u64 = (1 << 48) - 1;

/// Why bytes are not a record, or parts do not fit the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Written by another version of this program.
    #[error("stored form of version {found}, expected {FORM_VERSION}")]
    Version {
        /// The version found.
        found: u8,
    },
    /// Ends too early, or goes on behind the end.
    #[error("the record ends at byte {found} of {expected}")]
    Length {
        /// Where a part should end.
        expected: usize,
        /// The bytes that there are.
        found: usize,
    },
    /// A part has a value that it cannot have.
    #[error("{part} cannot be read at byte {offset}")]
    Malformed {
        /// Name of the part.
        part: &'static str,
        /// Where it begins.
        offset: usize,
    },
    /// A part is larger than the form can say.
    #[error("{part} of {size} is above what a record can hold")]
    TooLarge {
        /// Name of the part.
        part: &'static str,
        /// Its size or number.
        size: usize,
    },
}

/// What a record is made of.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// Digest of set and key.
    pub digest: Digest,
    /// Names this version among all of its digest; see [`super::StoredRecord::token`].
    pub token: u64,
    /// Number of writes so far.
    pub generation: u16,
    /// Seconds since 2010-01-01 UTC; 0 never.
    pub void_time: u32,
    /// Milliseconds since 2010-01-01 UTC; 48 bits.
    pub last_update_ms: u64,
    /// Name of the set, empty for none; up to 255 bytes.
    pub set: &'a str,
    /// The key, if it is stored.
    pub key: Option<ParticleRef<'a>>,
}

impl Parts<'_> {
    /// Appends the form of these parts and bins to `out`, and gives the size of the record, see `size.rs`. On an error `out`
    /// is as before.
    ///
    /// # Errors
    /// A part is larger than the form can say.
    pub fn write<'b>(
        &self,
        bins: impl ExactSizeIterator<Item = (&'b [u8], ParticleRef<'b>)>,
        out: &mut Vec<u8>,
    ) -> Result<u64, FormError> {
        let start = out.len();
        let written = self.write_all(bins, out);
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    fn write_all<'b>(
        &self,
        bins: impl ExactSizeIterator<Item = (&'b [u8], ParticleRef<'b>)>,
        out: &mut Vec<u8>,
    ) -> Result<u64, FormError> {
        let too_large = |part, size| FormError::TooLarge { part, size };
        let bin_count = bins.len();
        let count = u16::try_from(bin_count).map_err(|_| too_large("number of bins", bin_count))?;
        let mut mark = FORM_VERSION;
        for (flag, present) in [
            (HAS_VOID_TIME, self.void_time != 0),
            (HAS_SET, !self.set.is_empty()),
            (HAS_KEY, self.key.is_some()),
        ] {
            if present {
                mark |= flag;
            }
        }
        // Written at once: each part would look whether there is room for it.
        let mut fixed = [0; at::VARIABLE];
        let mut rest = &mut fixed[..];
        rest.put_u8(mark);
        rest.put_slice(&self.digest.0);
        put_u48(self.token, &mut rest);
        rest.put_u16_le(self.generation);
        put_u48(self.last_update_ms, &mut rest);
        rest.put_u16_le(count);
        out.extend_from_slice(&fixed);
        if self.void_time != 0 {
            out.put_u32_le(self.void_time);
        }
        if !self.set.is_empty() {
            let length = self.set.len();
            out.put_u8(u8::try_from(length).map_err(|_| too_large("name of the set", length))?);
            out.put_slice(self.set.as_bytes());
        }
        if let Some(key) = self.key {
            let length = key.data.len();
            out.put_u8(key.kind.0);
            put_varint(
                u32::try_from(length).map_err(|_| too_large("key", length))?,
                out,
            );
            out.put_slice(key.data);
        }
        let mut size = Size::of(self.set.len(), self.key, self.void_time != 0, bin_count);
        for (name, particle) in bins {
            write_bin(name, particle, out)?;
            size.add(name.len(), particle);
        }
        Ok(size.bytes())
    }
}

fn write_bin(name: &[u8], particle: ParticleRef<'_>, out: &mut Vec<u8>) -> Result<(), FormError> {
    let too_large = |part, size| FormError::TooLarge { part, size };
    let length = u8::try_from(name.len())
        .ok()
        .filter(|length| *length <= 0x0f)
        .ok_or_else(|| too_large("name of a bin", name.len()))?;
    let width = width(particle);
    out.put_u8(length | width << 4);
    out.put_slice(name);
    out.put_u8(particle.kind.0);
    if width == 0 {
        let size = particle.data.len();
        put_varint(
            u32::try_from(size).map_err(|_| too_large("value", size))?,
            out,
        );
    }
    out.put_slice(particle.data);
    Ok(())
}

/// Bytes of a value that needs no length in front, else 0.
fn width(particle: ParticleRef<'_>) -> u8 {
    match (particle.kind, particle.data.len()) {
        (ParticleType::INTEGER | ParticleType::FLOAT, 8) => 8,
        (ParticleType::BOOL, 1) => 1,
        _ => 0,
    }
}

fn put_u48(value: u64, out: &mut impl BufMut) {
    debug_assert!(value <= MAX_U48, "tokens and times have 48 bits");
    let [a, b, c, d, e, f, ..] = value.min(MAX_U48).to_le_bytes();
    out.put_slice(&[a, b, c, d, e, f]);
}

fn put_varint(mut value: u32, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8((value & 0x7f) as u8);
}

/// Goes through a form from some byte on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) offset: usize,
}

impl<'a> Walk<'a> {
    #[inline]
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], FormError> {
        let end = self.offset.saturating_add(length);
        let part = self.bytes.get(self.offset..end).ok_or(FormError::Length {
            expected: end,
            found: self.bytes.len(),
        })?;
        self.offset = end;
        Ok(part)
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], FormError> {
        let offset = self.offset;
        self.take(N)?.try_into().map_err(|_| FormError::Malformed {
            part: "number",
            offset,
        })
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, FormError> {
        self.array().map(|[byte]| byte)
    }

    fn varint(&mut self) -> Result<u32, FormError> {
        let offset = self.offset;
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            let part = u32::from(byte & 0x7f);
            if shift == 28 && part > 0x0f {
                break;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(FormError::Malformed {
            part: "length",
            offset,
        })
    }

    /// A length as a number of bytes in memory.
    #[inline]
    fn length(&mut self) -> Result<usize, FormError> {
        let offset = self.offset;
        let length = self.varint()?;
        usize::try_from(length).map_err(|_| FormError::Malformed {
            part: "length",
            offset,
        })
    }

    /// Goes over the void-time to the end of the set, from where these begin; gives the set.
    #[inline]
    pub(super) fn set_if_marked(&mut self, mark: u8) -> Result<&'a [u8], FormError> {
        if mark & HAS_VOID_TIME != 0 {
            self.take(4)?;
        }
        match mark & HAS_SET {
            0 => Ok(&[]),
            _ => self.set_bytes(),
        }
    }

    /// Goes over all the parts that may be missing, from where they begin to the bins; gives set and key.
    pub(super) fn variable_parts(
        &mut self,
        mark: u8,
    ) -> Result<(&'a [u8], Option<ParticleRef<'a>>), FormError> {
        let set = self.set_if_marked(mark)?;
        let key = match mark & HAS_KEY {
            0 => None,
            _ => Some(self.key()?),
        };
        Ok((set, key))
    }

    #[inline]
    fn set_bytes(&mut self) -> Result<&'a [u8], FormError> {
        let length = self.byte()?;
        self.take(length.into())
    }

    fn set(&mut self) -> Result<&'a str, FormError> {
        let offset = self.offset;
        std::str::from_utf8(self.set_bytes()?).map_err(|_| FormError::Malformed {
            part: "name of the set",
            offset,
        })
    }

    pub(super) fn key(&mut self) -> Result<ParticleRef<'a>, FormError> {
        let kind = ParticleType(self.byte()?);
        let offset = self.offset;
        let length = usize::try_from(self.varint()?).map_err(|_| FormError::Malformed {
            part: "key",
            offset,
        })?;
        Ok(ParticleRef::new(kind, self.take(length)?))
    }

    /// Goes from the beginning to where the bins begin; gives their number.
    fn go_to_bins(&mut self) -> Result<u16, FormError> {
        let mark = self.byte()?;
        let _digest: [u8; DIGEST_SIZE] = self.array()?;
        self.offset = at::BINS;
        let bins = u16::from_le_bytes(self.array()?);
        if mark & HAS_VOID_TIME != 0 {
            self.take(4)?;
        }
        if mark & HAS_SET != 0 {
            self.set()?;
        }
        if mark & HAS_KEY != 0 {
            self.key()?;
        }
        Ok(bins)
    }

    pub(super) fn bin(&mut self) -> Result<BinRef<'a>, FormError> {
        match self.next_bin() {
            Some(bin) => Ok(bin),
            None => Err(self.not_a_bin()),
        }
    }

    /// The bin that begins here; none where none does, and then it stays where it is. Every read and write of a record goes
    /// over its bins: nothing is said here about what is wrong.
    #[inline]
    pub(super) fn next_bin(&mut self) -> Option<BinRef<'a>> {
        let (head, rest) = self.bytes.get(self.offset..)?.split_first()?;
        let (name, rest) = rest.split_at_checked((head & 0x0f).into())?;
        let (kind, rest) = rest.split_first()?;
        let kind = ParticleType(*kind);
        let (data, rest) = match (head >> 4, kind) {
            (0, _) => {
                let mut behind = Walk {
                    bytes: rest,
                    offset: 0,
                };
                let length = behind.length().ok()?;
                rest.get(behind.offset..)?.split_at_checked(length)?
            }
            (8, ParticleType::INTEGER | ParticleType::FLOAT) => rest.split_at_checked(8)?,
            (1, ParticleType::BOOL) => rest.split_at_checked(1)?,
            _ => return None,
        };
        self.offset = self.bytes.len() - rest.len();
        let value = ParticleRef::new(kind, data);
        Some(BinRef { name, value })
    }

    /// Why no bin begins here.
    #[cold]
    fn not_a_bin(&self) -> FormError {
        let mut walk = *self;
        let parts = |walk: &mut Self| {
            let head = walk.byte()?;
            walk.take((head & 0x0f).into())?;
            walk.byte()?;
            let length = match head >> 4 {
                0 => walk.length()?,
                width => width.into(),
            };
            walk.take(length)
        };
        let malformed = FormError::Malformed {
            part: "bin",
            offset: self.offset,
        };
        parts(&mut walk).err().unwrap_or(malformed)
    }
}

/// A bin inside a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BinRef<'a> {
    /// The name, 0 to 15 bytes, none of them zero.
    pub name: &'a [u8],
    /// The value.
    pub value: ParticleRef<'a>,
}

impl BinRef<'_> {
    /// The name, to be kept.
    #[must_use]
    #[inline]
    pub fn bin_name(&self) -> BinName {
        let name = BinName::new(self.name);
        debug_assert!(name.is_some(), "a form was checked when it came");
        name.unwrap_or(BinName::EMPTY)
    }
}

/// The bins of bytes that are a record.
pub(super) fn bins_of(bytes: &[u8]) -> impl Iterator<Item = BinRef<'_>> {
    let mut walk = Walk { bytes, offset: 0 };
    let bins = walk.go_to_bins();
    debug_assert!(bins.is_ok(), "a form was checked when it came");
    let bins = bins.unwrap_or(0);
    (0..bins).map_while(move |_| walk.bin().ok())
}

/// Checks that bytes are one whole record, and nothing behind it, and that the indexes in its lists and maps are right.
///
/// # Errors
/// What is wrong, and where.
pub fn check(bytes: &[u8]) -> Result<(), FormError> {
    let mut walk = Walk { bytes, offset: 0 };
    let mark = walk.byte()?;
    if mark & VERSION_MASK != FORM_VERSION {
        return Err(FormError::Version {
            found: mark & VERSION_MASK,
        });
    }
    walk.offset = 0;
    let bins = walk.go_to_bins()?;
    if mark & OUTLINE != 0 {
        walk.take(4)?;
    } else {
        for _ in 0..bins {
            let offset = walk.offset;
            let BinRef { name, value } = walk.bin()?;
            if name.contains(&0) {
                return Err(FormError::Malformed {
                    part: "bin",
                    offset,
                });
            }
            let is_wrong = matches!(value.kind, ParticleType::LIST | ParticleType::MAP)
                && Head::read(value.data).is_some_and(|head| !index::is_right(&head));
            if is_wrong {
                return Err(FormError::Malformed {
                    part: "index of a list or map",
                    offset,
                });
            }
        }
    }
    if walk.offset == bytes.len() {
        Ok(())
    } else {
        Err(FormError::Length {
            expected: walk.offset,
            found: bytes.len(),
        })
    }
}
