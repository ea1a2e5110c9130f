//! The 8 bytes before every body, in both directions.
//!
//! ```text
//! | 0       | 1    | 2 .. 8                                  |
//! | version | type | size of the body, 48 bits, big-endian   |
//! ```

use bytes::{BufMut, BytesMut};
use thiserror::Error;

pub use crate::limits::MAX_BODY_SIZE;

/// Size of the header, in bytes.
pub const HEADER_SIZE: usize = 8;

/// The protocol version that is written, and expected.
pub const VERSION: u8 = 2;

/// What a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MessageType {
    /// Text commands.
    Info = 1,
    /// Login and administration of users and roles.
    Security = 2,
    /// A record message.
    Message = 3,
    /// A record message, compressed.
    Compressed = 4,
    /// A record message between servers; parsed like [`MessageType::Message`].
    Internal = 5,
}

impl MessageType {
    /// The type with this number, if there is one.
    pub fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Info,
            2 => Self::Security,
            3 => Self::Message,
            4 => Self::Compressed,
            5 => Self::Internal,
            _ => return None,
        })
    }
}

impl From<MessageType> for u8 {
    fn from(kind: MessageType) -> u8 {
        kind as u8
    }
}

/// Why a header cannot be followed: the connection has to be closed without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// The peer speaks TLS.
    #[error("peer began a TLS handshake on a port that speaks plain text")]
    TlsHandshake,
    /// Neither version 2, nor version 0 with a security message.
    #[error("protocol version {0}, expected {VERSION}")]
    Version(u8),
    /// Type 0, or above 5.
    #[error("message type {0}, expected 1 to 5")]
    Type(u8),
    /// A claimed size above [`MAX_BODY_SIZE`].
    #[error("body of {0} bytes claimed, at most {MAX_BODY_SIZE} are accepted")]
    Size(u64),
}

/// A checked header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// 2; 0 is accepted for security messages.
    pub version: u8,
    /// What the body holds.
    pub kind: MessageType,
    /// Bytes in the body, at most [`MAX_BODY_SIZE`].
    pub size: u64,
}

impl Header {
    /// A header of the current version.
    pub fn new(kind: MessageType, size: u64) -> Self {
        Self {
            version: VERSION,
            kind,
            size,
        }
    }

    /// Reads and checks a header.
    pub fn parse(bytes: [u8; HEADER_SIZE]) -> Result<Self, HeaderError> {
        let [version, kind, size @ ..] = bytes;
        let [a, b, c, d, e, f] = size;
        if version == 0x16 && kind == 3 && d == 1 {
            return Err(HeaderError::TlsHandshake);
        }
        if version != VERSION && !(version == 0 && kind == MessageType::Security as u8) {
            return Err(HeaderError::Version(version));
        }
        let kind = MessageType::from_u8(kind).ok_or(HeaderError::Type(kind))?;
        let size = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        if size > MAX_BODY_SIZE {
            return Err(HeaderError::Size(size));
        }
        Ok(Self {
            version,
            kind,
            size,
        })
    }

    /// The bytes of this header. A size that needs more than 48 bits loses its upper ones.
    pub fn to_bytes(self) -> [u8; HEADER_SIZE] {
        let [_, _, size @ ..] = self.size.to_be_bytes();
        let [a, b, c, d, e, f] = size;
        [self.version, self.kind.into(), a, b, c, d, e, f]
    }
}

/// A frame that is being written straight into an output buffer: its header is there, its size is not known yet.
///
/// ```
/// use bytes::{BufMut, BytesMut};
/// use protocol::header::{MessageType, OpenFrame};
///
/// let mut out = BytesMut::new();
/// let frame = OpenFrame::begin(&mut out, MessageType::Info);
/// out.put_slice(b"build\n");
/// frame.finish(&mut out)?;
/// assert_eq!(&out[..], b"\x02\x01\0\0\0\0\0\x06build\n");
/// # Ok::<(), protocol::header::BodyTooLarge>(())
/// ```
#[derive(Debug)]
#[must_use = "the size is missing until `finish`"]
pub struct OpenFrame {
    start: usize,
}

/// A body above [`MAX_BODY_SIZE`] was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("body of {0} bytes to be sent, at most {MAX_BODY_SIZE} are possible")]
pub struct BodyTooLarge(pub u64);

impl OpenFrame {
    /// Writes a header whose size is filled in by [`OpenFrame::finish`].
    pub fn begin(out: &mut BytesMut, kind: MessageType) -> Self {
        let start = out.len();
        out.put_slice(&Header::new(kind, 0).to_bytes());
        Self { start }
    }

    /// Bytes of body written so far.
    pub fn body_len(&self, out: &BytesMut) -> usize {
        out.len().saturating_sub(self.start + HEADER_SIZE)
    }

    /// Fills in the size. A body that is too large is taken back: `out` is then as it was before `begin`.
    pub fn finish(self, out: &mut BytesMut) -> Result<(), BodyTooLarge> {
        let size = self.body_len(out) as u64;
        if size > MAX_BODY_SIZE {
            out.truncate(self.start);
            return Err(BodyTooLarge(size));
        }
        if let Some(field) = out.get_mut(self.start + 2..self.start + HEADER_SIZE) {
            let [_, _, bytes @ ..] = size.to_be_bytes();
            field.copy_from_slice(&bytes);
        }
        Ok(())
    }

    /// Takes back everything since `begin`.
    pub fn cancel(self, out: &mut BytesMut) {
        out.truncate(self.start);
    }
}
