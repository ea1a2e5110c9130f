//! `pcall`, `xpcall` and `coroutine.resume` that do not catch the end of a call.
//!
//! A script whose time or memory is spent is stopped by an error. Lua's own functions would let the script catch it and
//! go on; these pass it on. They are written like C functions, on purpose: nothing in them has a destructor, so errors
//! may pass through, and they can be continued after a yield.

use std::ffi::{CStr, c_int, c_void};

use mlua::ffi;
use protocol::bounds::Fit as _;

use super::frame::Frame;
use super::shared::{Abort, Shared};
use super::weak;

/// Puts the functions into the globals and into `coroutine`.
pub(crate) fn define(frame: &mut Frame<'_>) {
    let state = frame.raw();
    // SAFETY: pushes plain functions; the globals are a table, as is `coroutine`.
    unsafe {
        ffi::lua_pushcclosure(state, protected_call, 0);
        frame.pop_global("pcall");
        ffi::lua_pushcclosure(state, protected_call_with_handler, 0);
        frame.pop_global("xpcall");
        frame.push_global("coroutine");
        let coroutine = frame.top();
        ffi::lua_pushcclosure(state, resume, 0);
        frame.raw_set_field(coroutine, "resume");
        ffi::lua_pushcclosure(state, wrap, 0);
        frame.raw_set_field(coroutine, "wrap");
        frame.push_bytes(b"close");
        frame.raw_get(coroutine);
        let original =
            ffi::lua_tocfunction(state, -1).map_or(std::ptr::null_mut(), |f| f as *mut c_void);
        frame.pop(1);
        ffi::lua_pushlightuserdata(state, original);
        ffi::lua_pushcclosure(state, close, 1);
        frame.raw_set_field(coroutine, "close");
        frame.pop(1);
    }
}

/// Instructions that may have run since the hook was called last, in this coroutine.
const INSTRUCTIONS_PER_LOOK: usize = 1_000;

/// Steps that a switch to a coroutine is counted with.
const STEPS_PER_RESUME: usize = 512;

pub(crate) unsafe fn shared<'a>(state: *mut ffi::lua_State) -> &'a Shared {
    // SAFETY: see `Frame::shared`.
    unsafe { &*(*ffi::lua_getextraspace(state).cast::<*const Shared>()) }
}

/// Whether the error that a protected call ended with must go on upwards.
unsafe fn must_pass(state: *mut ffi::lua_State, status: c_int) -> bool {
    // SAFETY: as the callers'.
    let shared = unsafe { shared(state) };
    if status == ffi::LUA_ERRMEM {
        shared.abort(Abort::Memory);
    }
    shared.abort.get().is_some()
}

unsafe extern "C-unwind" fn protected_call(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: standard use of the C API; `finish` also continues after a yield.
    unsafe {
        ffi::luaL_checkany(state, 1);
        ffi::lua_pushboolean(state, 1);
        ffi::lua_insert(state, 1);
        let arguments = ffi::lua_gettop(state) - 2;
        let status = ffi::lua_pcallk(state, arguments, ffi::LUA_MULTRET, 0, 0, Some(finish));
        finish(state, status, 0)
    }
}

unsafe extern "C-unwind" fn protected_call_with_handler(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: as above. The stack becomes: function, handler, true, function, arguments.
    unsafe {
        let count = ffi::lua_gettop(state);
        ffi::luaL_checktype(state, 2, ffi::LUA_TFUNCTION);
        ffi::lua_pushvalue(state, 2);
        ffi::lua_pushcclosure(state, guarded_handler, 1);
        ffi::lua_replace(state, 2);
        ffi::lua_pushboolean(state, 1);
        ffi::lua_pushvalue(state, 1);
        ffi::lua_rotate(state, 3, 2);
        let status = ffi::lua_pcallk(state, count - 2, ffi::LUA_MULTRET, 2, 2, Some(finish));
        finish(state, status, 2)
    }
}

