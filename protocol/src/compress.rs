//! Compressed record messages (type 4).
//!
//! ```text
//! | 8 bytes frame header, type 4 | u64 size of the plain frame | zlib stream of the plain frame |
//! ```
//!
//! The plain frame is a record message with its own frame header; the stated size counts that header.

use crate::bounds::{Fit as _, Within as _};
use std::io::Write;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::write::ZlibEncoder;
use flate2::{Compression, Decompress, FlushDecompress, Status};
use thiserror::Error;

use crate::cursor::Cursor;
use crate::header::{
    BodyTooLarge, HEADER_SIZE, Header, HeaderError, MAX_BODY_SIZE, MessageType, OpenFrame,
};
use crate::limits::RECEIVE_CHUNK;

/// Why a compressed message cannot be opened, or written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CompressError {
    /// Fewer bytes than the size takes.
    #[error("compressed message of {0} bytes has no size")]
    NoSize(usize),
    /// A stated size below a frame header, or above the largest frame.
    #[error(
        "compressed message states {0} bytes of plain frame, {HEADER_SIZE} to 128 MiB are possible"
    )]
    Size(u64),
    /// The stream yields another number of bytes than stated.
    #[error("compressed message inflates to other than the {0} bytes stated")]
    Lied(u64),
    /// Not a zlib stream, a damaged one, or bytes after it.
    #[error("compressed message is not a zlib stream")]
    Stream,
    /// The plain frame's header is unsound.
    #[error("inside a compressed message: {0}")]
    Header(#[from] HeaderError),
    /// The plain frame is not one record message.
    #[error("compressed message holds something other than one record message")]
    Inner,
    /// The output is above the limit.
    #[error(transparent)]
    TooLarge(#[from] BodyTooLarge),
}

/// A compressed message that is being opened, a piece at a time: for callers who look at a clock, or have other work.
///
/// Memory follows what the stream really yields, and ends one byte above the stated size. A stream yields at most 1,032
/// bytes for each of its own.
#[derive(Debug)]
pub struct Opening<'b> {
    stated: usize,
    stream: Decompress,
    rest: &'b [u8],
    plain: Vec<u8>,
}

impl<'b> Opening<'b> {
    /// Looks at the stated size and at the header inside; nothing else is inflated yet.
    ///
    /// # Errors
    /// A size that cannot be, a stream that is none, or something other than one record message of that size.
    pub fn begin(body: &'b [u8]) -> Result<Self, CompressError> {
        let mut cursor = Cursor::new(body);
        let stated = cursor.u64().ok_or(CompressError::NoSize(body.len()))?;
        if !(HEADER_SIZE as u64..=MAX_BODY_SIZE + HEADER_SIZE as u64).contains(&stated) {
            return Err(CompressError::Size(stated));
        }
        let mut opening = Self {
            stated: usize::try_from(stated).map_err(|_| CompressError::Size(stated))?,
            stream: Decompress::new(true),
            rest: cursor.rest(),
            plain: Vec::with_capacity(HEADER_SIZE),
        };
        while opening.plain.len() < HEADER_SIZE && !opening.inflate()? {}
        let header = opening.plain.first_chunk::<HEADER_SIZE>();
        let header = Header::parse(*header.ok_or(CompressError::Lied(stated))?)?;
        if header.kind != MessageType::Message || header.size + HEADER_SIZE as u64 != stated {
            return Err(CompressError::Inner);
        }
        Ok(opening)
    }

    /// Bytes of the plain frame, as stated.
    pub fn size(&self) -> usize {
        self.stated
    }

    /// Bytes that the next [`step`](Self::step) may hold in all.
    pub fn next_capacity(&self) -> usize {
        let (length, capacity) = (self.plain.len(), self.plain.capacity());
        if length < capacity {
            return capacity;
        }
        let grown = capacity.saturating_mul(2).max(length + RECEIVE_CHUNK);
        grown.min(self.stated + 1)
    }

    /// Inflates at most [`RECEIVE_CHUNK`] bytes more; true once all are there.
    ///
    /// # Errors
    /// The stream is damaged, or yields another number of bytes than stated.
    pub fn step(&mut self) -> Result<bool, CompressError> {
        let more = self.next_capacity().saturating_sub(self.plain.len());
        self.plain.reserve_exact(more);
        self.inflate()
    }

    /// Inflates into the room that is there, at most [`RECEIVE_CHUNK`] bytes; true at the end of the stream.
    fn inflate(&mut self) -> Result<bool, CompressError> {
        let (read, written) = (self.stream.total_in(), self.plain.len());
        let room = (self.plain.capacity() - written).min(RECEIVE_CHUNK);
        self.plain.resize(written + room, 0);
        let target = self.plain.get_mut(written..).unwrap_or_default();
        let status = self
            .stream
            .decompress(self.rest, target, FlushDecompress::None);
        let yielded = self.stream.total_out().fit::<usize>();
        self.plain.truncate(yielded);
        let status = status.map_err(|_| CompressError::Stream)?;
        let lied = CompressError::Lied(self.stated as u64);
        if self.plain.len() > self.stated {
            return Err(lied);
        }
        let read = (self.stream.total_in() - read).fit::<usize>();
        self.rest = self.rest.within(read..);
        match status {
            // The stream's checksum was right.
            Status::StreamEnd if self.plain.len() != self.stated => Err(lied),
            Status::StreamEnd if self.rest.is_empty() => Ok(true),
            Status::StreamEnd => Err(CompressError::Stream),
            _ if read == 0 && self.plain.len() == written => Err(CompressError::Stream),
            _ => Ok(false),
        }
    }

    /// The body of the record message inside, once [`step`](Self::step) has said that all is there.
    pub fn into_body(self) -> Bytes {
        let mut plain = Bytes::from(self.plain);
        plain.split_off(HEADER_SIZE.min(plain.len()))
    }
}

/// Opens the body of a compressed frame: the body of the record message inside.
///
/// # Errors
/// As for [`Opening`].
pub fn decode(body: &[u8]) -> Result<Bytes, CompressError> {
    let mut opening = Opening::begin(body)?;
    while !opening.step()? {}
    Ok(opening.into_body())
}

/// Writes a compressed frame that holds a record message with this body.
pub fn encode(out: &mut BytesMut, body: &[u8]) -> Result<(), CompressError> {
    let size = body.len() as u64;
    if size > MAX_BODY_SIZE {
        return Err(BodyTooLarge(size).into());
    }
    let frame = OpenFrame::begin(out, MessageType::Compressed);
    out.put_u64(size + HEADER_SIZE as u64);
    let mut stream = ZlibEncoder::new((&mut *out).writer(), Compression::fast());
    let header = Header::new(MessageType::Message, size).to_bytes();
    let written = stream
        .write_all(&header)
        .and_then(|()| stream.write_all(body))
        .and_then(|()| stream.finish());
    if written.is_err() {
        frame.cancel(out);
        return Err(CompressError::Stream);
    }
    Ok(frame.finish(out)?)
}
