//! One index: its name, its definition, its entries.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use data::record::StoredRecord;
use parking_lot::Mutex;
use protocol::key::Digest;
use protocol::limits::PARTITIONS;

use super::Definition;
use super::entries::{Entries, Entry};

/// A place in the order of a partition's entries: value, then digest.
pub type Position = (u64, Digest);

/// Most entries that the estimate of entries per value looks at.
const SAMPLE: usize = 1 << 20;

/// Most bytes that an entry takes, with its share of the room for others.
const MAX_ENTRY_BYTES: u64 = 32;

/// An index. Records and entries are kept together by who calls [`super::Indexes::update`].
#[derive(Debug)]
pub struct Index {
    name: Mutex<Arc<str>>,
    /// What it is of.
    pub definition: Definition,
    partitions: Box<[Mutex<Entries>]>,
    entries: AtomicU64,
    /// Partitions that were gone through since it was made.
    built: AtomicU32,
    is_ready: AtomicBool,
    is_dropped: AtomicBool,
    begun: Instant,
    load_ms: AtomicU64,
    /// Records with entries that the building found.
    records: AtomicU64,
    per_value: AtomicU64,
    per_record: AtomicU64,
}

impl Index {
    pub(super) fn new(name: &str, definition: Definition) -> Self {
        Self {
            name: Mutex::new(name.into()),
            definition,
            partitions: (0..PARTITIONS).map(|_| Mutex::default()).collect(),
            entries: AtomicU64::new(0),
            built: AtomicU32::new(0),
            is_ready: AtomicBool::new(false),
            is_dropped: AtomicBool::new(false),
            begun: Instant::now(),
            load_ms: AtomicU64::new(0),
            records: AtomicU64::new(0),
            per_value: AtomicU64::new(0),
            per_record: AtomicU64::new(0),
        }
    }

    /// Its name now; it may be given another one.
    #[must_use]
    pub fn name(&self) -> Arc<str> {
        Arc::clone(&self.name.lock())
    }

    pub(super) fn rename(&self, name: &str) {
        *self.name.lock() = name.into();
    }

    /// Number of entries.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    /// Entries per value and per record, estimated when it was built.
    #[must_use]
    pub fn averages(&self) -> (u64, u64) {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        (load(&self.per_value), load(&self.per_record))
    }

    /// Bytes that the entries take at most, without a look at them.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let own = self.partitions.len() * size_of::<Mutex<Entries>>();
        self.entries() * MAX_ENTRY_BYTES + own as u64
    }

    /// Bytes that the entries take.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let own = self.partitions.len() * size_of::<Mutex<Entries>>();
        let entries = self.partitions.iter().map(|entries| entries.lock().bytes());
        u64::try_from(own + entries.sum::<usize>()).unwrap_or(u64::MAX)
    }

    /// Whether all records have their entries.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Acquire)
    }

    /// Whether it is gone, while somebody still holds it.
    #[must_use]
    pub fn is_dropped(&self) -> bool {
        self.is_dropped.load(Ordering::Acquire)
    }

    pub(super) fn drop_it(&self) {
        self.is_dropped.store(true, Ordering::Release);
    }

    /// Percent of the building that is done; 100 only when it is ready.
    #[must_use]
    pub fn load_percent(&self) -> u32 {
        if self.is_ready() {
            return 100;
        }
        let built = self.built.load(Ordering::Relaxed);
        (built * 100 / u32::from(PARTITIONS)).min(99)
    }

    /// Milliseconds since the building began, or that it took.
    #[must_use]
    pub fn load_ms(&self) -> u64 {
        if self.is_ready() {
            return self.load_ms.load(Ordering::Relaxed);
        }
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Notes that a partition was gone through.
    pub fn partition_is_built(&self) {
        self.built.fetch_add(1, Ordering::Relaxed);
    }

    /// Lets queries use it: every record has its entries.
    pub fn finish(&self) {
        let records = self.records.load(Ordering::Relaxed);
        let entries = self.entries();
        if records > 0 {
            let rounded = |count: u64| (2 * entries + count) / (2 * count);
            self.per_record.store(rounded(records), Ordering::Relaxed);
            let mut values = Vec::new();
            for partition in &self.partitions {
                let partition = partition.lock();
                values.extend(partition.from(&Entry::first_of(0)).map(Entry::value));
                if values.len() >= SAMPLE {
                    break;
                }
            }
            let sample = values.len() as u64;
            values.sort_unstable();
            values.dedup();
            let distinct = (values.len() as u64).max(1);
            let per_value = (2 * sample + distinct) / (2 * distinct);
            self.per_value.store(per_value, Ordering::Relaxed);
            let took = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.load_ms.store(took, Ordering::Relaxed);
        }
        self.is_ready.store(true, Ordering::Release);
    }

    /// Adds the entries of a record that is stored. The caller holds the record's lock.
    pub fn add(&self, record: &StoredRecord) {
        let values = self.definition.values(record);
        if !values.is_empty() {
            self.records.fetch_add(1, Ordering::Relaxed);
            self.change(&record.digest(), &[], &values);
        }
    }

    /// Brings the entries of a record from one version to another; none is no record. The caller holds its lock.
    pub(super) fn update(&self, before: Option<&StoredRecord>, after: Option<&StoredRecord>) {
        if let (Some(before), Some(after)) = (before, after)
            && self.definition.is_unchanged(before, after)
        {
            return;
        }
        let values = |record: Option<&StoredRecord>| {
            record.map_or_else(Vec::new, |record| self.definition.values(record))
        };
        let (old, new) = (values(before), values(after));
        if old == new {
            return;
        }
        if let Some(record) = after.or(before) {
            self.change(&record.digest(), &old, &new);
        }
    }

    /// Takes the old values out that are not among the new ones, and puts those in: at once, for those who look.
    fn change(&self, digest: &Digest, old: &[u64], new: &[u64]) {
        let Some(partition) = self.partitions.get(usize::from(digest.partition_id())) else {
            return;
        };
        let mut entries = partition.lock();
        let before = entries.len();
        for value in old {
            if new.binary_search(value).is_err() {
                entries.remove(&Entry::new(*value, digest));
            }
        }
        for value in new {
            entries.insert(Entry::new(*value, digest));
        }
        let after = entries.len();
        drop(entries);
        let (more, fewer) = (after.saturating_sub(before), before.saturating_sub(after));
        self.entries.fetch_add(more as u64, Ordering::Relaxed);
        self.entries.fetch_sub(fewer as u64, Ordering::Relaxed);
    }

    /// The entries of one partition whose values are in one of the ranges, as they are at one moment, in order. Ranges are
    /// in order, too. With `after` only those behind that place.
    #[must_use]
    pub fn find(
        &self,
        partition: u16,
        ranges: &[(u64, u64)],
        after: Option<&Position>,
    ) -> Vec<Position> {
        let Some(entries) = self.partitions.get(usize::from(partition)) else {
            return Vec::new();
        };
        let after = after.map(|(value, digest)| Entry::new(*value, digest));
        let entries = entries.lock();
        if entries.len() == 0 {
            return Vec::new();
        }
        let mut found = Vec::new();
        for (first, last) in ranges {
            let first = Entry::first_of(*first);
            let begin = after.map_or(first, |after| after.max(first));
            let fits = |entry: &&Entry| entry.value() <= *last;
            let rest = entries.from(&begin).take_while(fits);
            let rest = rest.filter(|entry| after.as_ref().is_none_or(|after| *entry > after));
            found.extend(rest.map(|entry| (entry.value(), entry.digest())));
        }
        found
    }
}
