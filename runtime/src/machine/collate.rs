//! How texts are compared.
//!
//! `a < b` on texts asks the C library for their order, once for each part between zero bytes; on sixteen million zeros that
//! is a second of one instruction, in which no hook is called. So this is the `strcoll` of the program: the order of bytes,
//! as in the `C` locale that the program never leaves, and once a call's time is up everything is different, which ends
//! the comparison. What it says then does not matter: the call ends at the next instruction.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int};
use std::ptr;

use super::shared::Shared;

/// What a part of a text is counted with, in steps of [`Shared::spend`].
const STEPS_PER_PART: usize = 24;

thread_local! {
    /// The state whose script runs on this thread, or null.
    static RUNNING: Cell<*const Shared> = const { Cell::new(ptr::null()) };
}

/// While it is there, comparisons on this thread are work of a state; afterwards again of the one before.
#[derive(Debug)]
pub(crate) struct Running {
    before: *const Shared,
}

impl Running {
    /// # Safety
    /// `shared` is there for as long as this is.
    pub(crate) unsafe fn enter(shared: *const Shared) -> Self {
        Self {
            before: RUNNING.replace(shared),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.set(self.before);
    }
}

/// The order of two texts.
#[expect(
    unsafe_code,
    reason = "takes the place of the C library's function of this name"
)]
#[unsafe(no_mangle)]
unsafe extern "C" fn strcoll(one: *const c_char, other: *const c_char) -> c_int {
    // SAFETY: the caller's texts end with a zero byte.
    let (one, other) = unsafe { (CStr::from_ptr(one), CStr::from_ptr(other)) };
    let order = one.to_bytes().cmp(other.to_bytes()) as c_int;
    let running = RUNNING.get();
    if order != 0 || running.is_null() {
        return order;
    }
    let steps = STEPS_PER_PART + one.count_bytes() / 4;
    // SAFETY: see `Running::enter`; only cells are touched.
    let goes_on = unsafe { (*running).spend(steps) };
    c_int::from(!goes_on)
}