/// What a protected call answers; `skip` is how many values below the results are not for the caller.
unsafe extern "C-unwind" fn finish(
    state: *mut ffi::lua_State,
    status: c_int,
    skip: ffi::lua_KContext,
) -> c_int {
    // SAFETY: as above; the error value is on top when the status is an error.
    unsafe {
        if status == ffi::LUA_OK || status == ffi::LUA_YIELD {
            return ffi::lua_gettop(state) - skip.fit::<c_int>();
        }
        if must_pass(state, status) {
            ffi::lua_error(state);
        }
        ffi::lua_pushboolean(state, 0);
        ffi::lua_pushvalue(state, -2);
        2
    }
}

/// The script's message handler, unless the call is over: an error that the hook raises is handled inside the hook, where
/// no further hook would stop the handler.
unsafe extern "C-unwind" fn guarded_handler(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: the error value is the one argument; upvalue 1 is the script's handler.
    unsafe {
        if shared(state).abort.get().is_none() {
            ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
            ffi::lua_insert(state, 1);
            ffi::lua_callk(state, ffi::lua_gettop(state) - 1, 1, 0, None);
        }
    }
    1
}

/// Resumes the coroutine with the arguments on top of `state`. The answer is the number of results now on `state`, or -1
/// with the error value on top.
unsafe fn resume_with(
    state: *mut ffi::lua_State,
    coroutine: *mut ffi::lua_State,
    arguments: c_int,
) -> c_int {
    // SAFETY: standard use of the C API.
    unsafe {
        if ffi::lua_checkstack(coroutine, arguments) == 0 {
            ffi::lua_pushstring(state, c"too many arguments to resume".as_ptr());
            return -1;
        }
        ffi::lua_xmove(state, coroutine, arguments);
        let mut results = 0;
        let shared = shared(state);
        let pace = &shared.memory.pace;
        // Going to and fro between coroutines is counted: each counts its own instructions only.
        let goes_on = if pace.is_slow() {
            shared.spend(STEPS_PER_RESUME)
        } else {
            shared.checkpoint()
        };
        // Each coroutine counts its own instructions.
        if !goes_on || !weak::look(state, INSTRUCTIONS_PER_LOOK) {
            stop(state);
        }
        let before = pace.enter(coroutine);
        let status = ffi::lua_resume(coroutine, state, arguments, &raw mut results);
        pace.leave(before);
        if status == ffi::LUA_OK || status == ffi::LUA_YIELD {
            if ffi::lua_checkstack(state, results + 1) == 0 {
                ffi::lua_settop(coroutine, -results - 1);
                ffi::lua_pushstring(state, c"too many results to resume".as_ptr());
                return -1;
            }
            ffi::lua_xmove(coroutine, state, results);
            return results;
        }
        ffi::lua_xmove(coroutine, state, 1);
        if must_pass(state, status) {
            ffi::lua_error(state);
        }
        -1
    }
}

unsafe extern "C-unwind" fn resume(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: standard use of the C API.
    unsafe {
        let coroutine = ffi::lua_tothread(state, 1);
        if coroutine.is_null() {
            let found = ffi::lua_typename(state, ffi::lua_type(state, 1));
            ffi::lua_pushstring(state, c"coroutine expected, got ".as_ptr());
            ffi::lua_pushstring(state, found);
            ffi::lua_concat(state, 2);
            return ffi::luaL_argerror(
                state,
                1,
                ffi::lua_tolstring(state, -1, std::ptr::null_mut()),
            );
        }
        let results = resume_with(state, coroutine, ffi::lua_gettop(state) - 1);
        ffi::lua_pushboolean(state, c_int::from(results >= 0));
        let count = if results < 0 { 1 } else { results };
        ffi::lua_insert(state, -count - 1);
        count + 1
    }
}

unsafe extern "C-unwind" fn wrap(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: standard use of the C API.
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TFUNCTION);
        let coroutine = ffi::lua_newthread(state);
        ffi::lua_pushvalue(state, 1);
        ffi::lua_xmove(state, coroutine, 1);
        ffi::lua_pushcclosure(state, wrapped, 1);
    }
    1
}

