//! Tables of the server that scripts reach (libraries, `package.loaded`, what `getmetatable` shows, …), kept as the module's
//! body left them.
//!
//! What such a table holds moves into a ground of its own, which the empty table shows through. A write by a call is thus
//! noticed where it happens, at no cost elsewhere, and the context is not used again. `rawset`, `rawget` and `next` know
//! sealed tables.

use std::ffi::c_int;

use mlua::ffi::{self, lua_State};
use protocol::bounds::Fit as _;

use crate::machine::frame::{Frame, LuaType, Raise};
use crate::machine::protect::shared;

/// Places in Lua's registry: the tables that are to be sealed (as keys), and the ground of each sealed one.
const OWN_TABLES: &str = "asd.own";
const GROUNDS: &str = "asd.grounds";

/// Where Lua itself keeps the loaded modules; once a module's body has run, where it finds names of functions.
const LOADED: &str = "_LOADED";

/// Where `require` keeps the loaded modules.
const MODULES: &str = "asd.loaded";

/// Puts the functions that know sealed tables into the globals. Before anything can be sealed.
pub(crate) fn define(frame: &mut Frame<'_>) {
    frame.push_table(0, 32);
    frame.push_globals();
    let (grounds, globals) = (frame.top() - 1, frame.top());
    let functions: [(&str, ffi::lua_CFunction); 3] =
        [("next", next), ("rawget", raw_get), ("rawset", raw_set)];
    for (name, function) in functions {
        frame.copy(grounds);
        // SAFETY: a plain function with the table of grounds as its upvalue.
        unsafe { ffi::lua_pushcclosure(frame.raw(), function, 1) };
        frame.raw_set_field(globals, name);
    }
    frame.copy(grounds);
    frame.set_registry(GROUNDS);
    frame.push_registry(LOADED);
    frame.set_registry(MODULES);
    frame.set_top(grounds - 1);
}

/// Remembers every table that scripts reach now. Once all libraries are open, before any script has run.
pub(crate) fn remember_own_tables(frame: &mut Frame<'_>) {
    frame.push_table(0, 32);
    let own = frame.top();
    frame.push_globals();
    remember(frame, own);
    for class in crate::machine::object::Class::ALL {
        frame.push_shown_metatable(class);
        remember(frame, own);
    }
    frame.copy(own);
    frame.set_registry(OWN_TABLES);
    frame.set_top(own - 1);
}

/// Pops a table that is not to be sealed.
pub(crate) fn leave_open(frame: &mut Frame<'_>) {
    let table = frame.top();
    frame.push_registry(OWN_TABLES);
    frame.copy(table);
    frame.push_nil();
    frame.raw_set(table + 1);
    frame.set_top(table - 1);
}

/// Pops a value; if it is a table, enters it and all that it holds into `own`.
fn remember(frame: &mut Frame<'_>, own: c_int) {
    let table = frame.top();
    if frame.kind(table) == LuaType::Table && frame.ensure_stack(8).is_ok() {
        frame.copy(table);
        frame.raw_get(own);
        if frame.kind(-1) == LuaType::Nil {
            frame.copy(table);
            frame.push_boolean(true);
            frame.raw_set(own);
            frame.push_nil();
            while frame.next(table) {
                remember(frame, own);
            }
        }
    }
    frame.set_top(table - 1);
}

/// Seals the remembered tables; the globals at `globals` are not among them.
pub(crate) fn seal_own_tables(frame: &mut Frame<'_>, globals: c_int) {
    let base = frame.top();
    frame.push_registry(GROUNDS);
    frame.push_registry(OWN_TABLES);
    let (grounds, own) = (base + 1, base + 2);
    push_shown_text_metatable(frame, globals);
    if frame.kind(-1) == LuaType::Table {
        seal(frame, grounds, globals);
    }
    frame.set_top(own);
    frame.push_nil();
    while frame.next(own) {
        frame.pop(1);
        frame.copy(-1);
        // SAFETY: compares two existing values.
        if unsafe { ffi::lua_rawequal(frame.raw(), -1, globals) } == 0 {
            seal(frame, grounds, globals);
        } else {
            frame.pop(1);
        }
    }
    frame.set_top(base);
    frame.push_nil();
    frame.set_registry(OWN_TABLES);
    // Lua's and our `require` look here.
    frame.push_registry(GROUNDS);
    frame.push_registry(LOADED);
    frame.raw_get(base + 1);
    if frame.kind(-1) == LuaType::Table {
        frame.copy(-1);
        frame.set_registry(MODULES);
        frame.set_registry(LOADED);
    }
    frame.set_top(base);
}

