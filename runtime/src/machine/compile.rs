//! From text to bytecode, within limits of time and memory.
//!
//! No hook is called while Lua compiles, and there are texts for which that takes seconds. It asks for memory all the
//! time, however: past the deadline it gets none.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_int, c_void};
use std::time::{Duration, Instant};

use mlua::ffi;

use super::memory::Memory;
use super::state::LoadError;

/// Requests for memory between two looks at the clock.
const REQUESTS_PER_CHECK: u32 = 64;

/// Time for a chunk that was registered before, when it is compiled for its contexts: `udf-put` allows far less.
const COMPILE_TIME: Duration = Duration::from_secs(10);

/// A compilation under way.
struct Compiling<'m> {
    memory: &'m Memory,
    deadline: Instant,
    requests: Cell<u32>,
    is_late: Cell<bool>,
}

/// Lua's allocator while it compiles.
unsafe extern "C" fn allocate(
    compiling: *mut c_void,
    block: *mut c_void,
    old_size: usize,
    new_size: usize,
) -> *mut c_void {
    // SAFETY: `load_text` passes a Compiling that is there until it returns, and its account.
    unsafe {
        let compiling = &*compiling.cast::<Compiling<'_>>();
        let requests = compiling.requests.get() + 1;
        compiling.requests.set(requests % REQUESTS_PER_CHECK);
        if requests == REQUESTS_PER_CHECK && Instant::now() >= compiling.deadline {
            compiling.is_late.set(true);
        }
        let grows = block.is_null() || new_size > old_size;
        if compiling.is_late.get() && grows && new_size > 0 {
            return std::ptr::null_mut();
        }
        let account = std::ptr::from_ref(compiling.memory).cast_mut().cast();
        Memory::allocate(account, block, old_size, new_size)
    }
}

/// Loads a chunk of text; pushes its function, or a message. Its name is shown as it is when it begins with `@` or `=`, else
/// as `[string "name"]`.
///
/// # Safety
/// `raw` is a live state whose allocator is that of `memory`.
pub(crate) unsafe fn load_text(
    raw: *mut ffi::lua_State,
    memory: &Memory,
    name: &str,
    source: &[u8],
    deadline: Instant,
) -> c_int {
    let name = CString::new(name).unwrap_or_default();
    let compiling = Compiling {
        memory,
        deadline,
        requests: Cell::new(0),
        is_late: Cell::new(false),
    };
    // SAFETY: Lua reads `source.len()` bytes and copies the name; loading is protected, so the allocator comes back.
    unsafe {
        let account = std::ptr::from_ref(&compiling).cast_mut().cast();
        ffi::lua_setallocf(raw, allocate, account);
        let status = ffi::luaL_loadbufferx(
            raw,
            source.as_ptr().cast(),
            source.len(),
            name.as_ptr(),
            c"t".as_ptr(),
        );
        let account = std::ptr::from_ref(memory).cast_mut().cast();
        ffi::lua_setallocf(raw, Memory::allocate, account);
        status
    }
}

/// Compiles a text chunk; the bytecode keeps names and lines. `limit` is in bytes.
pub(crate) fn compile(name: &str, source: &[u8], limit: usize) -> Result<Vec<u8>, LoadError> {
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
    let no_memory = || LoadError {
        text: Some(b"not enough memory".to_vec()),
        aborted: true,
    };
    let memory = Memory::default();
    memory.begin(limit);
    let account = std::ptr::from_ref(&memory).cast_mut().cast();
    // SAFETY: a state of its own, closed before its account goes; every step answers a status.
    unsafe {
        let raw = ffi::lua_newstate(Memory::allocate, account);
        if raw.is_null() {
            return Err(no_memory());
        }
        let deadline = Instant::now() + COMPILE_TIME;
        let result = match load_text(raw, &memory, name, source, deadline) {
            ffi::LUA_OK => {
                let mut out: Vec<u8> = Vec::new();
                ffi::lua_dump(raw, write, (&raw mut out).cast(), 0);
                Ok(out)
            }
            ffi::LUA_ERRMEM => Err(no_memory()),
            _ => {
                let text = ffi::lua_tolstring(raw, -1, std::ptr::null_mut());
                let text = (!text.is_null()).then(|| CStr::from_ptr(text).to_bytes().to_vec());
                Err(LoadError {
                    text,
                    aborted: false,
                })
            }
        };
        ffi::lua_close(raw);
        result
    }
}
