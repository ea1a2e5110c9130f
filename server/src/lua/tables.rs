//! Standard functions that keep their own code but not their freedom.
//!
//! Some of Lua's C functions loop as long as a fake length tells them to, and no hook can stop them. Each wrapper here
//! looks at the arguments and then runs the original in its own place, so that error texts stay what they are.

use std::ffi::{CStr, c_int, c_void};

use mlua::ffi;

use super::frame::Frame;

/// Elements that one call of a table function may walk over. Real tables of this size do not fit into a call's memory.
const MAX_ELEMENTS: ffi::lua_Integer = 1 << 22;

/// Options of `collectgarbage` that scripts may use; the others have no effect, since contexts are shared.
const GARBAGE_OPTIONS: [&CStr; 4] = [c"collect", c"count", c"step", c"isrunning"];
const GARBAGE_OPTIONS_IGNORED: [&CStr; 6] = [
    c"stop",
    c"restart",
    c"setpause",
    c"setstepmul",
    c"incremental",
    c"generational",
];

/// Puts the wrappers into `table` and the globals. `safe` also keeps `load` from taking binary chunks.
pub(crate) fn define(frame: &mut Frame<'_>, safe: bool) {
    let wrappers: [(&str, ffi::lua_CFunction); 5] = [
        ("concat", bounded_concat),
        ("insert", bounded),
        ("move", bounded_move),
        ("remove", bounded),
        ("sort", bounded),
    ];
    frame.push_global("table");
    let table = frame.top();
    for (name, wrapper) in wrappers {
        wrap(frame, table, name, wrapper);
    }
    frame.pop(1);
    frame.push_globals();
    let globals = frame.top();
    wrap(frame, globals, "collectgarbage", collectgarbage);
    if safe {
        wrap(frame, globals, "load", load);
    }
    frame.pop(1);
}

/// Replaces a C function by a wrapper that has it as upvalue.
fn wrap(frame: &mut Frame<'_>, table: c_int, name: &str, wrapper: ffi::lua_CFunction) {
    frame.push_bytes(name.as_bytes());
    frame.raw_get(table);
    // SAFETY: what is wrapped are C functions of Lua's own library.
    unsafe {
        let original = ffi::lua_tocfunction(frame.raw(), -1)
            .map_or(std::ptr::null_mut(), |f| f as *mut c_void);
        frame.pop(1);
        ffi::lua_pushlightuserdata(frame.raw(), original);
        ffi::lua_pushcclosure(frame.raw(), wrapper, 1);
    }
    frame.raw_set_field(table, name);
}

/// Runs the wrapped function on the wrapper's own arguments.
unsafe fn original(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: `wrap` has put a C function into upvalue 1; those wrapped use no upvalues of their own.
    unsafe {
        let original = ffi::lua_touserdata(state, ffi::lua_upvalueindex(1));
        if original.is_null() {
            return 0;
        }
        std::mem::transmute::<*mut c_void, ffi::lua_CFunction>(original)(state)
    }
}

/// Whether the first argument is a table whose length a script makes up: it may say another one each time it is asked.
unsafe fn has_length_of_its_own(state: *mut ffi::lua_State) -> bool {
    // SAFETY: looks only; what is pushed is popped.
    unsafe {
        if ffi::lua_type(state, 1) != ffi::LUA_TTABLE
            || ffi::luaL_getmetafield(state, 1, c"__len".as_ptr()) == ffi::LUA_TNIL
        {
            return false;
        }
        ffi::lua_settop(state, -2);
        true
    }
}

/// `table.concat(list[, sep[, i[, j]]])`
unsafe extern "C-unwind" fn bounded_concat(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        let first = if ffi::lua_type(state, 3) == ffi::LUA_TNUMBER {
            ffi::lua_tointegerx(state, 3, std::ptr::null_mut())
        } else {
            1
        };
        let last = ffi::lua_tointegerx(state, 4, std::ptr::null_mut());
        if last > first && last.saturating_sub(first) > MAX_ELEMENTS {
            return ffi::luaL_argerror(state, 4, c"too many elements".as_ptr());
        }
        bounded(state)
    }
}

/// For functions that walk over the whole first argument.
unsafe extern "C-unwind" fn bounded(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: standard use of the C API; nothing here has a destructor.
    unsafe {
        if ffi::lua_getmetatable(state, 1) != 0 {
            ffi::lua_settop(state, -2);
            if has_length_of_its_own(state) {
                ffi::luaL_where(state, 1);
                ffi::lua_pushstring(state, c"array too big".as_ptr());
                ffi::lua_concat(state, 2);
                ffi::lua_error(state);
            }
        }
        original(state)
    }
}

/// `table.move(a1, f, e, t[, a2])`
unsafe extern "C-unwind" fn bounded_move(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        let first = ffi::lua_tointegerx(state, 2, std::ptr::null_mut());
        let last = ffi::lua_tointegerx(state, 3, std::ptr::null_mut());
        if last > first && last.saturating_sub(first) > MAX_ELEMENTS {
            return ffi::luaL_argerror(state, 3, c"too many elements to move".as_ptr());
        }
        original(state)
    }
}

unsafe extern "C-unwind" fn collectgarbage(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: as above; the option's text stays on the stack.
    unsafe {
        let option = ffi::luaL_optstring(state, 1, c"collect".as_ptr());
        let option = CStr::from_ptr(option);
        if GARBAGE_OPTIONS_IGNORED.contains(&option) {
            ffi::lua_pushinteger(state, 0);
            return 1;
        }
        if !GARBAGE_OPTIONS.contains(&option) {
            ffi::lua_pushstring(state, c"invalid option '".as_ptr());
            ffi::lua_pushvalue(state, 1);
            ffi::lua_pushstring(state, c"'".as_ptr());
            ffi::lua_concat(state, 3);
            return ffi::luaL_argerror(
                state,
                1,
                ffi::lua_tolstring(state, -1, std::ptr::null_mut()),
            );
        }
        original(state)
    }
}

/// `load` of text chunks only.
unsafe extern "C-unwind" fn load(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        if ffi::lua_gettop(state) < 3 {
            ffi::lua_settop(state, 3);
        }
        ffi::lua_pushstring(state, c"t".as_ptr());
        ffi::lua_replace(state, 3);
        let results = original(state);
        // `load` is protected: it would catch the end of the call when that comes inside a reader function.
        if super::protect::shared(state).abort.get().is_some() {
            ffi::lua_error(state);
        }
        results
    }
}
