//! Reading records that are not in memory.

use std::sync::Arc;

use data::record::StoredRecord;

use super::frame::Frame;
use super::log::Place;
use super::{FileEntry, Shared};
use crate::storage::leaf::Entry;
use crate::storage::{Answer, StorageError};

/// How often a record is looked for that moves on each time.
const ATTEMPTS: usize = 100;

impl Shared {
    /// The bytes of a frame, if they can be had without a wait.
    fn at_hand(&self, place: Place) -> Option<(u64, Vec<u8>)> {
        let sequence = {
            let log = self.log.lock();
            if let Some(bytes) = log.unwritten(place) {
                return Some((log.sequence(place.segment), bytes));
            }
            log.sequence(place.segment)
        };
        let mut bytes = vec![0; place.length as usize];
        let position = self.position(place.segment, place.offset);
        self.disk
            .read_at_hand(position, &mut bytes)
            .then_some((sequence, bytes))
    }

    /// Reads a frame on a thread that may wait.
    fn wait_for(&self, place: Place) -> Result<(u64, Vec<u8>), StorageError> {
        let sequence = self.log.lock().sequence(place.segment);
        let mut bytes = vec![0; place.length as usize];
        let position = self.position(place.segment, place.offset);
        self.disk.read(position, &mut bytes).map_err(|error| {
            StorageError::Failed(format!("{}: cannot be read: {error}", self.disk.name()))
        })?;
        Ok((sequence, bytes))
    }

    /// The version that a table's entry means, out of the bytes at its place.
    fn decode(entry: &FileEntry, sequence: u64, bytes: &[u8]) -> Option<StoredRecord> {
        match Frame::read(sequence, bytes) {
            Ok((Frame::Record(record), _))
                if record.token() == entry.record.token()
                    && record.compare(&entry.record.digest()).is_eq() =>
            {
                Some(record)
            }
            _ => None,
        }
    }

    pub(super) fn read_record(
        self: &Arc<Self>,
        entry: FileEntry,
    ) -> Answer<'_, Option<StoredRecord>> {
        if let Some((sequence, bytes)) = self.at_hand(entry.place)
            && let Some(record) = Self::decode(&entry, sequence, &bytes)
        {
            return Answer::ready(Some(record));
        }
        let shared = Arc::clone(self);
        Answer::later(async move {
            let reading = tokio::task::spawn_blocking(move || shared.read_slowly(entry));
            reading
                .await
                .map_err(|error| StorageError::Failed(error.to_string()))?
        })
    }

    pub(super) fn read_records(
        self: &Arc<Self>,
        entries: Vec<FileEntry>,
    ) -> Answer<'_, Vec<StoredRecord>> {
        let shared = Arc::clone(self);
        Answer::later(async move {
            let reading = tokio::task::spawn_blocking(move || {
                let records = entries.into_iter().map(|entry| {
                    if let Some((sequence, bytes)) = shared.at_hand(entry.place)
                        && let Some(record) = Self::decode(&entry, sequence, &bytes)
                    {
                        return Ok(Some(record));
                    }
                    shared.read_slowly(entry)
                });
                // One that is removed meanwhile is not in the page.
                records.filter_map(Result::transpose).collect()
            });
            reading
                .await
                .map_err(|error| StorageError::Failed(error.to_string()))?
        })
    }

    /// Reads the version that is stored, wherever it moves meanwhile.
    fn read_slowly(&self, mut entry: FileEntry) -> Result<Option<StoredRecord>, StorageError> {
        let digest = entry.record.digest();
        for _ in 0..ATTEMPTS {
            let read = match self.at_hand(entry.place) {
                Some(read) => read,
                None => self.wait_for(entry.place)?,
            };
            if let Some(record) = Self::decode(&entry, read.0, &read.1) {
                return Ok(Some(record));
            }
            match self.entry(&digest) {
                None => return Ok(None),
                Some(now)
                    if now.place == entry.place && now.record().token() == entry.record.token() =>
                {
                    let at = self.position(entry.place.segment, entry.place.offset);
                    let error = format!(
                        "{}: damaged at byte {at}: the record {digest} is not what was written",
                        self.disk.name()
                    );
                    tracing::error!(target: "drv", "{error}");
                    return Err(StorageError::Damaged(error));
                }
                Some(now) => entry = now,
            }
        }
        Err(StorageError::Failed(format!(
            "the record {digest} moves too often to be read"
        )))
    }
}
