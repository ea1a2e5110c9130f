//! The changes since the last snapshot, each one record behind the other.
//!
//! ```text
//! record:  "UDFL" │ length u32 │ number u64 │ CRC-32 of these │ CRC-32 of what follows │ length bytes
//! ```
//!
//! Numbers are little-endian; what follows is the items of a change as JSON, in the form in which they go between nodes. The
//! number is that of the change, which a snapshot names too: a record that a snapshot has is passed over. A record that
//! the file ends in, or whose end is all zeros up to the end of the file, was being written when the machine stopped:
//! nobody was told of it. Anything else that is not whole is damage, which is named and not passed over.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::bounds::{Fit as _, Within as _};

use super::super::item::Item;
use super::super::kind::CatalogueKind;
use super::error::{StoreError, io_error};
use super::files::sync_directory;
use super::stored::StoredItem;
use super::work::DiskWork;

const MAGIC: &[u8; 4] = b"UDFL";
/// Bytes in front of the items.
const HEADER: usize = 24;

/// One change.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) number: u64,
    pub(super) items: Vec<StoredItem>,
}

#[derive(Debug)]
pub(super) struct Log {
    directory: PathBuf,
    path: PathBuf,
    /// Opened for the first change of this process.
    file: Option<File>,
    /// Bytes of whole records.
    length: u64,
    /// A write or sync failed: what stands behind the records is not known.
    broken: bool,
    work: Arc<DiskWork>,
}

impl Log {
    /// Reads what is there; no file is an empty log.
    pub(super) fn read(
        kind: &CatalogueKind,
        directory: &Path,
        work: &Arc<DiskWork>,
    ) -> Result<(Self, Vec<Change>), StoreError> {
        let path = directory.join(kind.log);
        let mut bytes = Vec::new();
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path);
        match opened.and_then(|mut file| file.read_to_end(&mut bytes)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error("read", &path)(error)),
        }
        let (changes, length) = parse(kind, &bytes).map_err(|reason| StoreError::Damaged {
            path: path.clone(),
            reason,
        })?;
        let log = Self {
            directory: directory.to_owned(),
            path,
            file: None,
            length: length.fit::<u64>(),
            broken: false,
            work: Arc::clone(work),
        };
        Ok((log, changes))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of whole records.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Appends a change. On return it is on disk; on error the log takes nothing more until it is cleared.
    pub(super) fn append(&mut self, number: u64, items: &[StoredItem]) -> Result<(), StoreError> {
        if self.broken {
            let source = io::Error::other("an earlier write failed");
            return Err(io_error("write", &self.path)(source));
        }
        let record = record(number, items).map_err(io_error("write", &self.path))?;
        let is_new = self.file.is_none();
        let file = match self.file.take() {
            Some(file) => file,
            None => self.open().map_err(io_error("open", &self.path))?,
        };
        self.work.writes(record.len());
        let written = file
            .write_all_at(&record, self.length)
            .and_then(|()| self.work.sync_data(&file));
        let file = self.file.insert(file);
        if let Err(error) = written {
            self.broken = true;
            // What was refused should not come back; if it cannot be cut off, the next snapshot passes over it.
            let _ = file.set_len(self.length);
            return Err(io_error("write", &self.path)(error));
        }
        if is_new && let Err(error) = sync_directory(&self.work, &self.directory) {
            self.broken = true;
            return Err(error);
        }
        self.length = self.length.saturating_add(record.len().fit::<u64>());
        Ok(())
    }

    /// Without what a death left behind the last whole record.
    fn open(&self) -> io::Result<File> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&self.path)?;
        file.set_len(self.length)?;
        Ok(file)
    }

    /// Forgets all records, which a snapshot on disk has. One that comes back with a power cut is passed over.
    pub(super) fn clear(&mut self) -> Result<(), StoreError> {
        if self.length == 0 && !self.broken {
            return Ok(());
        }
        let file = match self.file.take() {
            Some(file) => file,
            None => self.open().map_err(io_error("open", &self.path))?,
        };
        let cleared = file.set_len(0);
        self.file = Some(file);
        cleared.map_err(io_error("empty", &self.path))?;
        self.length = 0;
        self.broken = false;
        Ok(())
    }
}

fn record(number: u64, items: &[StoredItem]) -> io::Result<Vec<u8>> {
    let items: Vec<Item> = items.iter().map(StoredItem::to_item).collect();
    let mut record = vec![0; HEADER];
    serde_json::to_writer(&mut record, &items)?;
    let body = record.within(HEADER..);
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    let checksum = crc32fast::hash(body);
    let mut header = MAGIC.to_vec();
    header.extend(length.to_le_bytes());
    header.extend(number.to_le_bytes());
    header.extend(crc32fast::hash(&header).to_le_bytes());
    header.extend(checksum.to_le_bytes());
    if let Some(place) = record.get_mut(..HEADER) {
        place.copy_from_slice(&header);
    }
    Ok(record)
}

