//! Pages of the system for blocks of many megabytes.
//!
//! A block that grows keeps its pages: nothing is copied, and nothing new is touched but what is new. The pages are small
//! ones. Where the process's allocator asks for pages of two megabytes, the first touch of each takes the system a fraction
//! of a millisecond at best and some milliseconds on a virtual machine whose host has to find them: a script whose stack
//! overflows, which takes 70 ms, so cost as much as 300 ms more.

use std::ffi::c_void;
use std::ptr::null_mut;

use rustix::mm::{
    Advice, MapFlags, MremapFlags, ProtFlags, madvise, mmap_anonymous, mremap, munmap,
};

/// Fresh pages for so many bytes, more than none; null when there are none.
pub(super) fn map(size: usize) -> *mut u8 {
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping, at a place that the system chooses.
    let mapped = unsafe { mmap_anonymous(null_mut(), size, protection, MapFlags::PRIVATE) };
    let Ok(pages) = mapped else { return null_mut() };
    // SAFETY: the mapping just made. A system without large pages refuses, and has small ones anyway.
    let _ = unsafe { madvise(pages, size, Advice::LinuxNoHugepage) };
    pages.cast()
}

/// The same, all of them touched at once: for what is used to its end soon, at a third of what it costs one after the other.
pub(super) fn map_touched(size: usize) -> *mut u8 {
    let pages = map(size);
    if !pages.is_null() {
        // SAFETY: the mapping just made, of zeros still. A system that cannot do it leaves them to be touched one by one.
        let _ = unsafe { madvise(pages.cast(), size, Advice::LinuxPopulateWrite) };
    }
    pages
}

/// Makes a block of `old` bytes one of `new`, perhaps at another place; null, and it stays as it is, when there are no pages.
///
/// # Safety
/// It was made by [`map`] or [`remap`] with this size and is used nowhere else.
pub(super) unsafe fn remap(block: *mut u8, old: usize, new: usize) -> *mut u8 {
    // SAFETY: as the caller says.
    let moved = unsafe { mremap(block.cast::<c_void>(), old, new, MremapFlags::MAYMOVE) };
    moved.map_or(null_mut(), <*mut c_void>::cast)
}

/// Gives a block back.
///
/// # Safety
/// It was made by [`map`] or [`remap`] with this size and is not used any more.
pub(super) unsafe fn unmap(block: *mut u8, size: usize) {
    // SAFETY: as the caller says. What was mapped can be unmapped.
    let _ = unsafe { munmap(block.cast::<c_void>(), size) };
}
