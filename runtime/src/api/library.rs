//! The globals that scripts find: Lua's libraries as far as they are safe, Aerospike's types, `require`.

use std::ffi::{CStr, c_int};
use std::sync::OnceLock;
use std::time::Duration;

use mlua::ffi;

use super::own::Own;
use super::{aerospike, bytes, geojson, iterator, list, log, map, record};
use crate::call::stream::StreamNil;
use crate::guard::{bounds, globals, sealed, strings, tables};
use crate::host::Alone;
use crate::machine::compile::compile;
use crate::machine::frame::{Body, Frame, LuaType, Raise};
use crate::machine::object::set_functions;
use crate::machine::place;
use crate::machine::shared::BodyTime;
use crate::machine::{finalizers, protect, weak};

/// Functions of `os` that stay: they tell the time.
const OS_FUNCTIONS: [&str; 4] = ["clock", "date", "difftime", "time"];

/// Globals of Lua that reach files or native code.
const UNSAFE_GLOBALS: [&str; 3] = ["dofile", "loadfile", "debug"];

/// Opens the libraries and defines Aerospike's globals; `aerospike` itself comes with the first call.
pub(crate) fn open(frame: &mut Frame<'_>, allow_unsafe: bool, own: Own) {
    // SAFETY: a fresh state; allocation does not fail now, so opening does not raise.
    unsafe { ffi::luaL_openlibs(frame.raw()) };
    if !allow_unsafe {
        close_unsafe(frame);
        define_require(frame);
    }
    sealed::define(frame);
    protect::define(frame);
    weak::define(frame);
    finalizers::define(frame);
    strings::define(frame);
    tables::define(frame);
    bounds::define(frame);
    define_math(frame);
    record::define(frame);
    aerospike::define(frame);
    list::define(frame);
    map::define(frame);
    bytes::define(frame);
    geojson::define(frame);
    iterator::define(frame);
    define_stream(frame);
    define_stream_operators(frame);
    log::define(frame);
    define_print(frame);
    own.define(frame);
    sealed::remember_own_tables(frame);
    if allow_unsafe {
        // Lua's `require` looks into this one raw. Registered modules go first.
        frame.push_global("package");
        let package = frame.top();
        for (name, pattern) in [("path", "?.lua"), ("cpath", "?.so")] {
            frame.push_bytes(format!("{};", frame.shared().path_of(pattern)).as_bytes());
            frame.push_bytes(name.as_bytes());
            frame.raw_get(package);
            frame.concat(2);
            frame.raw_set_field(package, name);
        }
        frame.push_bytes(b"searchers");
        frame.raw_get(package);
        sealed::leave_open(frame);
        frame.pop(1);
    }
}

/// Takes away what reaches files, processes and native code.
fn close_unsafe(frame: &mut Frame<'_>) {
    for name in UNSAFE_GLOBALS {
        frame.push_nil();
        frame.pop_global(name);
    }
    // An empty table: what a script looks for in it is nil.
    frame.push_table(0, 0);
    let io = frame.top();
    frame.copy(io);
    frame.pop_global("io");
    frame.push_global("os");
    let os = frame.top();
    frame.push_table(0, OS_FUNCTIONS.len());
    let kept = frame.top();
    for name in OS_FUNCTIONS {
        frame.push_bytes(name.as_bytes());
        frame.raw_get(os);
        frame.raw_set_field(kept, name);
    }
    frame.copy(kept);
    frame.pop_global("os");
    frame.push_global("package");
    frame.push_bytes(b"loaded");
    frame.raw_get(kept + 1);
    let loaded = frame.top();
    frame.push_nil();
    frame.raw_set_field(loaded, "debug");
    frame.copy(io);
    frame.raw_set_field(loaded, "io");
    frame.copy(kept);
    frame.raw_set_field(loaded, "os");
    // What is left of `package` is what scripts look at: which modules are loaded.
    frame.push_table(0, 4);
    let package = frame.top();
    frame.copy(loaded);
    frame.raw_set_field(package, "loaded");
    frame.push_table(0, 0);
    frame.raw_set_field(package, "preload");
    // Modules append to these when they load; nothing is searched.
    for name in ["path", "cpath"] {
        frame.push_bytes(b"");
        frame.raw_set_field(package, name);
    }
    frame.copy(package);
    frame.raw_set_field(loaded, "package");
    frame.copy(package);
    frame.pop_global("package");
    frame.set_top(io - 1);
}

