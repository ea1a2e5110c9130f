//! Where the next frame goes, and what is not written yet. Memory only: the writer's thread does the rest.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use protocol::bounds::Fit as _;

use super::frame::{Frame, Header, SEGMENT_HEADER, segment_header};
use crate::storage::StorageError;

/// Segments that only the cleaner and removals may begin: without them no room could be made any more.
pub(super) const RESERVED: usize = 2;
/// Segments that have their room before they are needed.
pub(super) const READY: usize = 3;

/// Where a frame stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: u32,
    pub(super) offset: u32,
    /// Bytes of the whole frame.
    pub(super) length: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SegmentState {
    /// It holds nothing, and takes no room.
    Free,
    /// It holds nothing, and has its room.
    Ready,
    /// Frames are added to it.
    Active,
    /// It is full.
    Sealed,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) state: SegmentState,
    pub(super) sequence: u64,
    /// Bytes of frames that still count.
    pub(super) live: u64,
    /// Frames whose change waits for them to outlive a crash.
    pub(super) unsettled: u32,
    /// The batch with which it was sealed.
    pub(super) sealed_in: u64,
}

/// Bytes on their way to a place.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) segment: u32,
    pub(super) offset: u32,
    pub(super) bytes: Vec<u8>,
}

/// What is written and synced together.
pub(super) type Batch = Arc<Vec<Chunk>>;

/// Why a frame is not taken now.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    /// Room is being made; whoever waits for it can try again.
    Later,
    /// It cannot be taken.
    Never(StorageError),
}

#[derive(Debug)]
pub(super) struct Log {
    pub(super) segments: Vec<Segment>,
    pub(super) segment_bytes: u32,
    active: Option<(u32, u32)>,
    pub(super) ready: VecDeque<u32>,
    pub(super) free: VecDeque<u32>,
    pub(super) next_sequence: u64,
    pending: Vec<Chunk>,
    pub(super) pending_bytes: usize,
    pub(super) writing: Batch,
    /// The number of the batch that is being gathered; lower ones are being written or have been.
    pub(super) batch: u64,
    /// The end of what outlives a crash, in the active segment.
    pub(super) synced: (u64, u32),
    /// The same, as the file's mark says it.
    pub(super) marked: (u64, u32),
    /// The file system has no room for the next segment.
    pub(super) no_room: bool,
    /// Nothing can be written any more.
    pub(super) broken: Option<StorageError>,
    /// Truncations that hold, with their places.
    pub(super) truncations: BTreeMap<String, (u64, Place)>,
    /// Where the notes that count stand.
    pub(super) notes: BTreeMap<u16, Place>,
    /// Bytes of frames that still count, in all segments.
    live: u64,
    /// Bytes of removals that still count.
    pub(super) removal_bytes: u64,
    /// The highest token of a version that was ever taken.
    pub(super) max_token: u64,
    name: String,
}

impl Log {
    pub(super) fn new(name: String, header: &Header, segments: Vec<Segment>) -> Self {
        let free = (0_u32..)
            .zip(&segments)
            .filter(|(_, segment)| segment.state == SegmentState::Free);
        Self {
            free: free.map(|(at, _)| at).collect(),
            ready: VecDeque::new(),
            next_sequence: header.unused_from,
            live: segments.iter().map(|segment| segment.live).sum(),
            segments,
            segment_bytes: header.segment_bytes,
            active: None,
            pending: Vec::new(),
            pending_bytes: 0,
            writing: Batch::default(),
            batch: 1,
            synced: (0, 0),
            marked: (0, 0),
            no_room: false,
            broken: None,
            truncations: BTreeMap::new(),
            notes: BTreeMap::new(),
            removal_bytes: 0,
            max_token: 0,
            name,
        }
    }

    /// Goes on in a segment where its last frame ended.
    pub(super) fn go_on(&mut self, segment: u32, offset: u32) {
        if let Some(state) = self.segments.get_mut(segment as usize) {
            state.state = SegmentState::Active;
            self.synced = (state.sequence, offset);
            self.active = Some((segment, offset));
        }
    }

