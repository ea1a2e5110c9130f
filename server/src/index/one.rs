//! One index: its name, its definition, its entries.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use data::record::{Handle, StoredRecord};
use parking_lot::Mutex;
use protocol::bounds::Fit as _;
use protocol::key::Digest;
use protocol::limits::PARTITIONS;

use super::building::Building;
use super::entries::{Entries, Entry};
use super::{Definition, Values};

/// Partitions whose entries stand in one sorted collection, a sheet: those of partitions 0 to 63, and so on. A query looks
/// into so many places less; a sheet is small enough to be gone through at one moment.
pub const SHEET: u16 = 64;

/// Most entries that the estimate of entries per value looks at.
const SAMPLE: usize = 1 << 20;

/// Most bytes that an entry takes, with its share of the room for others, and a sheet beside them.
const MAX_ENTRY_BYTES: u64 = 20;
const MAX_SHEET_BYTES: u64 = 512;

/// An index. Records and entries are kept together by who calls [`super::Indexes::update`].
#[derive(Debug)]
pub struct Index {
    name: Mutex<Arc<str>>,
    /// What it is of.
    pub definition: Definition,
    sheets: Box<[Mutex<Entries>]>,
    entries: AtomicU64,
    /// Partitions that were gone through since it was made.
    built: AtomicU32,
    building: Mutex<Building>,
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
            sheets: (0..PARTITIONS.div_ceil(SHEET))
                .map(|_| Mutex::default())
                .collect(),
            entries: AtomicU64::new(0),
            built: AtomicU32::new(0),
            building: Mutex::new(Building::new()),
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
        self.entries() * MAX_ENTRY_BYTES + self.sheets.len() as u64 * MAX_SHEET_BYTES
    }

    /// Bytes that the entries take.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let own = self.sheets.len() * size_of::<Mutex<Entries>>();
        let entries = self.sheets.iter().map(|entries| entries.lock().bytes());
        (own + entries.sum::<usize>()).fit::<u64>()
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
        self.begun.elapsed().as_millis().fit::<u64>()
    }

    /// A partition is about to be gone through, from its first record on: partitions come in order.
    pub fn begin_partition(&self, partition: u16) {
        self.building.lock().begin(partition);
        self.built.store(partition.into(), Ordering::Relaxed);
    }

    /// Lets queries use it: every partition was gone through.
    pub fn finish(&self) {
        self.building.lock().end();
        self.built.store(PARTITIONS.into(), Ordering::Relaxed);
        let records = self.records.load(Ordering::Relaxed);
        let entries = self.entries();
        if records > 0 {
            let rounded = |count: u64| (2 * entries + count) / (2 * count);
            self.per_record.store(rounded(records), Ordering::Relaxed);
            let mut values = Vec::new();
            for sheet in &self.sheets {
                let sheet = sheet.lock();
                values.extend(sheet.from(Entry::first_of(0)).map(|entry| entry.value));
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
            let took = self.begun.elapsed().as_millis().fit::<u64>();
            self.load_ms.store(took, Ordering::Relaxed);
        }
        self.is_ready.store(true, Ordering::Release);
    }

    /// Enters a record that the building has come to, as it is stored now. Records of a partition come in order of digest.
    /// The caller holds the record's lock.
    pub fn enter(&self, record: &StoredRecord) {
        let digest = record.digest();
        if !self.building.lock().comes_to(&digest) {
            return;
        }
        let values = self.definition.values(record);
        if values != Values::None {
            self.records.fetch_add(1, Ordering::Relaxed);
            self.change(&digest, &Values::None, &values);
        }
    }

    /// Brings the entries of a record from one version to another; none is no record. The caller holds its lock.
    pub(super) fn update(&self, before: Option<&StoredRecord>, after: Option<&StoredRecord>) {
        let is_of_set = |record: &&StoredRecord| self.definition.has(record);
        let (before, after) = (before.filter(is_of_set), after.filter(is_of_set));
        let Some(record) = after.or(before) else {
            return;
        };
        if !self.is_ready() {
            let digest = record.digest();
            let is_new = before.is_none();
            if !self.building.lock().is_to_follow(&digest, is_new) {
                return;
            }
        }
        let of = |record: Option<&StoredRecord>| {
            record.map_or(Values::None, |record| self.definition.values(record))
        };
        let changed = match (before, after) {
            (Some(before), Some(after)) => self.definition.values_if_changed(before, after),
            _ => Some((of(before), of(after))),
        };
        if let Some((old, new)) = changed
            && old != new
        {
            self.change(&record.digest(), &old, &new);
        }
    }

    /// Takes the old values out that are not among the new ones, and puts those in that are not among the old ones: at
    /// once, for those who look.
    fn change(&self, digest: &Digest, old: &Values, new: &Values) {
        let handle = Handle::of(digest);
        let Some(sheet) = self.sheets.get(usize::from(handle.partition_id() / SHEET)) else {
            return;
        };
        let mut sheet = sheet.lock();
        if let (Values::One(old), Values::One(new)) = (old, new) {
            let entry = |value: &u64| Entry {
                value: *value,
                handle,
            };
            if !sheet.replace(&entry(old), entry(new)) {
                sheet.insert(entry(new));
                self.entries.fetch_add(1, Ordering::Relaxed);
            }
            return;
        }
        let (old, new) = (old.as_slice(), new.as_slice());
        let before = sheet.len();
        let only_in = |values: &[u64], others: &[u64], then: &mut dyn FnMut(Entry)| {
            for value in values {
                if others.binary_search(value).is_err() {
                    let value = *value;
                    then(Entry { value, handle });
                }
            }
        };
        only_in(old, new, &mut |entry| {
            sheet.remove(&entry);
        });
        only_in(new, old, &mut |entry| sheet.insert(entry));
        let after = sheet.len();
        drop(sheet);
        if after > before {
            let more = (after - before) as u64;
            self.entries.fetch_add(more, Ordering::Relaxed);
        } else if before > after {
            let fewer = (before - after) as u64;
            self.entries.fetch_sub(fewer, Ordering::Relaxed);
        }
    }

    /// The entries of some partitions of a sheet whose values are in one of the ranges, as they are at one moment: in order
    /// of partition, then of value and handle, each once. Bit `n` of `wanted` is the `n`th partition of the sheet. Ranges
    /// are in order and apart from each other.
    #[must_use]
    pub fn find(&self, sheet: u16, wanted: u64, ranges: &[(u64, u64)]) -> Vec<Entry> {
        let Some(entries) = self.sheets.get(usize::from(sheet)) else {
            return Vec::new();
        };
        let place = |entry: &Entry| entry.handle.partition_id() % SHEET;
        let mut found = Vec::with_capacity(32);
        let entries = entries.lock();
        for (first, last) in ranges {
            let rest = entries.from(Entry::first_of(*first)).copied();
            let in_range = rest.take_while(|entry| entry.value <= *last);
            found.extend(in_range.filter(|entry| wanted >> place(entry) & 1 == 1));
        }
        drop(entries);
        found.dedup();
        if !wanted.is_power_of_two() {
            found.sort_by_key(place);
        }
        found
    }
}
