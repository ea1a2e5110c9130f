//! Frames of the fabric on a byte stream.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::MAX_FRAME;

/// Bytes of the length in front of a frame.
const LENGTH_BYTES: usize = 4;

/// Bodies up to this size are copied behind their head and written at once.
const COPY_MAX: usize = 64 << 10;

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

/// Reads one frame; `None` when the stream ends before its first byte. Memory grows with what arrives, not with what
/// the length claims.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<(u8, Vec<u8>)>> {
    let mut length = [0_u8; LENGTH_BYTES];
    if stream.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[1..]).await?;
    let length = u32::from_be_bytes(length);
    let fits = usize::try_from(length).is_ok_and(|length| (1..=MAX_FRAME).contains(&length));
    if !fits {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the length of a frame is out of range",
        ));
    }
    let tag = stream.read_u8().await?;
    let length = u64::from(length) - 1;
    let mut body = Vec::new();
    if stream.take(length).read_to_end(&mut body).await? as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some((tag, body)))
}
