//! Frames of the fabric on a byte stream.

use std::io::{self, Read};

use protocol::bounds::{Fit as _, Within as _};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::MAX_FRAME;

/// Bytes of the length in front of a frame.
const LENGTH_BYTES: usize = 4;

/// Bytes in front of the body: the length and the tag.
const HEAD: usize = LENGTH_BYTES + 1;

/// Bodies up to this size are copied behind their head and written at once.
const COPY_MAX: usize = 64 << 10;

/// Room that is made for a body before any of it has come, most.
const AT_ONCE: usize = 4 << 10;

/// A head, with room for more behind it.
fn head(tag: u8, body: &[u8], room: usize) -> io::Result<Vec<u8>> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "a frame above the limit");
    let length = body.len() + 1;
    if length > MAX_FRAME {
        return Err(too_long());
    }
    let length = u32::try_from(length).map_err(|_| too_long())?;
    let mut head = Vec::with_capacity(HEAD + room);
    head.extend_from_slice(&length.to_be_bytes());
    head.push(tag);
    Ok(head)
}

/// One frame: its tag (kind or status) and its body.
pub(super) fn bytes(tag: u8, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut frame = head(tag, body, body.len())?;
    frame.extend_from_slice(body);
    Ok(frame)
}

/// Writes one frame.
pub(super) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    tag: u8,
    body: &[u8],
) -> io::Result<()> {
    if body.len() <= COPY_MAX {
        stream.write_all(&bytes(tag, body)?).await
    } else {
        stream.write_all(&head(tag, body, 0)?).await?;
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
    let mut head = [0_u8; HEAD];
    let first = stream.read(&mut head).await?;
    if first == 0 {
        return Ok(None);
    }
    if let Some(rest) = head.get_mut(first..) {
        stream.read_exact(rest).await?;
    }
    let [length @ .., tag] = head;
    let length = checked(length, longest)?;
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

fn out_of_range() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the length of a frame is out of range",
    )
}

/// The length that a head says: that of the tag and the body.
fn checked(length: [u8; LENGTH_BYTES], longest: usize) -> io::Result<usize> {
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| out_of_range())?;
    match (1..=longest).contains(&length) {
        true => Ok(length),
        false => Err(out_of_range()),
    }
}

/// A frame that a thread waits for: what has come of it, which is kept if it gives up.
#[derive(Debug, Default)]
pub(super) struct Coming(Vec<u8>);

impl Coming {
    /// Waits for the first bytes, which often are all; what the head says is still to come, of at most so many. None: the
    /// stream ends before them.
    pub(super) fn begin(
        &mut self,
        stream: &mut impl Read,
        longest: usize,
    ) -> io::Result<Option<usize>> {
        let mut chunk = [0; AT_ONCE];
        loop {
            if let Some(missing) = self.missing(longest)? {
                return Ok(Some(missing));
            }
            match stream.read(&mut chunk) {
                Ok(0) if self.0.is_empty() => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.0.extend_from_slice(chunk.within(..count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for so many bytes more.
    pub(super) fn finish(&mut self, stream: &mut impl Read, missing: usize) -> io::Result<()> {
        let read = stream.take(missing.fit::<u64>()).read_to_end(&mut self.0)?;
        match read == missing {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// How much is still to come; none while that is not known.
    fn missing(&self, longest: usize) -> io::Result<Option<usize>> {
        let Some((length, _)) = self.0.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let whole = LENGTH_BYTES + checked(*length, longest)?;
        // One question, one answer: nobody has anything else to say.
        let missing = whole.checked_sub(self.0.len()).ok_or_else(out_of_range)?;
        Ok(Some(missing))
    }

    /// Tag and body, once all has come.
    pub(super) fn parts(mut self) -> io::Result<(u8, Vec<u8>)> {
        let tag = self.0.get(LENGTH_BYTES).copied();
        let tag = tag.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok((tag, self.0.split_off(HEAD)))
    }

    /// What has come, to be read again.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}
