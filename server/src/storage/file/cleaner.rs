//! The thread that gives room back: what still counts of a segment moves on, then the segment is free.

use std::sync::Arc;
use std::time::Duration;

use protocol::bounds::{Fit as _, Within as _};

use super::Shared;
use super::frame::{Frame, SEGMENT_HEADER};
use super::log::{Place, RESERVED, SegmentState};
use crate::storage::leaf::Entry;

/// Time between two looks for a segment to clean.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// With so few segments left, whatever gives room is cleaned.
const SHORT_OF_ROOM: usize = RESERVED + 2;

pub(super) fn run(shared: &Arc<Shared>) {
    loop {
        let next = next_segment(shared);
        match next {
            Some((segment, sequence)) => {
                if !clean(shared, segment, sequence) && pause(shared) {
                    return;
                }
            }
            None => {
                if pause(shared) {
                    return;
                }
            }
        }
        if shared.control.lock().stop || shared.log.lock().broken.is_some() {
            return;
        }
    }
}

/// True when the engine is to stop.
fn pause(shared: &Shared) -> bool {
    let mut log = shared.log.lock();
    if shared.control.lock().stop {
        return true;
    }
    shared.written.wait_for(&mut log, LOOK_AGAIN);
    log.broken.is_some() || shared.control.lock().stop
}

/// The segment to clean next, if one is worth it.
fn next_segment(shared: &Shared) -> Option<(u32, u64)> {
    let log = shared.log.lock();
    let durable = shared.progress.borrow().durable;
    let whole = u64::from(log.segment_bytes);
    let sealed = || {
        (0_u32..).zip(&log.segments).filter(|(_, segment)| {
            segment.state == SegmentState::Sealed
                && segment.unsettled == 0
                && segment.sealed_in <= durable
        })
    };
    let (at, emptiest) = sealed().min_by_key(|(_, segment)| segment.live)?;
    let lowest = if log.unused() <= SHORT_OF_ROOM {
        90
    } else {
        shared.options.clean_below_pct.into()
    };
    if emptiest.live * 100 < whole * lowest {
        return Some((at, emptiest.sequence));
    }
    // Removals are remembered while segments are there that are as old: those go when removals become many.
    if log.removal_bytes * 8 > log.live() && log.removal_bytes > whole {
        let (at, oldest) = sealed().min_by_key(|(_, segment)| segment.sequence)?;
        return Some((at, oldest.sequence));
    }
    None
}

/// Moves what counts of a segment and frees it; false when that cannot be done now.
fn clean(shared: &Shared, segment: u32, sequence: u64) -> bool {
    let mut bytes = vec![0; shared.header.segment_bytes as usize];
    if let Err(error) = shared.disk.read(shared.position(segment, 0), &mut bytes) {
        tracing::warn!(target: "drv", "{}: cannot be read: {error}", shared.disk.name());
        return false;
    }
    let mut offset = SEGMENT_HEADER;
    let mut removals = 0;
    loop {
        let rest = bytes.within(offset..);
        let Ok((frame, length)) = Frame::read(sequence, rest) else {
            tracing::error!(
                target: "drv",
                "{}: damaged at byte {}: its segment stays as it is",
                shared.disk.name(),
                shared.position(segment, offset.fit::<u32>())
            );
            // It is not looked at again.
            if let Some(segment) = shared.log.lock().segments.get_mut(segment as usize) {
                segment.sealed_in = u64::MAX;
            }
            return false;
        };
        let place = Place {
            segment,
            offset: offset.fit::<u32>(),
            length: length.fit::<u32>(),
        };
        offset += length;
        let moved = match frame {
            Frame::Sealed => break,
            Frame::Synced(_) => true,
            Frame::Record(_) => move_record(shared, &frame, place),
            Frame::Removal { .. } => {
                removals += u64::from(place.length);
                move_removal(shared, &frame, place)
            }
            Frame::Truncation { .. } => move_truncation(shared, &frame, place),
            Frame::Note { number, .. } => move_note(shared, number, &frame, place),
        };
        if !moved {
            return false;
        }
    }
    if !wait_until_durable(shared) {
        return false;
    }
    // Without its header it holds nothing, whatever stands behind.
    let position = shared.position(segment, 0);
    let freed = shared
        .disk
        .write(position, &[0; SEGMENT_HEADER])
        .and_then(|()| shared.disk.sync());
    if let Err(error) = freed {
        tracing::warn!(target: "drv", "{}: {error}", shared.disk.name());
        return false;
    }
    // Room that is not given back is room that can be used again.
    if let Err(error) = shared
        .disk
        .discard(position, shared.header.segment_bytes.into())
    {
        tracing::debug!(target: "drv", "{}: {error}", shared.disk.name());
    }
    let mut log = shared.log.lock();
    log.removal_bytes = log.removal_bytes.saturating_sub(removals);
    log.free_segment(segment);
    drop(log);
    shared.work.notify_one();
    shared.room.notify_waiters();
    true
}

