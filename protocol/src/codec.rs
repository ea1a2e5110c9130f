//! Frames: a header and its body, out of and into byte streams.
//!
//! "Not enough bytes yet" is `Ok(None)`. An error means that the stream cannot be followed any more and has to be
//! closed; a frame with a sound header and a nonsensical body is not an error here.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;
use tokio_util::codec::{Decoder, Encoder};

use crate::header::{BodyTooLarge, HEADER_SIZE, Header, HeaderError, MAX_BODY_SIZE, MessageType};
use crate::limits::RECEIVE_CHUNK;

/// A whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What the body holds.
    pub kind: MessageType,
    /// The bytes after the header.
    pub body: Bytes,
}

/// A whole frame, still in the receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRef<'a> {
    /// What the body holds.
    pub kind: MessageType,
    /// The bytes after the header.
    pub body: &'a [u8],
}

impl FrameRef<'_> {
    /// Size of header and body: what to remove from the buffer afterwards.
    pub fn len(&self) -> usize {
        HEADER_SIZE + self.body.len()
    }

    /// Never: a frame has a header.
    pub fn is_empty(&self) -> bool {
        false
    }
}

/// Why a stream of frames ends.
#[derive(Debug, Error)]
pub enum FrameError {
    /// A header that cannot be followed.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A body that cannot be sent.
    #[error(transparent)]
    TooLarge(#[from] BodyTooLarge),
    /// The stream ended inside a frame.
    #[error("stream ended inside a frame: {have} of {want} bytes arrived")]
    Truncated {
        /// Bytes that arrived, of the header or, when that was complete, of the body.
        have: usize,
        /// Bytes expected, likewise.
        want: u64,
    },
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads the first frame of `buffer` without copying or removing it.
///
/// For loops that own their buffer: handle the frame, then `buffer.advance(frame.len())`.
pub fn first_frame(buffer: &[u8]) -> Result<Option<FrameRef<'_>>, HeaderError> {
    let Some((header, rest)) = buffer.split_first_chunk::<HEADER_SIZE>() else {
        return Ok(None);
    };
    let header = Header::parse(*header)?;
    let size = usize::try_from(header.size).map_err(|_| HeaderError::Size(header.size))?;
    Ok(rest.get(..size).map(|body| FrameRef {
        kind: header.kind,
        body,
    }))
}

/// Frames for `tokio_util::codec::Framed`.
///
/// The receive buffer grows with what has arrived, by at most [`RECEIVE_CHUNK`] ahead of it, whatever a header claims.
#[derive(Debug, Default)]
pub struct FrameCodec {
    header: Option<Header>,
}

impl Decoder for FrameCodec {
    type Item = Frame;
    type Error = FrameError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        let header = match self.header {
            Some(header) => header,
            None => {
                let Some(bytes) = src.first_chunk::<HEADER_SIZE>() else {
                    return Ok(None);
                };
                let header = Header::parse(*bytes)?;
                src.advance(HEADER_SIZE);
                self.header = Some(header);
                header
            }
        };
        let size = usize::try_from(header.size).map_err(|_| HeaderError::Size(header.size))?;
        if src.len() < size {
            src.reserve((size - src.len()).min(RECEIVE_CHUNK));
            return Ok(None);
        }
        self.header = None;
        Ok(Some(Frame {
            kind: header.kind,
            body: src.split_to(size).freeze(),
        }))
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        if let Some(frame) = self.decode(src)? {
            return Ok(Some(frame));
        }
        match self.header {
            Some(header) => Err(FrameError::Truncated {
                have: src.len(),
                want: header.size,
            }),
            None if src.is_empty() => Ok(None),
            None => Err(FrameError::Truncated {
                have: src.len(),
                want: HEADER_SIZE as u64,
            }),
        }
    }
}

impl Encoder<FrameRef<'_>> for FrameCodec {
    type Error = FrameError;

    fn encode(&mut self, frame: FrameRef<'_>, out: &mut BytesMut) -> Result<(), FrameError> {
        let size = frame.body.len() as u64;
        if size > MAX_BODY_SIZE {
            return Err(BodyTooLarge(size).into());
        }
        out.reserve(frame.len());
        out.put_slice(&Header::new(frame.kind, size).to_bytes());
        out.put_slice(frame.body);
        Ok(())
    }
}

impl Encoder<Frame> for FrameCodec {
    type Error = FrameError;

    fn encode(&mut self, frame: Frame, out: &mut BytesMut) -> Result<(), FrameError> {
        self.encode(
            FrameRef {
                kind: frame.kind,
                body: &frame.body,
            },
            out,
        )
    }
}
