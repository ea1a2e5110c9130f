//! Where the small blocks of one Lua state lie.
//!
//! A state makes and drops small blocks all the time: strings, tables, closures. They are cut from chunks that belong to
//! the state alone, and go back to lists by size, so that a block costs a few instructions, a state's blocks lie side by side
//! whatever else the process has done with its memory, and closing a state frees a few chunks. Larger blocks come from the
//! process's allocator, those of a state that has grown large as pages from the system: see [`pages`](super::pages).

use std::alloc::{Layout, alloc, dealloc, realloc};
use std::cell::{Cell, RefCell};
use std::ptr::null_mut;

use super::pages;

/// Blocks are multiples of this size, and lie on multiples of it.
const GRAIN: usize = 16;

/// Largest block that comes from a chunk, bytes.
const MAX_SMALL: usize = 512;

const CLASSES: usize = MAX_SMALL / GRAIN;

/// A chunk is as large as a quarter of those before it, within these bounds.
const MIN_CHUNK: usize = 16 * 1024;
const MAX_CHUNK: usize = 256 * 1024;

/// Beyond so much in chunks, a state gets pages, [`LARGE_CHUNK`] at a time, bytes.
const MANY_CHUNKS: usize = 4 << 20;
const LARGE_CHUNK: usize = 1 << 20;

/// Blocks of this size, and larger ones, are pages of their own: Lua's stack, above all, which doubles as it grows.
const LARGE_BLOCK: usize = 4 << 20;

/// A block that is not in use: what it holds is where the next one lies.
struct Free {
    next: *mut Free,
}

/// The chunks of one state. What is left of them goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Arena {
    /// Blocks that were given back, by size.
    free: [Cell<*mut Free>; CLASSES],
    /// The part of the latest chunk that was never used.
    next: Cell<*mut u8>,
    left: Cell<usize>,
    chunks: RefCell<Vec<(*mut u8, usize)>>,
    reserved: Cell<usize>,
}

impl Default for Arena {
    fn default() -> Self {
        Self {
            free: [const { Cell::new(null_mut()) }; CLASSES],
            next: Cell::new(null_mut()),
            left: Cell::new(0),
            chunks: RefCell::default(),
            reserved: Cell::new(0),
        }
    }
}

/// The list of blocks of a size from 1 to [`MAX_SMALL`].
fn class(size: usize) -> usize {
    (size - 1) / GRAIN
}

/// The layout of a chunk, or of a block, from the process's allocator.
fn large(size: usize) -> Layout {
    Layout::from_size_align(size, GRAIN).unwrap_or(Layout::new::<u128>())
}

/// A block of more than [`MAX_SMALL`] bytes; null when there is no memory.
fn allocate_large(size: usize) -> *mut u8 {
    match size >= LARGE_BLOCK {
        true => pages::map(size),
        // SAFETY: the size is not zero.
        false => unsafe { alloc(large(size)) },
    }
}

/// # Safety
/// It was made by [`allocate_large`] with this size.
unsafe fn release_large(block: *mut u8, size: usize) {
    // SAFETY: as the caller says, and the size tells how it was made.
    unsafe {
        match size >= LARGE_BLOCK {
            true => pages::unmap(block, size),
            false => dealloc(block, large(size)),
        }
    }
}

/// Makes a block another size; null, and it stays as it is, when there is no memory.
///
/// # Safety
/// As for [`release_large`]; the new size is more than [`MAX_SMALL`].
unsafe fn resize_large(block: *mut u8, old: usize, new: usize) -> *mut u8 {
    // SAFETY: as the caller says; the bytes that are copied are in both blocks, which do not overlap.
    unsafe {
        match (old >= LARGE_BLOCK, new >= LARGE_BLOCK) {
            (false, false) => realloc(block, large(old), new),
            (true, true) => pages::remap(block, old, new),
            _ => {
                let moved = allocate_large(new);
                if !moved.is_null() {
                    std::ptr::copy_nonoverlapping(block, moved, old.min(new));
                    release_large(block, old);
                }
                moved
            }
        }
    }
}

impl Arena {
    /// Memory of all chunks, in use or not, bytes.
    pub(crate) fn reserved(&self) -> usize {
        self.reserved.get()
    }

    /// A block of `size` bytes, more than none; null when there is no memory, or the chunks would exceed `limit`.
    #[inline]
    pub(crate) fn allocate(&self, size: usize, limit: usize) -> *mut u8 {
        if size > MAX_SMALL {
            return allocate_large(size);
        }
        let Some(list) = self.free.get(class(size)) else {
            return null_mut();
        };
        let first = list.get();
        if first.is_null() {
            return self.cut((class(size) + 1) * GRAIN, limit);
        }
        // SAFETY: a block of this list, not in use.
        list.set(unsafe { (*first).next });
        first.cast()
    }

    /// Gives back a block of `size` bytes.
    ///
    /// # Safety
    /// It is one of this arena, in use, of this size.
    #[inline]
    pub(crate) unsafe fn release(&self, block: *mut u8, size: usize) {
        if size > MAX_SMALL {
            // SAFETY: made by `allocate` or `resize` with this size.
            return unsafe { release_large(block, size) };
        }
        if let Some(list) = self.free.get(class(size)) {
            let freed = block.cast::<Free>();
            // SAFETY: the block has room for a pointer, is aligned for one, and nobody uses it.
            unsafe { freed.write(Free { next: list.get() }) };
            list.set(freed);
        }
    }

