//! What survives between calls of one context.
//!
//! Once a module's body has run, its globals (functions, tables, libraries) become the ground: a table of their own, which
//! an empty global table shows through. What a call assigns to a global lies above and is taken away when the call ends.
//! So every call starts with the globals that the module's body left; none reads what another left in one, and none can
//! break them for the others. Locals of the module, and what its tables hold, live as long as the context. Libraries
//! and other tables of the server are kept by [`super::sealed`].

use std::ffi::c_int;

use mlua::ffi::{self, lua_State};

use super::sealed::{
    clear, copy_entries, enter_globals, move_entries, name_functions, push_pairs, seal_own_tables,
};
use crate::machine::frame::{Frame, Raise};
use crate::machine::object::Object;
use crate::machine::protect::{raise, shared};

/// The globals that calls start with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground {
    /// Registry reference to their table.
    pub(crate) table: c_int,
    /// Registry reference to a table of what the call under way has taken away from them.
    pub(crate) hidden: c_int,
    /// Registry reference to the object `aerospike`, for calls whose globals are not sealed; the others find it in them.
    pub(crate) aerospike: c_int,
    /// Whether changes by calls lie above it and are to be taken away.
    pub(crate) sealed: bool,
}

/// Makes the globals as they are the ground.
///
/// A module whose body gave the globals a metatable of its own keeps them as plain globals.
pub(crate) fn seal(frame: &mut Frame<'_>) -> Ground {
    frame.push_object(Object::Aerospike);
    let aerospike = keep(frame);
    frame.push_globals();
    let globals = frame.top();
    seal_own_tables(frame, globals);
    // SAFETY: looks only; pushes nothing when there is no metatable.
    let has_metatable = unsafe { ffi::lua_getmetatable(frame.raw(), globals) != 0 };
    if has_metatable {
        frame.set_top(globals);
        return Ground {
            table: keep(frame),
            hidden: ffi::LUA_NOREF,
            aerospike,
            sealed: false,
        };
    }
    frame.push_table(0, 96);
    let ground = frame.top();
    move_entries(frame, globals, ground);
    frame.push_table(0, 0);
    let hidden = frame.top();
    frame.push_table(0, 4);
    let metatable = frame.top();
    push_pairs(frame, ground, ground);
    frame.raw_set_field(metatable, "__pairs");
    // SAFETY: the registry holds the object; then pushes a plain function.
    unsafe {
        ffi::lua_rawgeti(frame.raw(), ffi::LUA_REGISTRYINDEX, aerospike.into());
        frame.raw_set_field(ground, "aerospike");
        frame.copy(ground);
        frame.copy(hidden);
        ffi::lua_pushcclosure(frame.raw(), assign_global, 2);
    }
    frame.raw_set_field(metatable, "__newindex");
    frame.copy(ground);
    frame.raw_set_field(metatable, "__index");
    frame.push_boolean(false);
    frame.raw_set_field(metatable, "__metatable");
    // SAFETY: pops the metatable into the global table.
    unsafe { ffi::lua_setmetatable(frame.raw(), globals) };
    enter_globals(frame, globals, ground);
    name_functions(frame);
    frame.shared().sealed.set(true);
    frame.set_top(hidden);
    let hidden = keep(frame);
    Ground {
        table: keep(frame),
        hidden,
        aerospike,
        sealed: true,
    }
}

/// Pops a value into the registry.
fn keep(frame: &mut Frame<'_>) -> c_int {
    // SAFETY: the value is on top.
    unsafe { ffi::luaL_ref(frame.raw(), ffi::LUA_REGISTRYINDEX) }
}

/// Sets the global `aerospike` for a call.
pub(crate) fn set_aerospike(frame: &mut Frame<'_>, ground: Ground) {
    // SAFETY: the registry holds the object.
    unsafe {
        ffi::lua_rawgeti(frame.raw(), ffi::LUA_REGISTRYINDEX, ground.aerospike.into());
    }
    frame.pop_global("aerospike");
}

/// A call assigns to a global that it has not assigned to before. Upvalues are the ground and what is hidden of it: nil over
/// a global of the module takes it out of sight.
unsafe extern "C-unwind" fn assign_global(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua with table, key and value. A key that cannot be one is refused as Lua does it.
    unsafe {
        if ffi::lua_type(state, 2) == ffi::LUA_TNIL {
            raise(state, c"index is nil");
        }
        let number = ffi::lua_tonumberx(state, 2, std::ptr::null_mut());
        if ffi::lua_type(state, 2) == ffi::LUA_TNUMBER && number.is_nan() {
            raise(state, c"index is NaN");
        }
        shared(state).globals_changed.set(true);
        ffi::lua_settop(state, 3);
        if ffi::lua_type(state, 3) == ffi::LUA_TNIL {
            // hidden[key], ground[key] = ground[key], nil
            let (ground, hidden) = (ffi::lua_upvalueindex(1), ffi::lua_upvalueindex(2));
            ffi::lua_pushvalue(state, 2);
            ffi::lua_pushvalue(state, 2);
            if ffi::lua_rawget(state, ground) != ffi::LUA_TNIL {
                ffi::lua_rawset(state, hidden);
                ffi::lua_rawset(state, ground);
            }
            return 0;
        }
        ffi::lua_rawset(state, 1);
    }
    0
}

/// Takes away what a call has assigned to globals; for those that [`seal`] has sealed.
pub(crate) fn forget_changes(frame: &mut Frame<'_>, ground: Ground) {
    if !frame.shared().globals_changed.replace(false) {
        return;
    }
    frame.push_globals();
    let globals = frame.top();
    clear(frame, globals);
    // SAFETY: the registry holds both tables.
    unsafe {
        ffi::lua_rawgeti(frame.raw(), ffi::LUA_REGISTRYINDEX, ground.table.into());
        ffi::lua_rawgeti(frame.raw(), ffi::LUA_REGISTRYINDEX, ground.hidden.into());
    }
    copy_entries(frame, globals + 2, globals + 1);
    clear(frame, globals + 2);
    frame.set_top(globals - 1);
}

/// Runs the body of a module that a call requires: its globals belong to the ground, like those of modules that were
/// required before. What the call itself has assigned is not there meanwhile.
pub(crate) fn run_on_ground(
    frame: &mut Frame<'_>,
    run: impl FnOnce(&mut Frame<'_>) -> Result<(), Raise>,
) -> Result<(), Raise> {
    if !frame.shared().sealed.get() {
        return run(frame);
    }
    let base = frame.top();
    frame.ensure_stack(16)?;
    frame.push_globals();
    frame.push_table(0, 8);
    let (globals, aside) = (base + 1, base + 2);
    copy_entries(frame, globals, aside);
    clear(frame, globals);
    let arguments = frame.top();
    let outcome = run(frame);
    // What `run` leaves is one value: the body's result, or its error.
    if outcome.is_ok() {
        frame.push_ground(globals);
        let ground = frame.top();
        copy_entries(frame, globals, ground);
        frame.pop(1);
    }
    clear(frame, globals);
    copy_entries(frame, aside, globals);
    frame.set_top(arguments + 1);
    frame.insert(base + 1);
    frame.set_top(base + 1);
    outcome
}
