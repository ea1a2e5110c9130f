//! The allocator of the program: `mimalloc`, with books of what is allocated.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use mimalloc::MiMalloc;
use protocol::bounds::Fit as _;

/// Bytes by which a thread's own count may differ from what all see: the books cost no shared write for each allocation.
const UNSEEN_BYTES: i64 = 16 << 10;

/// Bytes allocated and not freed, but for what threads have not told yet.
static ALLOCATED: AtomicI64 = AtomicI64::new(0);

thread_local! {
    /// What this thread has allocated, less what it has freed, since it told last. Nothing is dropped with the thread, so
    /// that this can be used for as long as it allocates.
    static UNSEEN: Cell<i64> = const { Cell::new(0) };
}

/// With more than this the program is large: records, mostly.
const LARGE: i64 = 64 << 20;

/// The system may use large pages.
static LARGE_PAGES: AtomicBool = AtomicBool::new(false);

/// How much address space the allocator takes at a time in the beginning, KiB; later more. It keeps books of all of it, and
/// writes to a page of them for every 20 MB when it begins.
const FIRST_ARENA_KIB: libc::c_long = 128 << 10;

/// `mi_option_arena_reserve` in the library's header, whose numbers stay.
const ARENA_RESERVE: libc::c_int = 23;

/// Has the program take little until much is allocated. To be called when it begins.
///
/// The allocator asks for large pages. They make many records quicker to find, but a program that has few would take
/// twelve MB more of them from the start, and writing zeros into each of them when it is first used takes longer than what
/// is to be done in it.
///
/// The allocator of the system has only what the system's own library asks for: it needs no memory of its own for each
/// thread.
pub fn begin_small() {
    set_large_pages(false);
    // What the environment says of it counts: it is read after this.
    mi_option_set_default(ARENA_RESERVE, FIRST_ARENA_KIB);
    #[cfg(target_env = "gnu")]
    #[expect(
        unsafe_code,
        reason = "a call of the C library, which takes two numbers"
    )]
    {
        // SAFETY: nothing else runs yet. A library that does not know of it does as before.
        let _ = unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    }
}

fn set_large_pages(wanted: bool) {
    // A system that does not know of this uses what it likes.
    let _ = rustix::thread::disable_transparent_huge_pages(!wanted);
}

/// How many times all threads were asked to part with what they do not use.
static ASKED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// As many times this thread has done so.
    static PARTED: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: as the header of the library has it; any thread may call it at any time.
#[expect(
    unsafe_code,
    reason = "functions of the library that its crate does not declare"
)]
unsafe extern "C" {
    /// Frees what this thread keeps for its next allocations, and, by force, has the system get back at once what nobody uses.
    safe fn mi_collect(force: bool);
    /// What an option is that the environment does not set. Says nothing when the number is that of no option.
    safe fn mi_option_set_default(option: libc::c_int, value: libc::c_long);
    /// As malloc(3).
    fn mi_malloc(size: usize) -> *mut u8;
    /// The same, filled with zeros.
    fn mi_zalloc(size: usize) -> *mut u8;
    /// As realloc(3).
    fn mi_realloc(block: *mut u8, size: usize) -> *mut u8;
}

/// Has the system get back what nobody uses. Of what other threads keep, that is when they call [`part`].
///
/// The allocator has each thread keep pages that it has allocated from, also when others have freed all that was in them, and
/// gives empty ones back only while somebody allocates.
pub fn give_back() {
    ASKED.fetch_add(1, Ordering::Relaxed);
    part();
}

/// To be called by a thread that has nothing to do: parts with what it does not use, if that was asked for. Costs next to
/// nothing otherwise.
pub fn part() {
    let asked = ASKED.load(Ordering::Relaxed);
    if PARTED.replace(asked) != asked {
        mi_collect(true);
    }
}

/// To be the `#[global_allocator]` of a program.
#[derive(Debug, Clone, Copy)]
pub struct Counted;

/// Bytes that are allocated now, to some KiB for each thread; 0 in a program with another allocator.
#[must_use]
pub fn allocated_bytes() -> u64 {
    // Threads tell in turn, so that what one has freed may come before what another has allocated.
    ALLOCATED.load(Ordering::Relaxed).max(0).fit()
}

/// Enters a size that has come, or gone if it is negative.
#[inline]
fn enter(bytes: i64) {
    UNSEEN.with(|unseen| {
        let sum = unseen.get() + bytes;
        if sum.abs() < UNSEEN_BYTES {
            unseen.set(sum);
        } else {
            unseen.set(0);
            tell(sum);
        }
    });
}

/// Has all see it. Not in line: what is in line here stands wherever the program allocates.
#[cold]
#[inline(never)]
fn tell(bytes: i64) {
    let all = ALLOCATED.fetch_add(bytes, Ordering::Relaxed);
    let may_grow = all > LARGE && !LARGE_PAGES.load(Ordering::Relaxed);
    if may_grow && !LARGE_PAGES.swap(true, Ordering::Relaxed) {
        set_large_pages(true);
    }
}