/// Resumes a wrapped coroutine; an error of it gets the caller's position, as in Lua.
unsafe extern "C-unwind" fn wrapped(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: upvalue 1 is the coroutine.
    unsafe {
        let coroutine = ffi::lua_tothread(state, ffi::lua_upvalueindex(1));
        let results = resume_with(state, coroutine, ffi::lua_gettop(state));
        if results >= 0 {
            return results;
        }
        let status = ffi::lua_status(coroutine);
        if status != ffi::LUA_OK && status != ffi::LUA_YIELD {
            // Its pending `<close>` variables; the error value may become another one.
            shared(state).memory.pace.apply_to(coroutine);
            ffi::lua_closethread(coroutine, state);
            ffi::lua_xmove(coroutine, state, 1);
        }
        if ffi::lua_type(state, -1) == ffi::LUA_TSTRING {
            ffi::luaL_where(state, 1);
            ffi::lua_insert(state, -2);
            ffi::lua_concat(state, 2);
        }
        ffi::lua_error(state);
    }
}

/// `coroutine.close`, unless the call is over: pending `<close>` variables would run without a hook to stop them.
unsafe extern "C-unwind" fn close(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: upvalue 1 is Lua's own function, which has no upvalues.
    unsafe {
        let original = ffi::lua_touserdata(state, ffi::lua_upvalueindex(1));
        if original.is_null() || shared(state).abort.get().is_some() {
            ffi::lua_pushnil(state);
            ffi::lua_error(state);
        }
        // What it closes runs in it.
        let coroutine = ffi::lua_tothread(state, 1);
        if !coroutine.is_null() {
            shared(state).memory.pace.apply_to(coroutine);
        }
        std::mem::transmute::<*mut c_void, ffi::lua_CFunction>(original)(state)
    }
}

/// The hook that looks at the clock.
pub(crate) unsafe extern "C-unwind" fn count_hook(
    state: *mut ffi::lua_State,
    _: *mut ffi::lua_Debug,
) {
    // SAFETY: called by Lua in the middle of a script; nothing here has a destructor.
    unsafe {
        if !shared(state).checkpoint() || !weak::look(state, INSTRUCTIONS_PER_LOOK) {
            stop(state);
        }
    }
}

/// Raises the end of a call that was aborted.
pub(crate) unsafe fn stop(state: *mut ffi::lua_State) -> ! {
    // SAFETY: as the hook.
    unsafe {
        let why = shared(state).abort.get().unwrap_or(Abort::Time);
        if matches!(why, Abort::BodyTime | Abort::BodyWall) {
            raise_innermost(state, why.c_text())
        }
        raise(state, why.c_text())
    }
}

/// Raises a text with the position of the innermost function of a script before it.
unsafe fn raise_innermost(state: *mut ffi::lua_State, text: &CStr) -> ! {
    // SAFETY: as `raise`.
    unsafe {
        let mut place = std::mem::MaybeUninit::<ffi::lua_Debug>::uninit();
        for level in 0.. {
            if ffi::lua_getstack(state, level, place.as_mut_ptr()) == 0 {
                ffi::lua_pushstring(state, c"".as_ptr());
                break;
            }
            ffi::luaL_where(state, level);
            if ffi::lua_rawlen(state, -1) > 0 {
                break;
            }
            ffi::lua_settop(state, -2);
        }
        ffi::lua_pushstring(state, text.as_ptr());
        ffi::lua_concat(state, 2);
        ffi::lua_error(state)
    }
}

/// Raises a text with the script's position before it.
pub(crate) unsafe fn raise(state: *mut ffi::lua_State, text: &CStr) -> ! {
    // SAFETY: standard use of the C API; nothing here or in a caller written like a C function has a destructor.
    unsafe {
        ffi::luaL_where(state, 1);
        ffi::lua_pushstring(state, text.as_ptr());
        ffi::lua_concat(state, 2);
        ffi::lua_error(state)
    }
}

/// Counts work of a C function (see [`Shared::spend`]); raises when the call is over.
pub(crate) unsafe fn spend(state: *mut ffi::lua_State, steps: usize) {
    // SAFETY: as `raise`.
    unsafe {
        if !shared(state).spend(steps) {
            stop(state);
        }
    }
}
