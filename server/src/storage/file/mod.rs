//! Records in a file: read from memory and kept on disk, or kept on disk only, with what is known of each in memory.
//!
//! ```text
//! put ─→ Log: place, pending bytes ─→ writer's thread: write, sync ─→ who waits is told
//!  │                                   cleaner's thread: what still counts of a segment moves, its room is given back
//!  └──→ DigestTable: digest → record or outline, place
//! ```
//!
//! The file has the size that the configuration states and takes room as it needs it, in segments. A frame is appended
//! for each change; nothing is written over. What a file holds is read when it is opened, see `frame` for its form. No
//! worker of the server reads, writes or syncs: what is not in the page cache is read on a thread for blocking work.

mod cleaner;
mod disk;
mod frame;
mod load;
mod log;
mod open;
mod reading;
mod repair;
mod salvage;
#[cfg(test)]
pub(crate) mod simulated;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use data::record::{Handle, StoredRecord};
use parking_lot::{Condvar, Mutex};
use protocol::key::Digest;
use tokio::sync::{Notify, watch};

pub use load::Damage;
pub(crate) use open::FILE_BYTES_MIN;
pub use open::OpenError;
pub use salvage::{Salvaged, salvage};

use super::leaf::Entry;
use super::table::{DigestTable, OfHandle};
use super::{
    Answer, Changed, Expected, Extent, Keeps, Named, PARTITIONS, Removal, Space, StorageEngine,
    StorageError, Truncation,
};
use disk::Disk;
use frame::{Frame, HEADER, Header};
use log::{Log, Place, Refusal};

/// How a file is used.
#[derive(Clone, Copy, Debug)]
pub struct FileOptions {
    /// Records are read from memory.
    pub in_memory: bool,
    /// A change is acknowledged when it outlives a crash.
    pub commit: bool,
    /// Time after which a change outlives a crash without that; zero: when so many have come that a write is worth it.
    pub flush_after: Duration,
    /// Bytes that may wait to be written.
    pub write_cache: u64,
    /// Share of a segment, in percent, below which what still counts of it is moved.
    pub clean_below_pct: u32,
}

/// Keeps records in a file.
#[derive(Debug)]
pub struct FileEngine {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    opened_with: (Vec<Truncation>, u64),
    /// Notes that were found, until somebody takes them.
    notes: Mutex<BTreeMap<u16, Vec<u8>>>,
}

/// A record as the table knows it.
#[derive(Clone, Debug)]
struct FileEntry {
    /// The record, or its outline where records are read from the file.
    record: StoredRecord,
    place: Place,
}

impl Entry for FileEntry {
    fn record(&self) -> &StoredRecord {
        &self.record
    }

    fn moved(&self) -> Self {
        Self {
            record: self.record.moved(),
            place: self.place,
        }
    }
}

type Partition = DigestTable<FileEntry>;

/// How far the writer is.
#[derive(Clone, Debug, Default)]
struct Progress {
    /// The last batch that outlives a crash.
    durable: u64,
    broken: Option<StorageError>,
}

#[derive(Debug)]
struct Shared {
    disk: Box<dyn Disk>,
    header: Header,
    options: FileOptions,
    partitions: Box<[Mutex<Partition>]>,
    /// Locked after a partition, never before one.
    log: Mutex<Log>,
    /// Wakes the writer.
    work: Condvar,
    /// Wakes the cleaner, and threads that wait for a batch.
    written: Condvar,
    progress: watch::Sender<Progress>,
    /// There is room where there was none.
    room: Notify,
    control: Mutex<Control>,
}

/// What the threads are asked.
#[derive(Debug, Default)]
struct Control {
    flush: bool,
    stop: bool,
}

impl Shared {
    fn partition(&self, digest: &Digest) -> Option<&Mutex<Partition>> {
        self.partitions.get(usize::from(digest.partition_id()))
    }

    fn position(&self, segment: u32, offset: u32) -> u64 {
        HEADER as u64
            + u64::from(segment) * u64::from(self.header.segment_bytes)
            + u64::from(offset)
    }

    fn entry(&self, digest: &Digest) -> Option<FileEntry> {
        self.partition(digest)?.lock().get(digest).cloned()
    }

    /// Takes a frame of a change, waiting until there is room for it in the buffers.
    async fn take(
        &self,
        frame: &Frame,
        reserved: bool,
    ) -> Result<(Unsettled<'_>, u64), StorageError> {
        self.with_room(|| self.try_take(frame, reserved)).await
    }

