use data::record::{Handle, StoredRecord};
use protocol::bounds::Within as _;
use protocol::key::Digest;

/// Most entries of a leaf.
const LEAF: usize = 64;
/// Two neighbours that have no more together become one leaf.
const MERGED: usize = LEAF / 2;
/// Room is added to a leaf for so many entries at a time, so that little of it is empty.
const STEP: usize = 8;

/// What a table holds: a record, and what its engine notes about it.
pub(super) trait Entry {
    /// The record, or its outline.
    fn record(&self) -> &StoredRecord;

    /// The same with its record in memory of its own.
    fn moved(&self) -> Self;
}

impl Entry for StoredRecord {
    fn record(&self) -> &StoredRecord {
        self
    }

    fn moved(&self) -> Self {
        Self::moved(self)
    }
}

/// The records of one partition in ascending order of digest.
///
/// Sorted leaves of pointers, with four bytes of the digest beside each; the digest itself stands in the record. A
/// look-up compares those bytes, and then one record. An empty table costs no allocation, an entry 16 bytes at most, its
/// pointer included, and clients, who choose digests, cannot make it slow by choosing badly: equal bytes are told apart
/// by halving, too.
#[derive(Debug)]
pub(super) struct DigestTable<E> {
    leaves: Vec<Leaf<E>>,
    len: usize,
}

/// What a handle names.
#[derive(Debug)]
pub(super) enum OfHandle<'t, E> {
    None,
    One(&'t E),
    Several(Vec<Digest>),
}

impl<E> Default for DigestTable<E> {
    fn default() -> Self {
        Self {
            leaves: Vec::new(),
            len: 0,
        }
    }
}

#[derive(Debug)]
struct Leaf<E> {
    // One of each for every entry, in the same order; a leaf has at least one.
    heads: Vec<u32>,
    entries: Vec<E>,
}

/// The bytes of a digest by which records of one partition are told apart first. What stands in front of them is the
/// partition.
fn head(digest: &Digest) -> u32 {
    let [_, a, b, c, d, ..] = digest.0;
    u32::from_be_bytes([a, b, c, d])
}

impl<E: Entry> Leaf<E> {
    /// The place of a digest: of its entry, or where it would be.
    fn place(&self, head: u32, digest: &Digest) -> Result<usize, usize> {
        let mut place = self.heads.partition_point(|other| *other < head);
        let equal = self.heads.within(place..);
        let equal = equal.partition_point(|other| *other == head);
        let same = self.entries.within(place..place + equal);
        let found = same.binary_search_by(|entry| entry.record().compare(digest));
        place += found.unwrap_or_else(|at| at);
        found.map(|_| place).map_err(|_| place)
    }

    /// Whether the first entry comes after a digest.
    fn begins_after(&self, head: u32, digest: &Digest) -> bool {
        match self.heads.first() {
            Some(first) if *first == head => self
                .entries
                .first()
                .is_some_and(|entry| entry.record().compare(digest).is_gt()),
            Some(first) => *first > head,
            None => true,
        }
    }

    fn insert(&mut self, place: usize, head: u32, entry: E) {
        if self.entries.len() == self.entries.capacity() {
            self.heads.reserve_exact(STEP);
            self.entries.reserve_exact(STEP);
        }
        self.heads.insert(place, head);
        self.entries.insert(place, entry);
    }

    /// The same in new memory, with the room that such a leaf has.
    fn moved(&self) -> Self {
        let room = self.entries.len().next_multiple_of(STEP);
        let mut moved = Self {
            heads: Vec::with_capacity(room),
            entries: Vec::with_capacity(room),
        };
        moved.heads.extend_from_slice(&self.heads);
        moved.entries.extend(self.entries.iter().map(E::moved));
        moved
    }

    fn fit(&mut self) {
        let spare = self.entries.capacity() - self.entries.len();
        if spare > STEP {
            let room = self.entries.len() + STEP / 2;
            self.heads.shrink_to(room);
            self.entries.shrink_to(room);
        }
    }
}

