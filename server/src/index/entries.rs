//! A sorted set of entries: pieces of at most a few hundred, each in memory that fits it.

use protocol::key::{DIGEST_SIZE, Digest};

/// Most entries of a piece.
const PIECE: usize = 256;

/// Two pieces are put together when they have no more.
const MERGED: usize = PIECE / 2;

/// A value and the digest of a record that has it; in the order of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    value: [u8; 8],
    digest: [u8; DIGEST_SIZE],
}

impl Entry {
    pub(super) fn new(value: u64, digest: &Digest) -> Self {
        Self {
            value: value.to_be_bytes(),
            digest: digest.0,
        }
    }

    /// The first that an entry of this value could be.
    pub(super) fn first_of(value: u64) -> Self {
        Self::new(value, &Digest([0; DIGEST_SIZE]))
    }

    pub(super) fn value(&self) -> u64 {
        u64::from_be_bytes(self.value)
    }

    pub(super) fn digest(&self) -> Digest {
        Digest(self.digest)
    }
}

/// A sorted set. No piece is empty.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pieces: Vec<Vec<Entry>>,
    len: usize,
}

impl Entries {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The piece that an entry is in or would go into.
    fn piece(&self, entry: &Entry) -> usize {
        let ends_before = |piece: &Vec<Entry>| piece.last().is_some_and(|last| last < entry);
        let at = self.pieces.partition_point(ends_before);
        at.min(self.pieces.len().saturating_sub(1))
    }

    /// Adds an entry; false when it was there.
    pub(super) fn insert(&mut self, entry: Entry) -> bool {
        let at = self.piece(&entry);
        let Some(piece) = self.pieces.get_mut(at) else {
            self.pieces.push(vec![entry]);
            self.len = 1;
            return true;
        };
        let Err(place) = piece.binary_search(&entry) else {
            return false;
        };
        self.len += 1;
        if piece.len() < PIECE {
            grow(piece);
            piece.insert(place, entry);
            return true;
        }
        // What comes in order fills one piece after the other.
        let right = if place == piece.len() {
            vec![entry]
        } else {
            let mut right = piece.split_off(PIECE / 2);
            match place.checked_sub(piece.len()) {
                Some(place) if place > 0 => right.insert(place, entry),
                _ => {
                    grow(piece);
                    piece.insert(place, entry);
                }
            }
            piece.shrink_to_fit();
            right
        };
        self.pieces.insert(at + 1, right);
        true
    }

    /// Takes an entry out; false when it was not there.
    pub(super) fn remove(&mut self, entry: &Entry) -> bool {
        let at = self.piece(entry);
        let Some(piece) = self.pieces.get_mut(at) else {
            return false;
        };
        let Ok(place) = piece.binary_search(entry) else {
            return false;
        };
        piece.remove(place);
        self.len -= 1;
        if piece.capacity() > piece.len() + piece.len() / 4 + 8 {
            piece.shrink_to_fit();
        }
        if piece.is_empty() {
            self.pieces.remove(at);
        } else if !self.merge(at) && at > 0 {
            self.merge(at - 1);
        }
        if self.pieces.is_empty() {
            self.pieces = Vec::new();
        }
        true
    }

    /// Takes the piece behind one into it if both are small.
    fn merge(&mut self, at: usize) -> bool {
        let Some([left, right]) = self
            .pieces
            .get_mut(at..)
            .and_then(|rest| rest.first_chunk_mut())
        else {
            return false;
        };
        if left.len() + right.len() > MERGED {
            return false;
        }
        left.reserve_exact(right.len());
        left.append(right);
        self.pieces.remove(at + 1);
        true
    }

    /// The entries from this one on.
    pub(super) fn from(&self, first: &Entry) -> impl Iterator<Item = &Entry> {
        let at = self.piece(first);
        let pieces = self.pieces.get(at..).unwrap_or_default();
        let place = pieces
            .first()
            .map_or(0, |piece| piece.partition_point(|entry| entry < first));
        pieces.iter().flatten().skip(place)
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        let pieces = self.pieces.iter();
        let entries: usize = pieces
            .map(|piece| piece.capacity() * size_of::<Entry>())
            .sum();
        entries + self.pieces.capacity() * size_of::<Vec<Entry>>()
    }
}

/// Makes room for one more, and for a few after that.
fn grow(piece: &mut Vec<Entry>) {
    if piece.len() == piece.capacity() {
        piece.reserve_exact((piece.len() / 8).max(1));
    }
}