/// `require` of registered modules, and of what is in `package.loaded`.
fn define_require(frame: &mut Frame<'_>) {
    frame.push_native(require);
    frame.pop_global("require");
}

fn require(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let name = frame.check_bytes(1)?;
    frame.set_top(1);
    if push_loaded_module(frame) {
        return Ok(1);
    }
    let shared = frame.shared();
    let found = shared.modules.borrow().find(name);
    let Some(module) = found else {
        let mut text = b"module '".to_vec();
        text.extend(name);
        text.extend(b"' not found:\n\tno registered module '");
        text.extend(name);
        text.extend(b".lua'");
        return Err(Raise::Text(text));
    };
    let loading = |reason: &[u8]| {
        let mut text = b"error loading module '".to_vec();
        text.extend(name);
        text.extend(
            format!("' from file '{}':\n\t", shared.path_of(&module.file_name)).into_bytes(),
        );
        text.extend(reason);
        Raise::Text(text)
    };
    if shared
        .loading
        .borrow()
        .iter()
        .any(|busy| busy.as_ref() == name)
    {
        return Err(loading(b"it requires itself"));
    }
    frame.set_top(1);
    match &module.compiled {
        Ok(bytecode) => {
            if !frame.load_bytecode(&bytecode.0) {
                let reason = frame.bytes(-1).unwrap_or_default().to_vec();
                return Err(loading(&reason));
            }
        }
        Err(reason) => return Err(loading(reason.as_bytes())),
    }
    frame.copy(1);
    frame.push_bytes(shared.path_of(&module.file_name).as_bytes());
    shared.loading.borrow_mut().push(name.into());
    let ran = globals::run_on_ground(frame, |frame| {
        for index in 2..=4 {
            frame.copy(index);
        }
        frame.call(2, 1)
    });
    shared.loading.borrow_mut().pop();
    ran?;
    // What the chunk returned, else what it has put there itself, else true.
    if frame.kind(-1) == LuaType::Nil {
        frame.set_top(1);
        push_loaded_module(frame);
        if frame.kind(-1) == LuaType::Nil {
            frame.push_boolean(true);
        }
    }
    let value = frame.top();
    frame.push_loaded();
    let loaded = frame.top();
    frame.copy(1);
    frame.copy(value);
    frame.raw_set(loaded);
    frame.copy(value);
    frame.push_bytes(shared.path_of(&module.file_name).as_bytes());
    Ok(2)
}

/// Pushes what is loaded under the name at 1; whether that is something.
fn push_loaded_module(frame: &mut Frame<'_>) -> bool {
    frame.push_loaded();
    let loaded = frame.top();
    frame.copy(1);
    frame.raw_get(loaded);
    frame.replace(loaded);
    frame.boolean(loaded)
}

/// Enters what a module's body returned (on top of the stack; popped) into `package.loaded`, true if that was nothing.
pub(crate) fn set_loaded(frame: &mut Frame<'_>, module: &str) {
    if frame.kind(-1) == LuaType::Nil {
        frame.pop(1);
        frame.push_boolean(true);
    }
    let value = frame.top();
    frame.push_loaded();
    frame.copy(value);
    frame.raw_set_field(value + 1, module);
    frame.set_top(value - 1);
}

/// Functions of older Lua versions that Lua is built with and the real server is not.
const OLD_MATH: [&str; 8] = [
    "atan2", "cosh", "frexp", "ldexp", "log10", "pow", "sinh", "tanh",
];

/// `math.sum` and `math.product`.
///
/// Errors name the line of the module, also where a helper calls these: as a reducer, or in `map.merge`.
fn define_math(frame: &mut Frame<'_>) {
    unsafe extern "C-unwind" fn sum(state: *mut ffi::lua_State) -> c_int {
        // SAFETY: called by Lua.
        unsafe { arithmetic(state, ffi::LUA_OPADD, c"__add") }
    }
    unsafe extern "C-unwind" fn product(state: *mut ffi::lua_State) -> c_int {
        // SAFETY: called by Lua.
        unsafe { arithmetic(state, ffi::LUA_OPMUL, c"__mul") }
    }
    frame.push_global("math");
    let math = frame.top();
    for name in OLD_MATH {
        frame.push_nil();
        frame.raw_set_field(math, name);
    }
    let functions: [(&str, ffi::lua_CFunction); 2] = [("sum", sum), ("product", product)];
    for (name, function) in functions {
        // SAFETY: pushes a plain function.
        unsafe { ffi::lua_pushcclosure(frame.raw(), function, 0) };
        frame.raw_set_field(math, name);
    }
    frame.pop(1);
}