/// Lets Lua find the names of library functions again, for its error texts: it looks for them in the tables of the loaded
/// modules, which are empty once they are sealed. Where Lua's own `require` is, it needs the place itself.
pub(crate) fn name_functions(frame: &mut Frame<'_>) {
    let base = frame.top();
    frame.push_registry(MODULES);
    let modules = base + 1;
    frame.push_bytes(b"debug");
    frame.raw_get(modules);
    if frame.kind(modules) == LuaType::Table && frame.kind(-1) == LuaType::Nil {
        frame.set_top(modules);
        frame.push_registry(GROUNDS);
        frame.push_table(0, 16);
        let (grounds, names) = (base + 2, base + 3);
        frame.push_nil();
        while frame.next(modules) {
            // Name and table; then the name, its ground.
            let name = frame.top() - 1;
            frame.raw_get(grounds);
            if frame.kind(-1) == LuaType::Table {
                frame.copy(name);
                frame.insert(name + 1);
                frame.raw_set(names);
            } else {
                frame.pop(1);
            }
        }
        frame.copy(names);
        frame.set_registry(LOADED);
    }
    frame.set_top(base);
}

/// Enters the globals, which have been sealed in their own way, for `rawget` and `next`.
pub(crate) fn enter_globals(frame: &mut Frame<'_>, globals: c_int, ground: c_int) {
    frame.push_registry(GROUNDS);
    let grounds = frame.top();
    frame.copy(globals);
    frame.copy(ground);
    frame.raw_set(grounds);
    frame.pop(1);
}

/// Seals the table on top of the stack; pops it. One that a module gave a metatable with fields of its own stays as it is.
fn seal(frame: &mut Frame<'_>, grounds: c_int, globals: c_int) {
    let table = frame.top();
    seal_at(frame, table, grounds, globals);
    frame.set_top(table - 1);
}

fn seal_at(frame: &mut Frame<'_>, table: c_int, grounds: c_int, globals: c_int) {
    let fields = ["__index", "__newindex", "__metatable", "__pairs"];
    // SAFETY: pushes the metatable, or nothing.
    if unsafe { ffi::lua_getmetatable(frame.raw(), table) == 0 } {
        frame.push_table(0, 4);
    }
    let metatable = frame.top();
    for field in fields {
        frame.push_bytes(field.as_bytes());
        frame.raw_get(metatable);
        if frame.kind(-1) != LuaType::Nil {
            return;
        }
        frame.pop(1);
    }
    frame.push_table(0, 32);
    let ground = frame.top();
    move_entries(frame, table, ground);
    frame.copy(ground);
    frame.raw_set_field(metatable, "__index");
    frame.push_native(note_change);
    frame.raw_set_field(metatable, "__newindex");
    frame.push_boolean(false);
    frame.raw_set_field(metatable, "__metatable");
    push_pairs(frame, globals, ground);
    frame.raw_set_field(metatable, "__pairs");
    frame.copy(table);
    frame.copy(ground);
    frame.raw_set(grounds);
    frame.set_top(metatable);
    // SAFETY: pops the metatable into the table.
    unsafe { ffi::lua_setmetatable(frame.raw(), table) };
}

/// `getmetatable("")` answers a copy, so that a call cannot take the methods of strings away. Pushes it, or nil.
fn push_shown_text_metatable(frame: &mut Frame<'_>, globals: c_int) {
    frame.push_bytes(b"");
    let text = frame.top();
    // SAFETY: pushes the metatable, or nothing.
    if unsafe { ffi::lua_getmetatable(frame.raw(), text) == 0 } {
        frame.push_nil();
        return;
    }
    frame.push_table(0, 1);
    frame.push_bytes(b"string");
    frame.raw_get(globals);
    frame.raw_set_field(text + 2, "__index");
    frame.copy(text + 2);
    frame.raw_set_field(text + 1, "__metatable");
}

/// A call writes to a sealed table: it may, and its context is not used again.
fn note_change(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.is_absent(2) {
        return Err(Raise::text("index is nil"));
    }
    if frame.number(2).is_some_and(f64::is_nan) {
        return Err(Raise::text("index is NaN"));
    }
    frame.set_top(3);
    frame.shared().libraries_changed.set(true);
    frame.raw_set(1);
    Ok(0)
}

pub(crate) fn copy_entries(frame: &mut Frame<'_>, from: c_int, to: c_int) {
    frame.push_nil();
    while frame.next(from) {
        frame.copy(-2);
        frame.insert(-2);
        frame.raw_set(to);
    }
}

/// Leaves `from` empty, and small: what shows through it is found the sooner.
pub(crate) fn move_entries(frame: &mut Frame<'_>, from: c_int, to: c_int) {
    copy_entries(frame, from, to);
    let mut count = 0_usize;
    frame.push_nil();
    while frame.next(from) {
        frame.pop(1);
        count += 1;
    }
    clear(frame, from);
    // Lua fits a table to what it holds when a new key finds no place: first to these numbers, then to one name.
    let numbers = 1..=count.next_power_of_two().fit::<i64>() + 1;
    for number in numbers.clone() {
        frame.push_boolean(true);
        frame.raw_set_index(from, number);
    }
    for number in numbers {
        frame.push_nil();
        frame.raw_set_index(from, number);
    }
    for value in [true, false] {
        if value {
            frame.push_boolean(true);
        } else {
            frame.push_nil();
        }
        frame.raw_set_field(from, "_");
    }
}

pub(crate) fn clear(frame: &mut Frame<'_>, table: c_int) {
    frame.push_nil();
    while frame.next(table) {
        frame.pop(1);
        frame.copy(-1);
        frame.push_nil();
        frame.raw_set(table);
    }
}

