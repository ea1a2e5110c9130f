use std::fmt;

use data::record::Handle;
use protocol::bounds::Within as _;
use protocol::key::Digest;
use smallvec::SmallVec;

use super::leaf::{Entry, LEAF, Leaf, head};

/// Two neighbours that have no more together become one leaf.
const MERGED: usize = LEAF / 2;
/// The records of one partition in ascending order of digest.
///
/// Sorted leaves of pointers, with four bytes of the digest beside each; the digest itself stands in the record. A
/// look-up compares those bytes, and then one record. The first leaf stands in the table. An empty table costs no allocation, an entry 16 bytes at most, its
/// pointer included, and clients, who choose digests, cannot make it slow by choosing badly: equal bytes are told apart
/// by halving, too.
pub(super) struct DigestTable<E> {
    leaves: SmallVec<[Leaf<E>; 1]>,
    len: usize,
}

/// Says how many there are: they themselves would be millions.
impl<E> fmt::Debug for DigestTable<E> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} records", self.len)
    }
}

/// Entries of leaves that follow each other.
struct Entries<'t, E> {
    leaves: &'t [Leaf<E>],
    /// That of the next in the first of them.
    number: usize,
}

impl<'t, E: Entry> Iterator for Entries<'t, E> {
    type Item = &'t E;

    fn next(&mut self) -> Option<&'t E> {
        loop {
            let (leaf, rest) = self.leaves.split_first()?;
            if let Some(entry) = leaf.get(self.number) {
                self.number += 1;
                return Some(entry);
            }
            (self.leaves, self.number) = (rest, 0);
        }
    }
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
            leaves: SmallVec::new(),
            len: 0,
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
        leaf.get(leaf.place(head, digest).ok()?)
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
        let is_alone =
            leaf.head(place) == Some(head) && leaf.head(place + 1).is_some_and(|next| next != head);
        let has_name = |entry: &&E| Handle::of(&entry.record().digest()) == handle;
        if is_alone {
            let entry = leaf.get(place).filter(has_name);
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
        self.beginning(at, place)
    }

    /// Puts an entry in its place; gives the one of the same digest that was there.
    pub(super) fn insert(&mut self, entry: E) -> Option<E> {
        let digest = entry.record().digest();
        let head = head(&digest);
        let at = self.leaf(head, &digest);
        let Some(leaf) = self.leaves.get_mut(at) else {
            self.leaves.push(Leaf::of(head, entry));
            self.len += 1;
            return None;
        };
        let place = match leaf.place(head, &digest) {
            Ok(place) => {
                let old = leaf.get_mut(place)?;
                return Some(std::mem::replace(old, entry));
            }
            Err(place) => place,
        };
        self.len += 1;
        if leaf.len() < LEAF {
            leaf.insert(place, head, entry);
            return None;
        }
        let mut right = leaf.split();
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
        let entry = leaf.remove(place)?;
        leaf.fit();
        self.len -= 1;
        if leaf.len() == 0 {
            self.leaves.remove(at);
        } else if !self.merge(at) && at > 0 {
            self.merge(at - 1);
        }
        let (room, len) = (self.leaves.capacity(), self.leaves.len());
        if self.leaves.spilled() && (len <= 1 || room > 2 * len + 2) {
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
        if left.len() + right.len() > MERGED {
            return false;
        }
        left.append(right);
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
        self.beginning(at, place)
    }

    /// The entries of a leaf from a number on, then those of the leaves that follow.
    fn beginning(&self, at: usize, number: usize) -> Entries<'_, E> {
        Entries {
            leaves: self.leaves.within(at..),
            number,
        }
    }

    /// Bytes that the table takes, besides the records.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        let leaves = self.leaves.iter().map(Leaf::bytes).sum::<usize>();
        let spilled = self.leaves.spilled();
        leaves + usize::from(spilled) * self.leaves.capacity() * size_of::<Leaf<E>>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use data::record::{Parts, StoredRecord};
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
