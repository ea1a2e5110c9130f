//! One Lua state: made, loaded, called, closed.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mlua::ffi;

use crate::api::library;
use crate::api::own::Own;
use crate::call::stream::StreamNil;
use crate::call::{Call, Cause, Outcome, RecordChange, Reply};
use crate::context::missing;
use crate::guard::globals::{self, Ground};
use crate::host::{Host, Observer, Oracle};
use crate::machine::collate::Running;
use crate::machine::common::ScriptMemory;
use crate::machine::compile::{LoadError, dump_renamed, late, load_text};
use crate::machine::encode;
use crate::machine::frame::{Frame, LuaType};
use crate::machine::memory::Memory;
use crate::machine::object::{Converted, Object};
use crate::machine::place;
use crate::machine::protect;
use crate::machine::record_call::RecordCall;
use crate::machine::shared::{Abort, BodyTime, Shared};
use crate::machine::value::Value;
use crate::module::Modules;

/// Bins for which a state keeps room from call to call.
const SPARE_BINS: usize = 64;

/// Time for finalizers while garbage is collected between calls.
const COLLECTION_TIME: Duration = Duration::from_millis(10);

/// Arguments that are counted while they are read, bytes.
const LONG_ARGUMENTS: usize = 4 << 10;

/// Steps that a byte of them is counted with.
const STEPS_PER_ARGUMENT_BYTE: usize = 32;

/// What a state may hold when its result is written where others wait, bytes.
const MUCH_MEMORY: usize = 4 << 20;

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
    /// What becomes of a stream whose operator gives nil.
    pub(crate) stream_nil: StreamNil,
    /// A global function for scripts of a program, and who answers it.
    pub(crate) oracle: Option<(&'static str, Arc<dyn Oracle>)>,
    /// Who sees what the scripts do.
    pub(crate) observer: Option<Arc<dyn Observer>>,
    /// `os.time` and `os.date` tell the host's time.
    pub(crate) host_clock: bool,
    /// Who runs the scripts.
    pub(crate) host: Arc<dyn Host>,
    /// The memory of all scripts.
    pub(crate) all_memory: Arc<ScriptMemory>,
}

/// A Lua state with Aerospike's globals.
pub(crate) struct LuaState {
    pub(crate) raw: *mut ffi::lua_State,
    /// Boxed: the state's extra space points to it.
    shared: Box<Shared>,
    /// The globals that calls start with; there once the module is loaded.
    pub(crate) globals: Option<Ground>,
    call_memory: usize,
    pub(crate) traceback: bool,
    calls: Cell<u64>,
    /// Registry reference to the function that gives the results of the stream under way.
    pub(crate) chain: Option<c_int>,
    /// Time for each result and record of it.
    pub(crate) stream_deadline: Duration,
}

// SAFETY: everything that the state reaches, reference counts included, is owned by it alone and moves with it; it is used
// through `&mut` only. The modules behind `require` are Send and Sync.
unsafe impl Send for LuaState {}

