//! Memory of one Lua state: what it may take, what it has taken.
//!
//! Lua's own allocations and those of our lists, maps and byte buffers count together. Lua code and Lua's C functions are
//! refused memory beyond the limit (Lua then collects garbage, and raises if that does not help). Our native functions
//! are never refused in the middle of their work, because an error must not jump over Rust values; they overdraw, and
//! the trampoline raises once they are done.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::sync::Arc;

use mlua::ffi;

use super::arena::Arena;
use super::common::{Part, ScriptMemory};
use super::pace::{Pace, TEXT_WEIGHT};
use super::place;
use crate::machine::value::Containers;

/// Longest text that a script may make, bytes, and largest written form of a value. One instruction on texts of this
/// size takes some ten milliseconds at worst, and no record can hold as much.
pub(crate) const MAX_TEXT_BYTES: usize = 16 << 20;

/// What Lua adds to a text when it asks for its memory, at most.
const TEXT_HEADER_BYTES: usize = 64;

/// Chunks for small blocks may take so many times what blocks may: those of one size do not serve for another.
const CHUNKS_PER_LIMIT: usize = 2;

/// Blocks of at least this size set the state's pace.
const LARGE_BLOCK: usize = 128 * 1024;

/// Bytes of native collections after which Lua is told to collect: it does not see their size itself.
const NATIVE_BYTES_PER_COLLECTION: usize = 4 * 1024 * 1024;

/// The account of one state. It has to outlive the state, at an address that does not change.
#[derive(Debug)]
pub(crate) struct Memory {
    /// What it has of the memory of all scripts.
    part: Part,
    used: Cell<usize>,
    limit: Cell<usize>,
    /// Nesting of native work during which allocation does not fail.
    overdraft: Cell<u32>,
    /// Native bytes taken since Lua last collected for them.
    native_since_collection: Cell<usize>,
    /// Native work wanted what there is not: a text beyond [`MAX_TEXT_BYTES`], or a collection that has no room.
    refused: Cell<bool>,
    /// `file:line` of what was refused memory last: no handler of errors sees that.
    refused_at: RefCell<Option<String>>,
    /// Where Lua's blocks lie.
    arena: Arena,
    /// How often the running script is looked at.
    pub(crate) pace: Pace,
    /// Lists and maps that are alive.
    pub(crate) containers: Containers,
}

impl Memory {
    /// The account of a new state, a part of `all`.
    pub(crate) fn new(all: Arc<ScriptMemory>) -> Self {
        Self {
            part: Part::new(all),
            used: Cell::default(),
            limit: Cell::default(),
            overdraft: Cell::default(),
            native_since_collection: Cell::default(),
            refused: Cell::default(),
            refused_at: RefCell::default(),
            arena: Arena::default(),
            pace: Pace::default(),
            containers: Containers::default(),
        }
    }

    pub(crate) fn used(&self) -> usize {
        self.used.get()
    }

    /// What the state holds: what is in use, or what is kept for small blocks if that is more, bytes.
    pub(crate) fn held(&self) -> usize {
        self.used.get().max(self.arena.reserved())
    }

    /// A new call or load, with what may be taken from now on.
    pub(crate) fn begin(&self, limit: usize) {
        self.limit.set(limit);
        self.refused.set(false);
        self.refused_at.replace(None);
        self.pace.begin(self.used.get());
    }

    /// The call is over: what it no longer needs of the memory of all scripts is given back.
    pub(crate) fn settle(&self) {
        self.part.settle(self.held());
    }

    /// Whether native work has taken, or wanted, more than there is.
    pub(crate) fn is_overdrawn(&self) -> bool {
        self.used.get() > self.limit.get() || self.refused.get()
    }

    /// Where the script was when Lua was refused memory last; none where nobody knows.
    pub(crate) fn refused_at(&self) -> Option<String> {
        self.refused_at.take()
    }

    /// Notes where the script is that gets no more memory, unless that is known.
    pub(crate) fn note_refusal(&self) {
        let running = self.pace.running();
        if !running.is_null() && self.refused_at.borrow().is_none() {
            // SAFETY: a live state whose stack is not being moved; nothing is pushed, nothing allocated from it.
            let place = unsafe { place::innermost_line(running) };
            self.refused_at.replace(place);
        }
    }

    /// Refuses Lua memory, for a new block or for a larger one.
    #[cold]
    fn refuse(&self, is_new: bool) -> *mut c_void {
        self.pace.hasten();
        // Lua may find some yet: only the last place counts.
        self.refused_at.replace(None);
        // While a stack grows, what stands on it cannot be read; a new block is none.
        if is_new {
            self.note_refusal();
        }
        std::ptr::null_mut()
    }

