//! Frames of the fabric on a byte stream.

use std::io;

use protocol::bounds::Fit as _;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::MAX_FRAME;

/// Bytes of the length in front of a frame.
const LENGTH_BYTES: usize = 4;

/// Bodies up to this size are copied behind their head and written at once.
const COPY_MAX: usize = 64 << 10;

/// Room that is made for a body before any of it has come, most.
const AT_ONCE: usize = 4 << 10;

/// Writes one frame: its tag (kind or status) and its body.
pub(super) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    tag: u8,
    body: &[u8],
) -> io::Result<()> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "a frame above the limit");
    let length = body.len() + 1;
    if length > MAX_FRAME {
        return Err(too_long());
    }
    let length = u32::try_from(length).map_err(|_| too_long())?;
    let mut head = Vec::with_capacity(LENGTH_BYTES + 1 + body.len().min(COPY_MAX));
    head.extend_from_slice(&length.to_be_bytes());
    head.push(tag);
    if body.len() <= COPY_MAX {
        head.extend_from_slice(body);
        stream.write_all(&head).await
    } else {
        stream.write_all(&head).await?;
        stream.write_all(body).await
    }
}

/// Reads one frame of at most so many bytes; `None` when the stream ends before its first byte. Memory grows with what
/// arrives, not with what the length claims.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    longest: usize,
) -> io::Result<Option<(u8, Vec<u8>)>> {
    // Nothing takes from this budget, as nothing is larger than what is small.
    let none = Semaphore::const_new(0);
    let read = read_within(stream, longest, longest, &none).await?;
    Ok(read.map(|(tag, body, _)| (tag, body)))
}

/// The same. What is larger than `small` waits until the budget, in kibibytes, has room for it, and holds that.
pub(super) async fn read_within<'b>(
    stream: &mut (impl AsyncRead + Unpin),
    longest: usize,
    small: usize,
    budget: &'b Semaphore,
) -> io::Result<Option<(u8, Vec<u8>, Option<SemaphorePermit<'b>>)>> {
    // Every frame has its length and its tag at least.
    let mut head = [0_u8; LENGTH_BYTES + 1];
    let first = stream.read(&mut head).await?;
    if first == 0 {
        return Ok(None);
    }
    if let Some(rest) = head.get_mut(first..) {
        stream.read_exact(rest).await?;
    }
    let [length @ .., tag] = head;
    let out_of_range = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "the length of a frame is out of range",
        )
    };
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| out_of_range())?;
    if !(1..=longest).contains(&length) {
        return Err(out_of_range());
    }
    let permit = match length > small {
        true => {
            let kibibytes = u32::try_from(length >> 10).map_err(|_| out_of_range())?;
            let permit = budget.acquire_many(kibibytes).await;
            Some(permit.map_err(|_| io::Error::from(io::ErrorKind::ConnectionAborted))?)
        }
        false => None,
    };
    let length = length - 1;
    let mut body = Vec::with_capacity(length.min(AT_ONCE));
    let mut rest = stream.take(length.fit::<u64>());
    if rest.read_to_end(&mut body).await? != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some((tag, body, permit)))
}
