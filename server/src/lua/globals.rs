//! What survives between calls of one context.
//!
//! Once a module's body has run, its globals (functions, tables, libraries) become the ground: a table of their own, which
//! an empty global table shows through. What a call assigns to a global lies above and is taken away when the call ends.
//! So every call starts with the globals that the module's body left; none reads what another left in one, and none can
//! break them for the others. Locals of the module, and what its tables hold, live as long as the context. Libraries
//! and other tables of the server are kept by [`super::sealed`].

use std::ffi::c_int;

use mlua::ffi;

use super::frame::{Frame, Raise};
use super::object::Object;
use super::sealed::{clear, copy_entries, enter_globals, push_pairs, seal_own_tables};

/// The globals that calls start with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground {
    /// Registry reference to their table.
    pub(crate) table: c_int,
    /// Registry reference to the object `aerospike`, which every call gets anew.
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
            aerospike,
            sealed: false,
        };
    }
    frame.push_table(0, 96);
    let ground = frame.top();
    copy_entries(frame, globals, ground);
    frame.push_table(0, 3);
    let metatable = frame.top();
    push_pairs(frame, globals, ground);
    frame.raw_set_field(metatable, "__pairs");
    frame.copy(ground);
    frame.raw_set_field(metatable, "__index");
    frame.push_boolean(false);
    frame.raw_set_field(metatable, "__metatable");
    clear(frame, globals);
    // SAFETY: pops the metatable into the global table.
    unsafe { ffi::lua_setmetatable(frame.raw(), globals) };
    enter_globals(frame, globals, ground);
    frame.shared().sealed.set(true);
    frame.set_top(ground);
    Ground {
        table: keep(frame),
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

/// Takes away what a call has assigned to globals; for those that [`seal`] has sealed.
pub(crate) fn forget_changes(frame: &mut Frame<'_>) {
    frame.push_globals();
    let globals = frame.top();
    clear(frame, globals);
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
    frame.push_bytes(b"aerospike");
    frame.raw_get(aside);
    frame.raw_set_field(globals, "aerospike");
    let arguments = frame.top();
    let outcome = run(frame);
    // What `run` leaves is one value: the body's result, or its error.
    frame.push_nil();
    frame.raw_set_field(globals, "aerospike");
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