/// Moves a version that is stored still; true unless there is no room.
fn move_record(shared: &Shared, frame: &Frame, from: Place) -> bool {
    let Frame::Record(record) = frame else {
        return true;
    };
    let digest = record.digest();
    let Some(partition) = shared.partition(&digest) else {
        return true;
    };
    let mut partition = partition.lock();
    let Some(entry) = partition.get(&digest).filter(|entry| entry.place == from) else {
        return true;
    };
    let mut entry = entry.clone();
    let Ok((place, _)) = shared.try_append(frame, true) else {
        return false;
    };
    entry.place = place;
    partition.insert(entry);
    shared.forget(from);
    true
}

/// Moves a removal that versions may still be there for.
fn move_removal(shared: &Shared, frame: &Frame, from: Place) -> bool {
    let Frame::Removal {
        digest,
        token,
        born,
    } = frame
    else {
        return true;
    };
    let newer = shared
        .entry(digest)
        .is_some_and(|entry| entry.record().token() > *token);
    let old_ones = {
        let log = shared.log.lock();
        (0_u32..).zip(&log.segments).any(|(at, segment)| {
            at != from.segment
                && matches!(segment.state, SegmentState::Sealed | SegmentState::Active)
                && segment.sequence <= *born
        })
    };
    if newer || !old_ones {
        return true;
    }
    let moved = shared.try_append(frame, true).is_ok();
    if moved {
        shared.forget(from);
    }
    moved
}

fn move_truncation(shared: &Shared, frame: &Frame, from: Place) -> bool {
    let Frame::Truncation { set, .. } = frame else {
        return true;
    };
    // In one hold: a later truncation of the set must not be taken for this one.
    let mut log = shared.log.lock();
    if log
        .truncations
        .get(set)
        .is_none_or(|(_, place)| *place != from)
    {
        return true;
    }
    let Ok((place, _)) = log.append(frame, true) else {
        return false;
    };
    log.add_live(from, false);
    if let Some(known) = log.truncations.get_mut(set) {
        known.1 = place;
    }
    true
}

fn move_note(shared: &Shared, number: u16, frame: &Frame, from: Place) -> bool {
    // In one hold: what is noted meanwhile must stand behind this one.
    let mut log = shared.log.lock();
    if log.notes.get(&number) != Some(&from) {
        return true;
    }
    let Ok((place, _)) = log.append(frame, true) else {
        return false;
    };
    log.add_live(from, false);
    log.notes.insert(number, place);
    true
}

/// Waits until what was moved outlives a crash.
fn wait_until_durable(shared: &Shared) -> bool {
    let batch = shared.last_batch();
    shared.ask_to_flush();
    let mut log = shared.log.lock();
    loop {
        if log.broken.is_some() || shared.control.lock().stop {
            return false;
        }
        if shared.progress.borrow().durable >= batch {
            return true;
        }
        shared.written.wait_for(&mut log, LOOK_AGAIN);
    }
}
