//! The functions of `table`, under the call's budget.
//!
//! Lua's own loop as long as a length tells them to, over metamethods that may be slow, and no hook can stop them. These do
//! the same, with the same error texts, and count each step. They are written like C functions: nothing in them has a
//! destructor, so errors may pass through.

use std::ffi::c_int;
use std::mem::MaybeUninit;

use mlua::ffi::{self, lua_Integer, lua_State};

use super::elements::{READ, WRITE, check, check_table, element_steps, length};
use super::sort::sort;
use crate::machine::frame::Frame;
use crate::machine::protect::{raise, spend};

/// Replaces the functions in `table`.
pub(crate) fn define(frame: &mut Frame<'_>) {
    let functions: [(&str, ffi::lua_CFunction); 6] = [
        ("concat", concat),
        ("insert", insert),
        ("move", move_elements),
        ("remove", remove),
        ("sort", sort),
        ("unpack", unpack),
    ];
    frame.push_global("table");
    let table = frame.top();
    for (name, function) in functions {
        // SAFETY: pushes a plain function.
        unsafe { ffi::lua_pushcclosure(frame.raw(), function, 0) };
        frame.raw_set_field(table, name);
    }
    frame.pop(1);
}

/// `t[to] = t[from]`
unsafe fn copy_element(state: *mut lua_State, from: lua_Integer, to: lua_Integer, steps: usize) {
    // SAFETY: as above.
    unsafe {
        spend(state, steps);
        ffi::lua_geti(state, 1, from);
        ffi::lua_seti(state, 1, to);
    }
}

/// `table.insert(list, [pos,] value)`
unsafe extern "C-unwind" fn insert(state: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        let end = length(state, 1, READ | WRITE).wrapping_add(1);
        let position = match ffi::lua_gettop(state) {
            2 => end,
            3 => {
                let position = ffi::luaL_checkinteger(state, 2);
                let inside = position.wrapping_sub(1).cast_unsigned() < end.cast_unsigned();
                check(inside, state, 2, c"position out of bounds");
                position
            }
            _ => raise(state, c"wrong number of arguments to 'insert'"),
        };
        let steps = element_steps(state, 1);
        spend(state, steps);
        let mut at = end;
        while at > position {
            copy_element(state, at - 1, at, steps);
            at -= 1;
        }
        ffi::lua_seti(state, 1, position);
    }
    0
}

/// `table.remove(list[, pos])`
unsafe extern "C-unwind" fn remove(state: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        let size = length(state, 1, READ | WRITE);
        let mut position = ffi::luaL_optinteger(state, 2, size);
        if position != size {
            let inside = position.wrapping_sub(1).cast_unsigned() <= size.cast_unsigned();
            check(inside, state, 2, c"position out of bounds");
        }
        let steps = element_steps(state, 1);
        spend(state, steps);
        ffi::lua_geti(state, 1, position);
        while position < size {
            copy_element(state, position + 1, position, steps);
            position += 1;
        }
        ffi::lua_pushnil(state);
        ffi::lua_seti(state, 1, position);
    }
    1
}

/// `table.move(a1, f, e, t[, a2])`
unsafe extern "C-unwind" fn move_elements(state: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        let first = ffi::luaL_checkinteger(state, 2);
        let last = ffi::luaL_checkinteger(state, 3);
        let to = ffi::luaL_checkinteger(state, 4);
        let target = if ffi::lua_type(state, 5) <= ffi::LUA_TNIL {
            1
        } else {
            5
        };
        check_table(state, 1, READ);
        check_table(state, target, WRITE);
        if last >= first {
            let fits = first > 0 || last < lua_Integer::MAX + first;
            check(fits, state, 3, c"too many elements to move");
            let count = last - first + 1;
            let fits = to <= lua_Integer::MAX - count + 1;
            check(fits, state, 4, c"destination wrap around");
            let steps = element_steps(state, 1) + element_steps(state, target);
            let upwards = to > last
                || to <= first
                || (target != 1 && ffi::lua_compare(state, 1, target, ffi::LUA_OPEQ) == 0);
            for number in 0..count {
                let at = if upwards { number } else { count - 1 - number };
                spend(state, steps);
                ffi::lua_geti(state, 1, first + at);
                ffi::lua_seti(state, target, to + at);
            }
        }
        ffi::lua_pushvalue(state, target);
    }
    1
}

/// `table.concat(list[, sep[, i[, j]]])`
unsafe extern "C-unwind" fn concat(state: *mut lua_State) -> c_int {
    // SAFETY: as above. Lua's buffer keeps what it has on the stack, above the arguments.
    unsafe {
        let size = length(state, 1, READ);
        let mut separator_length = 0;
        let separator = ffi::luaL_optlstring(state, 2, c"".as_ptr(), &raw mut separator_length);
        let mut at = ffi::luaL_optinteger(state, 3, 1);
        let last = ffi::luaL_optinteger(state, 4, size);
        let steps = element_steps(state, 1);
        let mut buffer = MaybeUninit::<ffi::luaL_Buffer>::uninit();
        let buffer = buffer.as_mut_ptr();
        ffi::luaL_buffinit(state, buffer);
        while at <= last {
            spend(state, steps + separator_length / 8);
            ffi::lua_geti(state, 1, at);
            if ffi::lua_isstring(state, -1) == 0 {
                invalid_element(state, at);
            }
            ffi::luaL_addvalue(buffer);
            if at == last {
                break;
            }
            ffi::luaL_addlstring(buffer, separator, separator_length);
            at += 1;
        }
        ffi::luaL_pushresult(buffer);
    }
    1
}

unsafe fn invalid_element(state: *mut lua_State, at: lua_Integer) -> ! {
    // SAFETY: as above.
    unsafe {
        let kind = ffi::lua_typename(state, ffi::lua_type(state, -1));
        ffi::luaL_where(state, 1);
        ffi::lua_pushstring(state, c"invalid value (".as_ptr());
        ffi::lua_pushstring(state, kind);
        ffi::lua_pushstring(state, c") at index ".as_ptr());
        ffi::lua_pushinteger(state, at);
        ffi::lua_pushstring(state, c" in table for 'concat'".as_ptr());
        ffi::lua_concat(state, 6);
        ffi::lua_error(state)
    }
}

/// `table.unpack(list[, i[, j]])`
unsafe extern "C-unwind" fn unpack(state: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        let mut at = ffi::luaL_optinteger(state, 2, 1);
        let last = if ffi::lua_type(state, 3) <= ffi::LUA_TNIL {
            ffi::luaL_len(state, 1)
        } else {
            ffi::luaL_checkinteger(state, 3)
        };
        if at > last {
            return 0;
        }
        let count = last.wrapping_sub(at).cast_unsigned().saturating_add(1);
        let count = match c_int::try_from(count) {
            Ok(count) if ffi::lua_checkstack(state, count) != 0 => count,
            _ => raise(state, c"too many results to unpack"),
        };
        let steps = element_steps(state, 1);
        loop {
            spend(state, steps);
            ffi::lua_geti(state, 1, at);
            if at == last {
                return count;
            }
            at += 1;
        }
    }
}
