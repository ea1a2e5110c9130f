//! A sorted collection of entries: pieces of at most some hundred, each in memory that fits it.

use data::record::Handle;
use protocol::bounds::Within as _;

/// Most entries of a piece.
const PIECE: usize = 64;

/// Two pieces are put together when they have no more.
const MERGED: usize = PIECE / 2;

/// Room is added to a piece for so many entries at a time.
const STEP: usize = 8;

/// Entries of a line of memory, which comes as a whole.
const LINE: usize = 64 / size_of::<Entry>();

/// A value, and what the record that has it is called by; in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The value, see [`super::Definition::values`].
    pub value: u64,
    /// The record, or several whose digests begin alike: then there are as many equal entries.
    pub handle: Handle,
}

impl Entry {
    /// The first that an entry of this value could be.
    pub(super) fn first_of(value: u64) -> Self {
        Self {
            value,
            handle: Handle::FIRST,
        }
    }
}

/// Entries in order; equal ones stand beside each other. No piece is empty.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// The first entry of each piece: a look for an entry reads these, and then one piece.
    firsts: Vec<Entry>,
    pieces: Vec<Vec<Entry>>,
    len: usize,
}

impl Entries {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The last piece that begins with this entry or one before it, else the first piece.
    fn piece(&self, entry: &Entry) -> usize {
        let after = self.firsts.partition_point(|first| first <= entry);
        after.saturating_sub(1)
    }

    /// Adds an entry.
    pub(super) fn insert(&mut self, entry: Entry) {
        self.len += 1;
        let at = self.piece(&entry);
        let (Some(piece), Some(first)) = (self.pieces.get_mut(at), self.firsts.get_mut(at)) else {
            self.put_piece(0, vec![entry]);
            return;
        };
        let place = place(piece, &entry);
        if place == 0 {
            *first = entry;
        }
        if piece.len() < PIECE {
            grow(piece);
            piece.insert(place, entry);
            return;
        }
        // What comes in order fills one piece after the other.
        let right = if place == piece.len() {
            vec![entry]
        } else {
            let mut right = Vec::with_capacity(PIECE / 2 + 1);
            right.extend_from_slice(piece.within(PIECE / 2..));
            piece.truncate(PIECE / 2);
            match place.checked_sub(piece.len()) {
                Some(place) if place > 0 => right.insert(place, entry),
                _ => piece.insert(place, entry),
            }
            piece.shrink_to(PIECE / 2 + 1);
            right
        };
        self.put_piece(at + 1, right);
    }

    fn put_piece(&mut self, at: usize, piece: Vec<Entry>) {
        if let Some(first) = piece.first() {
            if self.pieces.len() == self.pieces.capacity() {
                let more = 1 + self.pieces.len() / 4;
                self.pieces.reserve_exact(more);
                self.firsts.reserve_exact(more);
            }
            self.firsts.insert(at, *first);
            self.pieces.insert(at, piece);
        }
    }

    fn take_piece(&mut self, at: usize) {
        self.firsts.remove(at);
        self.pieces.remove(at);
        if self.pieces.capacity() > 2 * self.pieces.len() {
            self.firsts.shrink_to_fit();
            self.pieces.shrink_to_fit();
        }
    }

    /// Takes one such entry out; false when there is none.
    pub(super) fn remove(&mut self, entry: &Entry) -> bool {
        let at = self.piece(entry);
        let (Some(piece), Some(first)) = (self.pieces.get_mut(at), self.firsts.get_mut(at)) else {
            return false;
        };
        let place = place(piece, entry);
        if piece.get(place) != Some(entry) {
            return false;
        }
        piece.remove(place);
        self.len -= 1;
        if piece.capacity() > piece.len() + STEP {
            piece.shrink_to(piece.len() + STEP / 2);
        }
        match piece.first() {
            None => self.take_piece(at),
            Some(now) => {
                *first = *now;
                if !self.merge(at) && at > 0 {
                    self.merge(at - 1);
                }
            }
        }
        true
    }

    /// Puts an entry in the place of another one: what changes by little stays in its piece, which then only moves what is
    /// in between. False when the other one is not there: then nothing is
    /// put.
    pub(super) fn replace(&mut self, old: &Entry, new: Entry) -> bool {
        let at = self.piece(old);
        let is_behind = self.firsts.get(at).is_some_and(|first| *first < new);
        let is_before = self.firsts.get(at + 1).is_none_or(|next| new < *next);
        let piece = self.pieces.get_mut(at).filter(|_| is_behind && is_before);
        let Some(piece) = piece else {
            let was_there = self.remove(old);
            if was_there {
                self.insert(new);
            }
            return was_there;
        };
        let from = place(piece, old);
        if piece.get(from) != Some(old) {
            return false;
        }
        let to = place(piece, &new);
        // Without the old one, all behind it are one place further in front.
        let (to, moved) = if to > from {
            (to - 1, piece.get_mut(from..to))
        } else {
            (to, piece.get_mut(to..=from))
        };
        if let Some(moved) = moved {
            if to >= from {
                moved.rotate_left(1);
            } else {
                moved.rotate_right(1);
            }
        }
        if let Some(place) = piece.get_mut(to) {
            *place = new;
        }
        if let (Some(first), Some(now)) = (self.firsts.get_mut(at), piece.first()) {
            *first = *now;
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
        self.take_piece(at + 1);
        true
    }

    /// The entries from this one on.
    pub(super) fn from(&self, first: Entry) -> impl Iterator<Item = &Entry> {
        let before = self.firsts.partition_point(|other| *other < first);
        let pieces = self.pieces.get(before.saturating_sub(1)..);
        let pieces = pieces.unwrap_or_default();
        let place = pieces.first().map_or(0, |piece| place(piece, &first));
        let (begun, rest) = pieces.split_at(pieces.len().min(1));
        let begun = begun.iter().filter_map(move |piece| piece.get(place..));
        begun.flatten().chain(rest.iter().flatten())
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        let pieces = self.pieces.iter();
        let entries: usize = pieces.map(Vec::capacity).sum();
        (entries + self.firsts.capacity()) * size_of::<Entry>()
            + self.pieces.capacity() * size_of::<Vec<Entry>>()
    }
}

/// Number of entries of a piece before this one. The heads of all lines are looked at, each whatever the one before was:
/// so the memory that they are in is waited for once, and not again at each step of a search by halves.
fn place(piece: &[Entry], entry: &Entry) -> usize {
    let count = |entries: usize, other: &Entry| entries + usize::from(other < entry);
    let lines = piece.iter().step_by(LINE).fold(0, count);
    let begin = lines.saturating_sub(1) * LINE;
    let line = piece.within(begin..);
    line.iter().take(LINE).fold(begin, count)
}

/// Makes room for one more, and for a few after that.
fn grow(piece: &mut Vec<Entry>) {
    if piece.len() == piece.capacity() {
        piece.reserve_exact(piece.len().clamp(1, STEP));
    }
}
