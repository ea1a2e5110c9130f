use data::record::StoredRecord;
use protocol::key::Digest;

/// Most entries of a leaf.
pub(super) const LEAF: usize = 64;

/// Entries of a block. Room is added to a leaf for so many at a time, so that little of it is empty.
pub(super) const BLOCK: usize = 8;

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

/// Entries beside what a look-up compares first: what is needed together stands together, since going to a place in memory
/// where nobody was lately takes as long as a hundred instructions.
struct Block<E> {
    heads: [u32; BLOCK],
    /// None behind the last one of the leaf.
    entries: [Option<E>; BLOCK],
}

impl<E> Default for Block<E> {
    fn default() -> Self {
        Self {
            heads: [0; BLOCK],
            entries: [const { None }; BLOCK],
        }
    }
}

/// Entries in ascending order of digest, by their number from 0; all blocks but the last are full. A leaf of a table has at
/// least one.
pub(super) struct Leaf<E> {
    blocks: Vec<Block<E>>,
    len: u32,
    /// That of the first entry: a table that looks for the leaf of a digest need not look into it.
    first: u32,
}

/// The bytes of a digest by which records of one partition are told apart first. What stands in front of them is the
/// partition.
pub(super) fn head(digest: &Digest) -> u32 {
    let [_, a, b, c, d, ..] = digest.0;
    u32::from_be_bytes([a, b, c, d])
}

