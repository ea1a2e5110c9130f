//! How often a running script is looked at.
//!
//! Lua calls the hook every so many VM instructions. That bounds time only as long as an instruction takes little, and
//! `a .. b` or `a == b` on long texts does not. So the longest text, and less so the largest block of another kind, that
//! a state has made sets the pace: work between two looks stays within a few tens of milliseconds. Once a call has been
//! ended, the hook comes at every instruction, so that nothing that still runs (handlers, `<close>` variables) gets far.

use std::cell::Cell;
use std::ffi::c_int;

use mlua::ffi;

use super::observe::line_hook;
use super::protect::count_hook;

/// VM instructions between two looks at the clock when there are only small values.
const INSTRUCTIONS_PER_CHECK: c_int = 1_000;

/// Sizes up to here do not change the pace, in units of [`Pace::note`].
const UNNOTICED: usize = 1 << 20;

/// Time that a byte of a text can take in one instruction, against one of a table or stack.
pub(crate) const TEXT_WEIGHT: usize = 8;

/// The pace of one state.
#[derive(Debug)]
pub(crate) struct Pace {
    /// The coroutine that runs, or the main one; null before there is a state.
    running: Cell<*mut ffi::lua_State>,
    largest: Cell<usize>,
    instructions: Cell<c_int>,
    /// The hook comes at each line, too: somebody sees what the scripts do.
    sees_lines: Cell<bool>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            running: Cell::new(std::ptr::null_mut()),
            largest: Cell::new(0),
            instructions: Cell::new(INSTRUCTIONS_PER_CHECK),
            sees_lines: Cell::new(false),
        }
    }
}

impl Pace {
    /// From here on `state` runs; the answer is what ran before.
    ///
    /// # Safety
    /// `state` is live until another one is given.
    pub(crate) unsafe fn enter(&self, state: *mut ffi::lua_State) -> *mut ffi::lua_State {
        let before = self.running.replace(state);
        self.apply();
        before
    }

    /// Back to what ran before [`Pace::enter`].
    ///
    /// # Safety
    /// As there.
    pub(crate) unsafe fn leave(&self, before: *mut ffi::lua_State) {
        self.running.set(before);
        self.apply();
    }

    /// What runs: the coroutine or the main one; null before there is a state.
    pub(crate) fn running(&self) -> *mut ffi::lua_State {
        self.running.get()
    }

    /// From here on the hook comes at each line, too. Called before the state runs.
    pub(crate) fn see_lines(&self) {
        self.sees_lines.set(true);
    }

    /// Whether the hook comes as rarely as it may.
    pub(crate) fn is_slow(&self) -> bool {
        self.instructions.get() == INSTRUCTIONS_PER_CHECK
    }

    /// A block of so many bytes was made, times its weight.
    pub(crate) fn note(&self, size: usize) {
        if size <= self.largest.get().max(UNNOTICED) {
            return;
        }
        self.largest.set(size);
        self.set(instructions_for(size));
    }

    /// A new call: blocks that were larger than all that the state now holds are gone.
    pub(crate) fn begin(&self, used: usize) {
        if self.largest.get() > UNNOTICED {
            let largest = self.largest.get().min(used.saturating_mul(TEXT_WEIGHT));
            self.largest.set(largest);
            self.instructions.set(instructions_for(largest));
            self.apply();
        }
    }

    /// Memory was refused: from here on, each allocation may have Lua go over all that the state holds.
    #[cold]
    pub(crate) fn hasten(&self) {
        self.note(usize::MAX);
    }

    /// The call is over: look at every instruction.
    pub(crate) fn stop(&self) {
        self.set(1);
    }

    fn set(&self, instructions: c_int) {
        if instructions < self.instructions.get() {
            self.instructions.set(instructions);
            self.apply();
        }
    }

    fn apply(&self) {
        let running = self.running.get();
        if !running.is_null() {
            // SAFETY: `enter` was given a live state.
            unsafe { self.apply_to(running) }
        }
    }

    /// Gives a coroutine that is about to run without [`Pace::enter`] the state's pace.
    ///
    /// # Safety
    /// `state` is live.
    pub(crate) unsafe fn apply_to(&self, state: *mut ffi::lua_State) {
        // SAFETY: setting a hook is allowed at any time, from allocators and hooks too. It begins the count anew: a coroutine
        // that has the pace already goes on counting.
        unsafe {
            if ffi::lua_gethookcount(state) == self.instructions.get() {
                return;
            }
            let (hook, mask): (unsafe extern "C-unwind" fn(_, _), _) = match self.sees_lines.get() {
                false => (count_hook, ffi::LUA_MASKCOUNT),
                true => (line_hook, ffi::LUA_MASKCOUNT | ffi::LUA_MASKLINE),
            };
            ffi::lua_sethook(state, Some(hook), mask, self.instructions.get());
        }
    }
}

fn instructions_for(size: usize) -> c_int {
    let scaled = INSTRUCTIONS_PER_CHECK as usize * UNNOTICED / size.max(1);
    c_int::try_from(scaled)
        .unwrap_or(INSTRUCTIONS_PER_CHECK)
        .clamp(1, INSTRUCTIONS_PER_CHECK)
}
