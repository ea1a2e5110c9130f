//! Functions of Lua's own library with limits around them.
//!
//! Each wrapper here looks at the arguments and then runs the original in its own place, so that error texts stay what they
//! are. What is limited: work that one call of a C function does where no hook can stop it.

use std::ffi::{CStr, c_int, c_void};
use std::mem::MaybeUninit;

use mlua::ffi::{self, lua_State};
use protocol::bounds::Within as _;

use crate::machine::frame::Frame;
use crate::machine::memory::MAX_TEXT_BYTES;
use crate::machine::protect::{raise, shared, spend, stop};
use crate::machine::shared::Abort;

/// Longest chunk that `load` compiles, bytes: there are such as take time by the square of their length.
const MAX_CHUNK_BYTES: usize = 64 * 1024;

/// Longest format of `string.pack` and of `os.date`, bytes; a directive takes up to a microsecond.
const MAX_FORMAT_BYTES: usize = 32 * 1024;

/// Most arguments that `string.format` takes; each may take some microseconds.
const MAX_FORMAT_ARGUMENTS: c_int = 8_192;

/// Steps that a directive of a format is counted with: a large number with many digits takes some microseconds.
const STEPS_PER_DIRECTIVE: usize = 2_048;

/// Strings from this length on are quoted for `%q` under the budget.
const LONG_QUOTED_BYTES: usize = 4 * 1024;

/// Steps that the collector is counted with, whatever it finds: enough for a look at the clock.
const COLLECTION_STEPS: usize = 1 << 16;

/// Options of `collectgarbage` that scripts may use; the others have no effect, since contexts are shared.
const GARBAGE_OPTIONS: [&CStr; 4] = [c"collect", c"count", c"step", c"isrunning"];
const GARBAGE_OPTIONS_IGNORED: [(&CStr, Ignored); 6] = [
    (c"stop", Ignored::Number(0)),
    (c"restart", Ignored::Number(0)),
    (c"setpause", Ignored::Number(200)),
    (c"setstepmul", Ignored::Number(100)),
    (c"incremental", Ignored::Mode),
    (c"generational", Ignored::Mode),
];

/// What an option without effect answers: the state in which everything stays.
enum Ignored {
    Number(ffi::lua_Integer),
    Mode,
}

/// Puts the wrappers into the globals and libraries.
pub(crate) fn define(frame: &mut Frame<'_>) {
    let wrappers: [(&str, &str, ffi::lua_CFunction); 7] = [
        ("_G", "collectgarbage", collectgarbage),
        ("_G", "load", load),
        ("os", "date", date),
        ("string", "format", format),
        ("string", "pack", pack),
        ("string", "packsize", pack),
        ("string", "unpack", pack),
    ];
    for (library, name, wrapper) in wrappers {
        frame.push_global(library);
        let table = frame.top();
        frame.push_bytes(name.as_bytes());
        frame.raw_get(table);
        // SAFETY: what is wrapped are C functions of Lua's own library, without upvalues.
        unsafe {
            let original = ffi::lua_tocfunction(frame.raw(), -1)
                .map_or(std::ptr::null_mut(), |f| f as *mut c_void);
            frame.pop(1);
            ffi::lua_pushlightuserdata(frame.raw(), original);
            ffi::lua_pushcclosure(frame.raw(), wrapper, 1);
        }
        frame.raw_set_field(table, name);
        frame.pop(1);
    }
}

/// Runs the wrapped function on the wrapper's own arguments.
unsafe fn original(state: *mut lua_State) -> c_int {
    // SAFETY: `define` has put a C function into upvalue 1; those wrapped use no upvalues of their own.
    unsafe {
        let original = ffi::lua_touserdata(state, ffi::lua_upvalueindex(1));
        if original.is_null() {
            return 0;
        }
        std::mem::transmute::<*mut c_void, ffi::lua_CFunction>(original)(state)
    }
}

/// The bytes of a string argument; none for other values.
unsafe fn text<'a>(state: *mut lua_State, argument: c_int) -> &'a [u8] {
    // SAFETY: the string stays on the stack while its bytes are looked at; other values are not turned into strings.
    unsafe {
        if ffi::lua_type(state, argument) != ffi::LUA_TSTRING {
            return &[];
        }
        let mut length = 0;
        let start = ffi::lua_tolstring(state, argument, &raw mut length);
        std::slice::from_raw_parts(start.cast::<u8>(), length)
    }
}

/// Ends the call because it wants too much.
unsafe fn too_much(state: *mut lua_State) -> ! {
    // SAFETY: as `stop`.
    unsafe {
        shared(state).abort(Abort::Memory);
        stop(state)
    }
}

