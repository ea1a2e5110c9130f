//! The thread that writes: it takes what is pending, writes and syncs it, and says so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use super::frame::{MARK, mark};
use super::log::{Batch, READY, SegmentState};
use crate::storage::StorageError;

/// So many bytes are written without waiting for more.
pub(super) const WORTH_WRITING: usize = 1 << 20;

/// Pause before a full file system is asked for room again.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// Time between two looks whether the file is where it was.
const LOOK_WHERE: Duration = Duration::from_secs(1);

/// The longest wait for something to do.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

pub(super) fn run(shared: &Arc<Shared>) {
    let mut asked_for_room = Instant::now();
    let mut looked = Instant::now();
    loop {
        let work = wait_for_work(shared);
        if looked.elapsed() >= LOOK_WHERE {
            looked = Instant::now();
            if !shared.disk.is_in_place() {
                let what = "somebody has removed or replaced it, and a restart would not find what is written";
                fail(shared, std::io::Error::other(what));
                return;
            }
        }
        if work == Work::Mark {
            if let Err(error) = write_mark(shared) {
                fail(shared, error);
                return;
            }
            continue;
        }
        if asked_for_room.elapsed() >= ASK_AGAIN || !shared.log.lock().no_room {
            make_ready(shared);
            asked_for_room = Instant::now();
        }
        let taken = {
            let mut log = shared.log.lock();
            log.has_pending().then(|| log.take_batch())
        };
        match taken {
            Some((number, batch)) => {
                if let Err(error) = write(shared, &batch) {
                    fail(shared, error);
                    return;
                }
                shared.log.lock().written();
                shared
                    .progress
                    .send_modify(|progress| progress.durable = number);
                shared.written.notify_all();
                shared.room.notify_waiters();
            }
            None if work == Work::Stop => return,
            None => {}
        }
    }
}

/// Writes what the cleaner has moved since the writer has ended.
pub(super) fn write_rest(shared: &Shared) -> std::io::Result<()> {
    loop {
        let batch = {
            let mut log = shared.log.lock();
            if !log.has_pending() {
                return Ok(());
            }
            log.take_batch().1
        };
        write(shared, &batch)?;
        shared.log.lock().written();
    }
}

/// What the writer is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Write,
    /// To look around.
    Nothing,
    /// Nothing is written for a while: the file is to say what outlives a crash.
    Mark,
    Stop,
}

fn write_mark(shared: &Shared) -> std::io::Result<()> {
    let synced = shared.log.lock().synced;
    shared.disk.write(MARK, &mark(synced))?;
    shared.disk.sync()?;
    shared.log.lock().marked = synced;
    Ok(())
}

/// Waits until a batch is worth writing or has waited long enough.
fn wait_for_work(shared: &Shared) -> Work {
    let flush_after = shared.options.flush_after;
    let mut pending_since = None;
    let mut log = shared.log.lock();
    loop {
        let (stop, flush) = {
            let mut control = shared.control.lock();
            (control.stop, std::mem::take(&mut control.flush))
        };
        if stop {
            return Work::Stop;
        }
        if flush || log.pending_bytes >= WORTH_WRITING {
            return Work::Write;
        }
        if log.has_pending() {
            let since = *pending_since.get_or_insert_with(Instant::now);
            let waited = since.elapsed();
            if shared.options.commit || (!flush_after.is_zero() && waited >= flush_after) {
                return Work::Write;
            }
            let rest = flush_after.saturating_sub(waited);
            let wait = if flush_after.is_zero() {
                LOOK_AGAIN
            } else {
                rest.min(LOOK_AGAIN)
            };
            shared.work.wait_for(&mut log, wait);
        } else {
            pending_since = None;
            if log.ready.len() < READY && !log.free.is_empty() {
                return Work::Write;
            }
            let waited = shared.work.wait_for(&mut log, LOOK_AGAIN);
            if waited.timed_out() && !log.has_pending() {
                return if log.marked == log.synced {
                    Work::Nothing
                } else {
                    Work::Mark
                };
            }
        }
        if log.ready.len() < READY && !log.free.is_empty() && !log.no_room {
            return Work::Write;
        }
    }
}

fn write(shared: &Shared, batch: &Batch) -> std::io::Result<()> {
    let mut before = None;
    for chunk in batch.iter() {
        // The end of a segment outlives a crash before the next one begins: only the newest can be torn.
        if before.is_some_and(|before| before != chunk.segment) {
            shared.disk.sync()?;
        }
        before = Some(chunk.segment);
        let position = shared.position(chunk.segment, chunk.offset);
        while let Err(error) = shared.disk.write(position, &chunk.bytes) {
            // Its room was taken before. Where a file system cannot do that, it is waited for.
            if error.kind() != std::io::ErrorKind::StorageFull || shared.control.lock().stop {
                return Err(error);
            }
            say_full(shared, true);
            std::thread::sleep(ASK_AGAIN);
        }
    }
    shared.disk.sync()
}

/// Takes room for the segments that are needed next.
fn make_ready(shared: &Shared) {
    loop {
        let next = {
            let log = shared.log.lock();
            if log.ready.len() >= READY {
                return;
            }
            log.free.front().copied()
        };
        let Some(segment) = next else { return };
        let position = shared.position(segment, 0);
        let length = shared.header.segment_bytes.into();
        match shared.disk.allocate(position, length) {
            Ok(()) => {
                say_full(shared, false);
                let mut log = shared.log.lock();
                log.free.pop_front();
                log.ready.push_back(segment);
                if let Some(segment) = log.segments.get_mut(segment as usize) {
                    segment.state = SegmentState::Ready;
                }
                drop(log);
                shared.room.notify_waiters();
            }
            Err(error) => {
                tracing::debug!(target: "drv", "{}: {error}", shared.disk.name());
                say_full(shared, true);
                return;
            }
        }
    }
}

fn say_full(shared: &Shared, full: bool) {
    let was_full = std::mem::replace(&mut shared.log.lock().no_room, full);
    let name = shared.disk.name();
    match (was_full, full) {
        (false, true) => tracing::warn!(
            target: "drv",
            "{name}: the file system is full: writes stop when {READY} segments are used up, removals go on"
        ),
        (true, false) => tracing::info!(target: "drv", "{name}: the file system has room again"),
        _ => {}
    }
    if was_full != full {
        shared.room.notify_waiters();
    }
}

/// Nothing is acknowledged any more: after a failed write or sync nobody knows what the disk has.
fn fail(shared: &Shared, error: std::io::Error) {
    let name = shared.disk.name();
    tracing::error!(target: "drv", "{name}: cannot be written: {error}; writes are refused until a restart");
    let error = StorageError::Failed(format!("{name}: cannot be written: {error}"));
    shared.log.lock().broken = Some(error.clone());
    shared
        .progress
        .send_modify(|progress| progress.broken = Some(error));
    shared.written.notify_all();
    shared.room.notify_waiters();
}