impl LuaState {
    /// A state with the libraries open and no module loaded. `None` when there is no memory.
    pub(crate) fn new(modules: Arc<dyn Modules>, options: &StateOptions) -> Option<Self> {
        let shared = Box::new(Shared::new(
            modules,
            Arc::clone(&options.host),
            &options.user_path,
            Arc::clone(&options.all_memory),
        ));
        shared.memory.begin(options.load_memory);
        shared.stream_nil.set(options.stream_nil);
        if let Some(observer) = &options.observer {
            shared.observer.replace(Some(Arc::clone(observer)));
            shared.memory.pace.see_lines();
        }
        let oracle = options.oracle.as_ref();
        shared
            .oracle
            .replace(oracle.map(|(_, oracle)| Arc::clone(oracle)));
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
            chain: None,
            stream_deadline: Duration::ZERO,
            shared,
        };
        state.shared.memory.begin_overdraft();
        // SAFETY: the extra space is as large as a pointer; coroutines get a copy of it.
        unsafe {
            ffi::lua_getextraspace(raw)
                .cast::<*const c_void>()
                .write(state.shared.as_extra());
            // What is made now stays: to look for garbage in it again and again takes as long as to make it.
            ffi::lua_gc(raw, ffi::LUA_GCSTOP);
            state.shared.memory.pace.enter(raw);
        }
        let own = Own {
            oracle: oracle.map(|(name, _)| *name),
            host_clock: options.host_clock,
        };
        state.with_frame(|frame| library::open(frame, options.allow_unsafe, own));
        // SAFETY: a live state at rest, in which no script has run.
        unsafe {
            ffi::lua_gc(raw, ffi::LUA_GCGEN, 0 as c_int, 0 as c_int);
            ffi::lua_gc(raw, ffi::LUA_GCRESTART);
        }
        state.shared.memory.end_overdraft();
        Some(state)
    }

    /// The same state for scripts that find other modules. Before any has run.
    pub(crate) fn with_modules(self, modules: Arc<dyn Modules>) -> Self {
        self.shared.modules.replace(modules);
        self
    }

    /// Works on the bare stack; leaves it empty.
    pub(crate) fn with_frame<R>(&mut self, work: impl FnOnce(&mut Frame<'_>) -> R) -> R {
        // SAFETY: the state is live and has its Shared; `work` raises nothing.
        let mut frame = unsafe { Frame::over(self.raw) };
        let result = work(&mut frame);
        frame.set_top(0);
        result
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Bytes that the state holds, native collections included.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.shared.memory.held()
    }

    /// Whether the module's body was ended because it took too much time.
    pub(crate) fn ran_out_of_time(&self) -> bool {
        self.shared.abort.get().is_some_and(Abort::is_time)
    }

    /// Has Lua give up what nobody reaches any more.
    pub(crate) fn collect_garbage(&mut self) {
        self.shared
            .set_budget(Some(Instant::now() + COLLECTION_TIME));
        // SAFETY: a live state at rest; finalizers run protected and within the time.
        unsafe { ffi::lua_gc(self.raw, ffi::LUA_GCCOLLECT) };
        self.shared.set_budget(None);
        self.shared.memory.settle();
    }

    #[cfg(test)]
    pub(crate) fn memory_account(&self) -> std::rc::Rc<Memory> {
        std::rc::Rc::clone(&self.shared.memory)
    }

    /// Loads a text chunk under a name and runs its body with no arguments: what `udf-put` checks. Gives what compiling it
    /// for contexts gives, if that can be had.
    pub(crate) fn run_source(
        &mut self,
        name: &str,
        source: &[u8],
        time: BodyTime,
    ) -> Result<Option<Vec<u8>>, LoadError> {
        let shared: *const Shared = &raw const *self.shared;
        // SAFETY: the box outlives this function; only cells of it are touched.
        let shared = unsafe { &*shared };
        let for_contexts = format!("@{}", shared.path_of(name));
        let mut bytecode = None;
        let load = |raw| {
            // SAFETY: a live state.
            let loaded = unsafe { load_text(raw, name, source, &mut || shared.checkpoint()) };
            if loaded == Ok(ffi::LUA_OK) {
                // SAFETY: the function that was loaded is on top.
                bytecode = unsafe { dump_renamed(raw, name, &for_contexts) };
            }
            loaded.map_err(|line| late(name, line, shared.abort.get().unwrap_or(Abort::BodyTime)))
        };
        self.load(time, load, None)?;
        Ok(bytecode)
    }

    /// Loads a module's bytecode and runs its body as `require` does; then makes the state ready for calls.
    pub(crate) fn run_module(
        &mut self,
        name: &str,
        bytecode: &[u8],
        time: BodyTime,
    ) -> Result<(), LoadError> {
        let load = |raw| {
            // SAFETY: the bytecode is our own.
            Ok(unsafe {
                ffi::luaL_loadbufferx(
                    raw,
                    bytecode.as_ptr().cast(),
                    bytecode.len(),
                    c"=module".as_ptr(),
                    c"b".as_ptr(),
                )
            })
        };
        self.shared.module.replace(name.into());
        self.load(time, load, Some(name))?;
        self.make_ready();
        Ok(())
    }

    fn load(
        &mut self,
        time: BodyTime,
        load: impl FnOnce(*mut ffi::lua_State) -> Result<c_int, LoadError>,
        module: Option<&str>,
    ) -> Result<(), LoadError> {
        self.shared.abort.set(None);
        self.shared.set_body_budget(time);
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
            let mut status = load(frame.raw())?;
            if status == ffi::LUA_OK {
                let arguments = module.map_or(0, |module| {
                    shared.memory.begin_overdraft();
                    frame.push_bytes(module.as_bytes());
                    frame.push_bytes(shared.path_of(&format!("{module}.lua")).as_bytes());
                    shared.memory.end_overdraft();
                    2
                });
                // SAFETY: the state's own; then a protected call; errors do not leave it.
                status = unsafe {
                    let _running = Running::enter(shared);
                    ffi::lua_pcallk(frame.raw(), arguments, 1, 0, 0, None)
                };
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
            let is_text = matches!(frame.kind(-1), LuaType::String | LuaType::Number);
            let text = is_text.then(|| frame.bytes(-1).unwrap_or_default().to_vec());
            shared.memory.end_overdraft();
            Err(LoadError {
                text,
                aborted: status == ffi::LUA_ERRMEM || shared.abort.get().is_some(),
            })
        });
        self.shared.loading.borrow_mut().clear();
        self.shared.set_budget(None);
        self.shared.memory.settle();
        result
    }

    /// Makes the globals as the module's body left them the ground on which each call works; see [`crate::guard::globals`].
    fn make_ready(&mut self) {
        self.shared.memory.begin_overdraft();
        self.globals = Some(self.with_frame(globals::seal));
        self.shared.memory.end_overdraft();
    }

    /// Calls a global function as a record UDF. The flag says whether it has written to a table of the server: like an
    /// aborted one, the state is not to be used again.
    pub(crate) fn call(&mut self, call: Call<'_>) -> (Outcome, bool, Option<Abort>) {
        let number = self.begin_call();
        self.name_function(call.function);
        let shared: *const Shared = &raw const *self.shared;
        // SAFETY: the box outlives this function; only cells of it are touched.
        let shared = unsafe { &*shared };
        shared.set_budget(Some(call.deadline));
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
        let (change, pending_error) = match (&reply, shared.record.borrow_mut().as_mut()) {
            (Reply::Success(_), Some(record)) => record.finish(),
            _ => (RecordChange::None, None),
        };
        let (changed, abort) = self.end_call();
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

    /// Makes the state ready for a call; the answer is the call's number, which handles of its record carry.
    pub(crate) fn begin_call(&self) -> u64 {
        let shared = self.shared();
        let number = self.calls.get() + 1;
        self.calls.set(number);
        shared.call_number.set(number);
        shared.abort.set(None);
        // Nobody looks at either between calls.
        shared.note(None, None);
        shared.ended_early.replace(None);
        shared
            .memory
            .begin(shared.memory.used().saturating_add(self.call_memory));
        number
    }

    /// Why and where the call that has ended failed.
    pub(crate) fn take_cause(&self) -> Cause {
        self.shared().cause.take()
    }

    /// Place of the operator whose nil has ended the run, once.
    pub(crate) fn take_ended_early(&self) -> Option<String> {
        self.shared().ended_early.take()
    }

    /// Notes the name of the function under way.
    pub(crate) fn name_function(&self, function: &[u8]) {
        let mut name = self.shared().function.borrow_mut();
        name.clear();
        name.extend_from_slice(function);
    }

    /// Drops the record of the call under way, and what is pending for it.
    fn drop_record(&self) {
        let mut place = self.shared().record.borrow_mut();
        let Some(record) = place.as_mut() else {
            return;
        };
        let pending = record.take_pending();
        // Values that are dropped give their memory back, and ask for nothing: it may be borrowed meanwhile.
        *place = None;
        drop(place);
        if pending.capacity() <= SPARE_BINS {
            self.shared().spare.set(pending);
        }
    }

    /// Takes away what a call has left. The flag says whether it has written to a table of the server.
    pub(crate) fn end_call(&mut self) -> (bool, Option<Abort>) {
        self.drop_record();
        // Handles kept by the script carry this number; no later call has it.
        self.shared.call_number.set(0);
        let abort = self.shared.abort.get();
        self.shared.set_budget(None);
        self.shared.memory.begin_overdraft();
        if let Some(ground) = self.globals.filter(|ground| ground.sealed) {
            self.with_frame(|frame| globals::forget_changes(frame, ground));
        }
        self.shared.memory.end_overdraft();
        self.shared.memory.settle();
        (self.shared.libraries_changed.get(), abort)
    }
}