unsafe extern "C-unwind" fn collectgarbage(state: *mut lua_State) -> c_int {
    // SAFETY: standard use of the C API, as in all of this file; nothing in it has a destructor. The option's text stays on
    // the stack.
    unsafe {
        let option = ffi::luaL_optstring(state, 1, c"collect".as_ptr());
        let option = CStr::from_ptr(option);
        if let Some((_, answer)) = GARBAGE_OPTIONS_IGNORED
            .iter()
            .find(|(ignored, _)| *ignored == option)
        {
            match answer {
                Ignored::Number(number) => ffi::lua_pushinteger(state, *number),
                Ignored::Mode => drop(ffi::lua_pushstring(state, c"generational".as_ptr())),
            }
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
        if option == c"collect" || option == c"step" {
            spend(state, COLLECTION_STEPS);
        }
        original(state)
    }
}

/// `load` of text chunks only. What a reader function gives is put together first, under the budget.
unsafe extern "C-unwind" fn load(state: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        if ffi::lua_gettop(state) == 0 {
            ffi::luaL_checktype(state, 1, ffi::LUA_TFUNCTION);
        }
        let mode = ffi::luaL_optstring(state, 3, c"bt".as_ptr());
        if !CStr::from_ptr(mode).to_bytes().contains(&b't') {
            ffi::lua_pushnil(state);
            ffi::lua_pushstring(state, c"attempt to load a text chunk (mode is '".as_ptr());
            ffi::lua_pushvalue(state, 3);
            ffi::lua_pushstring(state, c"')".as_ptr());
            ffi::lua_concat(state, 3);
            return 2;
        }
        if ffi::lua_gettop(state) < 3 {
            ffi::lua_settop(state, 3);
        }
        ffi::lua_pushstring(state, c"t".as_ptr());
        ffi::lua_replace(state, 3);
        if ffi::lua_type(state, 1) == ffi::LUA_TFUNCTION {
            if ffi::lua_type(state, 2) <= ffi::LUA_TNIL {
                ffi::lua_pushstring(state, c"=(load)".as_ptr());
                ffi::lua_replace(state, 2);
            }
            if !read_all(state) {
                ffi::lua_pushnil(state);
                ffi::lua_insert(state, -2);
                return 2;
            }
            ffi::lua_replace(state, 1);
        }
        let size = text(state, 1).len();
        if size > MAX_CHUNK_BYTES {
            ffi::lua_pushnil(state);
            ffi::lua_pushstring(state, c"chunk has more than 65536 bytes".as_ptr());
            return 2;
        }
        spend(state, size * 256);
        original(state)
    }
}

/// Pushes the pieces of the reader function at 1 as one string; false with an error value if it failed.
unsafe fn read_all(state: *mut lua_State) -> bool {
    // SAFETY: as above. The buffer keeps what it has on the stack.
    unsafe {
        let mut buffer = MaybeUninit::<ffi::luaL_Buffer>::uninit();
        let buffer = buffer.as_mut_ptr();
        ffi::luaL_buffinit(state, buffer);
        let mut size = 0;
        loop {
            spend(state, 64);
            ffi::lua_pushvalue(state, 1);
            let status = ffi::lua_pcallk(state, 0, 1, 0, 0, None);
            if status != ffi::LUA_OK {
                if status == ffi::LUA_ERRMEM {
                    shared(state).abort(Abort::Memory);
                }
                if shared(state).abort.get().is_some() {
                    ffi::lua_error(state);
                }
                return false;
            }
            if ffi::lua_type(state, -1) != ffi::LUA_TNIL && ffi::lua_isstring(state, -1) == 0 {
                ffi::lua_pushstring(state, c"reader function must return a string".as_ptr());
                return false;
            }
            let piece = text_or_number(state);
            size += piece;
            if piece == 0 || size > MAX_CHUNK_BYTES {
                ffi::lua_settop(state, -2);
                ffi::luaL_pushresult(buffer);
                return true;
            }
            ffi::luaL_addvalue(buffer);
        }
    }
}

/// Length of the string or number on top; 0 for nil.
unsafe fn text_or_number(state: *mut lua_State) -> usize {
    let mut length = 0;
    // SAFETY: as above.
    unsafe {
        if ffi::lua_tolstring(state, -1, &raw mut length).is_null() {
            return 0;
        }
    }
    length
}

/// `os.date([format[, time]])`
unsafe extern "C-unwind" fn date(state: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        let size = text(state, 1).len();
        if size > MAX_FORMAT_BYTES {
            return ffi::luaL_argerror(state, 1, c"format string too long".as_ptr());
        }
        spend(state, size * 128);
        original(state)
    }
}