impl<E: Entry> DigestTable<E> {
    /// Number of entries.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The leaf in which a digest is, if it is anywhere.
    fn leaf(&self, head: u32, digest: &Digest) -> usize {
        let after = self
            .leaves
            .partition_point(|leaf| !leaf.begins_after(head, digest));
        after.saturating_sub(1)
    }

    pub(super) fn get(&self, digest: &Digest) -> Option<&E> {
        let head = head(digest);
        let leaf = self.leaves.get(self.leaf(head, digest))?;
        leaf.entries.get(leaf.place(head, digest).ok()?)
    }

    /// The entry of this handle if there is one, or all of them.
    pub(super) fn named(&self, handle: Handle) -> OfHandle<'_, E> {
        let first = handle.first_digest();
        let head = head(&first);
        let Some(leaf) = self.leaves.get(self.leaf(head, &first)) else {
            return OfHandle::None;
        };
        let place = match leaf.place(head, &first) {
            Ok(place) | Err(place) => place,
        };
        // Most have four bytes of their own: then there is nobody to compare with, in this leaf or the next.
        let is_alone = leaf.heads.get(place) == Some(&head)
            && leaf.heads.get(place + 1).is_some_and(|next| *next != head);
        let has_name = |entry: &&E| Handle::of(&entry.record().digest()) == handle;
        if is_alone {
            let entry = leaf.entries.get(place).filter(has_name);
            return entry.map_or(OfHandle::None, OfHandle::One);
        }
        let mut named = self.from(&first).take_while(has_name);
        match (named.next(), named.next()) {
            (None, _) => OfHandle::None,
            (Some(one), None) => OfHandle::One(one),
            (Some(one), Some(two)) => {
                let all = [one, two].into_iter().chain(named);
                OfHandle::Several(all.map(|entry| entry.record().digest()).collect())
            }
        }
    }

    /// The entries from this digest on.
    fn from(&self, first: &Digest) -> impl Iterator<Item = &E> {
        let head = head(first);
        let at = self.leaf(head, first);
        let place = self.leaves.get(at).map_or(0, |leaf| {
            leaf.place(head, first).unwrap_or_else(|place| place)
        });
        let leaves = self.leaves.within(at..);
        leaves.iter().flat_map(|leaf| &leaf.entries).skip(place)
    }

    /// Puts an entry in its place; gives the one of the same digest that was there.
    pub(super) fn insert(&mut self, entry: E) -> Option<E> {
        let digest = entry.record().digest();
        let head = head(&digest);
        let at = self.leaf(head, &digest);
        let Some(leaf) = self.leaves.get_mut(at) else {
            let mut first = Leaf {
                heads: Vec::new(),
                entries: Vec::new(),
            };
            first.insert(0, head, entry);
            self.leaves.push(first);
            self.len += 1;
            return None;
        };
        let place = match leaf.place(head, &digest) {
            Ok(place) => {
                let old = leaf.entries.get_mut(place)?;
                return Some(std::mem::replace(old, entry));
            }
            Err(place) => place,
        };
        self.len += 1;
        if leaf.entries.len() < LEAF {
            leaf.insert(place, head, entry);
            return None;
        }
        let mut right = Leaf {
            heads: leaf.heads.split_off(LEAF / 2),
            entries: leaf.entries.split_off(LEAF / 2),
        };
        match place.checked_sub(LEAF / 2) {
            Some(place) if place > 0 => right.insert(place, head, entry),
            _ => leaf.insert(place, head, entry),
        }
        leaf.fit();
        if self.leaves.len() == self.leaves.capacity() {
            self.leaves.reserve_exact(1 + self.leaves.len() / 4);
        }
        self.leaves.insert(at + 1, right);
        None
    }

    /// Takes the entry of a digest out.
    pub(super) fn remove(&mut self, digest: &Digest) -> Option<E> {
        let head = head(digest);
        let at = self.leaf(head, digest);
        let leaf = self.leaves.get_mut(at)?;
        let place = leaf.place(head, digest).ok()?;
        leaf.heads.remove(place);
        let entry = leaf.entries.remove(place);
        leaf.fit();
        self.len -= 1;
        if leaf.entries.is_empty() {
            self.leaves.remove(at);
        } else if !self.merge(at) && at > 0 {
            self.merge(at - 1);
        }
        if self.leaves.capacity() > 2 * self.leaves.len() + 2 {
            self.leaves.shrink_to_fit();
        }
        Some(entry)
    }

    /// Takes the leaf behind one into it if both are small.
    fn merge(&mut self, at: usize) -> bool {
        let Some([left, right]) = self
            .leaves
            .get_mut(at..)
            .and_then(|rest| rest.first_chunk_mut())
        else {
            return false;
        };
        if left.entries.len() + right.entries.len() > MERGED {
            return false;
        }
        left.heads.reserve_exact(right.heads.len());
        left.entries.reserve_exact(right.entries.len());
        left.heads.append(&mut right.heads);
        left.entries.append(&mut right.entries);
        left.fit();
        self.leaves.remove(at + 1);
        true
    }

    /// Moves the leaf of this number, and its records, into new memory; the next number, or none at the end.
    pub(super) fn repack(&mut self, number: usize) -> Option<usize> {
        let leaf = self.leaves.get_mut(number)?;
        *leaf = leaf.moved();
        let next = number + 1;
        (next < self.leaves.len()).then_some(next)
    }

    /// The entries from the first after a digest on.
    pub(super) fn after(&self, after: Option<&Digest>) -> impl Iterator<Item = &E> {
        let (at, place) = match after {
            None => (0, 0),
            Some(digest) => {
                let head = head(digest);
                let at = self.leaf(head, digest);
                let place = self.leaves.get(at).map_or(0, |leaf| {
                    leaf.place(head, digest)
                        .map_or_else(|place| place, |place| place + 1)
                });
                (at, place)
            }
        };
        let leaves = self.leaves.within(at..);
        let first = leaves.first().and_then(|leaf| leaf.entries.get(place..));
        let rest = leaves.iter().skip(1).flat_map(|leaf| &leaf.entries);
        first.unwrap_or_default().iter().chain(rest)
    }

    /// Bytes that the table takes, besides the records.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        let leaves = self.leaves.iter().map(|leaf| {
            leaf.heads.capacity() * size_of::<u32>() + leaf.entries.capacity() * size_of::<E>()
        });
        leaves.sum::<usize>() + self.leaves.capacity() * size_of::<Leaf<E>>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use data::record::Parts;
    use protocol::particle::ParticleRef;

    use super::*;

    fn record(digest: Digest, token: u64) -> StoredRecord {
        let parts = Parts {
            digest,
            token,
            generation: 1,
            void_time: 0,
            last_update_ms: 0,
            set: "",
            key: None,
        };
        let bins = std::iter::empty::<(&[u8], ParticleRef<'_>)>();
        StoredRecord::new(&parts, bins, &mut Vec::new()).unwrap()
    }

    /// Digests of one partition that look like hashes, or share all but their last bytes.
    fn digest(number: u64, alike: bool) -> Digest {
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        let mut bytes = [7; 20];
        let at = if alike { 12 } else { 2 };
        bytes[at..at + 8].copy_from_slice(&mixed.to_be_bytes());
        Digest(bytes)
    }

    #[test]
    fn agrees_with_an_ordered_map_whatever_is_put_and_removed() {
        for alike in [false, true] {
            let mut table = DigestTable::default();
            let mut model = BTreeMap::new();
            let mut state = 1_u64;
            for round in 0..20_000_u64 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let growing = round < 8_000 || (12_000..14_000).contains(&round);
                let digest = digest((state >> 33) % 3_000, alike);
                if (state >> 20) % 8 < if growing { 6 } else { 2 } {
                    let old = table
                        .insert(record(digest, round))
                        .map(|old: StoredRecord| old.token());
                    assert_eq!(old, model.insert(digest, round));
                } else {
                    let old = table.remove(&digest).map(|old| old.token());
                    assert_eq!(old, model.remove(&digest));
                }
                assert_eq!(table.len(), model.len());
                let found = table.get(&digest).map(StoredRecord::token);
                assert_eq!(found, model.get(&digest).copied());
                if round % 500 == 0 {
                    let all: Vec<_> = table.after(None).map(StoredRecord::digest).collect();
                    assert_eq!(all, model.keys().copied().collect::<Vec<_>>());
                    let page: Vec<_> = table
                        .after(Some(&digest))
                        .take(9)
                        .map(StoredRecord::token)
                        .collect();
                    use std::ops::Bound::{Excluded, Unbounded};
                    let expected = model.range((Excluded(digest), Unbounded)).take(9);
                    assert_eq!(page, expected.map(|(_, token)| *token).collect::<Vec<_>>());
                }
            }
            for digest in model.keys() {
                table.remove(digest);
            }
            assert_eq!(
                (table.len(), table.bytes()),
                (0, 0),
                "nothing is left behind"
            );
        }
    }

    #[test]
    fn a_handle_names_every_record_whose_digest_begins_so() {
        let mut table = DigestTable::default();
        let digest = |begin: u64, end: u8| {
            let mut bytes = [end; 20];
            bytes[..8].copy_from_slice(&begin.to_be_bytes());
            bytes[..2].copy_from_slice(&[7, 7]);
            Digest(bytes)
        };
        // Alone, alone with its first four bytes, one of several, one of more than a leaf.
        let counts = [(5 << 40, 1), (6, 1), (7, 3), (8, 200), (9 << 40, 1)];
        for (begin, count) in counts {
            for end in 0..count {
                table.insert(record(digest(begin, end), 1));
            }
        }
        for (begin, count) in [(4, 0), (10, 0), (u64::MAX, 0)].into_iter().chain(counts) {
            let found = match table.named(Handle::of(&digest(begin, 0))) {
                OfHandle::None => Vec::new(),
                OfHandle::One(record) => vec![record.digest()],
                OfHandle::Several(digests) => digests,
            };
            let expected: Vec<_> = (0..count).map(|end| digest(begin, end)).collect();
            assert_eq!(found, expected, "{begin}");
        }
        let empty = DigestTable::<StoredRecord>::default();
        assert!(matches!(empty.named(Handle::FIRST), OfHandle::None));
    }

    #[test]
    fn repacking_moves_every_record_and_changes_none() {
        let mut table = DigestTable::default();
        for number in 0..1_000 {
            table.insert(record(digest(number, false), number));
        }
        for number in (0..1_000).filter(|number| number % 3 != 0) {
            table.remove(&digest(number, false));
        }
        let before: Vec<StoredRecord> = table.after(None).cloned().collect();
        let mut from = Some(0);
        while let Some(number) = from {
            from = table.repack(number);
        }
        let after: Vec<StoredRecord> = table.after(None).cloned().collect();
        assert_eq!(before.len(), after.len());
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before.as_bytes(), after.as_bytes());
            assert!(!before.is(after));
        }
        assert!(table.bytes() <= 20 * table.len());
        assert_eq!(DigestTable::<StoredRecord>::default().repack(0), None);
    }

    #[test]
    fn an_entry_takes_at_most_16_bytes_its_pointer_included() {
        for count in [244, 1_000, 10_000] {
            for in_order in [false, true] {
                let mut digests: Vec<_> = (0..count).map(|number| digest(number, false)).collect();
                if in_order {
                    digests.sort();
                }
                let mut table = DigestTable::default();
                for digest in digests {
                    table.insert(record(digest, 1));
                }
                let bytes = table.bytes();
                assert!(bytes <= 16 * table.len(), "{count}: {bytes} bytes");
                // A third stays, of each neighbourhood.
                for number in (0..count).filter(|number| number % 3 != 0) {
                    table.remove(&digest(number, false));
                }
                let bytes = table.bytes();
                assert!(
                    bytes <= 20 * table.len(),
                    "{count} thinned out: {bytes} bytes"
                );
            }
        }
    }
}