/// Pushes the `__pairs` of a table that shows its ground through, with `next` as the module left it.
pub(crate) fn push_pairs(frame: &mut Frame<'_>, globals: c_int, ground: c_int) {
    frame.copy(ground);
    frame.push_bytes(b"next");
    frame.raw_get(globals);
    frame.push_closure(pairs, 2);
}

/// Goes over a copy of the ground with what lies above it.
fn pairs(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.kind(1) != LuaType::Table {
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

/// Pushes the ground of the table at 1, or nil when it is not sealed.
unsafe fn push_ground(state: *mut lua_State) -> bool {
    // SAFETY: standard use of the C API, as in the functions below; upvalue 1 is the table of grounds.
    unsafe {
        ffi::lua_pushvalue(state, 1);
        ffi::lua_rawget(state, ffi::lua_upvalueindex(1)) != ffi::LUA_TNIL
    }
}

/// `rawset(table, index, value)`
unsafe extern "C-unwind" fn raw_set(state: *mut lua_State) -> c_int {
    // SAFETY: as above. Globals are the calls' own: what is written to them is taken away.
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        ffi::luaL_checkany(state, 2);
        ffi::luaL_checkany(state, 3);
        ffi::lua_settop(state, 3);
        if push_ground(state) {
            ffi::lua_rawgeti(state, ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS);
            let shared = shared(state);
            if ffi::lua_rawequal(state, -1, 1) == 0 {
                shared.libraries_changed.set(true);
            } else {
                shared.globals_changed.set(true);
            }
        }
        ffi::lua_settop(state, 3);
        ffi::lua_rawset(state, 1);
    }
    1
}

/// `rawget(table, index)`
unsafe extern "C-unwind" fn raw_get(state: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        ffi::luaL_checkany(state, 2);
        ffi::lua_settop(state, 2);
        ffi::lua_pushvalue(state, 2);
        if ffi::lua_rawget(state, 1) == ffi::LUA_TNIL && push_ground(state) {
            ffi::lua_pushvalue(state, 2);
            ffi::lua_rawget(state, -2);
        } else {
            ffi::lua_settop(state, 3);
        }
    }
    1
}

/// `next(table[, index])`; a sealed table gives what its ground holds, then what lies above that.
unsafe extern "C-unwind" fn next(state: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        ffi::lua_settop(state, 2);
        if !push_ground(state) {
            ffi::lua_settop(state, 2);
            return after(state, 1);
        }
        // table, index, ground
        ffi::lua_pushvalue(state, 2);
        let in_ground =
            ffi::lua_type(state, 2) == ffi::LUA_TNIL || ffi::lua_rawget(state, 3) != ffi::LUA_TNIL;
        ffi::lua_settop(state, 3);
        ffi::lua_pushvalue(state, 2);
        if in_ground {
            if ffi::lua_next(state, 3) != 0 {
                return shown(state);
            }
            ffi::lua_pushnil(state);
        }
        while ffi::lua_next(state, 1) != 0 {
            ffi::lua_pushvalue(state, -2);
            let above_only = ffi::lua_rawget(state, 3) == ffi::LUA_TNIL;
            ffi::lua_settop(state, -2);
            if above_only {
                return 2;
            }
            ffi::lua_settop(state, -2);
        }
        ffi::lua_pushnil(state);
    }
    1
}

/// The entry after the key on top of the stack.
unsafe fn after(state: *mut lua_State, table: c_int) -> c_int {
    // SAFETY: as above.
    unsafe {
        if ffi::lua_next(state, table) != 0 {
            return 2;
        }
        ffi::lua_pushnil(state);
    }
    1
}

/// Key and value of the ground are on top: what lies above under the same key is what is seen.
unsafe fn shown(state: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        ffi::lua_pushvalue(state, -2);
        if ffi::lua_rawget(state, 1) == ffi::LUA_TNIL {
            ffi::lua_settop(state, -2);
        } else {
            ffi::lua_replace(state, -2);
        }
    }
    2
}

impl Frame<'_> {
    /// Pushes a field of Lua's registry.
    pub(crate) fn push_registry(&mut self, name: &str) {
        self.push_bytes(name.as_bytes());
        // SAFETY: the registry is a table.
        unsafe { ffi::lua_rawget(self.raw(), ffi::LUA_REGISTRYINDEX) };
    }

    /// Pops a value into a field of Lua's registry.
    pub(crate) fn set_registry(&mut self, name: &str) {
        self.raw_set_field(ffi::LUA_REGISTRYINDEX, name);
    }

    /// Pushes the ground of the sealed table at `table` (absolute), or nil.
    pub(crate) fn push_ground(&mut self, table: c_int) {
        self.push_registry(GROUNDS);
        let grounds = self.top();
        self.copy(table);
        self.raw_get(grounds);
        self.replace(grounds);
    }

    /// Pushes the table of the loaded modules.
    pub(crate) fn push_loaded(&mut self) {
        self.push_registry(MODULES);
    }
}