/// `string.pack`, `packsize` and `unpack`: a short format can ask for very much padding.
unsafe extern "C-unwind" fn pack(state: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        let format = text(state, 1);
        if format.len() > MAX_FORMAT_BYTES {
            return ffi::luaL_argerror(state, 1, c"format string too long".as_ptr());
        }
        let mut total = 0_usize;
        let mut number = 0_usize;
        for byte in format {
            if byte.is_ascii_digit() {
                number = number
                    .saturating_mul(10)
                    .saturating_add(usize::from(byte - b'0'));
            } else {
                total = total.saturating_add(number);
                number = 0;
            }
        }
        total = total.saturating_add(number);
        if total > MAX_TEXT_BYTES && total < i32::MAX as usize {
            too_much(state);
        }
        spend(state, total.min(MAX_TEXT_BYTES) + format.len() * 16);
        original(state)
    }
}

/// `string.format`: long strings for `%q` are quoted here, so that the rest copies only.
unsafe extern "C-unwind" fn format(state: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        let top = ffi::lua_gettop(state);
        if top > MAX_FORMAT_ARGUMENTS {
            raise(state, c"too many arguments to 'format'");
        }
        let format = text(state, 1);
        let directives = format.iter().filter(|byte| **byte == b'%').count();
        spend(state, format.len() * 4 + directives * STEPS_PER_DIRECTIVE);
        let mut at = 0;
        let mut argument = 1;
        let mut quoted = false;
        while let Some(byte) = format.get(at) {
            at += 1;
            if *byte != b'%' {
                continue;
            }
            if format.get(at) == Some(&b'%') {
                at += 1;
                continue;
            }
            argument += 1;
            if format.get(at) == Some(&b'q')
                && argument <= top
                && text(state, argument).len() >= LONG_QUOTED_BYTES
            {
                quote(state, argument);
                quoted = true;
            }
        }
        if quoted {
            without_quoting(state, format, top);
        }
        original(state)
    }
}

/// Replaces a string argument by its quoted form.
unsafe fn quote(state: *mut lua_State, argument: c_int) {
    // SAFETY: as above; the argument stays where it is until the end.
    unsafe {
        let text = text(state, argument);
        let mut buffer = MaybeUninit::<ffi::luaL_Buffer>::uninit();
        let buffer = buffer.as_mut_ptr();
        ffi::luaL_buffinit(state, buffer);
        ffi::luaL_addlstring(buffer, c"\"".as_ptr(), 1);
        for (at, byte) in text.iter().enumerate() {
            let next_is_digit = text.get(at + 1).is_some_and(u8::is_ascii_digit);
            let [hundreds, tens, ones] = [byte / 100, byte / 10 % 10, byte % 10].map(|d| b'0' + d);
            let (form, from, to) = match byte {
                b'"' | b'\\' | b'\n' => ([b'\\', *byte, 0, 0], 0, 2),
                0..=31 | 127 if next_is_digit => ([b'\\', hundreds, tens, ones], 0, 4),
                0..=9 => ([b'\\', ones, 0, 0], 0, 2),
                10..=31 => ([b'\\', tens, ones, 0], 0, 3),
                127 => ([b'\\', hundreds, tens, ones], 0, 4),
                _ => ([*byte, 0, 0, 0], 0, 1),
            };
            if at % 1024 == 0 {
                spend(state, 8 * 1024);
            }
            let part = form.within(from..to);
            ffi::luaL_addlstring(buffer, part.as_ptr().cast(), part.len());
        }
        ffi::luaL_addlstring(buffer, c"\"".as_ptr(), 1);
        ffi::luaL_pushresult(buffer);
        ffi::lua_replace(state, argument);
    }
}

/// Replaces the format by one with `%s` for every `%q` whose argument has been quoted.
unsafe fn without_quoting(state: *mut lua_State, format: &[u8], top: c_int) {
    // SAFETY: as above; the format stays at 1 until the end.
    unsafe {
        let mut buffer = MaybeUninit::<ffi::luaL_Buffer>::uninit();
        let buffer = buffer.as_mut_ptr();
        ffi::luaL_buffinit(state, buffer);
        let mut argument = 1;
        let mut at = 0;
        while let Some(byte) = format.get(at) {
            let pair = format.get(at..at + 2).unwrap_or_default();
            let mut part = std::slice::from_ref(byte);
            if pair == b"%%" {
                part = pair;
            } else if *byte == b'%' {
                argument += 1;
                // A quoted text is longer than it was.
                if pair == b"%q"
                    && argument <= top
                    && text(state, argument).len() >= LONG_QUOTED_BYTES
                {
                    part = b"%s";
                }
            }
            ffi::luaL_addlstring(buffer, part.as_ptr().cast(), part.len());
            at += part.len();
        }
        ffi::luaL_pushresult(buffer);
        ffi::lua_replace(state, 1);
    }
}
