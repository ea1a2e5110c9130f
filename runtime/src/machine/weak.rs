//! Tables with weak keys, which have a limit.
//!
//! A value in such a table keeps alive what it refers to only if its key is alive. Where values are keys of further entries,
//! Lua's collector goes over all entries again for each that it finds alive: time by the square of their number, in which
//! no hook is called. So all such tables of a state together have at most [`ENTRIES_MAX`] entries whose keys are objects,
//! which is enough for tables that remember results, and takes some tens of milliseconds at worst. The collector goes over
//! empty places and entries with other keys as well: of places there are at most [`PLACES_MAX`].
//!
//! Why a limit, and no collector that converges sooner: chains look like results until they are followed, and to follow them
//! is what takes the time. A limit on chains alone would have to look at all values again for every few instructions.
//!
//! They are counted when the mode is set and while scripts run: an instruction adds one entry at most, so a count is good for
//! as many instructions as there is room. A mode that is given to a metatable in use ends the call: nobody knows its tables.

use std::cell::Cell;
use std::ffi::{c_int, c_void};

use mlua::ffi;

use super::frame::Frame;
use super::protect::{shared, stop};
use super::shared::Abort;

/// Entries with objects as keys, and tables, that all tables with weak keys may have together.
const ENTRIES_MAX: usize = 8_192;

/// Places for entries, used or not, that all tables with weak keys may have together. Tables double: those with room for
/// the entries have at most twice as many, and some are left from before.
const PLACES_MAX: usize = 3 * ENTRIES_MAX;

/// Metatables that are looked at each time.
const METATABLES_PER_LOOK: usize = 64;

/// Steps that an entry is counted with.
const STEPS_PER_ENTRY: usize = 16;

/// What a state knows about its tables with weak keys.
#[derive(Debug, Default)]
pub(crate) struct WeakKeys {
    /// Registry references to the set of tables with weak keys, and to the set of metatables without a mode; 0 without.
    tables: Cell<c_int>,
    metatables: Cell<c_int>,
    /// There is something to look at.
    any: Cell<bool>,
    /// Instructions since the last count.
    unseen: Cell<usize>,
    /// Instructions until the next one.
    room: Cell<usize>,
}

/// Makes the sets.
pub(crate) fn define(frame: &mut Frame<'_>) {
    let state = frame.raw();
    let mut references = [0; 2];
    for reference in &mut references {
        frame.push_table(0, 0);
        frame.push_table(0, 1);
        frame.push_bytes(b"k");
        frame.raw_set_field(frame.top() - 1, "__mode");
        // SAFETY: two tables are on top; the set is popped.
        unsafe {
            ffi::lua_setmetatable(state, -2);
            *reference = ffi::luaL_ref(state, ffi::LUA_REGISTRYINDEX);
        }
    }
    let weak = &frame.shared().weak;
    weak.tables.set(references[0]);
    weak.metatables.set(references[1]);
}

/// A table, at 1, gets the metatable at 2. May raise the end of the call.
///
/// # Safety
/// As for a C function; nothing here has a destructor.
pub(super) unsafe fn note(state: *mut ffi::lua_State) {
    // SAFETY: the caller's.
    unsafe {
        let weak = &shared(state).weak;
        if ffi::lua_checkstack(state, 8) == 0 {
            return;
        }
        let has_weak_keys = has_weak_keys(state, 2);
        let (set, member) = match has_weak_keys {
            true => (weak.tables.get(), 1),
            false => (weak.metatables.get(), 2),
        };
        ffi::lua_rawgeti(state, ffi::LUA_REGISTRYINDEX, set.into());
        ffi::lua_pushvalue(state, member);
        ffi::lua_pushboolean(state, 1);
        ffi::lua_rawset(state, -3);
        ffi::lua_settop(state, -2);
        weak.any.set(true);
        if has_weak_keys && !look(state, ENTRIES_MAX) {
            stop(state);
        }
    }
}

/// So many instructions may have run; false, and the end of the call, when there are too many entries by now.
///
/// # Safety
/// As for a hook.
pub(super) unsafe fn look(state: *mut ffi::lua_State, instructions: usize) -> bool {
    // SAFETY: the caller's.
    let shared = unsafe { shared(state) };
    let weak = &shared.weak;
    if !weak.any.get() {
        return true;
    }
    let unseen = weak.unseen.get().saturating_add(instructions);
    weak.unseen.set(unseen);
    if unseen < weak.room.get() {
        return true;
    }
    weak.unseen.set(0);
    // SAFETY: as above. Keys that are dead by now do not count; so few entries are collected in some milliseconds.
    let counted = unsafe {
        count(state).or_else(|| {
            if metatables_changed(state) {
                return None;
            }
            ffi::lua_gc(state, ffi::LUA_GCCOLLECT);
            count(state)
        })
    };
    let Some(entries) = counted else {
        shared.abort(Abort::WeakKeys);
        return false;
    };
    weak.room.set((ENTRIES_MAX - entries).max(1));
    shared.spend(entries * STEPS_PER_ENTRY)
}