/// The first number from `from` on for which `before` does not hold; `to` if it holds for all. As `partition_point`.
fn first_not(mut from: usize, mut to: usize, before: impl Fn(usize) -> bool) -> usize {
    while from < to {
        let middle = from.midpoint(to);
        if before(middle) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    from
}

impl<E: Entry> Leaf<E> {
    /// A leaf of one entry.
    pub(super) fn of(head: u32, entry: E) -> Self {
        let mut leaf = Self {
            blocks: Vec::new(),
            len: 0,
            first: head,
        };
        leaf.insert(0, head, entry);
        leaf
    }

    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// The head of an entry.
    pub(super) fn head(&self, number: usize) -> Option<u32> {
        if number >= self.len() {
            return None;
        }
        let block = self.blocks.get(number / BLOCK)?;
        block.heads.get(number % BLOCK).copied()
    }

    pub(super) fn get(&self, number: usize) -> Option<&E> {
        let block = self.blocks.get(number / BLOCK)?;
        block.entries.get(number % BLOCK)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut E> {
        self.slot(number)?.as_mut()
    }

    fn slot(&mut self, number: usize) -> Option<&mut Option<E>> {
        let block = self.blocks.get_mut(number / BLOCK)?;
        block.entries.get_mut(number % BLOCK)
    }

    /// The number of a digest: of its entry, or where it would be.
    pub(super) fn place(&self, head: u32, digest: &Digest) -> Result<usize, usize> {
        let head_is = |number, wanted: fn(u32, u32) -> bool| {
            let found: Option<u32> = self.head(number);
            found.is_some_and(|found| wanted(found, head))
        };
        let place = first_not(0, self.len(), |number| head_is(number, |a, b| a < b));
        if !head_is(place, |a, b| a == b) {
            return Err(place);
        }
        // Hardly ever is there more than one with these bytes.
        let next = place + 1;
        let end = match head_is(next, |a, b| a == b) {
            false => next,
            true => first_not(next, self.len(), |number| head_is(number, |a, b| a == b)),
        };
        let is_before = |number: usize| {
            let entry = self.get(number);
            entry.is_some_and(|entry| entry.record().compare(digest).is_lt())
        };
        let place = match end - place {
            1 => place,
            _ => first_not(place, end, is_before),
        };
        match self.get(place).filter(|_| place < end) {
            None => Err(place),
            Some(entry) => match entry.record().compare(digest) {
                std::cmp::Ordering::Equal => Ok(place),
                std::cmp::Ordering::Less => Err(place + 1),
                std::cmp::Ordering::Greater => Err(place),
            },
        }
    }

    /// Whether the first entry comes after a digest.
    pub(super) fn begins_after(&self, head: u32, digest: &Digest) -> bool {
        if self.first != head {
            return self.first > head;
        }
        let first = self.get(0);
        first.is_some_and(|first| first.record().compare(digest).is_gt())
    }

    /// Puts an entry in front of the one of this number.
    pub(super) fn insert(&mut self, number: usize, head: u32, entry: E) {
        if self.len().is_multiple_of(BLOCK) {
            self.blocks.reserve_exact(1);
            self.blocks.push(Block::default());
        }
        self.len += 1;
        let (mut head, mut entry) = (head, Some(entry));
        let mut slot = number % BLOCK;
        for block in self.blocks.iter_mut().skip(number / BLOCK) {
            let (Some(heads), Some(entries)) =
                (block.heads.get_mut(slot..), block.entries.get_mut(slot..))
            else {
                break;
            };
            // The last one of each block becomes the first of the next.
            heads.rotate_right(1);
            entries.rotate_right(1);
            if let (Some(first_head), Some(first)) = (heads.first_mut(), entries.first_mut()) {
                std::mem::swap(first_head, &mut head);
                std::mem::swap(first, &mut entry);
            }
            if entry.is_none() {
                break;
            }
            slot = 0;
        }
        debug_assert!(entry.is_none(), "there was room for one more");
        self.look_at_first();
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, number: usize) -> Option<E> {
        let place = number / BLOCK;
        let removed = self.slot(number)?.take()?;
        // From the last block to this one, the first of each becomes the last of the one before.
        let (mut head, mut entry) = (0, None);
        for (at, block) in self.blocks.iter_mut().enumerate().skip(place).rev() {
            let slot = if at == place { number % BLOCK } else { 0 };
            let (Some(heads), Some(entries)) =
                (block.heads.get_mut(slot..), block.entries.get_mut(slot..))
            else {
                break;
            };
            if let (Some(first_head), Some(first)) = (heads.first_mut(), entries.first_mut()) {
                std::mem::swap(first_head, &mut head);
                std::mem::swap(first, &mut entry);
            }
            heads.rotate_left(1);
            entries.rotate_left(1);
        }
        debug_assert!(entry.is_none(), "it was taken out");
        self.len -= 1;
        self.blocks.truncate(self.len().div_ceil(BLOCK));
        self.look_at_first();
        Some(removed)
    }

    fn look_at_first(&mut self) {
        if let Some(block) = self.blocks.first() {
            let [first, ..] = block.heads;
            self.first = first;
        }
    }

    /// The second half of a full leaf, which it loses.
    pub(super) fn split(&mut self) -> Self {
        debug_assert_eq!(self.len(), LEAF);
        let half = self.len / 2;
        let mut right = Self {
            blocks: self.blocks.split_off(LEAF / 2 / BLOCK),
            len: self.len - half,
            first: 0,
        };
        self.len = half;
        self.blocks.shrink_to_fit();
        right.look_at_first();
        right
    }

    /// Takes the entries of the next leaf.
    pub(super) fn append(&mut self, next: &mut Self) {
        for number in 0..next.len() {
            let entry = next.slot(number).and_then(Option::take);
            if let Some((head, entry)) = next.head(number).zip(entry) {
                self.insert(self.len(), head, entry);
            }
        }
        next.blocks.clear();
        next.len = 0;
    }

    /// The same in new memory, with the room that such a leaf has.
    pub(super) fn moved(&self) -> Self {
        let mut blocks = Vec::with_capacity(self.blocks.len());
        blocks.extend(self.blocks.iter().map(|block| {
            Block {
                heads: block.heads,
                entries: block
                    .entries
                    .each_ref()
                    .map(|entry| entry.as_ref().map(E::moved)),
            }
        }));
        Self {
            blocks,
            len: self.len,
            first: self.first,
        }
    }

    /// Gives back empty blocks. The first one is kept until the last block has half of its room left: entries may come and go.
    pub(super) fn fit(&mut self) {
        let spare = self.blocks.capacity() - self.blocks.len();
        let is_full = !matches!(self.len() % BLOCK, 1..=4);
        if spare > usize::from(is_full) {
            self.blocks.shrink_to_fit();
        }
    }

    /// Bytes that it has allocated.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<Block<E>>()
    }
}
