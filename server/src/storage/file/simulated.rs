//! A disk that forgets what was not synced when a test crashes it, all or parts of it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::disk::Disk;

/// Bytes that a crash keeps or drops as a whole.
const SECTOR: u64 = 512;

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

/// A handle of the disk; a clone is the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct SimulatedDisk(Arc<Mutex<Content>>);

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
        Self(Arc::new(Mutex::new(after)))
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
    /// Another disk with the same on it.
    pub(super) fn copy(&self) -> Self {
        let content = self.0.lock();
        Self(Arc::new(Mutex::new(Content {
            durable: content.durable.clone(),
            size: content.size,
            ..Content::default()
        })))
    }
}
