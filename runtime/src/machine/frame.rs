//! Native functions: safe bodies behind one trampoline.
//!
//! A Lua error is a `longjmp`. It must not cross a Rust frame that has something to drop, so a native function never
//! raises where it stands: its body returns a [`Raise`], the trampoline drops every Rust value, and raises last.
//! In bodies allocation does not fail (see [`super::memory`]), and only such calls of Lua's API are used as do not raise.

use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use mlua::ffi;
use protocol::bounds::Fit as _;

use super::object::{self, Class, Object};
use super::place;

use super::shared::{Abort, Shared};

/// A native function. The answer is how many values it has pushed.
pub(crate) type Body = fn(&mut Frame<'_>) -> Result<usize, Raise>;

/// An error that the trampoline raises.
#[derive(Debug)]
pub(crate) enum Raise {
    /// A text with the position of the caller before it.
    Text(Vec<u8>),
    /// `bad argument #N to 'name' (text)`; name and position are found by Lua.
    Argument(c_int, Vec<u8>),
    /// The value on top of the stack, as it is.
    Top,
    /// The end of the call, which no script can catch.
    Abort(Abort),
}

impl Raise {
    pub(crate) fn text(text: impl Into<Vec<u8>>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn argument(argument: c_int, text: impl Into<Vec<u8>>) -> Self {
        Self::Argument(argument, text.into())
    }
}

/// What a type of Lua is, as far as bodies need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LuaType {
    /// No argument at this place.
    None,
    Nil,
    Boolean,
    Number,
    String,
    Table,
    Function,
    Userdata,
    Other,
}

/// The stack of a running native function: its arguments from 1 on, what it pushes after them.
pub(crate) struct Frame<'f> {
    state: *mut ffi::lua_State,
    call: PhantomData<&'f ()>,
}

/// Pushes `body` as a Lua function.
///
/// # Safety
/// `state` is a live state whose extra space points to a [`Shared`]; allocation does not fail now.
pub(crate) unsafe fn push_native(state: *mut ffi::lua_State, body: Body) {
    // SAFETY: the caller's promise; the trampoline reads its body from upvalue 1.
    unsafe {
        ffi::lua_pushlightuserdata(state, body as *mut c_void);
        ffi::lua_pushcclosure(state, trampoline, 1);
    }
}

/// Whether the function at `index` is a native one of ours.
///
/// # Safety
/// A live state.
pub(crate) unsafe fn is_native(state: *mut ffi::lua_State, index: c_int) -> bool {
    // SAFETY: reads only.
    let function = unsafe { ffi::lua_tocfunction(state, index) };
    function
        .is_some_and(|function| std::ptr::fn_addr_eq(function, trampoline as ffi::lua_CFunction))
}

/// How the trampoline leaves.
enum Leave {
    Return(c_int),
    /// Raise what is on top.
    Error,
    /// Raise the text on top as an argument error.
    Argument(c_int),
}

unsafe extern "C-unwind" fn trampoline(state: *mut ffi::lua_State) -> c_int {
    // Nothing that lives in this function has a destructor: `lua_error` does not return.
    // SAFETY: `push_native` has put a Body into upvalue 1.
    let leave = unsafe {
        let body = ffi::lua_touserdata(state, ffi::lua_upvalueindex(1));
        run_body(state, std::mem::transmute::<*mut c_void, Body>(body))
    };
    // SAFETY: `run_body` has pushed what is raised here.
    unsafe {
        match leave {
            Leave::Return(count) => count,
            Leave::Error => ffi::lua_error(state),
            Leave::Argument(argument) => {
                let text = ffi::lua_tolstring(state, -1, std::ptr::null_mut());
                ffi::luaL_argerror(state, argument, text)
            }
        }
    }
}