/// An operator on two operands, as a function.
///
/// # Safety
/// To be called as a C function.
unsafe fn arithmetic(state: *mut ffi::lua_State, operator: c_int, event: &CStr) -> c_int {
    // SAFETY: two operands; a metamethod or an error may leave from here, nothing that is alive then has a destructor.
    unsafe {
        ffi::lua_settop(state, 2);
        let mut can = true;
        for index in 1..=2 {
            // A text that is no number has a metamethod that fails without a position.
            let fits = ffi::lua_isnumber(state, index) != 0
                || ffi::lua_type(state, index) != ffi::LUA_TSTRING
                    && ffi::luaL_getmetafield(state, index, event.as_ptr()) != ffi::LUA_TNIL;
            if fits && ffi::lua_isnumber(state, index) == 0 {
                // Either operand's metamethod does.
                can = true;
                break;
            }
            can = can && fits;
        }
        ffi::lua_settop(state, 2);
        if can {
            ffi::lua_arith(state, operator);
            return 1;
        }
        push_arithmetic_error(state);
        ffi::lua_error(state)
    }
}

/// Pushes what Lua says of operands that are no numbers, with the line of the module.
///
/// # Safety
/// As for [`arithmetic`].
unsafe fn push_arithmetic_error(state: *mut ffi::lua_State) {
    // SAFETY: a state of ours; bodies of natives work like this.
    let mut frame = unsafe { Frame::over(state) };
    let shared = frame.shared();
    shared.memory.begin_overdraft();
    // Lua names the second one when the first is a number.
    let culprit = match frame.kind(1) {
        LuaType::Number => 2,
        _ => 1,
    };
    let mut text = b"attempt to perform arithmetic on a ".to_vec();
    text.extend(frame.type_name(culprit));
    text.extend(b" value");
    frame.push_position(1);
    frame.push_bytes(&text);
    frame.concat(2);
    shared.memory.end_overdraft();
}

/// `print` writes a line to the log: standard output of a server may be a pipe that nobody reads.
fn define_print(frame: &mut Frame<'_>) {
    frame.push_global("tostring");
    frame.push_closure(print, 1);
    frame.pop_global("print");
}

fn print(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let mut line = Vec::new();
    for argument in 1..=frame.top() {
        frame.copy(Frame::upvalue(1));
        frame.copy(argument);
        frame.call(1, 1)?;
        if argument > 1 {
            line.push(b'\t');
        }
        line.extend(frame.bytes(-1).unwrap_or_default());
        frame.pop(1);
        if line.len() > log::MAX_LINE_BYTES {
            break;
        }
    }
    log::print(frame, &line);
    Ok(0)
}

/// Place in Lua's registry of the function that begins a run.
pub(crate) const RUNNER: &str = "asd.stream";

/// Memory to compile them in, bytes.
const STREAM_OPERATORS_MEMORY: usize = 1 << 20;

/// Time to compile them in; they take less than a millisecond.
const STREAM_OPERATORS_TIME: Duration = Duration::from_secs(10);

/// `filter`, `transform`, `reduce` and `aggregate`, and what runs stream UDFs, written in Lua and compiled once.
fn define_stream_operators(frame: &mut Frame<'_>) {
    static BYTECODE: OnceLock<Vec<u8>> = OnceLock::new();
    let source = include_bytes!("stream.lua");
    let bytecode = BYTECODE.get_or_init(|| {
        let time = BodyTime::of_processor(STREAM_OPERATORS_TIME);
        compile(
            "stream_ops.lua",
            source,
            STREAM_OPERATORS_MEMORY,
            time,
            &Alone,
        )
        .unwrap_or_default()
    });
    if frame.load_bytecode(bytecode) {
        let natives: [Body; 3] = [ended, caller, defined];
        for native in natives {
            frame.push_native(native);
        }
        if frame.call(3, 1).is_ok() {
            frame.set_registry(RUNNER);
            return;
        }
    }
    frame
        .shared()
        .host
        .warn("the stream operators could not be loaded");
    frame.pop(1);
}

