//! One Lua state: made, loaded, called, closed.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::sync::Arc;
use std::time::Instant;

use mlua::ffi;

use super::compile::load_text;
use super::encode;
use super::frame::{Frame, Kind};
use super::globals::{self, Ground};
use super::library;
use super::memory::Memory;
use super::object::{Converted, Object};
use super::record::RecordCall;
use super::shared::{Abort, Shared};
use super::value::Value;
use crate::udf::budget::Budget;
use crate::udf::{Call, Modules, Outcome, RecordChange, Reply};

/// Bins for which a state keeps room from call to call.
const SPARE_BINS: usize = 64;

/// Text for a call that cannot be made because it has too many arguments.
const TOO_MANY_ARGUMENTS: &str = "UDF: Execution Error 2";

/// Text for an error value that is no string.
const NOT_A_TEXT: &[u8] = b"result value type unexpected";

/// What a state is made with.
#[derive(Clone, Debug)]
pub(crate) struct StateOptions {
    /// Directory of the modules, as error texts show it.
    pub(crate) user_path: Box<str>,
    /// Scripts reach files, processes and native code.
    pub(crate) allow_unsafe: bool,
    /// Bytes that a state may take while it loads its module.
    pub(crate) load_memory: usize,
    /// Bytes that a call may take on top of what its state has.
    pub(crate) call_memory: usize,
    /// A failure's text is followed by a traceback.
    pub(crate) traceback: bool,
}

/// Why a chunk did not load or its body did not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoadError {
    /// What Lua says; `None` when the error value is no text.
    pub(crate) text: Option<Vec<u8>>,
    /// Time or memory ran out.
    pub(crate) aborted: bool,
}

/// A Lua state with Aerospike's globals.
pub(crate) struct State {
    raw: *mut ffi::lua_State,
    /// Boxed: the state's extra space points to it.
    shared: Box<Shared>,
    /// The globals that calls start with; there once the module is loaded.
    globals: Option<Ground>,
    call_memory: usize,
    traceback: bool,
    calls: Cell<u64>,
}

// SAFETY: everything that the state reaches, reference counts included, is owned by it alone and moves with it; it is used
// through `&mut` only. The modules behind `require` are Send and Sync.
unsafe impl Send for State {}

impl State {
    /// A state with the libraries open and no module loaded. `None` when there is no memory.
    pub(crate) fn new(modules: Arc<dyn Modules>, options: &StateOptions) -> Option<Self> {
        let shared = Box::new(Shared::new(modules, &options.user_path));
        shared.memory.begin(options.load_memory);
        let account = std::rc::Rc::as_ptr(&shared.memory)
            .cast_mut()
            .cast::<c_void>();
        // SAFETY: the account lives as long as `shared`, which is dropped after the state is closed.
        let raw = unsafe { ffi::lua_newstate(Memory::allocate, account) };
        if raw.is_null() {
            return None;
        }
        let mut state = Self {
            raw,
            globals: None,
            call_memory: options.call_memory,
            traceback: options.traceback,
            calls: Cell::new(0),
            shared,
        };
        state.shared.memory.begin_overdraft();
        // SAFETY: the extra space is as large as a pointer; coroutines get a copy of it.
        unsafe {
            ffi::lua_getextraspace(raw)
                .cast::<*const c_void>()
                .write(state.shared.as_extra());
            ffi::lua_gc(raw, ffi::LUA_GCGEN, 0 as c_int, 0 as c_int);
            state.shared.memory.pace.enter(raw);
        }
        state.with_frame(|frame| library::open(frame, options.allow_unsafe));
        state.shared.memory.end_overdraft();
        Some(state)
    }

    /// Works on the bare stack; leaves it empty.
    fn with_frame<R>(&mut self, work: impl FnOnce(&mut Frame<'_>) -> R) -> R {
        // SAFETY: the state is live and has its Shared; `work` raises nothing.
        let mut frame = unsafe { Frame::over(self.raw) };
        let result = work(&mut frame);
        frame.set_top(0);
        result
    }

    /// Bytes that the state holds, native collections included.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.shared.memory.held()
    }

    #[cfg(test)]
    pub(crate) fn memory_account(&self) -> std::rc::Rc<Memory> {
        std::rc::Rc::clone(&self.shared.memory)
    }

    /// Loads a text chunk under a name and runs its body with no arguments: what `udf-put` checks.
    pub(crate) fn run_source(
        &mut self,
        name: &str,
        source: &[u8],
        deadline: Instant,
    ) -> Result<(), LoadError> {
        let memory = std::rc::Rc::clone(&self.shared.memory);
        let load = |raw| {
            // SAFETY: the state's own account, and its allocator.
            unsafe { load_text(raw, &memory, name, source, deadline) }
        };
        self.load(deadline, load, None)
    }

