//! What survives between calls of one context.
//!
//! Once a module's body has run, its globals (functions, tables, libraries) become the ground: a table of their own, which
//! an empty global table shows through. What a call assigns to a global lies above and is taken away when the call ends.
//! So every call starts with the globals that the module's body left; none reads what another left in one, and none can
//! break them for the others. Locals of the module, and what its tables hold, live as long as the context.

use std::ffi::c_int;

use mlua::ffi;

use super::frame::{Frame, Kind, Raise};
use super::object::Object;

/// The globals that calls start with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground {
    /// Registry reference to their table.
    pub(crate) table: c_int,
    /// Registry reference to the object `aerospike`, which every call gets anew.
    pub(crate) aerospike: c_int,
    /// Whether changes by calls lie above it and are to be taken away.
    pub(crate) sealed: bool,
    /// Registry reference to what the libraries held, as an array of table, key, value, …
    library: c_int,
    /// Size of that array.
    library_size: i64,
}

/// Libraries whose functions calls have to leave as the module's body left them.
const LIBRARIES: [&str; 8] = [
    "list", "map", "bytes", "record", "iterator", "string", "table", "math",
];

/// Notes what the libraries in the table at `index` hold: registry reference and size of the array.
fn note_libraries(frame: &mut Frame<'_>, index: c_int) -> (c_int, i64) {
    frame.push_table(0, 0);
    let noted = frame.top();
    let mut size = 0;
    for name in LIBRARIES {
        frame.push_bytes(name.as_bytes());
        frame.raw_get(index);
        if frame.kind(-1) == Kind::Table {
            note(frame, noted, &mut size);
        }
        frame.set_top(noted);
    }
    // Methods of strings.
    frame.push_bytes(b"");
    // SAFETY: looks only; pushes nothing when there is no metatable.
    if unsafe { ffi::lua_getmetatable(frame.raw(), noted + 1) != 0 } {
        frame.insert(noted + 1);
        frame.set_top(noted + 1);
        note(frame, noted, &mut size);
    }
    frame.set_top(noted);
    (keep(frame), size)
}

/// Notes the functions and tables in the table on top.
fn note(frame: &mut Frame<'_>, noted: c_int, size: &mut i64) {
    let table = frame.top();
    frame.push_nil();
    while frame.next(table) {
        if matches!(frame.kind(-1), Kind::Function | Kind::Table) {
            for index in [table, table + 1, table + 2] {
                frame.copy(index);
                *size += 1;
                frame.raw_set_index(noted, *size);
            }
        }
        frame.pop(1);
    }
}

/// Whether the libraries still hold what they held.
pub(crate) fn are_intact(frame: &mut Frame<'_>, ground: Ground) -> bool {
    let state = frame.raw();
    let mut intact = true;
    // SAFETY: the registry holds the array of `note_libraries`: table, key, value, …; raw reads only.
    unsafe {
        ffi::lua_rawgeti(state, ffi::LUA_REGISTRYINDEX, ground.library.into());
        let noted = ffi::lua_gettop(state);
        for at in (1..=ground.library_size).step_by(3) {
            ffi::lua_rawgeti(state, noted, at);
            ffi::lua_rawgeti(state, noted, at + 1);
            ffi::lua_rawget(state, noted + 1);
            ffi::lua_rawgeti(state, noted, at + 2);
            intact &= ffi::lua_rawequal(state, -1, -2) != 0;
            ffi::lua_settop(state, noted);
        }
        ffi::lua_settop(state, noted - 1);
    }
    intact
}

/// Makes the globals as they are the ground.
///
/// A module whose body gave the globals a metatable of its own keeps them as plain globals.
pub(crate) fn seal(frame: &mut Frame<'_>) -> Ground {
    frame.push_object(Object::Aerospike);
    let aerospike = keep(frame);
    frame.push_globals();
    let globals = frame.top();
    let (library, library_size) = note_libraries(frame, globals);
    // SAFETY: looks only; pushes nothing when there is no metatable.
    let has_metatable = unsafe { ffi::lua_getmetatable(frame.raw(), globals) != 0 };
    if has_metatable {
        frame.set_top(globals);
        return Ground {
            table: keep(frame),
            aerospike,
            sealed: false,
            library,
            library_size,
        };
    }
    frame.push_table(0, 96);
    let ground = frame.top();
    copy_entries(frame, globals, ground);
    clear(frame, globals);
    frame.push_table(0, 3);
    let metatable = frame.top();
    frame.copy(ground);
    frame.raw_set_field(metatable, "__index");
    frame.push_boolean(false);
    frame.raw_set_field(metatable, "__metatable");
    frame.copy(ground);
    frame.push_closure(pairs, 1);
    frame.raw_set_field(metatable, "__pairs");
    // SAFETY: pops the metatable into the global table.
    unsafe { ffi::lua_setmetatable(frame.raw(), globals) };
    frame.set_top(ground);
    Ground {
        table: keep(frame),
        aerospike,
        sealed: true,
        library,
        library_size,
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

fn copy_entries(frame: &mut Frame<'_>, from: c_int, to: c_int) {
    frame.push_nil();
    while frame.next(from) {
        frame.copy(-2);
        frame.insert(-2);
        frame.raw_set(to);
    }
}

fn clear(frame: &mut Frame<'_>, table: c_int) {
    frame.push_nil();
    while frame.next(table) {
        frame.pop(1);
        frame.copy(-1);
        frame.push_nil();
        frame.raw_set(table);
    }
}

/// `pairs(_G)`: over a copy of the ground with what lies above it.
fn pairs(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    frame.set_top(1);
    frame.push_table(0, 96);
    frame.copy(Frame::upvalue(1));
    copy_entries(frame, 3, 2);
    frame.set_top(2);
    frame.copy(1);
    copy_entries(frame, 3, 2);
    frame.set_top(2);
    frame.copy(Frame::upvalue(1));
    frame.push_bytes(b"next");
    frame.raw_get(3);
    frame.insert(3);
    frame.set_top(3);
    frame.copy(2);
    frame.push_nil();
    Ok(3)
}