/// The changes, and where the last whole record ends.
fn parse(kind: &CatalogueKind, bytes: &[u8]) -> Result<(Vec<Change>, usize), String> {
    let mut changes: Vec<Change> = Vec::new();
    let mut rest = bytes;
    while let Some((header, behind)) = rest.split_at_checked(HEADER) {
        let at = bytes.len() - rest.len();
        let Some((length, number, checksum)) = read_header(header) else {
            if behind.iter().all(|byte| *byte == 0) {
                break;
            }
            return Err(format!("no record begins at byte {at}"));
        };
        let Some((body, next)) = behind.split_at_checked(length) else {
            break;
        };
        if crc32fast::hash(body) != checksum {
            // The text of items ends in no zero.
            if body.last() == Some(&0) && next.iter().all(|byte| *byte == 0) {
                break;
            }
            return Err(format!(
                "the record at byte {at} does not match its checksum"
            ));
        }
        let items: Vec<Item> = serde_json::from_slice(body)
            .map_err(|error| format!("the record at byte {at}: {error}"))?;
        for item in &items {
            item.check(kind)
                .map_err(|error| format!("`{}` at byte {at}: {error}", item.name))?;
        }
        if changes
            .last()
            .is_some_and(|last| last.number.checked_add(1) != Some(number))
        {
            return Err(format!(
                "the record at byte {at} does not follow the one before"
            ));
        }
        changes.push(Change {
            number,
            items: items.iter().map(StoredItem::from_item).collect(),
        });
        rest = next;
    }
    Ok((changes, bytes.len() - rest.len()))
}

/// Length, number and checksum of the items.
fn read_header(header: &[u8]) -> Option<(usize, u64, u32)> {
    let number = |from: usize| {
        let bytes = header.get(from..from.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    if header.get(..4)? != MAGIC || number(16)? != crc32fast::hash(header.get(..16)?) {
        return None;
    }
    let length = usize::try_from(number(4)?).ok()?;
    let change = u64::from(number(12)?) << 32 | u64::from(number(8)?);
    Some((length, change, number(20)?))
}

#[cfg(test)]
mod tests {
    use super::super::super::kind::PLAIN;
    use super::super::super::version::Version;
    use super::*;

    fn items(step: u64) -> Vec<StoredItem> {
        let content = (!step.is_multiple_of(3)).then(|| "LS0g".repeat(10));
        let version = Version::following(None, step, 1);
        vec![StoredItem::new(
            &PLAIN,
            "ñ.lua",
            version,
            content.as_deref(),
        )]
    }

    fn three() -> (tempfile::TempDir, Vec<u8>, Vec<usize>) {
        let directory = tempfile::tempdir().unwrap();
        let (mut log, changes) = Log::read(&PLAIN, directory.path(), &Arc::default()).unwrap();
        assert!(changes.is_empty());
        let mut ends = vec![0];
        for step in 1..=3 {
            log.append(6 + step, &items(step)).unwrap();
            ends.push(usize::try_from(log.length()).unwrap());
        }
        let bytes = std::fs::read(directory.path().join(PLAIN.log)).unwrap();
        (directory, bytes, ends)
    }

    #[test]
    fn changes_are_read_as_written_and_go_on_after_a_restart() {
        let (directory, ..) = three();
        let (mut log, changes) = Log::read(&PLAIN, directory.path(), &Arc::default()).unwrap();
        let numbers = |changes: &[Change]| -> Vec<u64> {
            changes.iter().map(|change| change.number).collect()
        };
        assert_eq!(numbers(&changes), [7, 8, 9]);
        for (step, change) in (1..).zip(&changes) {
            assert_eq!(change.items, items(step));
        }
        log.append(10, &items(4)).unwrap();
        let (mut log, changes) = Log::read(&PLAIN, directory.path(), &Arc::default()).unwrap();
        assert_eq!(numbers(&changes), [7, 8, 9, 10]);
        log.clear().unwrap();
        log.append(11, &items(5)).unwrap();
        let (_, changes) = Log::read(&PLAIN, directory.path(), &Arc::default()).unwrap();
        assert_eq!(numbers(&changes), [11]);
    }

    #[test]
    fn a_record_that_was_being_written_is_left_out_and_written_over() {
        let (_, bytes, ends) = three();
        for cut in ends[2]..bytes.len() {
            let mut with_zeros = bytes[..cut].to_vec();
            with_zeros.resize(bytes.len() + 4_096, 0);
            let same_length = with_zeros[..bytes.len()].to_vec();
            for left in [&bytes[..cut], &with_zeros, &same_length] {
                let directory = tempfile::tempdir().unwrap();
                std::fs::write(directory.path().join(PLAIN.log), left).unwrap();
                let (mut log, changes) =
                    Log::read(&PLAIN, directory.path(), &Arc::default()).unwrap();
                assert_eq!(changes.len(), 2, "cut at {cut}");
                log.append(9, &items(5)).unwrap();
                let (_, changes) = Log::read(&PLAIN, directory.path(), &Arc::default()).unwrap();
                assert_eq!(changes.last().unwrap().items, items(5), "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_named() {
        let (directory, bytes, _) = three();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(directory.path().join(PLAIN.log), bytes).unwrap();
            let read = Log::read(&PLAIN, directory.path(), &Arc::default());
            assert!(
                matches!(read, Err(StoreError::Damaged { .. })),
                "bit {bit}: {read:?}"
            );
        }
    }

    #[test]
    fn a_record_that_is_missing_between_others_is_named() {
        let (directory, bytes, ends) = three();
        let without_second = [&bytes[..ends[1]], &bytes[ends[2]..]].concat();
        std::fs::write(directory.path().join(PLAIN.log), without_second).unwrap();
        let read = Log::read(&PLAIN, directory.path(), &Arc::default());
        assert!(matches!(read, Err(StoreError::Damaged { .. })), "{read:?}");
    }
}