/// An operator that was made at the place in argument 1 has given nil. True: the stream goes on without.
fn ended(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let place = frame.bytes(1).map(String::from_utf8_lossy);
    let place = place.map_or_else(|| "an unknown place".to_owned(), |place| place.into_owned());
    let shared = frame.shared();
    match shared.stream_nil.get() {
        StreamNil::Skip => frame.push_boolean(true),
        StreamNil::End => {
            shared.ended_early.replace(Some(place));
            frame.push_boolean(false);
        }
        StreamNil::Error => {
            return Err(Raise::text("an operator gives nil (stream-nil error)"));
        }
    }
    Ok(1)
}

/// The line that called the function that called the caller of this; nil where that left no trace.
fn caller(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    // SAFETY: a running body has room for a few values.
    let place = unsafe { place::caller_of(frame.raw(), 2) };
    push_place(frame, place)
}

/// Where a function begins.
fn defined(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let place = match frame.kind(1) {
        // SAFETY: a running body has room for a few values.
        LuaType::Function => unsafe { place::definition(frame.raw(), 1) },
        _ => None,
    };
    push_place(frame, place)
}

fn push_place(frame: &mut Frame<'_>, place: Option<String>) -> Result<usize, Raise> {
    match place {
        Some(place) => frame.push_bytes(place.as_bytes()),
        None => frame.push_nil(),
    }
    Ok(1)
}

/// The global `stream`. Scripts hold no such objects (stream UDFs get one to put operators on), so its functions can only
/// refuse their arguments.
fn define_stream(frame: &mut Frame<'_>) {
    fn refuse(frame: &mut Frame<'_>) -> Result<usize, Raise> {
        Err(frame.type_error(1, "Stream"))
    }
    let functions: [(&str, Body); 5] = [
        ("read", refuse),
        ("readable", refuse),
        ("tostring", refuse),
        ("writable", refuse),
        ("write", refuse),
    ];
    frame.define_table("stream", &functions);
}

impl Frame<'_> {
    pub(crate) fn push_globals(&mut self) {
        // SAFETY: the registry always holds the globals.
        unsafe {
            ffi::lua_rawgeti(self.raw(), ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS);
        }
    }

    /// Pushes a global, raw.
    pub(crate) fn push_global(&mut self, name: &str) {
        self.push_globals();
        let globals = self.top();
        self.push_bytes(name.as_bytes());
        self.raw_get(globals);
        // SAFETY: the table below the value goes.
        unsafe { ffi::lua_remove(self.raw(), globals) };
    }

    /// Pops a value into a global, raw.
    pub(crate) fn pop_global(&mut self, name: &str) {
        self.push_globals();
        self.insert(-2);
        let globals = self.top() - 1;
        self.raw_set_field(globals, name);
        self.pop(1);
    }

    /// `t[k] = v` of the two top values, raw; pops them. The table is at `index` (absolute or an upvalue).
    pub(crate) fn raw_set(&mut self, index: c_int) {
        // SAFETY: the caller's table; the key is neither nil nor NaN.
        unsafe { ffi::lua_rawset(self.raw(), index) };
    }

    /// A global table of functions.
    pub(crate) fn define_table(&mut self, name: &str, functions: &[(&str, Body)]) {
        self.push_table(0, functions.len());
        let table = self.top();
        set_functions(self, table, functions);
        self.pop_global(name);
    }

    /// A global table of functions that can be called itself; the constructor's arguments begin at 2.
    pub(crate) fn define_callable(
        &mut self,
        name: &str,
        functions: &[(&str, Body)],
        construct: Body,
    ) {
        self.push_table(0, functions.len());
        let table = self.top();
        set_functions(self, table, functions);
        self.push_table(0, 1);
        self.push_native(construct);
        self.raw_set_field(table + 1, "__call");
        // SAFETY: a table for a table; pops the metatable.
        unsafe { ffi::lua_setmetatable(self.raw(), table) };
        self.pop_global(name);
    }

    /// Loads a chunk that `string.dump` made; pushes it, or a message and answers false.
    pub(crate) fn load_bytecode(&mut self, bytecode: &[u8]) -> bool {
        // SAFETY: the bytecode is our own; its chunk name is inside.
        unsafe {
            ffi::luaL_loadbufferx(
                self.raw(),
                bytecode.as_ptr().cast(),
                bytecode.len(),
                c"=module".as_ptr(),
                c"b".as_ptr(),
            ) == ffi::LUA_OK
        }
    }
}
