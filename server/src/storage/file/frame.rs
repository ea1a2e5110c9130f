//! What stands in a file.
//!
//! ```text
//! file:     header 4096 │ segment │ segment │ …
//! header:   "ASDSTORE" │ version u32 │ segment bytes u32 │ segments u32 │ end: sequence u64, offset u32 (0: not closed)
//!           │ namespace u8 + text │ CRC-32 of all before
//! mark:     at byte 2048 of the header: sequence u64 │ offset u32 │ CRC-32 of both: what stands in front of it outlives a
//!           crash; written when nothing else is to be
//! segment:  "SEGM" │ sequence u64 │ CRC-32 of both │ frame │ frame │ …
//! frame:    length u32 of what follows the checksum │ CRC-32 of sequence, kind and payload │ kind u8 │ payload
//! ```
//!
//! Numbers are little-endian. A segment gets a higher sequence each time that it is begun, so that frames of its earlier
//! lives are no frames any more. Of all versions of a record that stand in a file, the one with the highest token counts.

use data::record::StoredRecord;
use protocol::bounds::{Fit as _, Within as _};
use protocol::key::Digest;

/// Version of the file's form. A file of an earlier one is read, and is of this one from then on; later ones are refused.
///
/// Version 2 has notes, a mark, and where sequences begin, beside what version 1 has.
pub(super) const FILE_VERSION: u32 = 2;
/// Bytes in front of the first segment.
pub(super) const HEADER: usize = 4096;
/// Where the mark of what outlives a crash stands.
pub(super) const MARK: u64 = 2048;
/// Bytes of it.
pub(super) const MARK_BYTES: usize = 16;
/// Smallest and largest segment; all are whole numbers of the smallest.
pub(super) const SEGMENT_BYTES: (u64, u64) = (2 << 20, 16 << 20);
/// Bytes in front of a segment's first frame.
pub(super) const SEGMENT_HEADER: usize = 16;
/// Bytes of a frame besides its payload.
pub(super) const FRAME_HEADER: usize = 9;

const MAGIC: &[u8; 8] = b"ASDSTORE";
const SEGMENT_MAGIC: &[u8; 4] = b"SEGM";

/// The header of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) segment_bytes: u32,
    pub(super) segments: u32,
    /// Where the last frame ended when the file was closed: sequence and offset.
    pub(super) closed_at: Option<(u64, u32)>,
    /// No segment had this sequence, or a higher one, before the file was opened: also none of which a crash left only
    /// later parts. Those would be taken for frames of a segment that has the sequence again. 0 where nobody knows.
    pub(super) unused_from: u64,
    pub(super) namespace: String,
}

impl Header {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let (sequence, offset) = self.closed_at.unwrap_or_default();
        bytes.extend(FILE_VERSION.to_le_bytes());
        bytes.extend(self.segment_bytes.to_le_bytes());
        bytes.extend(self.segments.to_le_bytes());
        bytes.extend(sequence.to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        bytes.extend(self.unused_from.to_le_bytes());
        // Names of namespaces have at most 31 bytes.
        bytes.push(self.namespace.len().fit::<u8>());
        bytes.extend(self.namespace.as_bytes());
        let checksum = crc32fast::hash(&bytes);
        bytes.extend(checksum.to_le_bytes());
        bytes
    }

    /// None for a new file, whose header is all zeros.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, String> {
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let mut rest = bytes;
        if take(&mut rest, 8) != Some(MAGIC) {
            return Err("it is not a file of records".to_owned());
        }
        let cut = || "its header is damaged".to_owned();
        let version = number(&mut rest).ok_or_else(cut)?;
        if !(1..=FILE_VERSION).contains(&version) {
            return Err(format!(
                "its version is {version}, this program reads versions up to {FILE_VERSION}"
            ));
        }
        let segment_bytes = number(&mut rest).ok_or_else(cut)?;
        let segments = number(&mut rest).ok_or_else(cut)?;
        let sequence = long(&mut rest).ok_or_else(cut)?;
        let offset = number(&mut rest).ok_or_else(cut)?;
        let unused_from = match version {
            1 => 0,
            _ => long(&mut rest).ok_or_else(cut)?,
        };
        let length = take(&mut rest, 1)
            .and_then(|byte| byte.first())
            .ok_or_else(cut)?;
        let name = take(&mut rest, usize::from(*length)).ok_or_else(cut)?;
        let end = bytes.len() - rest.len();
        let checksum = number(&mut rest).ok_or_else(cut)?;
        if crc32fast::hash(bytes.within(..end)) != checksum {
            return Err(cut());
        }
        Ok(Some(Self {
            segment_bytes,
            segments,
            closed_at: (sequence != 0).then_some((sequence, offset)),
            unused_from,
            namespace: String::from_utf8_lossy(name).into_owned(),
        }))
    }
}

