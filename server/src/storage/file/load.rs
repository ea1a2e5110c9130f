//! What a file says when it is opened.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use data::record::StoredRecord;
use protocol::bounds::{Fit as _, Within as _};
use protocol::key::Digest;

use super::disk::Disk;
use super::frame::{
    FRAME_HEADER, Frame, HEADER, Header, MARK, MARK_BYTES, SEGMENT_HEADER, read_mark,
    read_segment_header,
};
use super::log::{Place, Segment, SegmentState};
use super::repair;

/// Time between two lines that say how far it is.
const PROGRESS: Duration = Duration::from_secs(2);

/// A place in a file that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Byte of the file.
    pub at: u64,
    /// What is wrong there.
    pub what: String,
}

/// What was found in a file.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) records: HashMap<Digest, (StoredRecord, Place)>,
    /// Removed records: the highest token that went.
    removed: HashMap<Digest, u64>,
    pub(super) truncations: BTreeMap<String, (u64, Place)>,
    /// Notes with their places.
    pub(super) notes: BTreeMap<u16, (Vec<u8>, Place)>,
    pub(super) segments: Vec<Segment>,
    /// Where the newest segment ends: segment and offset.
    pub(super) end: Option<(u32, u32)>,
    pub(super) max_token: u64,
    pub(super) removal_bytes: u64,
    pub(super) damage: Vec<Damage>,
    /// Bytes of a write that a crash cut off.
    pub(super) torn: u64,
    /// Something stands behind the end that means nothing.
    pub(super) has_rest: bool,
}

/// Reads all segments. With `outlines` key and bins are left where they are. Damage is noted and passed over: the caller
/// decides.
pub(super) fn read(disk: &dyn Disk, header: &Header, outlines: bool) -> std::io::Result<Found> {
    let mut found = Found::default();
    let segment_bytes = u64::from(header.segment_bytes);
    let start = |segment: u32| HEADER as u64 + u64::from(segment) * segment_bytes;
    let mut order = Vec::new();
    let mut headless = Vec::new();
    for segment in 0..header.segments {
        let mut bytes = [0; SEGMENT_HEADER];
        disk.read(start(segment), &mut bytes)?;
        let sequence = match read_segment_header(&bytes) {
            Ok(sequence) => sequence,
            Err(()) => {
                found.damage.push(Damage {
                    at: start(segment),
                    what: "the header of a segment".to_owned(),
                });
                headless.push(segment);
                None
            }
        };
        found.segments.push(Segment {
            state: if sequence.is_some() {
                SegmentState::Sealed
            } else {
                SegmentState::Free
            },
            sequence: sequence.unwrap_or(0),
            live: 0,
            unsettled: 0,
            sealed_in: 0,
        });
        order.extend(sequence.map(|sequence| (sequence, segment)));
    }
    let (mut said, mut buffer) = (Instant::now(), vec![0; header.segment_bytes as usize]);
    let highest = order.iter().map(|(sequence, _)| *sequence).max();
    for segment in headless {
        disk.read(start(segment), &mut buffer)?;
        let sequence = repair::sequence(&buffer, highest.unwrap_or(0));
        order.extend(sequence.map(|sequence| (sequence, segment)));
    }
    order.sort_unstable();
    let newest = order.last().copied();
    let mut bytes = [0; MARK_BYTES];
    disk.read(MARK, &mut bytes)?;
    let mark = read_mark(&bytes);
    let count = order.len();
    for (done, (sequence, segment)) in order.into_iter().enumerate() {
        disk.read(start(segment), &mut buffer)?;
        let is_newest = newest == Some((sequence, segment));
        let end = End {
            is_newest,
            closed_at: header.closed_at.filter(|_| is_newest),
            synced: mark
                .filter(|mark| mark.0 == sequence)
                .map_or(0, |mark| mark.1),
        };
        found.segment(&buffer, (sequence, segment), end, start(segment), outlines);
        if said.elapsed() >= PROGRESS {
            said = Instant::now();
            tracing::info!(
                target: "drv",
                "{}: read {} of {count} segments, {} records",
                disk.name(),
                done + 1,
                found.records.len()
            );
        }
    }
    let last = header
        .closed_at
        .max(mark)
        .map_or(0, |(sequence, _)| sequence);
    if newest.map_or(0, |(newest, _)| newest) < last {
        found.damage.push(Damage {
            at: 0,
            what: format!("segment {last}, which was the last, is missing"),
        });
    }
    found.settle();
    Ok(found)
}

/// What is known of the end of a segment.
struct End {
    is_newest: bool,
    /// Where it ended when the file was closed.
    closed_at: Option<(u64, u32)>,
    /// What stands in front of this byte outlived a crash once.
    synced: u32,
}