    /// Loads a module's bytecode and runs its body as `require` does; then makes the state ready for calls.
    pub(crate) fn run_module(
        &mut self,
        name: &str,
        bytecode: &[u8],
        deadline: Instant,
    ) -> Result<(), LoadError> {
        let load = |raw| {
            // SAFETY: the bytecode is our own.
            unsafe {
                ffi::luaL_loadbufferx(
                    raw,
                    bytecode.as_ptr().cast(),
                    bytecode.len(),
                    c"=module".as_ptr(),
                    c"b".as_ptr(),
                )
            }
        };
        self.load(deadline, load, Some(name))?;
        self.make_ready();
        Ok(())
    }

    fn load(
        &mut self,
        deadline: Instant,
        load: impl FnOnce(*mut ffi::lua_State) -> c_int,
        module: Option<&str>,
    ) -> Result<(), LoadError> {
        self.shared.budget.replace(Budget::until(deadline));
        self.shared.abort.set(None);
        if let Some(module) = module {
            self.shared
                .loading
                .borrow_mut()
                .push(module.as_bytes().into());
        }
        let shared: *const Shared = &raw const *self.shared;
        let result = self.with_frame(|frame| {
            // SAFETY: the box outlives this closure; only cells of it are touched.
            let shared = unsafe { &*shared };
            let mut status = load(frame.raw());
            if status == ffi::LUA_OK {
                let arguments = module.map_or(0, |module| {
                    shared.memory.begin_overdraft();
                    frame.push_bytes(module.as_bytes());
                    frame.push_bytes(shared.path_of(&format!("{module}.lua")).as_bytes());
                    shared.memory.end_overdraft();
                    2
                });
                // SAFETY: a protected call; errors do not leave it.
                status = unsafe { ffi::lua_pcallk(frame.raw(), arguments, 1, 0, 0, None) };
            }
            if status == ffi::LUA_OK {
                if let Some(module) = module {
                    shared.memory.begin_overdraft();
                    library::set_loaded(frame, module);
                    shared.memory.end_overdraft();
                }
                return Ok(());
            }
            shared.memory.begin_overdraft();
            let is_text = matches!(frame.kind(-1), Kind::String | Kind::Number);
            let text = is_text.then(|| frame.bytes(-1).unwrap_or_default().to_vec());
            shared.memory.end_overdraft();
            Err(LoadError {
                text,
                aborted: status == ffi::LUA_ERRMEM || shared.abort.get().is_some(),
            })
        });
        self.shared.loading.borrow_mut().clear();
        self.shared.budget.replace(Budget::unlimited());
        result
    }

    /// Makes the globals as the module's body left them the ground on which each call works; see [`super::globals`].
    fn make_ready(&mut self) {
        self.shared.memory.begin_overdraft();
        self.globals = Some(self.with_frame(globals::seal));
        self.shared.memory.end_overdraft();
    }

    /// Calls a global function as a record UDF. The flag says whether it has written to a table of the server: like an
    /// aborted one, the state is not to be used again.
    pub(crate) fn call(&mut self, call: Call<'_>) -> (Outcome, bool, Option<Abort>) {
        let shared: *const Shared = &raw const *self.shared;
        // SAFETY: the box outlives this function; only cells of it are touched.
        let shared = unsafe { &*shared };
        let number = self.calls.get() + 1;
        self.calls.set(number);
        shared.call_number.set(number);
        shared.abort.set(None);
        shared.budget.replace(Budget::until(call.deadline));
        shared
            .memory
            .begin(shared.memory.used().saturating_add(self.call_memory));
        shared.record.replace(Some(RecordCall::new(
            call.record,
            call.now,
            shared.spare.take(),
        )));
        shared.memory.begin_overdraft();
        let (globals, traceback) = (self.globals, self.traceback);
        let reply = self.with_frame(|frame| {
            let reply = invoke(
                frame,
                call.function,
                call.arguments,
                globals,
                number,
                traceback,
            );
            frame.set_top(0);
            reply
        });
        shared.memory.end_overdraft();
        let mut record = shared.record.replace(None);
        if let Some(record) = &mut record {
            let pending = record.take_pending();
            if pending.capacity() <= SPARE_BINS {
                shared.spare.set(pending);
            }
        }
        // Handles kept by the script carry this number; no later call has it.
        shared.call_number.set(0);
        let abort = shared.abort.get();
        shared.budget.replace(Budget::unlimited());
        shared.memory.begin_overdraft();
        if let Some(ground) = globals.filter(|ground| ground.sealed) {
            self.with_frame(|frame| globals::forget_changes(frame, ground));
        }
        shared.memory.end_overdraft();
        let changed = shared.libraries_changed.get();
        let (change, pending_error) = match (&reply, record) {
            (Reply::Success(_), Some(record)) => record.finish(),
            _ => (RecordChange::None, None),
        };
        (
            Outcome {
                reply,
                change,
                pending_error,
            },
            changed,
            abort,
        )
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.shared.record.replace(None);
        self.shared.abort.set(None);
        // Finalizers of the script get a moment, not the thread.
        self.shared.budget.replace(Budget::until(
            Instant::now() + std::time::Duration::from_millis(10),
        ));
        // SAFETY: made by `new`; not used afterwards. `shared` is dropped after this.
        unsafe { ffi::lua_close(self.raw) };
        // Lists and maps that hold each other in a circle are left.
        self.shared.memory.containers.clear();
    }
}