/// The version that a header says, if it is one.
pub(super) fn version_of(header: &[u8]) -> Option<u32> {
    let mut rest = header.strip_prefix(MAGIC)?;
    number(&mut rest)
}

fn take<'b>(bytes: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (head, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(head)
}

fn number(bytes: &mut &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(take(bytes, 4)?.try_into().ok()?))
}

fn long(bytes: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(take(bytes, 8)?.try_into().ok()?))
}

/// The mark of a place: sequence and offset.
pub(super) fn mark((sequence, offset): (u64, u32)) -> [u8; MARK_BYTES] {
    let mut bytes = [0; MARK_BYTES];
    bytes[..8].copy_from_slice(&sequence.to_le_bytes());
    bytes[8..12].copy_from_slice(&offset.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..12]);
    bytes[12..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The place that a mark says; none where none was written, or half of one.
pub(super) fn read_mark(mut bytes: &[u8]) -> Option<(u64, u32)> {
    let place = (long(&mut bytes)?, number(&mut bytes)?);
    (place.0 != 0 && mark(place).get(12..) == Some(bytes)).then_some(place)
}

/// What stands in front of a segment's frames.
pub(super) fn segment_header(sequence: u64) -> [u8; SEGMENT_HEADER] {
    let mut bytes = [0; SEGMENT_HEADER];
    bytes[..4].copy_from_slice(SEGMENT_MAGIC);
    bytes[4..12].copy_from_slice(&sequence.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..12]);
    bytes[12..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The sequence of a segment; `Ok(None)` for one that is free.
pub(super) fn read_segment_header(bytes: &[u8]) -> Result<Option<u64>, ()> {
    let mut rest = bytes;
    let head = take(&mut rest, SEGMENT_HEADER).ok_or(())?;
    if head.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let sequence = head
        .get(4..12)
        .and_then(|part| part.try_into().ok())
        .ok_or(())?;
    let sequence = u64::from_le_bytes(sequence);
    if segment_header(sequence) == head {
        Ok(Some(sequence))
    } else {
        Err(())
    }
}

/// What a frame says.
#[derive(Clone, Debug)]
pub(super) enum Frame {
    /// A version of a record.
    Record(StoredRecord),
    /// A record went: all its versions up to this token. `born` is the sequence of the segment to which that was first
    /// written: versions of it stand in segments up to that one.
    Removal {
        digest: Digest,
        token: u64,
        born: u64,
    },
    /// Records of a set, or all, that are older are gone.
    Truncation { set: String, before_ms: u64 },
    /// What the server remembers beside records, by number; of several the one that was written last counts.
    Note { number: u16, note: Vec<u8> },
    /// The segment ends here, and goes on in no other write.
    Sealed,
    /// What stands in front of this byte of the segment outlives a crash.
    Synced(u32),
}

const RECORD: u8 = 1;
const REMOVAL: u8 = 2;
const TRUNCATION: u8 = 3;
const SEALED: u8 = 4;
const SYNCED: u8 = 5;
const NOTE: u8 = 6;

fn checksum(sequence: u64, kind: u8, payload: &[u8]) -> u32 {
    let mut hash = crc32fast::Hasher::new();
    hash.update(&sequence.to_le_bytes());
    hash.update(&[kind]);
    hash.update(payload);
    hash.finalize()
}

/// Appends a frame; gives its length.
fn write(sequence: u64, kind: u8, payload: &[u8], out: &mut Vec<u8>) -> usize {
    // A segment has some MiB, and no frame is larger.
    let length = (payload.len() + 1).fit::<u32>();
    out.extend(length.to_le_bytes());
    out.extend(checksum(sequence, kind, payload).to_le_bytes());
    out.push(kind);
    out.extend(payload);
    FRAME_HEADER + payload.len()
}

/// Why the bytes at a place are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoFrame {
    /// Nothing was written there.
    Empty,
    /// Something else was, or half of it.
    Broken,
}

impl Frame {
    /// Bytes that the frame takes.
    pub(super) fn length(&self) -> usize {
        FRAME_HEADER
            + match self {
                Self::Record(record) => record.as_bytes().len(),
                Self::Removal { .. } => 36,
                Self::Truncation { set, .. } => 8 + set.len(),
                Self::Note { note, .. } => 2 + note.len(),
                Self::Sealed => 0,
                Self::Synced(_) => 4,
            }
    }

    pub(super) fn write(&self, sequence: u64, out: &mut Vec<u8>) -> usize {
        match self {
            Self::Record(record) => write(sequence, RECORD, record.as_bytes(), out),
            Self::Removal {
                digest,
                token,
                born,
            } => {
                let mut payload = digest.0.to_vec();
                payload.extend(token.to_le_bytes());
                payload.extend(born.to_le_bytes());
                write(sequence, REMOVAL, &payload, out)
            }
            Self::Truncation { set, before_ms } => {
                let mut payload = before_ms.to_le_bytes().to_vec();
                payload.extend(set.as_bytes());
                write(sequence, TRUNCATION, &payload, out)
            }
            Self::Note { number, note } => {
                let mut payload = number.to_le_bytes().to_vec();
                payload.extend(note);
                write(sequence, NOTE, &payload, out)
            }
            Self::Sealed => write(sequence, SEALED, &[], out),
            Self::Synced(offset) => write(sequence, SYNCED, &offset.to_le_bytes(), out),
        }
    }

    /// Reads the frame at the front of `bytes`; gives its length with it.
    pub(super) fn read(sequence: u64, bytes: &[u8]) -> Result<(Self, usize), NoFrame> {
        let mut rest = bytes;
        let length = number(&mut rest).ok_or(NoFrame::Empty)?;
        if length == 0 {
            return Err(NoFrame::Empty);
        }
        let frame = || {
            let expected = number(&mut rest)?;
            let body = take(&mut rest, usize::try_from(length).ok()?)?;
            let (kind, payload) = body.split_first()?;
            if checksum(sequence, *kind, payload) != expected {
                return None;
            }
            Some((Self::of(*kind, payload)?, FRAME_HEADER + payload.len()))
        };
        let mut frame = frame;
        frame().ok_or(NoFrame::Broken)
    }

    fn of(kind: u8, mut payload: &[u8]) -> Option<Self> {
        match kind {
            RECORD => StoredRecord::read(payload).ok().map(Self::Record),
            REMOVAL => Some(Self::Removal {
                digest: Digest(take(&mut payload, 20)?.try_into().ok()?),
                token: long(&mut payload)?,
                born: long(&mut payload)?,
            }),
            TRUNCATION => Some(Self::Truncation {
                before_ms: long(&mut payload)?,
                set: std::str::from_utf8(payload).ok()?.to_owned(),
            }),
            NOTE => Some(Self::Note {
                number: u16::from_le_bytes(take(&mut payload, 2)?.try_into().ok()?),
                note: payload.to_vec(),
            }),
            SEALED => Some(Self::Sealed),
            SYNCED => Some(Self::Synced(number(&mut payload)?)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_written_and_every_change_is_seen() {
        let header = Header {
            segment_bytes: 1 << 20,
            segments: 9,
            closed_at: Some((7, 99)),
            unused_from: 9,
            namespace: "test".to_owned(),
        };
        let bytes = header.to_bytes();
        assert_eq!(Header::read(&bytes), Ok(Some(header)));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 4;
            assert!(Header::read(&changed).is_err(), "byte {at}");
        }
        assert_eq!(Header::read(&[0; 100]), Ok(None));
        assert_eq!(read_segment_header(&segment_header(5)), Ok(Some(5)));
        assert_eq!(read_segment_header(&[0; 16]), Ok(None));
    }

    #[test]
    fn frames_are_read_as_written_and_every_change_is_seen() {
        let frames = [
            Frame::Removal {
                digest: Digest([3; 20]),
                token: 9,
                born: 2,
            },
            Frame::Truncation {
                set: "demo".to_owned(),
                before_ms: 77,
            },
            Frame::Note {
                number: 4_095,
                note: b"a copy".to_vec(),
            },
            Frame::Sealed,
            Frame::Synced(4),
        ];
        for frame in frames {
            let mut bytes = Vec::new();
            assert_eq!(frame.write(5, &mut bytes), frame.length());
            assert_eq!(bytes.len(), frame.length());
            let (again, length) = Frame::read(5, &bytes).unwrap();
            assert_eq!(
                (format!("{again:?}"), length),
                (format!("{frame:?}"), bytes.len())
            );
            assert_eq!(
                Frame::read(6, &bytes).map(drop),
                Err(NoFrame::Broken),
                "another life"
            );
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 1;
                assert!(Frame::read(5, &changed).is_err(), "byte {at}");
            }
        }
        assert_eq!(Frame::read(5, &[0; 20]).map(drop), Err(NoFrame::Empty));
    }
}