impl Found {
    fn segment(
        &mut self,
        bytes: &[u8],
        (sequence, segment): (u64, u32),
        said: End,
        start: u64,
        outlines: bool,
    ) {
        // Behind the end of a closed file stands at most what a segment held in an earlier life.
        let End {
            is_newest,
            closed_at,
            synced,
        } = said;
        let closed = closed_at.and_then(|(_, end)| bytes.split_at_checked(end as usize));
        let (bytes, behind) = closed.unwrap_or((bytes, &[]));
        self.has_rest |= behind.iter().any(|byte| *byte != 0);
        let survey = Survey::of(bytes, sequence);
        // What a crash cut off is the end of a file that was not closed.
        let may_be_torn = is_newest && !survey.is_damaged && closed_at.is_none();
        let torn = survey
            .broken
            .filter(|at| may_be_torn && *at >= synced as usize);
        if let Some(at) = torn {
            // Nothing of it was acknowledged, and what stands behind it neither.
            self.torn = (bytes.len() - at) as u64;
            self.has_rest = true;
        } else if let Some(at) = survey.broken {
            self.broken_at(start, at);
        }
        let end = torn.unwrap_or(survey.end);
        let cut = match closed_at {
            Some((_, closed)) => closed as usize != end,
            None if is_newest => end < synced as usize,
            None => !survey.is_sealed,
        };
        if cut && survey.broken.is_none() {
            self.broken_at(start, end);
        }
        let mut offset = SEGMENT_HEADER;
        while offset < end {
            let Some(Ok((frame, length))) =
                bytes.get(offset..).map(|rest| Frame::read(sequence, rest))
            else {
                match next_frame(bytes, offset, sequence) {
                    Some(next) => offset = next,
                    None => break,
                }
                continue;
            };
            let place = Place {
                segment,
                offset: offset.fit::<u32>(),
                length: length.fit::<u32>(),
            };
            self.frame(frame, place, outlines);
            offset += length;
        }
        if is_newest && !survey.is_sealed {
            self.end = Some((segment, end.fit::<u32>()));
        }
    }

    fn broken_at(&mut self, start: u64, offset: usize) {
        self.damage.push(Damage {
            at: start + offset as u64,
            what: "bytes that are not what was written".to_owned(),
        });
    }

    fn frame(&mut self, frame: Frame, place: Place, outlines: bool) {
        match frame {
            Frame::Record(record) => {
                let (digest, token) = (record.digest(), record.token());
                self.max_token = self.max_token.max(token);
                if self
                    .removed
                    .get(&digest)
                    .is_some_and(|removed| *removed >= token)
                {
                    return;
                }
                let known = self.records.get(&digest);
                if known.is_none_or(|(known, _)| known.token() <= token) {
                    let record = if outlines { record.outline() } else { record };
                    self.records.insert(digest, (record, place));
                }
            }
            Frame::Removal { digest, token, .. } => {
                self.max_token = self.max_token.max(token);
                self.count(place);
                self.removal_bytes += u64::from(place.length);
                let removed = self.removed.entry(digest).or_default();
                *removed = token.max(*removed);
                if self
                    .records
                    .get(&digest)
                    .is_some_and(|(known, _)| known.token() <= token)
                {
                    self.records.remove(&digest);
                }
            }
            Frame::Truncation { set, before_ms } => {
                let known = self.truncations.get(&set);
                if known.is_none_or(|(known, _)| *known <= before_ms) {
                    self.truncations.insert(set, (before_ms, place));
                }
            }
            Frame::Note { number, note } => {
                self.notes.insert(number, (note, place));
            }
            Frame::Sealed | Frame::Synced(_) => {}
        }
    }

    fn count(&mut self, place: Place) {
        if let Some(segment) = self.segments.get_mut(place.segment as usize) {
            segment.live += u64::from(place.length);
        }
    }

    /// Leaves out what was truncated, and counts what each segment holds.
    fn settle(&mut self) {
        let truncations = &self.truncations;
        let before = |set: &str| truncations.get(set).map_or(0, |(before_ms, _)| *before_ms);
        let all = before("");
        self.records.retain(|_, (record, _)| {
            let set = record.set_name();
            let of_set = if set.is_empty() { 0 } else { before(set) };
            record.last_update_ms() >= all.max(of_set)
        });
        let places: Vec<_> = self.records.values().map(|(_, place)| *place).collect();
        let marks: Vec<_> = self.truncations.values().map(|(_, place)| *place).collect();
        let notes: Vec<_> = self.notes.values().map(|(_, place)| *place).collect();
        for place in places.into_iter().chain(marks).chain(notes) {
            self.count(place);
        }
    }
}

/// How the frames of a segment follow each other.
struct Survey {
    /// Where the first bytes stand that are no frame, though something was written there or behind.
    broken: Option<usize>,
    /// Those bytes outlived a crash once: a later frame says so.
    is_damaged: bool,
    is_sealed: bool,
    /// Where the last frame ends.
    end: usize,
}

impl Survey {
    fn of(bytes: &[u8], sequence: u64) -> Self {
        let mut survey = Self {
            broken: None,
            is_damaged: false,
            is_sealed: false,
            end: SEGMENT_HEADER,
        };
        let mut offset = SEGMENT_HEADER;
        loop {
            let rest = bytes.within(offset..);
            match Frame::read(sequence, rest) {
                Ok((frame, length)) => {
                    offset += length;
                    survey.end = offset;
                    match (frame, survey.broken) {
                        (Frame::Sealed, broken) => {
                            survey.is_sealed = true;
                            survey.is_damaged |= broken.is_some();
                            return survey;
                        }
                        (Frame::Synced(end), Some(at)) if end as usize > at => {
                            survey.is_damaged = true;
                        }
                        _ => {}
                    }
                }
                Err(_) => match next_frame(bytes, offset, sequence) {
                    Some(next) => {
                        survey.broken = survey.broken.or(Some(offset));
                        offset = next;
                    }
                    None => {
                        if rest.iter().any(|byte| *byte != 0) {
                            survey.broken = survey.broken.or(Some(offset));
                        }
                        return survey;
                    }
                },
            }
        }
    }
}

/// The next whole frame behind a place where there is none.
fn next_frame(bytes: &[u8], offset: usize, sequence: u64) -> Option<usize> {
    let last = bytes.len().checked_sub(FRAME_HEADER)?;
    // Most of what is empty is empty to the end.
    let rest = bytes.get(offset..)?;
    let first = offset + rest.iter().position(|byte| *byte != 0)?;
    (first.saturating_sub(FRAME_HEADER).max(offset + 1)..=last).find(|at| {
        bytes
            .get(*at..)
            .is_some_and(|rest| Frame::read(sequence, rest).is_ok())
    })
}
