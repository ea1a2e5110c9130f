//! Which line of a module something happens at.
//!
//! Operators of streams run when the function that put them there has returned: no line of the module may be on the stack
//! then. Each operator therefore keeps the line that made it, as its upvalue [`OPERATOR_PLACE`].

use std::ffi::{CStr, c_int};

use mlua::ffi::{self, lua_Debug, lua_State};

use super::frame::is_native;

/// Source of the operators of streams, as Lua shows it.
const OPERATORS: &[u8] = b"[string \"stream_ops.lua\"]";

/// Upvalue of an operator that holds its place.
const OPERATOR_PLACE: &CStr = c"place";

/// Functions that are looked through at most.
const MAX_LEVELS: c_int = 200;

/// Upvalues that are looked through at most.
const MAX_UPVALUES: c_int = 16;

/// `file:line` of the innermost line of a module, from the function `level` levels up on.
///
/// # Safety
/// A live state with three free places on its stack.
pub(crate) unsafe fn innermost(state: *mut lua_State, level: c_int) -> Option<String> {
    // SAFETY: the caller's promise; see `at`.
    (level..MAX_LEVELS)
        .map_while(|level| unsafe { at(state, level) })
        .find_map(|seen| match seen {
            Seen::Module(place) => Some(place),
            Seen::Native | Seen::Foreign => None,
        })
}

/// The same where the function at `level` is one of ours: what it calls has no position of its own. None where Lua itself
/// knows one, or nobody does.
///
/// # Safety
/// As for [`innermost`].
pub(crate) unsafe fn behind_natives(state: *mut lua_State, level: c_int) -> Option<String> {
    let mut level = level;
    // SAFETY: the caller's promise; see `at`.
    while let Some(seen) = unsafe { at(state, level) } {
        match seen {
            Seen::Native => level += 1,
            Seen::Module(place) => return Some(place),
            Seen::Foreign => return None,
        }
    }
    None
}

/// `file:line` of the innermost line of a module, by call information alone: also in the middle of an instruction. Operators
/// of streams are passed over.
///
/// # Safety
/// A live state whose stack is not being moved.
pub(crate) unsafe fn innermost_line(state: *mut lua_State) -> Option<String> {
    // SAFETY: a lua_Debug is plain data; Lua fills what is asked for, and pushes nothing for that.
    (0..MAX_LEVELS)
        .map_while(|level| unsafe {
            let mut call: lua_Debug = std::mem::zeroed();
            if ffi::lua_getstack(state, level, &raw mut call) == 0 {
                return None;
            }
            ffi::lua_getinfo(state, c"Sl".as_ptr(), &raw mut call);
            let source = CStr::from_ptr(call.short_src.as_ptr());
            let is_module = call.currentline > 0 && source.to_bytes() != OPERATORS;
            Some(is_module.then(|| format!("{}:{}", source.to_string_lossy(), call.currentline)))
        })
        .find_map(|place| place)
}

/// What runs at a level.
enum Seen {
    /// A line of a module, or an operator that one made.
    Module(String),
    /// A native function of ours.
    Native,
    /// A function of Lua's library.
    Foreign,
}

/// None above the last level.
///
/// # Safety
/// As for [`innermost`]: reads call information and pushes two values at most, which it pops.
unsafe fn at(state: *mut lua_State, level: c_int) -> Option<Seen> {
    // SAFETY: a lua_Debug is plain data; Lua fills what is asked for.
    unsafe {
        let mut call: lua_Debug = std::mem::zeroed();
        if level >= MAX_LEVELS || ffi::lua_getstack(state, level, &raw mut call) == 0 {
            return None;
        }
        ffi::lua_getinfo(state, c"fSl".as_ptr(), &raw mut call);
        let source = CStr::from_ptr(call.short_src.as_ptr());
        let seen = if source.to_bytes() == OPERATORS {
            operator_place(state).map_or(Seen::Native, Seen::Module)
        } else if call.currentline > 0 {
            Seen::Module(format!("{}:{}", source.to_string_lossy(), call.currentline))
        } else if is_native(state, -1) {
            Seen::Native
        } else {
            Seen::Foreign
        };
        ffi::lua_settop(state, -2);
        Some(seen)
    }
}

/// The place that the operator on top of the stack keeps.
///
/// # Safety
/// There is a function on top, and room for one more value.
unsafe fn operator_place(state: *mut lua_State) -> Option<String> {
    for number in 1..=MAX_UPVALUES {
        // SAFETY: pushes one value when it answers a name, which is popped.
        unsafe {
            let name = ffi::lua_getupvalue(state, -1, number);
            if name.is_null() {
                return None;
            }
            let mut place = None;
            if CStr::from_ptr(name) == OPERATOR_PLACE
                && ffi::lua_type(state, -1) == ffi::LUA_TSTRING
            {
                let text = ffi::lua_tolstring(state, -1, std::ptr::null_mut());
                place = Some(CStr::from_ptr(text).to_string_lossy().into_owned());
            }
            ffi::lua_settop(state, -2);
            if place.is_some() {
                return place;
            }
        }
    }
    None
}

/// `file:line` of the line that called the function `level` levels up; none when that call was the last of its function
/// (`return s:map(f)`), which leaves no trace.
///
/// # Safety
/// As for [`innermost`].
pub(crate) unsafe fn caller_of(state: *mut lua_State, level: c_int) -> Option<String> {
    // SAFETY: as in `at`.
    unsafe {
        let mut call: lua_Debug = std::mem::zeroed();
        if ffi::lua_getstack(state, level, &raw mut call) == 0 {
            return None;
        }
        ffi::lua_getinfo(state, c"t".as_ptr(), &raw mut call);
        if call.istailcall != 0 {
            return None;
        }
        match at(state, level + 1)? {
            Seen::Module(place) => Some(place),
            Seen::Native | Seen::Foreign => None,
        }
    }
}

/// `file:line` where the function at `index` begins; none for a native one.
///
/// # Safety
/// As for [`innermost`]; there is a function at `index`.
pub(crate) unsafe fn definition(state: *mut lua_State, index: c_int) -> Option<String> {
    // SAFETY: `>` pops the copy that is pushed here.
    unsafe {
        let mut call: lua_Debug = std::mem::zeroed();
        ffi::lua_pushvalue(state, index);
        ffi::lua_getinfo(state, c">S".as_ptr(), &raw mut call);
        let source = CStr::from_ptr(call.short_src.as_ptr()).to_string_lossy();
        (call.linedefined > 0).then(|| format!("{source}:{}", call.linedefined))
    }
}
