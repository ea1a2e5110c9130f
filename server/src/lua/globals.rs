//! What survives between calls of one context.
//!
//! Once a module's body has run, its globals (functions, tables, libraries) become the ground: a table of their own, which
//! an empty global table shows through. What a call assigns to a global lies above and is taken away when the call ends.
//! So every call starts with the globals that the module's body left; none reads what another left in one, and none can
//! break them for the others. Locals of the module, and what its tables hold, live as long as the context. A call that changes a library has its context retired.

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
}

/// Libraries whose functions calls have to leave as the module's body left them.
const LIBRARIES: [&str; 8] = [
    "list", "map", "bytes", "record", "iterator", "string", "table", "math",
];

/// Moves what each library holds to a ground of its own, which the library's table shows through. A write to it is noticed.
fn seal_libraries(frame: &mut Frame<'_>, globals: c_int) {
    let base = frame.top();
    for name in LIBRARIES {
        frame.push_bytes(name.as_bytes());
        frame.raw_get(globals);
        if frame.kind(-1) == Kind::Table {
            seal_library(frame, globals);
        }
        frame.set_top(base);
    }
    hide_string_metatable(frame, globals);
    frame.set_top(base);
}

/// Seals the library on top of the stack. One that a module gave a metatable with fields of its own stays as it is.
fn seal_library(frame: &mut Frame<'_>, globals: c_int) {
    let library = frame.top();
    let fields = ["__index", "__newindex", "__metatable", "__pairs"];
    // SAFETY: pushes the metatable, or nothing.
    if unsafe { ffi::lua_getmetatable(frame.raw(), library) == 0 } {
        frame.push_table(0, 4);
    }
    let metatable = frame.top();
    for field in fields {
        frame.push_bytes(field.as_bytes());
        frame.raw_get(metatable);
        if frame.kind(-1) != Kind::Nil {
            return;
        }
        frame.pop(1);
    }
    frame.push_table(0, 32);
    let ground = frame.top();
    copy_entries(frame, library, ground);
    clear(frame, library);
    frame.copy(ground);
    frame.raw_set_field(metatable, "__index");
    frame.push_native(note_change);
    frame.raw_set_field(metatable, "__newindex");
    frame.push_boolean(false);
    frame.raw_set_field(metatable, "__metatable");
    push_pairs(frame, globals, ground);
    frame.raw_set_field(metatable, "__pairs");
    frame.set_top(metatable);
    // SAFETY: pops the metatable into the library.
    unsafe { ffi::lua_setmetatable(frame.raw(), library) };
}

/// `getmetatable("")` answers a copy, so that a call cannot take the methods of strings away.
fn hide_string_metatable(frame: &mut Frame<'_>, globals: c_int) {
    frame.push_bytes(b"");
    let text = frame.top();
    // SAFETY: pushes the metatable, or nothing.
    if unsafe { ffi::lua_getmetatable(frame.raw(), text) == 0 } {
        return;
    }
    frame.push_table(0, 1);
    frame.push_bytes(b"string");
    frame.raw_get(globals);
    frame.raw_set_field(text + 2, "__index");
    frame.raw_set_field(text + 1, "__metatable");
}

/// A call writes to a library: it may, and its context is not used again.
fn note_change(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.is_absent(2) {
        return Err(Raise::text("index is nil"));
    }
    frame.set_top(3);
    frame.shared().libraries_changed.set(true);
    frame.raw_set(1);
    Ok(0)
}

/// Makes the globals as they are the ground.
///
/// A module whose body gave the globals a metatable of its own keeps them as plain globals.
pub(crate) fn seal(frame: &mut Frame<'_>) -> Ground {
    frame.push_object(Object::Aerospike);
    let aerospike = keep(frame);
    frame.push_globals();
    let globals = frame.top();
    seal_libraries(frame, globals);
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

/// Pushes the `__pairs` of a table that shows its ground through, with Lua's `next` as the module left it.
fn push_pairs(frame: &mut Frame<'_>, globals: c_int, ground: c_int) {
    frame.copy(ground);
    frame.push_bytes(b"next");
    frame.raw_get(globals);
    frame.push_closure(pairs, 2);
}

/// Goes over a copy of the ground with what lies above it.
fn pairs(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.kind(1) != Kind::Table {
        return Err(frame.type_error(1, "table"));
    }
    frame.set_top(1);
    frame.copy(Frame::upvalue(2));
    frame.push_table(0, 96);
    frame.copy(Frame::upvalue(1));
    copy_entries(frame, 4, 3);
    frame.set_top(3);
    copy_entries(frame, 1, 3);
    frame.push_nil();
    Ok(3)
}