    /// Does something as soon as there is room for it in the buffers.
    async fn with_room<T>(
        &self,
        mut act: impl FnMut() -> Result<T, Refusal>,
    ) -> Result<T, StorageError> {
        loop {
            let room = self.room.notified();
            match act() {
                Ok(done) => return Ok(done),
                Err(Refusal::Never(error)) => return Err(error),
                // The writer makes room at least that often.
                Err(Refusal::Later) => {
                    drop(tokio::time::timeout(Duration::from_millis(50), room).await);
                }
            }
        }
    }

    /// Takes a frame of a change. Its segment is not cleaned before the change is made, or given up: until then no table
    /// says that the frame counts.
    fn try_take(&self, frame: &Frame, reserved: bool) -> Result<(Unsettled<'_>, u64), Refusal> {
        let mut log = self.log.lock();
        let (place, batch) = self.append(&mut log, frame, reserved)?;
        log.settle(place, true);
        Ok((Unsettled::new(self, place), batch))
    }

    /// Takes a frame that the table knows already, at another place.
    fn try_append(&self, frame: &Frame, reserved: bool) -> Result<(Place, u64), Refusal> {
        self.append(&mut self.log.lock(), frame, reserved)
    }

    fn append(
        &self,
        log: &mut Log,
        frame: &Frame,
        reserved: bool,
    ) -> Result<(Place, u64), Refusal> {
        if log.pending_bytes as u64 > self.options.write_cache && !reserved {
            return Err(Refusal::Later);
        }
        let was_empty = !log.has_pending();
        let taken = log.append(frame, reserved);
        let wake = was_empty || self.options.commit || log.pending_bytes >= writer::WORTH_WRITING;
        if wake || taken.is_err() {
            self.work.notify_one();
        }
        taken
    }

    /// Waits until a batch outlives a crash.
    async fn durable(&self, batch: u64) -> Result<(), StorageError> {
        let mut progress = self.progress.subscribe();
        let reached = progress
            .wait_for(|progress| progress.durable >= batch || progress.broken.is_some())
            .await;
        match reached {
            Ok(progress) if progress.durable >= batch => Ok(()),
            Ok(progress) => Err(progress.broken.clone().unwrap_or_else(closed)),
            Err(_) => Err(closed()),
        }
    }

    /// Makes a change whose frame has been taken, if it may still be made.
    fn apply(
        &self,
        digest: &Digest,
        expected: Expected,
        new: Option<FileEntry>,
        place: Place,
    ) -> Changed {
        let Some(partition) = self.partition(digest) else {
            return Changed::Mismatch;
        };
        let mut partition = partition.lock();
        if !expected.permits(partition.get(digest).map(Entry::record)) {
            drop(partition);
            self.forget(place);
            return Changed::Mismatch;
        }
        let old = match new {
            Some(entry) => partition.insert(entry),
            None => partition.remove(digest),
        };
        let old = old.map(|old| {
            self.log.lock().add_live(old.place, false);
            old.record
        });
        Changed::Done(old)
    }

    /// A frame is of no use.
    fn forget(&self, place: Place) {
        self.log.lock().add_live(place, false);
    }
}

fn closed() -> StorageError {
    StorageError::Failed("the file is being closed".to_owned())
}

/// A frame whose change waits; it is of no use if whoever waits goes away.
struct Unsettled<'s> {
    shared: &'s Shared,
    place: Place,
    /// It has become what is stored.
    counts: bool,
}

impl<'s> Unsettled<'s> {
    fn new(shared: &'s Shared, place: Place) -> Self {
        Self {
            shared,
            place,
            counts: false,
        }
    }
}

impl Unsettled<'_> {
    /// Makes the change.
    fn make(mut self, digest: &Digest, expected: Expected, new: Option<FileEntry>) -> Changed {
        let changed = self.shared.apply(digest, expected, new, self.place);
        // What did not come about was forgotten already.
        self.counts = true;
        changed
    }
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        let mut log = self.shared.log.lock();
        log.settle(self.place, false);
        if !self.counts {
            log.add_live(self.place, false);
        }
    }
}