impl Drop for LuaState {
    fn drop(&mut self) {
        self.shared.record.replace(None);
        self.shared.abort.set(None);
        // Finalizers of the script get a moment, not the thread.
        self.shared
            .set_budget(Some(Instant::now() + Duration::from_millis(10)));
        // SAFETY: made by `new`; not used afterwards. `shared` is dropped after this.
        unsafe {
            let _running = Running::enter(&raw const *self.shared);
            ffi::lua_close(self.raw);
        }
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
    let handler = push_handler(frame, traceback);
    if let Some(ground) = globals.filter(|ground| !ground.sealed) {
        globals::set_aerospike(frame, ground);
    }
    push_function(frame, globals, function);
    let place = frame.top();
    if frame.kind(place) == LuaType::Nil {
        explain_missing(frame, globals, function);
        return Reply::Failure(b"function not found".to_vec());
    }
    frame.push_object(Object::Record(number));
    if let Err(text) = push_arguments(frame, arguments) {
        return Reply::Failure(text);
    }
    let count = frame.top() - place;
    let status = protected_call(frame, count, handler);
    let abort = frame.shared().abort.get();
    if status == ffi::LUA_OK && abort.is_none() {
        return result(frame);
    }
    Reply::Failure(failure_text(frame, abort))
}

/// Notes why the module has no such function.
pub(crate) fn explain_missing(frame: &mut Frame<'_>, globals: Option<Ground>, function: &[u8]) {
    let module = frame.shared().module.borrow().clone();
    let text = missing::explain(frame, globals, &module, function);
    frame.shared().note(None, Some(text));
}

/// Pushes the message handler; the answer is its place.
pub(crate) fn push_handler(frame: &mut Frame<'_>, traceback: bool) -> c_int {
    let handler = match traceback {
        true => add_traceback,
        false => note_place as ffi::lua_CFunction,
    };
    // SAFETY: pushes a plain function.
    unsafe { ffi::lua_pushcclosure(frame.raw(), handler, 0) };
    frame.top()
}

/// Message handler: notes the line.
unsafe extern "C-unwind" fn note_place(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by Lua with the error value, on a state of ours; a handler has room for some values.
    unsafe { note_error(state) };
    1
}

/// Notes the line that failed, and what kind of value an error is that is no text.
///
/// # Safety
/// As for a message handler.
unsafe fn note_error(state: *mut ffi::lua_State) {
    // SAFETY: the caller's promise; only reads.
    unsafe {
        let place = place::innermost(state, 1);
        let text = match ffi::lua_type(state, 1) {
            ffi::LUA_TSTRING | ffi::LUA_TNUMBER => None,
            kind => {
                let name = std::ffi::CStr::from_ptr(ffi::lua_typename(state, kind));
                let name = name.to_string_lossy();
                Some(format!("the error value is a {name}, not a text"))
            }
        };
        protect::shared(state).note(place, text);
    }
}

/// Pushes a global function of the module, or nil.
pub(crate) fn push_function(frame: &mut Frame<'_>, globals: Option<Ground>, name: &[u8]) {
    // SAFETY: the registry holds the table that `globals::seal` made.
    unsafe {
        let table = globals.map_or(ffi::LUA_RIDX_GLOBALS, |ground| ground.table.into());
        ffi::lua_rawgeti(frame.raw(), ffi::LUA_REGISTRYINDEX, table);
    }
    let table = frame.top();
    frame.push_bytes(name);
    frame.raw_get(table);
    frame.replace(table);
}

/// Pushes the arguments of a call.
///
/// Errors: the text that says why they cannot be had.
pub(crate) fn push_arguments(frame: &mut Frame<'_>, arguments: &[u8]) -> Result<(), Vec<u8>> {
    let shared = frame.shared();
    if arguments.len() > LONG_ARGUMENTS && !shared.spend(arguments.len() * STEPS_PER_ARGUMENT_BYTE)
    {
        return Err(Abort::Time.text().into());
    }
    let mut fits = true;
    let decoded = encode::read_arguments(&shared.memory, arguments, |value| {
        fits = fits && frame.ensure_stack(1).is_ok();
        if fits {
            frame.push_value(&value);
        }
    });
    if shared.memory.is_overdrawn() {
        shared.abort(Abort::Memory);
        return Err(Abort::Memory.text().into());
    }
    if !fits {
        return Err(TOO_MANY_ARGUMENTS.into());
    }
    decoded
        .map(drop)
        .map_err(|error| format!("the arguments cannot be read: {error}").into_bytes())
}

/// Calls the function below `arguments` values, for one result; the answer is Lua's status.
pub(crate) fn protected_call(frame: &mut Frame<'_>, arguments: c_int, handler: c_int) -> c_int {
    let shared = frame.shared();
    let depth = shared.memory.suspend_overdraft();
    // SAFETY: the state's own; then a protected call; errors do not leave it.
    let status = unsafe {
        let _running = Running::enter(shared);
        ffi::lua_pcallk(frame.raw(), arguments, 1, handler, 0, None)
    };
    shared.memory.resume_overdraft(depth);
    if status == ffi::LUA_ERRMEM {
        shared.abort(Abort::Memory);
        shared.note(shared.memory.refused_at(), None);
    }
    status
}

/// Steps aside before what a call has made is written or read, if the state holds much: a millisecond is soon over.
fn leave_with_much(frame: &Frame<'_>) {
    let shared = frame.shared();
    if shared.memory.used() > MUCH_MEMORY {
        // The call has ended well: its answer is not withheld because the time is up now.
        shared.leave();
    }
}

/// The returned value as a particle. What has no form for clients is nil.
fn result(frame: &mut Frame<'_>) -> Reply {
    leave_with_much(frame);
    let value = match frame.value_at(-1) {
        Converted::Value(value) => value,
        Converted::Record | Converted::Unsupported => {
            frame.warn_lost(-1, "is returned", "the client gets nil");
            Value::Nil
        }
    };
    match encode::to_result(&value) {
        Ok(particle) => Reply::Success(particle),
        Err(error) => Reply::Failure(error.to_string().into_bytes()),
    }
}

fn failure_text(frame: &mut Frame<'_>, abort: Option<Abort>) -> Vec<u8> {
    let text = if frame.kind(-1) == LuaType::String {
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

pub(crate) fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Message handler: a traceback after the text.
unsafe extern "C-unwind" fn add_traceback(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: standard use of the C API; nothing here has a destructor.
    unsafe {
        note_error(state);
        if ffi::lua_type(state, 1) == ffi::LUA_TSTRING {
            let text = ffi::lua_tolstring(state, 1, std::ptr::null_mut());
            ffi::luaL_traceback(state, state, text, 1);
        }
    }
    1
}
