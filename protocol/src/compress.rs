//! Compressed record messages (type 4).
//!
//! ```text
//! | 8 bytes frame header, type 4 | u64 size of the plain frame | zlib stream of the plain frame |
//! ```
//!
//! The plain frame is a record message with its own frame header; the stated size counts that header.

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

/// Opens the body of a compressed frame: the body of the record message inside.
///
/// Memory follows what the stream really yields, and ends one byte above the stated size.
pub fn decode(body: &[u8]) -> Result<Bytes, CompressError> {
    let mut cursor = Cursor::new(body);
    let stated = cursor.u64().ok_or(CompressError::NoSize(body.len()))?;
    if !(HEADER_SIZE as u64..=MAX_BODY_SIZE + HEADER_SIZE as u64).contains(&stated) {
        return Err(CompressError::Size(stated));
    }
    let plain = inflate(cursor.rest(), stated)?;
    let header = plain
        .first_chunk::<HEADER_SIZE>()
        .ok_or(CompressError::Inner)?;
    let header = Header::parse(*header)?;
    if header.kind != MessageType::Message || header.size + HEADER_SIZE as u64 != stated {
        return Err(CompressError::Inner);
    }
    Ok(Bytes::from(plain).split_off(HEADER_SIZE))
}

/// The whole output of a zlib stream that fills `input` and has exactly `stated` bytes.
fn inflate(input: &[u8], stated: u64) -> Result<Vec<u8>, CompressError> {
    let limit = usize::try_from(stated).map_err(|_| CompressError::Size(stated))?;
    let mut stream = Decompress::new(true);
    let mut plain = Vec::new();
    let mut rest = input;
    loop {
        plain.reserve((limit + 1 - plain.len()).min(RECEIVE_CHUNK));
        let (read, written) = (stream.total_in(), plain.len());
        let status = stream.decompress_vec(rest, &mut plain, FlushDecompress::None);
        let status = status.map_err(|_| CompressError::Stream)?;
        if plain.len() > limit {
            return Err(CompressError::Lied(stated));
        }
        let read = usize::try_from(stream.total_in() - read).unwrap_or(usize::MAX);
        rest = rest.get(read..).unwrap_or_default();
        match status {
            // The stream's checksum was right.
            Status::StreamEnd if plain.len() != limit => return Err(CompressError::Lied(stated)),
            Status::StreamEnd if rest.is_empty() => return Ok(plain),
            Status::StreamEnd => return Err(CompressError::Stream),
            _ if read == 0 && plain.len() == written => return Err(CompressError::Stream),
            _ => {}
        }
    }
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
