//! The engine that keeps records in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::Mutex;
use protocol::key::Digest;

use crate::storage::engine::{PARTITIONS, StorageEngine};
use data::record::Record;

/// The records of one partition.
type Partition = BTreeMap<Digest, Arc<Record>>;

/// Keeps records in memory, for as long as the process lives.
///
/// An ordered map a partition: queries resume after a digest, an empty partition costs no allocation, and clients, who
/// choose digests, cannot make it slow by choosing badly.
#[derive(Debug)]
pub struct MemoryEngine {
    partitions: Box<[Mutex<Partition>]>,
}

impl Default for MemoryEngine {
    fn default() -> Self {
        Self {
            partitions: (0..PARTITIONS).map(|_| Mutex::default()).collect(),
        }
    }
}

impl MemoryEngine {
    fn with<T>(&self, partition: u16, use_records: impl FnOnce(&mut Partition) -> T) -> Option<T> {
        let partition = self.partitions.get(usize::from(partition))?;
        Some(use_records(&mut partition.lock()))
    }
}

impl StorageEngine for MemoryEngine {
    fn get(&self, digest: &Digest) -> Option<Arc<Record>> {
        self.with(digest.partition_id(), |records| {
            records.get(digest).map(Arc::clone)
        })?
    }

    fn put(&self, digest: &Digest, record: Arc<Record>) -> Option<Arc<Record>> {
        self.with(digest.partition_id(), |records| {
            records.insert(*digest, record)
        })?
    }

    fn remove(&self, digest: &Digest) -> Option<Arc<Record>> {
        self.with(digest.partition_id(), |records| {
            let removed = records.remove(digest);
            if records.is_empty() {
                // An emptied map would keep its node.
                *records = Partition::new();
            }
            removed
        })?
    }

    fn page(
        &self,
        partition: u16,
        after: Option<&Digest>,
        limit: usize,
    ) -> Vec<(Digest, Arc<Record>)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.with(partition, |records| {
            let page = records
                .range::<Digest, _>((from, Bound::Unbounded))
                .take(limit);
            page.map(|(digest, record)| (*digest, Arc::clone(record)))
                .collect()
        })
        .unwrap_or_default()
    }

    fn partition_objects(&self, partition: u16) -> usize {
        self.with(partition, |records| records.len()).unwrap_or(0)
    }

    fn in_memory(&self) -> bool {
        true
    }

    fn persisted(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(partition: u16, tail: u8) -> Digest {
        let [low, high] = partition.to_le_bytes();
        let mut bytes = [0; 20];
        (bytes[0], bytes[1], bytes[19]) = (low, high, tail);
        Digest(bytes)
    }

    #[test]
    fn keeps_the_last_version_of_each_digest() {
        let engine = MemoryEngine::default();
        let version = |generation| {
            Arc::new(Record {
                generation,
                ..Record::default()
            })
        };
        assert!(engine.put(&digest(5, 1), version(1)).is_none());
        assert_eq!(engine.put(&digest(5, 1), version(2)).unwrap().generation, 1);
        assert_eq!(engine.get(&digest(5, 1)).unwrap().generation, 2);
        assert!(engine.get(&digest(5, 2)).is_none());
        assert_eq!(engine.remove(&digest(5, 1)).unwrap().generation, 2);
        assert!(engine.remove(&digest(5, 1)).is_none());
        assert_eq!(engine.partition_objects(5), 0);
    }

    #[test]
    fn pages_go_through_a_partition_in_order_and_resume_after_any_digest() {
        let engine = MemoryEngine::default();
        for tail in [9, 1, 7, 3, 5] {
            engine.put(&digest(4095, tail), Arc::default());
            engine.put(&digest(0, tail), Arc::default());
        }
        let tails = |after: Option<u8>, limit| {
            let after = after.map(|tail| digest(4095, tail));
            let page = engine.page(4095, after.as_ref(), limit);
            page.iter()
                .map(|(digest, _)| digest.0[19])
                .collect::<Vec<_>>()
        };
        assert_eq!(tails(None, 2), [1, 3]);
        assert_eq!(tails(Some(3), 2), [5, 7]);
        assert_eq!(
            tails(Some(4), 10),
            [5, 7, 9],
            "the digest need not exist any more"
        );
        assert!(tails(Some(9), 10).is_empty());
        assert_eq!(engine.partition_objects(4095), 5);
        assert!(engine.page(4096, None, 10).is_empty(), "no such partition");
    }
}