    /// Whether `bytes` more would stay within the limit.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let used = self.used.get().saturating_add(bytes);
        used <= self.limit.get() && (self.part.covers(used) || self.part.cover(used, false))
    }

    /// Counts `bytes` more of a collection that is being read; false, and the end of the call, when there is no room.
    pub(crate) fn grow(&self, bytes: usize) -> bool {
        let has_room = self.has_room(bytes);
        if has_room {
            self.account(0, bytes);
        } else {
            self.refused.set(true);
        }
        has_room
    }

    pub(crate) fn begin_overdraft(&self) {
        self.overdraft.set(self.overdraft.get() + 1);
    }

    pub(crate) fn end_overdraft(&self) {
        self.overdraft.set(self.overdraft.get().saturating_sub(1));
    }

    /// Leaves native work for a call back into Lua; the returned depth goes to [`Memory::resume_overdraft`].
    pub(crate) fn suspend_overdraft(&self) -> u32 {
        self.overdraft.replace(0)
    }

    pub(crate) fn resume_overdraft(&self, depth: u32) {
        self.overdraft.set(depth);
    }

    /// Counts memory of a native collection that has changed from `before` to `after` bytes.
    pub(crate) fn account(&self, before: usize, after: usize) {
        self.used
            .set((self.used.get() + after).saturating_sub(before));
        if after > before {
            if !self.part.covers(self.used.get()) {
                // It is there already; the call ends once the native work is done.
                self.part.cover(self.used.get(), true);
                if self.part.is_overdrawn() {
                    self.refused.set(true);
                }
            }
            if after >= LARGE_BLOCK {
                self.pace.note(after.saturating_mul(TEXT_WEIGHT));
            }
            self.native_since_collection
                .set(self.native_since_collection.get() + (after - before));
        }
    }

    /// Whether so much native memory was taken that Lua should collect; asks once per amount.
    pub(crate) fn wants_collection(&self) -> bool {
        if self.native_since_collection.get() < NATIVE_BYTES_PER_COLLECTION && !self.is_overdrawn()
        {
            return false;
        }
        self.native_since_collection.set(0);
        true
    }

    /// Sets the pace for a large block; false for a text that is too long. For a new block, `tag` is its type.
    #[cold]
    fn allows_large(&self, is_new: bool, tag: usize, size: usize) -> bool {
        if !is_new || i32::try_from(tag) != Ok(ffi::LUA_TSTRING) {
            self.pace.note(size);
            return true;
        }
        if size > MAX_TEXT_BYTES + TEXT_HEADER_BYTES {
            if self.overdraft.get() == 0 {
                return false;
            }
            self.refused.set(true);
        }
        self.pace.note(size.saturating_mul(TEXT_WEIGHT));
        true
    }

    /// Lua's allocator (`lua_Alloc`); `account` is the [`Memory`].
    pub(crate) unsafe extern "C" fn allocate(
        account: *mut c_void,
        block: *mut c_void,
        old_size: usize,
        new_size: usize,
    ) -> *mut c_void {
        // SAFETY: `LuaState` passes a Memory that outlives the Lua state.
        let memory = unsafe { &*account.cast::<Self>() };
        if new_size >= LARGE_BLOCK && !memory.allows_large(block.is_null(), old_size, new_size) {
            return memory.refuse(block.is_null());
        }
        // For a new block Lua passes a type tag as its old size.
        let is_new = block.is_null();
        let old_size = if is_new { 0 } else { old_size };
        let arena = &memory.arena;
        if new_size == 0 {
            if !block.is_null() {
                // SAFETY: made below, with the size that Lua says.
                unsafe { arena.release(block.cast(), old_size) };
                memory.used.set(memory.used.get().saturating_sub(old_size));
            }
            return std::ptr::null_mut();
        }
        let used = (memory.used.get() + new_size).saturating_sub(old_size);
        let may_overdraw = memory.overdraft.get() > 0 || new_size <= old_size;
        if used > memory.limit.get() && !may_overdraw {
            return memory.refuse(is_new);
        }
        let held = used.max(arena.reserved());
        if !memory.part.covers(held) && !memory.part.cover(held, may_overdraw) {
            return memory.refuse(is_new);
        }
        let chunks = if may_overdraw {
            usize::MAX
        } else {
            memory.limit.get().saturating_mul(CHUNKS_PER_LIMIT)
        };
        let moved = if is_new {
            arena.allocate(new_size, chunks)
        } else {
            // SAFETY: as above; Lua gives the block up when an address is returned.
            unsafe { arena.resize(block.cast(), old_size, new_size, chunks) }
        };
        if moved.is_null() {
            return memory.refuse(is_new);
        }
        memory.used.set(used);
        moved.cast()
    }
}
