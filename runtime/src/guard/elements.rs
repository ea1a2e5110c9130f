//! What the functions of `table` ask of their arguments.

use std::ffi::{CStr, c_int};

use mlua::ffi::{self, lua_Integer, lua_State};

/// Steps that an element of a plain table is counted with.
const PLAIN_STEP: usize = 16;
/// Steps of an element that metamethods may have to find: Lua follows up to 2,000 of them.
const INDIRECT_STEP: usize = 8_192;

/// What a function does with its table; each needs a metamethod when the argument is no table.
pub(crate) const READ: u8 = 1;
pub(crate) const WRITE: u8 = 2;
const LENGTH: u8 = 4;

/// Checks that an argument is a table, or can be used like one.
pub(crate) unsafe fn check_table(state: *mut lua_State, argument: c_int, uses: u8) {
    // SAFETY: standard use of the C API, as in all of this file.
    unsafe {
        if ffi::lua_type(state, argument) == ffi::LUA_TTABLE {
            return;
        }
        let top = ffi::lua_gettop(state);
        let usable = ffi::lua_getmetatable(state, argument) != 0
            && [
                (READ, c"__index"),
                (WRITE, c"__newindex"),
                (LENGTH, c"__len"),
            ]
            .iter()
            .all(|(use_, field)| {
                if uses & use_ == 0 {
                    return true;
                }
                ffi::lua_pushstring(state, field.as_ptr());
                ffi::lua_rawget(state, top + 1) != ffi::LUA_TNIL
            });
        ffi::lua_settop(state, top);
        if !usable {
            ffi::luaL_checktype(state, argument, ffi::LUA_TTABLE);
        }
    }
}

/// Checks a table argument and answers its length.
pub(crate) unsafe fn length(state: *mut lua_State, argument: c_int, uses: u8) -> lua_Integer {
    // SAFETY: as above.
    unsafe {
        check_table(state, argument, uses | LENGTH);
        ffi::luaL_len(state, argument)
    }
}

/// Steps that an element of the value at `index` is counted with.
pub(crate) unsafe fn element_steps(state: *mut lua_State, index: c_int) -> usize {
    // SAFETY: as above; the metatable is popped.
    unsafe {
        if ffi::lua_getmetatable(state, index) == 0 {
            return PLAIN_STEP;
        }
        ffi::lua_settop(state, -2);
        INDIRECT_STEP
    }
}

/// Raises `text` for an argument unless the condition holds.
pub(crate) unsafe fn check(holds: bool, state: *mut lua_State, argument: c_int, text: &CStr) {
    if !holds {
        // SAFETY: as above.
        unsafe { ffi::luaL_argerror(state, argument, text.as_ptr()) };
    }
}