/// No allocation has more than `isize::MAX` bytes.
#[expect(clippy::cast_possible_wrap, reason = "a size of an allocation")]
#[inline]
fn signed(bytes: usize) -> i64 {
    bytes as i64
}

/// Whether every block of this size is aligned like this: then the allocator need not be told, which takes several times as
/// long. So says malloc(3) of what it gives.
#[inline]
fn is_always_aligned(align: usize, size: usize) -> bool {
    align <= align_of::<libc::max_align_t>() && align <= size
}

// SAFETY: everything is done by `mimalloc`, as it is asked for; counting allocates nothing and does not unwind.
#[expect(unsafe_code, reason = "the trait is unsafe")]
unsafe impl GlobalAlloc for Counted {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let block = unsafe {
            match is_always_aligned(layout.align(), layout.size()) {
                true => mi_malloc(layout.size()),
                false => MiMalloc.alloc(layout),
            }
        };
        if !block.is_null() {
            enter(signed(layout.size()));
        }
        block
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let block = unsafe {
            match is_always_aligned(layout.align(), layout.size()) {
                true => mi_zalloc(layout.size()),
                false => MiMalloc.alloc_zeroed(layout),
            }
        };
        if !block.is_null() {
            enter(signed(layout.size()));
        }
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { MiMalloc.dealloc(block, layout) };
        enter(-signed(layout.size()));
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        let moved = unsafe {
            match is_always_aligned(layout.align(), new_size) {
                true => mi_realloc(block, new_size),
                false => MiMalloc.realloc(block, layout, new_size),
            }
        };
        if !moved.is_null() {
            enter(signed(new_size) - signed(layout.size()));
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::mpsc;

    use parking_lot::Mutex;

    use super::*;

    /// What is allocated is counted for the whole process: one test at a time.
    static ALONE: Mutex<()> = Mutex::new(());

    /// How many of these pages of memory are resident.
    #[expect(
        unsafe_code,
        reason = "asks the system about addresses, whatever is there"
    )]
    fn resident(pages: &BTreeSet<usize>) -> usize {
        let is_resident = |page: &&usize| {
            let mut there = 0_u8;
            let address = std::ptr::with_exposed_provenance_mut(**page);
            // SAFETY: the kernel reads nothing of the page, and writes one byte for it.
            let asked = unsafe { libc::mincore(address, PAGE, &raw mut there) };
            asked == 0 && there & 1 != 0
        };
        pages.iter().filter(is_resident).count()
    }

    const PAGE: usize = 4096;

    #[test]
    #[expect(unsafe_code, reason = "the functions of an allocator")]
    fn what_others_have_freed_goes_back_when_threads_part_with_it() {
        const BLOCKS: usize = 200_000;
        let _alone = ALONE.lock();
        let layout = Layout::from_size_align(128, 8).unwrap();
        let (send, blocks) = mpsc::channel();
        let (freed, wait) = mpsc::channel();
        let other = std::thread::spawn(move || {
            let allocate = |_| {
                // SAFETY: the layout has a size; the block is written within it.
                unsafe {
                    let block = Counted.alloc(layout);
                    block.write_bytes(1, layout.size());
                    block.expose_provenance()
                }
            };
            let all: Vec<usize> = (0..BLOCKS).map(allocate).collect();
            send.send(all).unwrap();
            wait.recv().unwrap();
            part();
        });
        let all = blocks.recv().unwrap();
        let pages = all.iter().map(|block| block / PAGE * PAGE).collect();
        let taken = resident(&pages);
        assert!(taken > BLOCKS * layout.size() / PAGE / 2, "{taken} pages");
        for block in all {
            // SAFETY: each was allocated with this layout, and is freed once.
            unsafe { Counted.dealloc(std::ptr::with_exposed_provenance_mut(block), layout) };
        }
        give_back();
        freed.send(()).unwrap();
        other.join().unwrap();
        let left = resident(&pages);
        assert!(left < taken / 2, "{left} of {taken} pages are left");
    }

    #[test]
    fn counts_what_is_allocated_and_not_yet_freed() {
        let _alone = ALONE.lock();
        let layout = Layout::from_size_align(1 << 30, 4096).unwrap();
        let larger = Layout::from_size_align(2 << 30, 4096).unwrap();
        let begun = allocated_bytes();
        let grown = || (allocated_bytes() - begun) >> 30;
        // SAFETY: blocks of these layouts, that nothing else uses.
        #[expect(unsafe_code, reason = "the functions of an allocator")]
        unsafe {
            let block = Counted.alloc(layout);
            assert_eq!(grown(), 1);
            let block = Counted.realloc(block, layout, larger.size());
            assert_eq!(grown(), 2);
            let zeroed = Counted.alloc_zeroed(layout);
            assert_eq!(grown(), 3);
            Counted.dealloc(block, larger);
            Counted.dealloc(zeroed, layout);
        }
        assert!(allocated_bytes() - begun < 1 << 20);
    }
}
