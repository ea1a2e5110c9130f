//! From text to bytecode, within limits of time and memory.
//!
//! No hook is called while Lua compiles, and there are texts for which each word takes time by the length of all before it.
//! So the text is handed over in small pieces, with a look at the time before each: past it, the text ends.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::time::Instant;

use mlua::ffi;
use protocol::bounds::{Fit as _, Within as _};

use super::budget::Budget;
use super::common::ScriptMemory;
use super::memory::Memory;
use super::shared::{Abort, BodyTime};
use crate::host::Lane;

/// Bytes that Lua reads between two looks at the time. A few words: each may take half a millisecond at worst.
const PIECE_BYTES: usize = 64;

/// Why a chunk did not load or its body did not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoadError {
    /// What Lua says; `None` when the error value is no text.
    pub(crate) text: Option<Vec<u8>>,
    /// Time or memory ran out.
    pub(crate) aborted: bool,
}

/// A text that is being compiled.
struct Source<'s, 'w> {
    text: &'s [u8],
    at: Cell<usize>,
    goes_on: &'w mut dyn FnMut() -> bool,
    is_late: Cell<bool>,
}

/// `lua_Reader`: the next piece.
unsafe extern "C-unwind" fn read(
    _: *mut ffi::lua_State,
    source: *mut c_void,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: `load_text` passes a Source that is there until it returns.
    unsafe {
        let source = &mut *source.cast::<Source<'_, '_>>();
        let rest = source.text.within(source.at.get()..);
        let piece = rest.get(..PIECE_BYTES).unwrap_or(rest);
        if source.is_late.get() || !(source.goes_on)() {
            source.is_late.set(true);
            *size = 0;
            return std::ptr::null();
        }
        source.at.set(source.at.get() + piece.len());
        *size = piece.len();
        piece.as_ptr().cast()
    }
}

/// Loads a chunk of text; pushes its function, or a message. Its name is shown as it is when it begins with `@` or `=`, else
/// as `[string "name"]`. `goes_on` is asked all the time whether there is time left.
///
/// The line that it had come to, when there was not, in place of the status.
///
/// # Safety
/// `raw` is a live state.
pub(crate) unsafe fn load_text(
    raw: *mut ffi::lua_State,
    name: &str,
    source: &[u8],
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<c_int, usize> {
    let name = CString::new(name).unwrap_or_default();
    let mut reading = Source {
        text: source,
        at: Cell::new(0),
        goes_on,
        is_late: Cell::new(false),
    };
    // SAFETY: Lua reads what `read` gives it, which stays where it is, and copies the name; loading is protected.
    let status = unsafe {
        let reading = (&raw mut reading).cast();
        ffi::lua_load(raw, read, reading, name.as_ptr(), c"t".as_ptr())
    };
    if !reading.is_late.get() {
        return Ok(status);
    }
    let read = source.get(..reading.at.get()).unwrap_or(source);
    Err(1 + read.iter().filter(|byte| **byte == b'\n').count())
}

/// What is said of a chunk for which there was no time.
pub(crate) fn late(name: &str, line: usize, why: Abort) -> LoadError {
    let name = match name.strip_prefix(['@', '=']) {
        Some(shown) => shown.to_owned(),
        None => format!("[string \"{name}\"]"),
    };
    LoadError {
        text: Some(format!("{name}:{line}: {}", why.text()).into_bytes()),
        aborted: true,
    }
}

/// The bytecode of the function on top of the stack, with names and lines.
///
/// # Safety
/// `raw` is a live state with a Lua function on top.
unsafe fn dump(raw: *mut ffi::lua_State) -> Vec<u8> {
    unsafe extern "C-unwind" fn write(
        _: *mut ffi::lua_State,
        part: *const c_void,
        size: usize,
        out: *mut c_void,
    ) -> c_int {
        // SAFETY: `out` is the vector below; Lua gives `size` bytes.
        unsafe {
            let out = &mut *out.cast::<Vec<u8>>();
            out.extend_from_slice(std::slice::from_raw_parts(part.cast::<u8>(), size));
        }
        0
    }
    let mut out: Vec<u8> = Vec::new();
    // SAFETY: the caller's promise; nothing is allocated in the state.
    unsafe { ffi::lua_dump(raw, write, (&raw mut out).cast(), 0) };
    out
}

/// Bytes of bytecode before the name of its chunk: Lua's header, and the number of upvalues.
const BEFORE_NAME: usize = 32;

/// How Lua writes the name of a chunk: its length and 1, seven bits a byte with the lowest last, which is marked; then it.
fn dumped_name(name: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut left = name.len() + 1;
    while left > 0 || bytes.is_empty() {
        let mark = if bytes.is_empty() { 0x80 } else { 0 };
        bytes.insert(0, (left & 0x7f).fit::<u8>() | mark);
        left >>= 7;
    }
    bytes.extend_from_slice(name.as_bytes());
    bytes
}

/// The bytecode that [`compile`] gives for the chunk on top of the stack under the name `to`, where it was loaded as `from`:
/// a name stands in it once. None when it does not stand there.
///
/// # Safety
/// `raw` is a live state with a Lua function on top.
pub(crate) unsafe fn dump_renamed(
    raw: *mut ffi::lua_State,
    from: &str,
    to: &str,
) -> Option<Vec<u8>> {
    // SAFETY: the caller's promise.
    let bytecode = unsafe { dump(raw) };
    let (before, rest) = bytecode.split_at_checked(BEFORE_NAME)?;
    let rest = rest.strip_prefix(&*dumped_name(from))?;
    Some([before, &dumped_name(to), rest].concat())
}

/// Compiles a text chunk; the bytecode keeps names and lines. `limit` is in bytes.
pub(crate) fn compile(
    name: &str,
    source: &[u8],
    limit: usize,
    time: BodyTime,
    lane: &'static dyn Lane,
) -> Result<Vec<u8>, LoadError> {
    let no_memory = || LoadError {
        text: Some(b"not enough memory".to_vec()),
        aborted: true,
    };
    // It is there for a moment, and a few are at a time.
    let memory = Memory::new(ScriptMemory::unlimited());
    memory.begin(limit);
    let account = std::ptr::from_ref(&memory).cast_mut().cast();
    let mut budget = Budget::of_processor(time.processor, Instant::now() + time.wall, lane);
    // SAFETY: a state of its own, closed before its account goes; every step answers a status.
    unsafe {
        let raw = ffi::lua_newstate(Memory::allocate, account);
        if raw.is_null() {
            return Err(no_memory());
        }
        let result = match load_text(raw, name, source, &mut || budget.checkpoint()) {
            Ok(ffi::LUA_OK) => Ok(dump(raw)),
            Ok(ffi::LUA_ERRMEM) => Err(no_memory()),
            Ok(_) => {
                let text = ffi::lua_tolstring(raw, -1, std::ptr::null_mut());
                let text = (!text.is_null()).then(|| CStr::from_ptr(text).to_bytes().to_vec());
                Err(LoadError {
                    text,
                    aborted: false,
                })
            }
            Err(line) => Err(late(
                name,
                line,
                match budget.processor_spent() {
                    Some(true) => Abort::BodyTime,
                    _ => Abort::BodyWall,
                },
            )),
        };
        ffi::lua_close(raw);
        result
    }
}