fn run_body(state: *mut ffi::lua_State, body: Body) -> Leave {
    let mut frame = Frame {
        state,
        call: PhantomData,
    };
    let shared = frame.shared();
    shared.memory.begin_overdraft();
    let outcome = catch_unwind(AssertUnwindSafe(|| body(&mut frame)));
    let leave = match outcome {
        Ok(Ok(count)) => {
            let collects = shared.memory.wants_collection();
            if collects {
                frame.collect();
            }
            if collects && !shared.checkpoint() {
                frame.raise(Raise::Abort(Abort::Time))
            } else if shared.memory.is_overdrawn() {
                frame.raise(Raise::Abort(Abort::Memory))
            } else {
                Leave::Return(count.fit::<c_int>())
            }
        }
        Ok(Err(raise)) => frame.raise(raise),
        Err(_) => frame.raise(Raise::text("internal error in a native function")),
    };
    shared.memory.end_overdraft();
    leave
}

impl<'f> Frame<'f> {
    /// A frame over a state outside of any native function.
    ///
    /// # Safety
    /// As for [`push_native`]; errors must not be raised through it.
    pub(crate) unsafe fn over(state: *mut ffi::lua_State) -> Self {
        Self {
            state,
            call: PhantomData,
        }
    }

    pub(crate) fn raw(&self) -> *mut ffi::lua_State {
        self.state
    }

