//! Finalizers of scripts (`__gc`), under the call's budget.
//!
//! Lua runs finalizers with its hooks switched off, so one that does not end could not be stopped. Here the script's object
//! gets no finalizer of Lua's kind; a sentinel that lives exactly as long does, and its native finalizer runs the script's in
//! a coroutine, where the hook works.

use std::ffi::c_int;

use mlua::ffi;

use super::frame::Frame;
use super::weak;

/// Replaces the global `setmetatable`. The table of sentinels lives in its upvalue: a weak key is the object, the value its
/// sentinel.
pub(crate) fn define(frame: &mut Frame<'_>) {
    let state = frame.raw();
    frame.push_table(0, 0);
    let sentinels = frame.top();
    frame.push_table(0, 1);
    frame.push_bytes(b"k");
    frame.raw_set_field(sentinels + 1, "__mode");
    // SAFETY: two tables; then a metatable for the sentinels, and a plain function with both as upvalues.
    unsafe {
        ffi::lua_setmetatable(state, sentinels);
        frame.push_table(0, 1);
        ffi::lua_pushcclosure(state, finalize, 0);
        frame.raw_set_field(sentinels + 1, "__gc");
        ffi::lua_pushcclosure(state, set_metatable, 2);
    }
    frame.pop_global("setmetatable");
}

/// `setmetatable(table, metatable)`
unsafe extern "C-unwind" fn set_metatable(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: standard use of the C API; nothing here has a destructor. Upvalue 1 is the table of sentinels, 2 their metatable.
    unsafe {
        let kind = ffi::lua_type(state, 2);
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        if kind != ffi::LUA_TNIL && kind != ffi::LUA_TTABLE {
            ffi::lua_pushstring(state, c"nil or table expected, got ".as_ptr());
            ffi::lua_pushstring(state, ffi::lua_typename(state, kind));
            ffi::lua_concat(state, 2);
            return ffi::luaL_argerror(
                state,
                2,
                ffi::lua_tolstring(state, -1, std::ptr::null_mut()),
            );
        }
        if ffi::luaL_getmetafield(state, 1, c"__metatable".as_ptr()) != ffi::LUA_TNIL {
            ffi::luaL_where(state, 1);
            ffi::lua_pushstring(state, c"cannot change a protected metatable".as_ptr());
            ffi::lua_concat(state, 2);
            ffi::lua_error(state);
        }
        ffi::lua_settop(state, 2);
        if kind == ffi::LUA_TTABLE {
            weak::note(state);
            ffi::lua_pushstring(state, c"__gc".as_ptr());
            ffi::lua_rawget(state, 2);
            if ffi::lua_type(state, 3) != ffi::LUA_TNIL {
                add_sentinel(state);
                // Without the field Lua sees no finalizer; it is put back at once.
                set_raw(state, 2, None);
                ffi::lua_pushvalue(state, 2);
                ffi::lua_setmetatable(state, 1);
                set_raw(state, 2, Some(3));
                ffi::lua_settop(state, 1);
                return 1;
            }
            ffi::lua_settop(state, 2);
        }
        ffi::lua_setmetatable(state, 1);
    }
    1
}

/// `t.__gc = value at index`, raw; nil without one. The table is at `table`.
unsafe fn set_raw(state: *mut ffi::lua_State, table: c_int, value: Option<c_int>) {
    // SAFETY: the caller's table.
    unsafe {
        ffi::lua_pushstring(state, c"__gc".as_ptr());
        match value {
            Some(value) => ffi::lua_pushvalue(state, value),
            None => ffi::lua_pushnil(state),
        }
        ffi::lua_rawset(state, table);
    }
}

/// Enters a sentinel for the object at 1.
unsafe fn add_sentinel(state: *mut ffi::lua_State) {
    // SAFETY: as `set_metatable`. The sentinel's user value keeps the object for its finalizer.
    unsafe {
        ffi::lua_pushvalue(state, 1);
        ffi::lua_newuserdatauv(state, 0, 1);
        ffi::lua_pushvalue(state, 1);
        ffi::lua_setiuservalue(state, -2, 1);
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(2));
        ffi::lua_setmetatable(state, -2);
        ffi::lua_rawset(state, ffi::lua_upvalueindex(1));
    }
}

/// Runs the `__gc` that the object's metatable has now, in a coroutine. Its errors go nowhere, as in Lua.
unsafe extern "C-unwind" fn finalize(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: standard use of the C API; the argument is a sentinel.
    unsafe {
        let shared = super::protect::shared(state);
        if !shared.checkpoint() {
            return 0;
        }
        ffi::lua_getiuservalue(state, 1, 1);
        if ffi::lua_getmetatable(state, 2) == 0 {
            return 0;
        }
        ffi::lua_pushstring(state, c"__gc".as_ptr());
        ffi::lua_rawget(state, 3);
        if ffi::lua_type(state, 4) != ffi::LUA_TFUNCTION {
            return 0;
        }
        let coroutine = ffi::lua_newthread(state);
        ffi::lua_pushvalue(state, 4);
        ffi::lua_pushvalue(state, 2);
        ffi::lua_xmove(state, coroutine, 2);
        let mut results = 0;
        // It may run in the middle of native work, where allocation does not fail: a script's has to.
        let depth = shared.memory.suspend_overdraft();
        let before = shared.memory.pace.enter(coroutine);
        ffi::lua_resume(coroutine, state, 1, &raw mut results);
        shared.memory.pace.leave(before);
        shared.memory.resume_overdraft(depth);
    }
    0
}