/// Entries of all tables with weak keys; none when they are too many, or when a metatable in use has become one of such.
unsafe fn count(state: *mut ffi::lua_State) -> Option<usize> {
    // SAFETY: the sets hold tables only; nothing is assigned while they are gone over, and nothing here allocates.
    unsafe {
        let weak = &shared(state).weak;
        if ffi::lua_checkstack(state, 12) == 0 {
            return None;
        }
        let top = ffi::lua_gettop(state);
        let (mut entries, mut places) = (0, 0_usize);
        ffi::lua_rawgeti(state, ffi::LUA_REGISTRYINDEX, weak.tables.get().into());
        ffi::lua_pushnil(state);
        while entries <= ENTRIES_MAX && ffi::lua_next(state, top + 1) != 0 {
            ffi::lua_settop(state, -2);
            entries += 1;
            places = places.saturating_add(places_of(state, top + 2));
            if places > PLACES_MAX {
                ffi::lua_settop(state, top);
                return None;
            }
            ffi::lua_pushnil(state);
            while entries <= ENTRIES_MAX && ffi::lua_next(state, top + 2) != 0 {
                ffi::lua_settop(state, -2);
                let is_object = matches!(
                    ffi::lua_type(state, -1),
                    ffi::LUA_TTABLE | ffi::LUA_TFUNCTION | ffi::LUA_TUSERDATA | ffi::LUA_TTHREAD
                );
                entries += usize::from(is_object);
            }
            ffi::lua_settop(state, top + 2);
        }
        ffi::lua_settop(state, top);
        (entries <= ENTRIES_MAX && !metatables_changed(state)).then_some(entries)
    }
}

/// The beginning of a table in Lua 5.4: a header, then the sizes of its two parts. Lua tells them to nobody.
#[repr(C)]
struct TableHead {
    next: *const c_void,
    kind: u8,
    marks: u8,
    flags: u8,
    /// Binary logarithm of the places for keys of any kind.
    log_of_nodes: u8,
    /// Places for the first integers, or how many of them are in use: they are the next power of two then.
    array: u32,
}

/// Places of the table at `index`, used or not.
unsafe fn places_of(state: *mut ffi::lua_State, index: c_int) -> usize {
    // SAFETY: the caller's table, which begins like this; `lua_topointer` answers where it lies.
    let head = unsafe { &*ffi::lua_topointer(state, index).cast::<TableHead>() };
    let nodes = 1_usize.checked_shl(head.log_of_nodes.into());
    let array = match head.array {
        0 => Some(0),
        used => usize::try_from(used)
            .ok()
            .and_then(usize::checked_next_power_of_two),
    };
    // A size that is none counts as too large.
    nodes
        .unwrap_or(usize::MAX)
        .saturating_add(array.unwrap_or(usize::MAX))
}

/// Whether a metatable that tables had without weak keys has that mode now.
unsafe fn metatables_changed(state: *mut ffi::lua_State) -> bool {
    // SAFETY: as `count`.
    unsafe {
        if ffi::lua_checkstack(state, 8) == 0 {
            return true;
        }
        let top = ffi::lua_gettop(state);
        let set = shared(state).weak.metatables.get();
        ffi::lua_rawgeti(state, ffi::LUA_REGISTRYINDEX, set.into());
        ffi::lua_pushnil(state);
        let mut changed = false;
        let mut looked = 0;
        while !changed && looked < METATABLES_PER_LOOK && ffi::lua_next(state, top + 1) != 0 {
            ffi::lua_settop(state, -2);
            looked += 1;
            changed = has_weak_keys(state, top + 2);
        }
        ffi::lua_settop(state, top);
        changed
    }
}

/// Whether tables with the metatable at `index` have weak keys and strong values.
unsafe fn has_weak_keys(state: *mut ffi::lua_State, index: c_int) -> bool {
    // SAFETY: the caller's table.
    unsafe {
        ffi::lua_pushstring(state, c"__mode".as_ptr());
        ffi::lua_rawget(state, index);
        let mut weak = false;
        if ffi::lua_type(state, -1) == ffi::LUA_TSTRING {
            let mut length = 0;
            let text = ffi::lua_tolstring(state, -1, &raw mut length);
            let mode = std::slice::from_raw_parts(text.cast::<u8>(), length);
            weak = mode.contains(&b'k') && !mode.contains(&b'v');
        }
        ffi::lua_settop(state, -2);
        weak
    }
}