    /// What the whole state shares.
    pub(crate) fn shared(&self) -> &'f Shared {
        // SAFETY: `LuaState::new` points the extra space of the state, which its coroutines inherit, to a Shared that outlives it.
        unsafe { &*(*ffi::lua_getextraspace(self.state).cast::<*const Shared>()) }
    }

    /// Puts onto the stack what is to be raised.
    fn raise(&mut self, raise: Raise) -> Leave {
        match raise {
            Raise::Text(text) => {
                self.push_position(1);
                self.push_bytes(&text);
                self.concat(2);
                Leave::Error
            }
            Raise::Argument(argument, text) => {
                self.push_bytes(&text);
                Leave::Argument(argument)
            }
            Raise::Top => Leave::Error,
            Raise::Abort(abort) => {
                // What ended the call first is the reason.
                let abort = self.shared().abort.get().unwrap_or(abort);
                self.shared().abort(abort);
                if matches!(abort, Abort::BodyTime | Abort::BodyWall) {
                    // The innermost function of the script: this one is at level 0.
                    self.push_position(1);
                    self.push_bytes(abort.text().as_bytes());
                    self.concat(2);
                    return Leave::Error;
                }
                self.push_bytes(abort.text().as_bytes());
                Leave::Error
            }
        }
    }

    /// Pushes `file:line: ` of the function `level` levels up, or of the module's line behind it where it is one of ours; an
    /// empty text where there is none.
    pub(crate) fn push_position(&mut self, level: c_int) {
        // SAFETY: bodies leave room for a few values.
        if let Some(place) = unsafe { place::behind_natives(self.state, level) } {
            self.push_bytes(format!("{place}: ").as_bytes());
            return;
        }
        // SAFETY: reads call information and pushes one string.
        unsafe { ffi::luaL_where(self.state, level) }
    }

    /// Number of arguments, or of all values on the stack.
    pub(crate) fn top(&self) -> c_int {
        // SAFETY: reads only.
        unsafe { ffi::lua_gettop(self.state) }
    }

    pub(crate) fn set_top(&mut self, top: c_int) {
        // SAFETY: bodies mark no value as to-be-closed, so this does not call back.
        unsafe { ffi::lua_settop(self.state, top) }
    }

    pub(crate) fn pop(&mut self, count: c_int) {
        self.set_top(-count - 1);
    }

    /// Makes room on Lua's stack for `count` more values.
    pub(crate) fn ensure_stack(&mut self, count: usize) -> Result<(), Raise> {
        let count = count.fit::<c_int>();
        // SAFETY: does not raise; answers 0 when it cannot.
        if unsafe { ffi::lua_checkstack(self.state, count) } == 0 {
            return Err(Raise::text("stack overflow"));
        }
        Ok(())
    }

    pub(crate) fn kind(&self, index: c_int) -> LuaType {
        // SAFETY: reads only; an index beyond the top is LUA_TNONE.
        match unsafe { ffi::lua_type(self.state, index) } {
            ffi::LUA_TNONE => LuaType::None,
            ffi::LUA_TNIL => LuaType::Nil,
            ffi::LUA_TBOOLEAN => LuaType::Boolean,
            ffi::LUA_TNUMBER => LuaType::Number,
            ffi::LUA_TSTRING => LuaType::String,
            ffi::LUA_TTABLE => LuaType::Table,
            ffi::LUA_TFUNCTION => LuaType::Function,
            ffi::LUA_TUSERDATA => LuaType::Userdata,
            _ => LuaType::Other,
        }
    }

    pub(crate) fn is_absent(&self, index: c_int) -> bool {
        matches!(self.kind(index), LuaType::None | LuaType::Nil)
    }

    pub(crate) fn is_integer(&self, index: c_int) -> bool {
        // SAFETY: reads only.
        unsafe { ffi::lua_isinteger(self.state, index) != 0 }
    }

    pub(crate) fn boolean(&self, index: c_int) -> bool {
        // SAFETY: reads only.
        unsafe { ffi::lua_toboolean(self.state, index) != 0 }
    }

    /// The integer that an integer, an integral float or a numeric string stands for.
    pub(crate) fn integer(&self, index: c_int) -> Option<i64> {
        let mut is_integer = 0;
        // SAFETY: reads only.
        let value = unsafe { ffi::lua_tointegerx(self.state, index, &raw mut is_integer) };
        (is_integer != 0).then_some(value)
    }

    pub(crate) fn number(&self, index: c_int) -> Option<f64> {
        let mut is_number = 0;
        // SAFETY: reads only.
        let value = unsafe { ffi::lua_tonumberx(self.state, index, &raw mut is_number) };
        (is_number != 0).then_some(value)
    }

    /// The bytes of a string, or of a number turned into one in place. They live as long as the argument.
    pub(crate) fn bytes(&mut self, index: c_int) -> Option<&'f [u8]> {
        let mut length = 0;
        // SAFETY: does not raise (allocation does not fail in a body); the string stays on the stack for the whole body.
        unsafe {
            let start = ffi::lua_tolstring(self.state, index, &raw mut length);
            (!start.is_null()).then(|| std::slice::from_raw_parts(start.cast::<u8>(), length))
        }
    }

    /// Name of the type at `index`, as error texts give it.
    pub(crate) fn type_name(&mut self, index: c_int) -> Vec<u8> {
        if let Some(class) = self.object(index).map(Object::class) {
            return class.name().to_bytes().to_vec();
        }
        // SAFETY: raw reads, no metamethods; `luaL_getmetafield` pushes only when it answers a type.
        unsafe {
            if ffi::luaL_getmetafield(self.state, index, c"__name".as_ptr()) != ffi::LUA_TNIL {
                if ffi::lua_type(self.state, -1) == ffi::LUA_TSTRING {
                    let name = self.bytes(-1).map(<[u8]>::to_vec);
                    self.pop(1);
                    return name.unwrap_or_default();
                }
                self.pop(1);
            }
            if ffi::lua_type(self.state, index) == ffi::LUA_TLIGHTUSERDATA {
                return b"light userdata".to_vec();
            }
            let name = ffi::lua_typename(self.state, ffi::lua_type(self.state, index));
            CStr::from_ptr(name).to_bytes().to_vec()
        }
    }

    /// `<expected> expected, got <type>` for an argument.
    pub(crate) fn type_error(&mut self, argument: c_int, expected: &str) -> Raise {
        let mut text = format!("{expected} expected, got ").into_bytes();
        text.extend(self.type_name(argument));
        Raise::Argument(argument, text)
    }

    /// An integer argument, with Lua's error otherwise.
    pub(crate) fn check_integer(&mut self, argument: c_int) -> Result<i64, Raise> {
        match self.integer(argument) {
            Some(value) => Ok(value),
            None if self.number(argument).is_some() => Err(Raise::argument(
                argument,
                "number has no integer representation",
            )),
            None => Err(self.type_error(argument, "number")),
        }
    }

    /// An integer argument, or `default` when it is absent or nil.
    pub(crate) fn optional_integer(&mut self, argument: c_int, default: i64) -> Result<i64, Raise> {
        if self.is_absent(argument) {
            Ok(default)
        } else {
            self.check_integer(argument)
        }
    }

    /// A string argument (numbers count), with Lua's error otherwise.
    pub(crate) fn check_bytes(&mut self, argument: c_int) -> Result<&'f [u8], Raise> {
        match self.bytes(argument) {
            Some(bytes) => Ok(bytes),
            None => Err(self.type_error(argument, "string")),
        }
    }

    /// Our object at `index`, if it is one.
    pub(crate) fn object(&self, index: c_int) -> Option<&'f Object> {
        // SAFETY: arguments stay on the stack for the whole body.
        unsafe { object::object(self.state, index) }
    }

    /// An argument of one of our classes, with the real server's error otherwise.
    pub(crate) fn check_object(
        &mut self,
        argument: c_int,
        class: Class,
    ) -> Result<&'f Object, Raise> {
        match self.object(argument) {
            Some(object) if object.class() == class => Ok(object),
            _ if self.kind(argument) != LuaType::Userdata => {
                Err(self.type_error(argument, "userdata"))
            }
            _ => Err(self.type_error(argument, &class.name().to_string_lossy())),
        }
    }

    pub(crate) fn push_nil(&mut self) {
        // SAFETY: one slot; Lua guarantees 20, more are asked for by `ensure_stack`.
        unsafe { ffi::lua_pushnil(self.state) }
    }

    pub(crate) fn push_boolean(&mut self, value: bool) {
        // SAFETY: as `push_nil`.
        unsafe { ffi::lua_pushboolean(self.state, c_int::from(value)) }
    }

    pub(crate) fn push_integer(&mut self, value: i64) {
        // SAFETY: as `push_nil`.
        unsafe { ffi::lua_pushinteger(self.state, value) }
    }

    pub(crate) fn push_number(&mut self, value: f64) {
        // SAFETY: as `push_nil`.
        unsafe { ffi::lua_pushnumber(self.state, value) }
    }

    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        // SAFETY: Lua copies the bytes; allocation does not fail in a body.
        unsafe {
            ffi::lua_pushlstring(self.state, bytes.as_ptr().cast(), bytes.len());
        }
    }

    pub(crate) fn push_native(&mut self, body: Body) {
        // SAFETY: a frame's state is live and allocation does not fail.
        unsafe { push_native(self.state, body) }
    }

    /// Pops `upvalues` values and pushes a native function that keeps them; it reads them with [`Frame::upvalue`].
    pub(crate) fn push_closure(&mut self, body: Body, upvalues: c_int) {
        // SAFETY: as `push_native`; the body goes below the upvalues, to be number 1.
        unsafe {
            ffi::lua_pushlightuserdata(self.state, body as *mut c_void);
            ffi::lua_insert(self.state, -upvalues - 1);
            ffi::lua_pushcclosure(self.state, trampoline, upvalues + 1);
        }
    }

    /// Stack index of upvalue `number` (from 1) of a closure made by [`Frame::push_closure`].
    pub(crate) fn upvalue(number: c_int) -> c_int {
        ffi::lua_upvalueindex(number + 1)
    }

    pub(crate) fn copy(&mut self, index: c_int) {
        // SAFETY: pushes a copy of an existing value.
        unsafe { ffi::lua_pushvalue(self.state, index) }
    }

    pub(crate) fn replace(&mut self, index: c_int) {
        // SAFETY: `index` is an existing slot or upvalue.
        unsafe { ffi::lua_replace(self.state, index) }
    }

    pub(crate) fn insert(&mut self, index: c_int) {
        // SAFETY: `index` is an existing slot.
        unsafe { ffi::lua_insert(self.state, index) }
    }

    /// Joins the top strings; only strings and numbers may be there.
    pub(crate) fn concat(&mut self, count: c_int) {
        // SAFETY: strings have no `__concat` to call.
        unsafe { ffi::lua_concat(self.state, count) }
    }

    pub(crate) fn push_table(&mut self, array: usize, hash: usize) {
        let size = |n: usize| n.fit::<c_int>();
        // SAFETY: allocation does not fail in a body.
        unsafe { ffi::lua_createtable(self.state, size(array), size(hash)) }
    }

    /// `t[i] = top`, raw; pops the value. The table is at `index`.
    pub(crate) fn raw_set_index(&mut self, index: c_int, key: i64) {
        // SAFETY: `index` holds a table made by the caller.
        unsafe { ffi::lua_rawseti(self.state, index, key) }
    }

    /// `t[name] = top`, raw; pops the value. The table is at `index` (absolute).
    pub(crate) fn raw_set_field(&mut self, index: c_int, name: &str) {
        self.push_bytes(name.as_bytes());
        self.insert(-2);
        // SAFETY: `index` holds a table made by the caller; the key is a string.
        unsafe { ffi::lua_rawset(self.state, index) }
    }

    /// Pushes `t[top key]`, raw, in place of the key. The table is at `index` (absolute).
    pub(crate) fn raw_get(&mut self, index: c_int) {
        // SAFETY: the caller has checked that `index` is a table.
        unsafe {
            ffi::lua_rawget(self.state, index);
        }
    }

    /// Steps through a table: pops a key, pushes the next key and its value, or nothing and answers false.
    pub(crate) fn next(&mut self, index: c_int) -> bool {
        // SAFETY: the key came from the same table, which is not changed meanwhile, so this does not raise.
        unsafe { ffi::lua_next(self.state, index) != 0 }
    }

    /// Calls the function below `arguments` values. An error of it is passed on as [`Raise::Top`].
    pub(crate) fn call(&mut self, arguments: c_int, results: c_int) -> Result<(), Raise> {
        let memory = Rc::clone(&self.shared().memory);
        let depth = memory.suspend_overdraft();
        // SAFETY: a protected call: no error leaves it.
        let status = unsafe { ffi::lua_pcallk(self.state, arguments, results, 0, 0, None) };
        memory.resume_overdraft(depth);
        match status {
            ffi::LUA_OK => Ok(()),
            ffi::LUA_ERRMEM => Err(Raise::Abort(Abort::Memory)),
            _ => Err(Raise::Top),
        }
    }

    /// Pushes `t[top key]` in place of the key, with metamethods. The value to index is at `index` (absolute).
    pub(crate) fn index(&mut self, index: c_int) -> Result<(), Raise> {
        unsafe extern "C-unwind" fn get(state: *mut ffi::lua_State) -> c_int {
            // SAFETY: called with the indexed value and the key.
            unsafe {
                ffi::lua_gettable(state, 1);
            }
            1
        }
        // SAFETY: pushes a function below key and value, then calls it protected.
        unsafe { ffi::lua_pushcclosure(self.state, get, 0) };
        self.copy(index);
        // key, get, value → get, value, key
        // SAFETY: three values are on top.
        unsafe {
            ffi::lua_pushvalue(self.state, -3);
            ffi::lua_remove(self.state, -4);
        }
        self.call(2, 1)
    }

    /// Counts work that no hook sees (see [`Shared::spend`]); fails when the call is over.
    pub(crate) fn spend(&self, steps: usize) -> Result<(), Raise> {
        if self.shared().spend(steps) {
            Ok(())
        } else {
            Err(Raise::Abort(
                self.shared().abort.get().unwrap_or(Abort::Time),
            ))
        }
    }

    /// Fails when `bytes` more would be too much.
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), Raise> {
        let memory = &self.shared().memory;
        if memory.has_room(bytes) {
            return Ok(());
        }
        self.collect();
        if !self.shared().checkpoint() {
            return Err(Raise::Abort(Abort::Time));
        }
        if memory.has_room(bytes) {
            Ok(())
        } else {
            Err(Raise::Abort(Abort::Memory))
        }
    }

    /// Fails when `bytes` more would be too much, without collecting garbage first: finalizers do not run in between.
    pub(crate) fn check_room(&self, bytes: usize) -> Result<(), Raise> {
        if self.shared().memory.has_room(bytes) {
            Ok(())
        } else {
            Err(Raise::Abort(Abort::Memory))
        }
    }

    fn collect(&mut self) {
        let memory = Rc::clone(&self.shared().memory);
        let depth = memory.suspend_overdraft();
        // SAFETY: finalizers run protected; collecting raises nothing.
        unsafe { ffi::lua_gc(self.state, ffi::LUA_GCCOLLECT) };
        memory.resume_overdraft(depth);
    }
}