impl FileEngine {
    /// Does a change: takes its frame, waits for it where changes are acknowledged late, and makes it.
    fn change(
        &self,
        digest: Digest,
        expected: Expected,
        frame: Option<Frame>,
        new: Option<StoredRecord>,
    ) -> Answer<'_, Changed> {
        let shared = &*self.shared;
        let reserved = new.is_none();
        let entry = move |place, new: Option<StoredRecord>| {
            new.map(|record| FileEntry {
                record: if shared.options.in_memory {
                    record
                } else {
                    record.outline()
                },
                place,
            })
        };
        let Some(frame) = frame else {
            let nowhere = Place {
                segment: u32::MAX,
                offset: 0,
                length: 0,
            };
            return Answer::ready(shared.apply(&digest, expected, None, nowhere));
        };
        if !shared.options.commit {
            match shared.try_take(&frame, reserved) {
                Ok((taken, _)) => {
                    let entry = entry(taken.place, new);
                    return Answer::ready(taken.make(&digest, expected, entry));
                }
                Err(Refusal::Never(error)) => return Answer::of(Err(error)),
                Err(Refusal::Later) => {}
            }
        }
        Answer::later(async move {
            let (taken, batch) = shared.take(&frame, reserved).await?;
            if shared.options.commit {
                shared.durable(batch).await?;
            }
            let entry = entry(taken.place, new);
            Ok(taken.make(&digest, expected, entry))
        })
    }
}

impl StorageEngine for FileEngine {
    fn get(&self, digest: &Digest, extent: Extent) -> Answer<'_, Option<StoredRecord>> {
        match self.shared.entry(digest) {
            None => Answer::ready(None),
            Some(entry) if extent == Extent::Outline || !entry.record.is_outline() => {
                Answer::ready(Some(entry.record))
            }
            Some(entry) => self.shared.read_record(entry),
        }
    }

    fn named(&self, handle: Handle) -> Answer<'_, Named> {
        let Some(partition) = self
            .shared
            .partitions
            .get(usize::from(handle.partition_id()))
        else {
            return Answer::ready(Named::None);
        };
        let entry = match partition.lock().named(handle) {
            OfHandle::None => return Answer::ready(Named::None),
            OfHandle::Several(digests) => return Answer::ready(Named::Several(digests)),
            OfHandle::One(entry) => entry.clone(),
        };
        if !entry.record.is_outline() {
            return Answer::ready(Named::One(entry.record));
        }
        let of = |read: Option<StoredRecord>| read.map_or(Named::None, Named::One);
        match self.shared.read_record(entry) {
            Answer::Ready(read) => Answer::Ready(read.map(|read| read.map(of))),
            Answer::Waits(read) => Answer::later(async move { read.await.map(of) }),
        }
    }

    fn put(&self, record: StoredRecord, expected: Expected) -> Answer<'_, Changed> {
        let digest = record.digest();
        if expected != Expected::Any
            && !expected.permits(
                self.shared
                    .entry(&digest)
                    .map(|entry| entry.record)
                    .as_ref(),
            )
        {
            return Answer::ready(Changed::Mismatch);
        }
        let frame = Frame::Record(record.clone());
        self.change(digest, expected, Some(frame), Some(record))
    }

    fn remove(&self, digest: &Digest, expected: Expected, why: Removal) -> Answer<'_, Changed> {
        let Some(entry) = self.shared.entry(digest) else {
            return Answer::ready(match expected {
                Expected::Any => Changed::Done(None),
                Expected::Version(_) => Changed::Mismatch,
            });
        };
        if !expected.permits(Some(&entry.record)) {
            return Answer::ready(Changed::Mismatch);
        }
        let frame = (why == Removal::Asked).then(|| {
            let log = self.shared.log.lock();
            Frame::Removal {
                digest: *digest,
                // It ends also what somebody began to store and was never told of.
                token: log.max_token.max(entry.record.token()),
                born: log.next_sequence,
            }
        });
        self.change(*digest, expected, frame, None)
    }

    fn page(
        &self,
        partition: u16,
        after: Option<Digest>,
        limit: usize,
        extent: Extent,
    ) -> Answer<'_, Vec<StoredRecord>> {
        let Some(partition) = self.shared.partitions.get(usize::from(partition)) else {
            return Answer::ready(Vec::new());
        };
        let entries: Vec<FileEntry> = {
            let partition = partition.lock();
            partition
                .after(after.as_ref())
                .take(limit)
                .cloned()
                .collect()
        };
        if extent == Extent::Outline || self.shared.options.in_memory {
            return Answer::ready(entries.into_iter().map(|entry| entry.record).collect());
        }
        self.shared.read_records(entries)
    }

    fn partition_objects(&self, partition: u16) -> usize {
        let partition = self.shared.partitions.get(usize::from(partition));
        partition.map_or(0, |partition| partition.lock().len())
    }

    fn truncated(&self, truncation: &Truncation) -> Answer<'_, ()> {
        let truncation = truncation.clone();
        Answer::later(async move {
            let Truncation { set, before_ms } = truncation;
            let frame = Frame::Truncation {
                set: set.clone(),
                before_ms,
            };
            let (mut taken, batch) = self.shared.take(&frame, true).await?;
            let place = taken.place;
            {
                let mut log = self.shared.log.lock();
                let known = log.truncations.get(&set).copied();
                if known.is_none_or(|(known, _)| known <= before_ms) {
                    log.truncations.insert(set, (before_ms, place));
                }
                if let Some((known, old)) = known {
                    log.add_live(if known <= before_ms { old } else { place }, false);
                }
            }
            taken.counts = true;
            drop(taken);
            self.shared.ask_to_flush();
            self.shared.durable(batch).await
        })
    }

    fn opened_with(&self) -> (Vec<Truncation>, u64) {
        self.opened_with.clone()
    }

    fn note(&self, number: u16, note: Vec<u8>) -> Answer<'_, ()> {
        Answer::later(async move {
            let frame = Frame::Note { number, note };
            let shared = &self.shared;
            shared
                .with_room(|| {
                    // In one hold: the cleaner must not move the note before to behind this one.
                    let mut log = shared.log.lock();
                    let (place, _) = shared.append(&mut log, &frame, true)?;
                    if let Some(old) = log.notes.insert(number, place) {
                        log.add_live(old, false);
                    }
                    Ok(())
                })
                .await
        })
    }

    fn take_notes(&self) -> BTreeMap<u16, Vec<u8>> {
        std::mem::take(&mut *self.notes.lock())
    }

    fn flush(&self) -> Answer<'_, ()> {
        Answer::later(async {
            let batch = self.shared.last_batch();
            self.shared.ask_to_flush();
            self.shared.durable(batch).await
        })
    }

    fn close(&self) -> Answer<'_, ()> {
        Answer::later(async {
            let batch = self.shared.last_batch();
            self.shared.ask_to_flush();
            self.shared.durable(batch).await?;
            let shared = Arc::clone(&self.shared);
            self.shared.stop();
            let threads = std::mem::take(&mut *self.threads.lock());
            let closing = tokio::task::spawn_blocking(move || {
                for thread in threads {
                    // It says itself why it ended.
                    drop(thread.join());
                }
                shared.mark_closed()
            });
            closing
                .await
                .map_err(|error| StorageError::Failed(error.to_string()))?
        })
    }

    fn repack(&self, partition: u16, from: usize) -> Option<usize> {
        let records = self.shared.partitions.get(usize::from(partition))?;
        records.lock().repack(from)
    }

    fn keeps(&self) -> Keeps {
        Keeps {
            in_memory: self.shared.options.in_memory,
            persisted: true,
        }
    }

    fn space(&self) -> Option<Space> {
        let log = self.shared.log.lock();
        Some(Space {
            total: log.segments.len() as u64 * u64::from(log.segment_bytes),
            used: log.live(),
            available: log.available(),
        })
    }
}