    /// Segments that hold nothing.
    pub(super) fn unused(&self) -> usize {
        self.free.len() + self.ready.len()
    }

    /// Bytes of frames that still count.
    pub(super) fn live(&self) -> u64 {
        self.live
    }

    /// Bytes that can be written before room has to be made.
    pub(super) fn available(&self) -> u64 {
        let whole = self.unused().saturating_sub(RESERVED) as u64;
        let rest = self
            .active
            .map_or(0, |(_, offset)| self.segment_bytes - offset);
        whole * u64::from(self.segment_bytes) + u64::from(rest)
    }

    /// The end of what was taken: sequence and offset.
    pub(super) fn end(&self) -> Option<(u64, u32)> {
        let (segment, offset) = self.active?;
        Some((self.segments.get(segment as usize)?.sequence, offset))
    }

    /// Takes a frame; gives its place and the batch that it is in. `reserved` lets it begin the last segments.
    pub(super) fn append(
        &mut self,
        frame: &Frame,
        reserved: bool,
    ) -> Result<(Place, u64), Refusal> {
        if let Some(error) = &self.broken {
            return Err(Refusal::Never(error.clone()));
        }
        let length = frame.length();
        let most = self.segment_bytes as usize - SEGMENT_HEADER - 64;
        if length > most {
            return Err(Refusal::Never(StorageError::Full(format!(
                "{}: a record of {length} bytes does not fit a segment of {} bytes",
                self.name, self.segment_bytes
            ))));
        }
        // A mark of what is synced may stand in front, and the end of the segment behind.
        let needed = length + Frame::Synced(0).length() + Frame::Sealed.length();
        let fits = self
            .active
            .is_some_and(|(_, offset)| offset as usize + needed <= self.segment_bytes as usize);
        if !fits {
            self.begin_segment(reserved)?;
        }
        let Some((segment, _)) = self.active else {
            return Err(Refusal::Later);
        };
        let sequence = self
            .segments
            .get(segment as usize)
            .map_or(0, |segment| segment.sequence);
        if self.pending.is_empty() && self.synced.0 == sequence {
            self.add(segment, sequence, &Frame::Synced(self.synced.1));
        }
        let offset = self.active.map_or(0, |(_, offset)| offset);
        self.add(segment, sequence, frame);
        let place = Place {
            segment,
            offset,
            length: length.fit::<u32>(),
        };
        self.add_live(place, true);
        match frame {
            Frame::Removal { .. } => self.removal_bytes += u64::from(place.length),
            Frame::Record(record) => self.max_token = self.max_token.max(record.token()),
            _ => {}
        }
        Ok((place, self.batch))
    }

    /// Counts a frame, or no more.
    pub(super) fn add_live(&mut self, place: Place, counts: bool) {
        if let Some(segment) = self.segments.get_mut(place.segment as usize) {
            let before = segment.live;
            segment.live = if counts {
                before + u64::from(place.length)
            } else {
                before.saturating_sub(place.length.into())
            };
            self.live = (self.live + segment.live).saturating_sub(before);
        }
    }

    /// A segment holds nothing any more.
    pub(super) fn free_segment(&mut self, at: u32) {
        if let Some(segment) = self.segments.get_mut(at as usize) {
            self.live = self.live.saturating_sub(segment.live);
            segment.state = SegmentState::Free;
            segment.sequence = 0;
            segment.live = 0;
        }
        self.free.push_back(at);
    }

    pub(super) fn settle(&mut self, place: Place, begins: bool) {
        if let Some(segment) = self.segments.get_mut(place.segment as usize) {
            segment.unsettled = if begins {
                segment.unsettled + 1
            } else {
                segment.unsettled.saturating_sub(1)
            };
        }
    }

