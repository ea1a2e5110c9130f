//! A disk that forgets what was not synced when a test crashes it, all or parts of it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::disk::Disk;
use super::open::layout;
use super::{FileEngine, FileOptions, OpenError};

/// Bytes that a crash keeps or drops as a whole.
const SECTOR: u64 = 512;

/// Opens the file of a namespace on such a disk, of so many segments.
pub(crate) fn open(
    disk: &SimulatedDisk,
    namespace: &str,
    segments: u64,
    segment_bytes: u64,
    options: FileOptions,
) -> Result<FileEngine, OpenError> {
    let layout = layout(namespace, segments * segment_bytes, Some(segment_bytes));
    FileEngine::open_disk(
        Box::new(disk.clone()),
        Path::new("simulated"),
        layout,
        options,
    )
}

/// Waits for a condition that threads of an engine bring about.
pub(crate) async fn eventually(mut condition: impl FnMut() -> bool, what: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        tokio::task::yield_now().await;
    }
}

#[derive(Debug, Default)]
struct Content {
    /// What outlives a crash, by sector; others are zero.
    durable: BTreeMap<u64, Vec<u8>>,
    /// What was written since, in order.
    unsynced: Vec<(u64, Vec<u8>)>,
    size: u64,
    crashed: bool,
    syncs_until_failure: Option<u64>,
    writes_until_failure: Option<u64>,
    is_full: bool,
    syncs: u64,
}

/// Reads that wait until a test lets them go on.
#[derive(Debug, Default)]
struct Reads {
    are_held: bool,
    waiting: usize,
}

/// A handle of the disk; a clone is the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimulatedDisk(Arc<Mutex<Content>>, Arc<(Mutex<Reads>, Condvar)>);

impl Content {
    fn put(&mut self, at: u64, bytes: &[u8]) {
        let mut offset = 0;
        while offset < bytes.len() {
            let position = at + offset as u64;
            let (sector, start) = (position / SECTOR, (position % SECTOR) as usize);
            let length = (SECTOR as usize - start).min(bytes.len() - offset);
            let kept = self
                .durable
                .entry(sector)
                .or_insert_with(|| vec![0; SECTOR as usize]);
            kept[start..start + length].copy_from_slice(&bytes[offset..offset + length]);
            offset += length;
        }
    }

    fn read(&self, at: u64, buffer: &mut [u8]) {
        buffer.fill(0);
        let (first, last) = (at / SECTOR, (at + buffer.len() as u64) / SECTOR);
        for (sector, bytes) in self.durable.range(first..=last) {
            overlay(at, buffer, sector * SECTOR, bytes);
        }
        for (position, bytes) in &self.unsynced {
            overlay(at, buffer, *position, bytes);
        }
    }
}

fn overlay(at: u64, buffer: &mut [u8], position: u64, bytes: &[u8]) {
    let end = (at + buffer.len() as u64).min(position + bytes.len() as u64);
    let begin = at.max(position);
    if begin < end {
        let from = &bytes[(begin - position) as usize..(end - position) as usize];
        buffer[(begin - at) as usize..(end - at) as usize].copy_from_slice(from);
    }
}

fn failure(text: &str) -> io::Error {
    io::Error::other(text.to_owned())
}

impl SimulatedDisk {
    /// Power goes: of what was not synced each sector stays or goes as `keep` says. Who has the disk open gets errors
    /// from now on; the disk that is given back is what a new start finds.
    pub(super) fn crash(&self, mut keep: impl FnMut() -> bool) -> Self {
        let mut content = self.0.lock();
        content.crashed = true;
        let mut after = Content {
            durable: std::mem::take(&mut content.durable),
            size: content.size,
            ..Content::default()
        };
        for (position, bytes) in std::mem::take(&mut content.unsynced) {
            let mut offset = 0;
            while offset < bytes.len() {
                let at = position + offset as u64;
                let length = ((SECTOR - at % SECTOR) as usize).min(bytes.len() - offset);
                if keep() {
                    after.put(at, &bytes[offset..offset + length]);
                }
                offset += length;
            }
        }
        Self(Arc::new(Mutex::new(after)), Arc::default())
    }

    pub(super) fn fail_sync_after(&self, syncs: u64) {
        self.0.lock().syncs_until_failure = Some(syncs);
    }

    pub(super) fn fail_write_after(&self, writes: u64) {
        self.0.lock().writes_until_failure = Some(writes);
    }

    pub(super) fn set_full(&self, full: bool) {
        self.0.lock().is_full = full;
    }

    pub(super) fn syncs(&self) -> u64 {
        self.0.lock().syncs
    }

    /// Flips a bit of what is there.
    pub(super) fn flip(&self, at: u64, bit: u8) {
        let mut content = self.0.lock();
        let mut byte = [0];
        content.read(at, &mut byte);
        byte[0] ^= 1 << bit;
        content.put(at, &byte);
    }

    /// Places of bytes that are not zero.
    pub(super) fn used(&self) -> Vec<u64> {
        let content = self.0.lock();
        let sectors = content.durable.iter().flat_map(|(sector, bytes)| {
            let at = move |(offset, _): (usize, &u8)| sector * SECTOR + offset as u64;
            bytes
                .iter()
                .enumerate()
                .filter(|(_, byte)| **byte != 0)
                .map(at)
        });
        sectors.collect()
    }
}

fn count_down(left: &mut Option<u64>) -> bool {
    match left {
        Some(0) => true,
        Some(left) => {
            *left -= 1;
            false
        }
        None => false,
    }
}

impl Disk for SimulatedDisk {
    fn name(&self) -> String {
        "the simulated disk".to_owned()
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.lock().size)
    }

    fn grow(&self, size: u64) -> io::Result<()> {
        let mut content = self.0.lock();
        content.size = content.size.max(size);
        Ok(())
    }

    fn read(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        let (reads, changed) = &*self.1;
        let mut held = reads.lock();
        held.waiting += 1;
        while held.are_held {
            changed.wait(&mut held);
        }
        held.waiting -= 1;
        drop(held);
        let content = self.0.lock();
        if content.crashed {
            return Err(failure("the power is off"));
        }
        content.read(at, buffer);
        Ok(())
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut content = self.0.lock();
        if content.crashed || count_down(&mut content.writes_until_failure) {
            return Err(failure("a write failed"));
        }
        content.unsynced.push((at, bytes.to_vec()));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut content = self.0.lock();
        if content.crashed || count_down(&mut content.syncs_until_failure) {
            return Err(failure("a sync failed"));
        }
        content.syncs += 1;
        for (at, bytes) in std::mem::take(&mut content.unsynced) {
            content.put(at, &bytes);
        }
        Ok(())
    }

    fn allocate(&self, _at: u64, _length: u64) -> io::Result<()> {
        if self.0.lock().is_full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn discard(&self, at: u64, length: u64) -> io::Result<()> {
        self.write(at, &vec![0; length as usize])
    }
}

impl SimulatedDisk {
    /// Has reads wait, their threads with them, or lets them go on.
    pub(crate) fn hold_reads(&self, are_held: bool) {
        self.1.0.lock().are_held = are_held;
        self.1.1.notify_all();
    }

    /// Reads that wait now.
    pub(crate) fn waiting_reads(&self) -> usize {
        self.1.0.lock().waiting
    }

    /// Another disk with the same on it.
    pub(super) fn copy(&self) -> Self {
        let content = self.0.lock();
        let content = Content {
            durable: content.durable.clone(),
            size: content.size,
            ..Content::default()
        };
        Self(Arc::new(Mutex::new(content)), Arc::default())
    }
}