    /// Makes a block of `old` bytes one of `new`; null, and the block stays as it is, when that cannot be.
    ///
    /// # Safety
    /// As for [`Arena::release`]; neither size is zero.
    pub(crate) unsafe fn resize(
        &self,
        block: *mut u8,
        old: usize,
        new: usize,
        limit: usize,
    ) -> *mut u8 {
        let small = (old <= MAX_SMALL, new <= MAX_SMALL);
        if small == (true, true) && class(old) == class(new) {
            return block;
        }
        if small == (false, false) {
            // SAFETY: made with this size; the new one is large.
            return unsafe { resize_large(block, old, new) };
        }
        let moved = self.allocate(new, limit);
        if !moved.is_null() {
            // SAFETY: two blocks of at least so many bytes, which do not overlap; the old one is not used any more.
            unsafe {
                std::ptr::copy_nonoverlapping(block, moved, old.min(new));
                self.release(block, old);
            }
        }
        moved
    }

    /// Cuts a block off the latest chunk, or off a new one.
    fn cut(&self, size: usize, limit: usize) -> *mut u8 {
        if self.left.get() < size && !self.add_chunk(limit) {
            return null_mut();
        }
        let block = self.next.get();
        self.left.set(self.left.get() - size);
        self.next.set(block.wrapping_add(size));
        block
    }

    #[cold]
    fn add_chunk(&self, limit: usize) -> bool {
        let Ok(mut chunks) = self.chunks.try_borrow_mut() else {
            return false;
        };
        let is_mapped = self.reserved.get() >= MANY_CHUNKS;
        let size = match is_mapped {
            true => LARGE_CHUNK,
            false => (self.reserved.get() / 4).clamp(MIN_CHUNK, MAX_CHUNK),
        };
        let reserved = self.reserved.get() + size;
        if reserved > limit {
            return false;
        }
        let chunk = match is_mapped {
            true => pages::map_touched(size),
            // SAFETY: the size is not zero.
            false => unsafe { alloc(large(size)) },
        };
        if chunk.is_null() {
            return false;
        }
        chunks.push((chunk, size));
        self.reserved.set(reserved);
        self.next.set(chunk);
        self.left.set(size);
        true
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for (chunk, size) in self.chunks.get_mut().drain(..) {
            // SAFETY: made by `add_chunk` with this size, which tells how; the state that used its blocks is closed.
            unsafe {
                match size == LARGE_CHUNK {
                    true => pages::unmap(chunk, size),
                    false => dealloc(chunk, large(size)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_do_not_overlap_and_are_used_again() {
        let arena = Arena::default();
        let sizes = [
            1,
            16,
            17,
            100,
            512,
            513,
            5_000,
            LARGE_BLOCK / 64,
            LARGE_BLOCK - 1,
        ];
        let mut blocks = Vec::new();
        for round in 0..200_u8 {
            // A few of the largest do.
            for size in sizes.into_iter().filter(|size| round < 4 || *size <= 5_000) {
                let block = arena.allocate(size, usize::MAX);
                assert!(!block.is_null() && block.addr().is_multiple_of(GRAIN));
                // SAFETY: a fresh block of this size.
                unsafe { block.write_bytes(round, size) };
                blocks.push((block, size, round));
            }
        }
        let reserved = arena.reserved();
        for (block, size, round) in blocks.drain(..) {
            // SAFETY: written above; then made another size, and given back.
            unsafe {
                let bytes = std::slice::from_raw_parts(block, size);
                assert!(bytes.iter().all(|byte| *byte == round));
                let other = size * 2;
                let moved = arena.resize(block, size, other, usize::MAX);
                let bytes = std::slice::from_raw_parts(moved, size);
                assert!(bytes.iter().all(|byte| *byte == round));
                arena.release(moved, other);
            }
        }
        assert!(arena.reserved() <= reserved * 3);
        let settled = arena.reserved();
        for _ in 0..10_000 {
            let block = arena.allocate(100, usize::MAX);
            // SAFETY: just made.
            unsafe { arena.release(block, 100) };
        }
        assert_eq!(arena.reserved(), settled);
    }

    #[test]
    fn large_blocks_keep_what_is_in_them_whatever_their_size_becomes() {
        let arena = Arena::default();
        let mut size = 1_000;
        let block = arena.allocate(size, usize::MAX);
        // SAFETY: a fresh block of this size.
        unsafe { block.write_bytes(7, size) };
        let mut block = block;
        for new in [
            LARGE_BLOCK,
            4 * LARGE_BLOCK,
            LARGE_BLOCK + 1,
            2_000,
            LARGE_BLOCK * 2,
            16,
        ] {
            // SAFETY: the block is used with the size that it has.
            unsafe {
                block = arena.resize(block, size, new, usize::MAX);
                assert!(!block.is_null());
                let bytes = std::slice::from_raw_parts(block, new.min(1_000));
                assert!(bytes.iter().all(|byte| *byte == 7), "{new}");
            }
            size = new;
        }
        // SAFETY: as above.
        unsafe { arena.release(block, size) };
    }

    #[test]
    fn a_state_that_has_grown_large_gets_large_chunks() {
        let arena = Arena::default();
        while arena.reserved() < 2 * MANY_CHUNKS {
            let block = arena.allocate(MAX_SMALL, usize::MAX);
            // SAFETY: a fresh block of this size.
            unsafe { block.write_bytes(7, MAX_SMALL) };
        }
        let chunks = arena.chunks.borrow();
        let large = chunks.iter().filter(|(_, size)| *size == LARGE_CHUNK);
        assert_eq!(large.count(), MANY_CHUNKS / LARGE_CHUNK);
    }

    #[test]
    fn chunks_have_a_limit() {
        let arena = Arena::default();
        let made = (0..10_000)
            .map(|_| arena.allocate(64, 100_000))
            .take_while(|block| !block.is_null())
            .count();
        assert!((500..=1_600).contains(&made), "{made}");
        assert!(arena.reserved() <= 100_000);
    }
}