/// Pushes function, record and arguments, and calls.
fn invoke(
    frame: &mut Frame<'_>,
    function: &[u8],
    arguments: &[u8],
    globals: Option<Ground>,
    number: u64,
    traceback: bool,
) -> Reply {
    let shared = frame.shared();
    if traceback {
        // SAFETY: pushes a plain function, as message handler at index 1.
        unsafe { ffi::lua_pushcclosure(frame.raw(), add_traceback, 0) };
    } else {
        frame.push_nil();
    }
    if let Some(ground) = globals.filter(|ground| !ground.sealed) {
        globals::set_aerospike(frame, ground);
    }
    // SAFETY: the registry holds the table that `globals::seal` made.
    unsafe {
        let table = globals.map_or(ffi::LUA_RIDX_GLOBALS, |ground| ground.table.into());
        ffi::lua_rawgeti(frame.raw(), ffi::LUA_REGISTRYINDEX, table);
    }
    frame.push_bytes(function);
    frame.raw_get(2);
    if frame.kind(3) == Kind::Nil {
        return Reply::Failure(b"function not found".to_vec());
    }
    frame.push_object(Object::Record(number));
    let first = frame.top();
    let mut fits = true;
    let decoded = encode::read_arguments(&shared.memory, arguments, |value| {
        fits = fits && frame.ensure_stack(1).is_ok();
        if fits {
            frame.push_value(&value);
        }
    });
    if shared.memory.is_overdrawn() {
        shared.abort(Abort::Memory);
        return Reply::Failure(Abort::Memory.text().into());
    }
    if !fits {
        return Reply::Failure(TOO_MANY_ARGUMENTS.into());
    }
    if let Err(error) = decoded {
        return Reply::Failure(format!("the arguments cannot be read: {error}").into_bytes());
    }
    let count = frame.top() - first + 1;
    let depth = shared.memory.suspend_overdraft();
    // SAFETY: a protected call; errors do not leave it.
    let status = unsafe { ffi::lua_pcallk(frame.raw(), count, 1, c_int::from(traceback), 0, None) };
    shared.memory.resume_overdraft(depth);
    if status == ffi::LUA_ERRMEM {
        shared.abort(Abort::Memory);
    }
    if status == ffi::LUA_OK && shared.abort.get().is_none() {
        return result(frame);
    }
    Reply::Failure(failure_text(frame, shared.abort.get()))
}

/// The returned value as a particle. What has no form for clients is nil.
fn result(frame: &mut Frame<'_>) -> Reply {
    let value = match frame.value_at(-1) {
        Converted::Value(value) => value,
        Converted::Record | Converted::Unsupported => Value::Nil,
    };
    match encode::to_result(&value) {
        Ok(particle) => Reply::Success(particle),
        Err(error) => Reply::Failure(error.to_string().into_bytes()),
    }
}

fn failure_text(frame: &mut Frame<'_>, abort: Option<Abort>) -> Vec<u8> {
    let text = if frame.kind(-1) == Kind::String {
        frame.bytes(-1)
    } else {
        None
    };
    match (text, abort) {
        (Some(text), Some(abort)) if !contains(text, abort.text().as_bytes()) => {
            abort.text().into()
        }
        (Some(text), _) => text.to_vec(),
        (None, Some(abort)) => abort.text().into(),
        (None, None) => NOT_A_TEXT.to_vec(),
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Message handler: a traceback after the text.
unsafe extern "C-unwind" fn add_traceback(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: standard use of the C API; nothing here has a destructor.
    unsafe {
        if ffi::lua_type(state, 1) == ffi::LUA_TSTRING {
            let text = ffi::lua_tolstring(state, 1, std::ptr::null_mut());
            ffi::luaL_traceback(state, state, text, 1);
        }
    }
    1
}
