//! Logging: `aerospike:log` and the globals `trace`, `debug`, `info`, `warn`.
//!
//! A line says `(<module file>:<line>) <text>`; its context is `udf`, in stream UDFs `aggr`. The position is that of the script's line which
//! asked for it.

use crate::host::{Level, ScriptLine};
use std::ffi::{CStr, c_int};

use mlua::ffi;

use crate::machine::frame::{Body, Frame, LuaType, Raise};
use crate::machine::object::{Class, until_nul};

/// Longest text of a line that a script has the log take, bytes.
pub(crate) const MAX_LINE_BYTES: usize = 4_096;

/// Defines the globals `trace`, `debug`, `info` and `warn`. `string.format` has to be there.
pub(crate) fn define(frame: &mut Frame<'_>) {
    let functions: [(&str, Body); 4] = [
        ("trace", trace),
        ("debug", debug),
        ("info", info),
        ("warn", warn),
    ];
    for (name, body) in functions {
        frame.push_global("string");
        let library = frame.top();
        frame.push_bytes(b"format");
        frame.raw_get(library);
        frame.push_closure(body, 1);
        frame.pop_global(name);
        frame.pop(1);
    }
}

/// `aerospike:log(level, text)`
pub(crate) fn log(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    frame.check_object(1, Class::Aerospike)?;
    let level = frame.optional_integer(2, 0)?;
    let text = if frame.is_absent(3) {
        b"(null)"
    } else {
        frame.check_bytes(3)?
    };
    write(frame, level, text);
    Ok(0)
}

fn trace(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    formatted(frame, 4)
}

fn debug(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    formatted(frame, 3)
}

fn info(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    formatted(frame, 2)
}

fn warn(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    formatted(frame, 1)
}

/// `string.format` of the arguments, then a line.
fn formatted(frame: &mut Frame<'_>, level: i64) -> Result<usize, Raise> {
    frame.push_global("aerospike");
    let sealed = frame.shared().sealed.get() && frame.kind(-1) == LuaType::Nil;
    if !sealed && frame.object(-1).is_none() {
        return Err(Raise::text(
            "attempt to index a nil value (global 'aerospike')",
        ));
    }
    frame.pop(1);
    let arguments = frame.top();
    frame.copy(Frame::upvalue(1));
    frame.insert(1);
    if let Err(raise) = frame.call(arguments, 1) {
        return Err(with_position(frame, raise));
    }
    let text = frame.bytes(-1).unwrap_or_default();
    write(frame, level, text);
    Ok(0)
}

/// `string.format` was called by native code, which has no line and by which Lua finds no name: the script's line goes
/// before its text, and its name in it.
fn with_position(frame: &mut Frame<'_>, raise: Raise) -> Raise {
    match (raise, frame.bytes(-1)) {
        (Raise::Top, Some(text)) => {
            let named = [&b" to '?' ("[..], b" to 'string.format' ("]
                .into_iter()
                .find_map(|name| replaced(text, name, b" to 'format' ("));
            Raise::Text(named.unwrap_or_else(|| text.to_vec()))
        }
        (raise, _) => raise,
    }
}

/// The text with the first `old` in it replaced; none if there is none. Texts hold any bytes.
fn replaced(text: &[u8], old: &[u8], new: &[u8]) -> Option<Vec<u8>> {
    let at = text.windows(old.len()).position(|part| part == old)?;
    let (before, rest) = text.split_at_checked(at)?;
    Some([before, new, rest.strip_prefix(old)?].concat())
}

/// A line of `print`.
pub(crate) fn print(frame: &mut Frame<'_>, text: &[u8]) {
    write(frame, 2, text);
}

fn write(frame: &mut Frame<'_>, level: i64, text: &[u8]) {
    let (source, line) = caller(frame);
    let text = text.get(..MAX_LINE_BYTES).unwrap_or(text);
    let text = String::from_utf8_lossy(until_nul(text));
    let level = match level {
        0 => Level::Error,
        1 => Level::Warn,
        2 => Level::Info,
        3 => Level::Debug,
        _ => Level::Trace,
    };
    let shared = frame.shared();
    shared.host.line(&ScriptLine {
        level,
        source: &source,
        line,
        text: &text,
        in_stream: shared.is_in_stream(),
    });
}

/// Where the running native function was called.
fn caller(frame: &mut Frame<'_>) -> (String, c_int) {
    // SAFETY: `ar` is filled by Lua before it is read; its strings live as long as the function that it describes.
    unsafe {
        let mut ar = std::mem::zeroed::<ffi::lua_Debug>();
        if ffi::lua_getstack(frame.raw(), 1, &raw mut ar) == 0
            || ffi::lua_getinfo(frame.raw(), c"Sl".as_ptr(), &raw mut ar) == 0
        {
            return ("[C]".to_owned(), -1);
        }
        (
            CStr::from_ptr(ar.short_src.as_ptr())
                .to_string_lossy()
                .into_owned(),
            ar.currentline,
        )
    }
}
