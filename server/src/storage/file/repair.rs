//! What can be told of a file although its header, or that of a segment, is damaged.

use std::io;

use protocol::bounds::{Fit as _, Within as _};

use super::disk::Disk;
use super::frame::{
    FILE_VERSION, Frame, HEADER, Header, SEGMENT_BYTES, SEGMENT_HEADER, read_segment_header,
    version_of,
};

/// Bytes of a header that say something, at most: those of the longest name.
const HEADER_SAYS: usize = 80;

/// Sequences that are tried for a segment, beyond the highest of the others.
const SEQUENCES_BEYOND: u64 = 64;

/// Most sequences that are tried.
const SEQUENCES: u64 = 1 << 20;

/// A header of which one bit was flipped, as it was.
fn mended(bytes: &[u8]) -> Option<Header> {
    let mut bytes = bytes.within(..HEADER_SAYS.min(bytes.len())).to_vec();
    (0..bytes.len() * 8).find_map(|bit| {
        let (at, mask) = (bit / 8, 1_u8 << (bit % 8));
        *bytes.get_mut(at)? ^= mask;
        let read = Header::read(&bytes);
        *bytes.get_mut(at)? ^= mask;
        read.ok().flatten()
    })
}

/// Whether a segment begins at this byte.
fn is_segment(disk: &dyn Disk, at: u64) -> io::Result<bool> {
    let mut bytes = [0; SEGMENT_HEADER];
    disk.read(at, &mut bytes)?;
    Ok(matches!(read_segment_header(&bytes), Ok(Some(_))))
}

/// Whether segments stand in a file whose header says nothing.
pub(super) fn has_segments(disk: &dyn Disk) -> io::Result<bool> {
    let length = disk.length()?;
    let least = SEGMENT_BYTES.0;
    for at in 0..length.saturating_sub(HEADER as u64).div_ceil(least) {
        if is_segment(disk, HEADER as u64 + at * least)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The header of a file, read or found out; a reason where it cannot be. `namespace` is what the caller knows.
pub(super) fn header(
    disk: &dyn Disk,
    namespace: Option<&str>,
) -> io::Result<Result<Header, String>> {
    let mut bytes = vec![0; HEADER];
    disk.read(0, &mut bytes)?;
    let reason = match Header::read(&bytes) {
        Ok(Some(header)) => return Ok(Ok(header)),
        Ok(None) => "its header is empty".to_owned(),
        Err(reason) => reason,
    };
    if let Some(header) = mended(&bytes) {
        return Ok(Ok(header));
    }
    if version_of(&bytes).is_some_and(|version| version > FILE_VERSION) {
        return Ok(Err(reason));
    }
    // The size with which most segments are found.
    let length = disk.length()?.saturating_sub(HEADER as u64);
    let (least, most) = SEGMENT_BYTES;
    let mut best = (0, 0);
    for size in (1..=most / least).map(|times| times * least) {
        let mut found = 0_u64;
        for at in 0..length.div_ceil(size) {
            found += u64::from(is_segment(disk, HEADER as u64 + at * size)?);
        }
        if found >= best.0 {
            best = (found, size);
        }
    }
    let (found, size) = best;
    if found == 0 {
        return Ok(Err(reason));
    }
    let Some(namespace) = namespace else {
        return Ok(Err(format!(
            "{reason}, and segments of {size} bytes stand in it: say of which namespace with --namespace"
        )));
    };
    Ok(Ok(Header {
        segment_bytes: size.at_most(),
        segments: length.div_ceil(size).at_most(),
        closed_at: None,
        unused_from: 0,
        namespace: namespace.to_owned(),
    }))
}

/// The sequence of a segment whose header is damaged: the one with which its first frames can be read. `highest` is that of
/// the others.
pub(super) fn sequence(segment: &[u8], highest: u64) -> Option<u64> {
    let said = segment.get(4..12)?.try_into().ok().map(u64::from_le_bytes);
    let first = segment.get(SEGMENT_HEADER..)?;
    let last = highest.saturating_add(SEQUENCES_BEYOND).min(SEQUENCES);
    said.into_iter()
        .chain(1..=last)
        .find(|sequence| *sequence != 0 && Frame::read(*sequence, first).is_ok())
}
