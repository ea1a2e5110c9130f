//! What an index has found, and the records that it means.

use std::collections::HashSet;
use std::time::Instant;

use data::record::{Handle, StoredRecord};
use protocol::key::Digest;

use super::lookup::Lookup;
use super::starts::Resume;
use crate::index::{Entry, SHEET};
use crate::record::Namespace;
use crate::storage::{Named, StorageError};

/// Entries that an index had at one moment, in order of partition, then of value and handle.
///
/// Several records may share a handle: no hash does that, but clients may choose digests. They all count at its first
/// entry.
#[derive(Debug)]
pub(crate) struct Found {
    entries: Vec<Entry>,
    next: usize,
    /// Where the query goes on, in order of partition: behind the record of this value and digest.
    resumed: Vec<(u64, Digest)>,
    /// Handles of several records, which have had their turn.
    shared: HashSet<Handle>,
}

impl Found {
    fn new(entries: Vec<Entry>, resumed: Vec<(u64, Digest)>) -> Self {
        Self {
            entries,
            next: 0,
            resumed,
            shared: HashSet::new(),
        }
    }

    /// What an index has of a partition.
    pub(super) fn of_partition(lookup: &Lookup, partition: u16) -> Self {
        let bit = 1 << (partition % SHEET);
        Self::new(lookup.entries(partition / SHEET, bit), Vec::new())
    }

    /// What an index has of some partitions of a sheet, as bits, for a client.
    ///
    /// A record counts at its first value, also when that came before the place where the query goes on.
    pub(super) fn in_sheet(lookup: &Lookup, sheet: u16, wanted: u64, resumed: &[Resume]) -> Self {
        let resumed = resumed
            .iter()
            .filter_map(|resume| Some((lookup.value_type().of_shown(resume.value?), resume.after)));
        Self::new(lookup.entries_for_client(sheet, wanted), resumed.collect())
    }

    /// The next entry of one of these partitions of the sheet, as bits.
    pub(crate) fn next(&mut self, partitions: u64) -> Option<Entry> {
        loop {
            let entry = *self.entries.get(self.next)?;
            self.next += 1;
            let is_wanted = partitions >> (entry.handle.partition_id() % SHEET) & 1 == 1;
            if is_wanted && !self.is_behind(&entry) && !self.shared.contains(&entry.handle) {
                return Some(entry);
            }
        }
    }

    /// Where the query goes on in the partition of a handle, if not at its beginning.
    fn resumed_at(&self, handle: Handle) -> Option<&(u64, Digest)> {
        let partition = handle.partition_id();
        let resumed = &self.resumed;
        let place = resumed.binary_search_by_key(&partition, |(_, digest)| digest.partition_id());
        resumed.get(place.ok()?)
    }

    /// Whether all records of an entry come before the place where the query goes on.
    fn is_behind(&self, entry: &Entry) -> bool {
        if self.resumed.is_empty() {
            return false;
        }
        let at = self.resumed_at(entry.handle);
        at.is_some_and(|(value, digest)| (entry.value, entry.handle) < (*value, Handle::of(digest)))
    }

    /// Whether this record of an entry was given before the query went on.
    fn was_given(&self, entry: &Entry, digest: &Digest) -> bool {
        let at = self.resumed_at(entry.handle);
        at.is_some_and(|(value, last)| {
            *value == entry.value && Handle::of(last) == entry.handle && digest <= last
        })
    }

    /// Reads the records of an entry as they are now, and adds those that fit, with its value. They may have changed, or
    /// gone, since the index was looked at. False when none fits, or that is not known at `deadline`.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) async fn read(
        &mut self,
        lookup: &Lookup,
        namespace: &Namespace,
        entry: Entry,
        deadline: Option<Instant>,
        records: &mut Vec<(StoredRecord, u64)>,
    ) -> Result<bool, StorageError> {
        let before = records.len();
        match namespace.named(entry.handle).await? {
            Named::None => {}
            Named::One(record) => {
                let is_new = self.resumed.is_empty() || !self.was_given(&entry, &record.digest());
                if is_new && lookup.holds(&record, deadline) {
                    records.push((record, entry.value));
                }
            }
            Named::Several(digests) => {
                let first = self
                    .entries
                    .iter()
                    .find(|other| other.handle == entry.handle);
                self.shared.insert(entry.handle);
                if first.is_some_and(|first| self.is_behind(first)) {
                    return Ok(false);
                }
                for digest in digests {
                    if self.was_given(&entry, &digest) {
                        continue;
                    }
                    let record = namespace.stored(&digest).await?;
                    if let Some(record) = record.filter(|record| lookup.holds(record, deadline)) {
                        records.push((record, entry.value));
                    }
                }
            }
        }
        Ok(records.len() > before)
    }
}