impl Shared {
    /// The number of the last batch that has something in it.
    fn last_batch(&self) -> u64 {
        let log = self.log.lock();
        if log.has_pending() {
            log.batch
        } else {
            log.batch - 1
        }
    }

    fn ask_to_flush(&self) {
        self.control.lock().flush = true;
        // The writer looks while it holds the log.
        drop(self.log.lock());
        self.work.notify_all();
    }

    fn stop(&self) {
        self.control.lock().stop = true;
        drop(self.log.lock());
        self.work.notify_all();
        self.written.notify_all();
    }

    /// Writes where the last frame ended.
    fn mark_closed(&self) -> Result<(), StorageError> {
        let failed = |error| {
            StorageError::Failed(format!("{}: cannot be closed: {error}", self.disk.name()))
        };
        if let Some(error) = &self.log.lock().broken {
            return Err(error.clone());
        }
        writer::write_rest(self).map_err(failed)?;
        let log = self.log.lock();
        let header = Header {
            closed_at: log.end(),
            ..self.header.clone()
        };
        let written = self.disk.write(0, &header.to_bytes());
        let synced = written.and_then(|()| self.disk.sync());
        synced.map_err(failed)
    }
}

impl Drop for FileEngine {
    fn drop(&mut self) {
        self.shared.stop();
        for thread in self.threads.get_mut().drain(..) {
            // It says itself why it ended.
            drop(thread.join());
        }
    }
}

fn empty_partitions() -> Box<[Mutex<Partition>]> {
    (0..PARTITIONS).map(|_| Mutex::default()).collect()
}
