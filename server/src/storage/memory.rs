//! Records in memory only.

use std::sync::OnceLock;

use data::record::{Handle, StoredRecord};
use parking_lot::Mutex;
use protocol::key::Digest;

use super::table::{DigestTable, OfHandle};
use super::{Answer, Changed, Expected, Extent, Keeps, Named, PARTITIONS, Removal, StorageEngine};

/// The records of one partition.
type Records = DigestTable<StoredRecord>;

/// A partition has a line of a cache to itself: two processors that go to two partitions do not wait for each other.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Partition(Mutex<Records>);

const _: () = assert!(size_of::<Partition>() == 64, "a line of a cache");

/// Partitions that get memory together: a page of it.
const TOGETHER: u16 = 64;

const _: () = assert!(
    PARTITIONS.is_multiple_of(TOGETHER),
    "every partition has a place"
);

/// Keeps records in memory, for as long as the process lives.
#[derive(Debug)]
pub struct MemoryEngine {
    /// All partitions, in order. Those that never had a record have no memory: an empty namespace takes no time to make.
    groups: Box<[OnceLock<Box<[Partition]>>]>,
}

impl Default for MemoryEngine {
    fn default() -> Self {
        Self {
            groups: (0..PARTITIONS / TOGETHER)
                .map(|_| OnceLock::new())
                .collect(),
        }
    }
}

/// The group of a partition, and its place in there.
fn place_of(partition: u16) -> (usize, usize) {
    (
        usize::from(partition / TOGETHER),
        usize::from(partition % TOGETHER),
    )
}

impl MemoryEngine {
    /// Does something with a partition; none where there is no such partition, or where it never had a record.
    fn with<T>(&self, partition: u16, use_records: impl FnOnce(&mut Records) -> T) -> Option<T> {
        let (group, place) = place_of(partition);
        let partition = self.groups.get(group)?.get()?.get(place)?;
        Some(use_records(&mut partition.0.lock()))
    }

    /// The same, where it is to have records.
    fn with_new<T>(
        &self,
        partition: u16,
        use_records: impl FnOnce(&mut Records) -> T,
    ) -> Option<T> {
        let (group, place) = place_of(partition);
        let group = self
            .groups
            .get(group)?
            .get_or_init(|| (0..TOGETHER).map(|_| Partition::default()).collect());
        Some(use_records(&mut group.get(place)?.0.lock()))
    }

    fn change(
        &self,
        digest: &Digest,
        expected: Expected,
        change: impl FnOnce(&mut Records) -> Option<StoredRecord>,
    ) -> Answer<'_, Changed> {
        let changed = self.with_new(digest.partition_id(), |records| {
            if expected == Expected::Any || expected.permits(records.get(digest)) {
                Changed::Done(change(records))
            } else {
                Changed::Mismatch
            }
        });
        debug_assert!(changed.is_some(), "a digest has one of the partitions");
        Answer::ready(changed.unwrap_or(Changed::Mismatch))
    }
}

impl StorageEngine for MemoryEngine {
    fn get(&self, digest: &Digest, _extent: Extent) -> Answer<'_, Option<StoredRecord>> {
        let found = self.with(digest.partition_id(), |records| {
            records.get(digest).cloned()
        });
        Answer::ready(found.flatten())
    }

    fn named(&self, handle: Handle) -> Answer<'_, Named> {
        let named = self.with(handle.partition_id(), |records| {
            match records.named(handle) {
                OfHandle::None => Named::None,
                OfHandle::One(record) => Named::One(record.clone()),
                OfHandle::Several(digests) => Named::Several(digests),
            }
        });
        Answer::ready(named.unwrap_or(Named::None))
    }

    fn put(&self, record: StoredRecord, expected: Expected) -> Answer<'_, Changed> {
        self.change(&record.digest(), expected, |records| records.insert(record))
    }

    fn remove(&self, digest: &Digest, expected: Expected, _why: Removal) -> Answer<'_, Changed> {
        self.change(digest, expected, |records| records.remove(digest))
    }

    fn page(
        &self,
        partition: u16,
        after: Option<Digest>,
        limit: usize,
        _extent: Extent,
    ) -> Answer<'_, Vec<StoredRecord>> {
        let page = self.with(partition, |records| {
            records.after(after.as_ref()).take(limit).cloned().collect()
        });
        Answer::ready(page.unwrap_or_default())
    }

    fn partition_objects(&self, partition: u16) -> usize {
        self.with(partition, |records| records.len()).unwrap_or(0)
    }

    fn repack(&self, partition: u16, from: usize) -> Option<usize> {
        self.with(partition, |records| records.repack(from))
            .flatten()
    }

    fn keeps(&self) -> Keeps {
        Keeps {
            in_memory: true,
            persisted: false,
        }
    }
}
