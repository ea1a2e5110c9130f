//! How far the building of an index is, so that a record that changes meanwhile is entered once.

use std::collections::HashSet;

use protocol::key::Digest;
use protocol::limits::PARTITIONS;

/// Who enters a record: the building, when it comes to it, or whoever changes it.
///
/// The building goes through the partitions, and through each in order of digest. Both sides ask while they hold the
/// record's lock.
#[derive(Debug)]
pub(super) struct Building {
    /// The partition that is gone through. All before it are built.
    partition: u16,
    /// Records up to this one are entered.
    passed: Option<Digest>,
    /// Records of the partition that were made while it is gone through, before the building came to them: it may see
    /// them or not. They are entered.
    early: HashSet<Digest>,
}

impl Building {
    pub(super) fn new() -> Self {
        Self {
            partition: 0,
            passed: None,
            early: HashSet::new(),
        }
    }

    /// The building begins with a partition. What it has read of it before does not count.
    pub(super) fn begin(&mut self, partition: u16) {
        self.partition = partition;
        self.passed = None;
        self.early = HashSet::new();
    }

    /// The building has come to a record; false when it is entered already.
    pub(super) fn comes_to(&mut self, digest: &Digest) -> bool {
        self.passed = Some(*digest);
        !self.early.remove(digest)
    }

    /// All records are entered.
    pub(super) fn end(&mut self) {
        self.begin(PARTITIONS);
    }

    /// A record has changed; whether its entries are to follow. `is_new` says that it was not there before.
    pub(super) fn is_to_follow(&mut self, digest: &Digest, is_new: bool) -> bool {
        let partition = digest.partition_id();
        if partition != self.partition {
            return partition < self.partition;
        }
        if self.passed.is_some_and(|passed| *digest <= passed) || self.early.contains(digest) {
            return true;
        }
        if is_new {
            self.early.insert(*digest);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A digest of a partition below 256, and its place in the order there.
    fn digest(partition: u8, place: u8) -> Digest {
        let mut bytes = [place; 20];
        (bytes[0], bytes[1]) = (partition, 0);
        Digest(bytes)
    }

    #[test]
    fn a_record_is_entered_by_one_of_both() {
        let mut building = Building::new();
        building.begin(1);
        // Built, and not begun.
        assert!(building.is_to_follow(&digest(0, 9), false));
        assert!(!building.is_to_follow(&digest(2, 1), true));
        // What the building will come to is left to it, what is made before it comes is not.
        assert!(!building.is_to_follow(&digest(1, 5), false));
        assert!(building.is_to_follow(&digest(1, 7), true));
        assert!(building.comes_to(&digest(1, 5)));
        assert!(building.is_to_follow(&digest(1, 5), false));
        assert!(building.is_to_follow(&digest(1, 3), true));
        assert!(building.is_to_follow(&digest(1, 7), false));
        assert!(!building.is_to_follow(&digest(1, 8), false));
        assert!(!building.comes_to(&digest(1, 7)));
        assert!(building.comes_to(&digest(1, 8)));
        // One that is made behind all that were seen.
        assert!(building.is_to_follow(&digest(1, 9), true));
        building.begin(2);
        assert!(building.is_to_follow(&digest(1, 9), false));
        building.end();
        assert!(building.is_to_follow(&digest(200, 1), false));
    }
}