    fn add(&mut self, segment: u32, sequence: u64, frame: &Frame) {
        let offset = self.active.map_or(0, |(_, offset)| offset);
        self.begin_chunk(segment, offset);
        let Some(chunk) = self.pending.last_mut() else {
            return;
        };
        let length = frame.write(sequence, &mut chunk.bytes);
        self.pending_bytes += length;
        let end = offset + length.fit::<u32>();
        self.active = Some((segment, end));
    }

    /// Has the last chunk end at a place: the one there is, or a new one.
    fn begin_chunk(&mut self, segment: u32, offset: u32) {
        let goes_on = self.pending.last().is_some_and(|chunk| {
            chunk.segment == segment && chunk.offset as usize + chunk.bytes.len() == offset as usize
        });
        if !goes_on {
            self.pending.push(Chunk {
                segment,
                offset,
                bytes: Vec::new(),
            });
        }
    }

    fn begin_segment(&mut self, reserved: bool) -> Result<(), Refusal> {
        if !reserved && self.unused() <= RESERVED {
            return Err(Refusal::Never(StorageError::Full(format!(
                "{}: no room is left of its {} segments of {} bytes",
                self.name,
                self.segments.len(),
                self.segment_bytes
            ))));
        }
        if !reserved && self.no_room && self.ready.len() <= RESERVED {
            return Err(Refusal::Never(StorageError::Full(format!(
                "{}: the file system is full",
                self.name
            ))));
        }
        let Some(next) = self.ready.pop_front() else {
            return Err(if self.no_room || self.free.is_empty() {
                Refusal::Never(StorageError::Full(format!(
                    "{}: no room is left",
                    self.name
                )))
            } else {
                Refusal::Later
            });
        };
        if let Some((segment, _)) = self.active {
            let sequence = self
                .segments
                .get(segment as usize)
                .map_or(0, |segment| segment.sequence);
            self.add(segment, sequence, &Frame::Sealed);
            if let Some(sealed) = self.segments.get_mut(segment as usize) {
                sealed.state = SegmentState::Sealed;
                sealed.sealed_in = self.batch;
            }
        }
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        if let Some(segment) = self.segments.get_mut(next as usize) {
            *segment = Segment {
                state: SegmentState::Active,
                sequence,
                live: 0,
                unsettled: 0,
                sealed_in: 0,
            };
        }
        self.pending.push(Chunk {
            segment: next,
            offset: 0,
            bytes: segment_header(sequence).to_vec(),
        });
        self.pending_bytes += SEGMENT_HEADER;
        self.active = Some((next, SEGMENT_HEADER as u32));
        Ok(())
    }

    /// Takes what is to be written next; it can still be read from memory until it is said to be written.
    pub(super) fn take_batch(&mut self) -> (u64, Batch) {
        self.writing = Arc::new(std::mem::take(&mut self.pending));
        self.pending_bytes = 0;
        let number = self.batch;
        self.batch += 1;
        (number, Arc::clone(&self.writing))
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The batch that was taken outlives a crash.
    pub(super) fn written(&mut self) {
        if let Some(last) = self.writing.last()
            && let Some(segment) = self.segments.get(last.segment as usize)
        {
            let end = last.offset + last.bytes.len().fit::<u32>();
            self.synced = (segment.sequence, end);
        }
        self.writing = Batch::default();
    }

    /// The bytes of a frame that is not written yet.
    pub(super) fn unwritten(&self, place: Place) -> Option<Vec<u8>> {
        let (from, length) = (place.offset as usize, place.length as usize);
        self.writing.iter().chain(&self.pending).find_map(|chunk| {
            let start = from.checked_sub(chunk.offset as usize)?;
            let bytes = chunk.bytes.get(start..start + length)?;
            (chunk.segment == place.segment).then(|| bytes.to_vec())
        })
    }

    /// The sequence of a segment, by which its frames are told from those of its earlier lives.
    pub(super) fn sequence(&self, segment: u32) -> u64 {
        self.segments
            .get(segment as usize)
            .map_or(0, |segment| segment.sequence)
    }
}
