//! Our userdata: one Rust enum in every block, one metatable a class.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_int};
use std::rc::Rc;

use mlua::ffi;

use super::frame::{Body, Frame, push_native};
use crate::machine::iteration::Iteration;
use crate::machine::value::{Bytes, List, Map, Text, Value};

/// What a userdata block holds.
pub(crate) enum Object {
    List(Rc<List>),
    Map(Rc<Map>),
    Bytes(Rc<Bytes>),
    GeoJson(Rc<Text>),
    /// A record, valid in the call of this number only.
    Record(u64),
    Aerospike,
    Iterator(RefCell<Iteration>),
    /// A stream; record UDFs have none, so no script ever holds one.
    Stream,
}

/// The classes, as scripts see their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    List,
    Map,
    Bytes,
    GeoJson,
    Record,
    Aerospike,
    Iterator,
    Stream,
}

impl Class {
    pub(crate) const ALL: [Self; 8] = [
        Self::List,
        Self::Map,
        Self::Bytes,
        Self::GeoJson,
        Self::Record,
        Self::Aerospike,
        Self::Iterator,
        Self::Stream,
    ];

    pub(crate) fn name(self) -> &'static CStr {
        match self {
            Self::List => c"List",
            Self::Map => c"Map",
            Self::Bytes => c"Bytes",
            Self::GeoJson => c"GeoJSON",
            Self::Record => c"Record",
            Self::Aerospike => c"Aerospike",
            Self::Iterator => c"Iterator",
            Self::Stream => c"Stream",
        }
    }
}

impl Object {
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::List(_) => Class::List,
            Self::Map(_) => Class::Map,
            Self::Bytes(_) => Class::Bytes,
            Self::GeoJson(_) => Class::GeoJson,
            Self::Record(_) => Class::Record,
            Self::Aerospike => Class::Aerospike,
            Self::Iterator(_) => Class::Iterator,
            Self::Stream => Class::Stream,
        }
    }

    /// The value, if it is one (not a record, an iterator, …).
    pub(crate) fn to_value(&self) -> Option<Value> {
        match self {
            Self::List(list) => Some(Value::List(Rc::clone(list))),
            Self::Map(map) => Some(Value::Map(Rc::clone(map))),
            Self::Bytes(bytes) => Some(Value::Bytes(Rc::clone(bytes))),
            Self::GeoJson(text) => Some(Value::GeoJson(Rc::clone(text))),
            _ => None,
        }
    }
}

/// A userdata of ours.
#[repr(C)]
struct Block {
    /// [`MARK`], by which our userdata are known from others.
    mark: u64,
    object: Object,
}

/// What no other userdata of the size of a [`Block`] begins with.
const MARK: u64 = 0x6173_642e_6f62_6a31;

/// Places of our metatables in the registry.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    references: [Cell<c_int>; Class::ALL.len()],
}

impl Classes {
    fn reference(&self, class: Class) -> c_int {
        self.references
            .get(class as usize)
            .map_or(ffi::LUA_NOREF, Cell::get)
    }
}

/// Metamethods of a class.
pub(crate) struct Metamethods<'a> {
    pub(crate) methods: &'a [(&'a str, Body)],
}

impl Frame<'_> {
    /// Makes the metatable of a class. On top of the stack is the table that `getmetatable` answers for its objects;
    /// it stays there. Where it is not the class's methods, it shows what the metatable of a real server holds; changing
    /// it changes no object, and its `__gc` does nothing.
    pub(crate) fn define_class(&mut self, class: Class, metamethods: &Metamethods<'_>) {
        self.push_table(0, metamethods.methods.len() + 3);
        let metatable = self.top();
        let shown = metatable - 1;
        for (name, body) in metamethods.methods {
            self.push_native(*body);
            self.copy(-1);
            self.raw_set_field(shown, name);
            self.raw_set_field(metatable, name);
        }
        self.push_bytes(class.name().to_bytes());
        self.raw_set_field(metatable, "__name");
        if !metamethods.methods.is_empty() {
            self.push_bytes(class.name().to_bytes());
            self.raw_set_field(shown, "__name");
            self.push_native(|_| Ok(0));
            self.raw_set_field(shown, "__gc");
        }
        self.copy(shown);
        self.raw_set_field(metatable, "__metatable");
        let state = self.raw();
        // SAFETY: the finalizer is a plain function that takes one of our blocks; the table is anchored in the registry.
        unsafe {
            // Handles hold nothing, and every call makes one.
            if !matches!(class, Class::Record | Class::Aerospike) {
                ffi::lua_pushcclosure(state, finalize, 0);
                self.raw_set_field(metatable, "__gc");
            }
            let reference = ffi::luaL_ref(state, ffi::LUA_REGISTRYINDEX);
            if let Some(kept) = self.shared().classes.references.get(class as usize) {
                kept.set(reference);
            }
        }
    }

    /// Lets objects of a class find their methods in the table on top of the stack, which stays there.
    pub(crate) fn class_index(&mut self, class: Class) {
        let methods = self.top();
        let reference = self.shared().classes.reference(class);
        // SAFETY: the registry holds the metatable that `define_class` made.
        unsafe { ffi::lua_rawgeti(self.raw(), ffi::LUA_REGISTRYINDEX, reference.into()) };
        self.copy(methods);
        self.raw_set_field(methods + 1, "__index");
        self.pop(1);
    }

    /// Pushes what `getmetatable` answers for objects of a class.
    pub(crate) fn push_shown_metatable(&mut self, class: Class) {
        let reference = self.shared().classes.reference(class);
        // SAFETY: the registry holds the metatable that `define_class` made, or nothing.
        let kind =
            unsafe { ffi::lua_rawgeti(self.raw(), ffi::LUA_REGISTRYINDEX, reference.into()) };
        if kind == ffi::LUA_TTABLE {
            let metatable = self.top();
            self.push_bytes(b"__metatable");
            self.raw_get(metatable);
            self.replace(metatable);
        }
    }

    /// Pushes a new userdata.
    pub(crate) fn push_object(&mut self, object: Object) {
        let reference = self.shared().classes.reference(object.class());
        // SAFETY: the userdata is as large as a Block and aligned to 16 by Lua; it is filled before its finalizer can run.
        unsafe {
            let block = ffi::lua_newuserdatauv(self.raw(), size_of::<Block>(), 0).cast::<Block>();
            block.write(Block { mark: MARK, object });
            ffi::lua_rawgeti(self.raw(), ffi::LUA_REGISTRYINDEX, reference.into());
            ffi::lua_setmetatable(self.raw(), -2);
        }
    }

    /// Pushes what a value looks like in Lua.
    pub(crate) fn push_value(&mut self, value: &Value) {
        match value {
            Value::Nil => self.push_nil(),
            Value::Bool(value) => self.push_boolean(*value),
            Value::Integer(value) => self.push_integer(*value),
            Value::Float(value) => self.push_number(*value),
            Value::Text(text) => self.push_bytes(text),
            Value::Bytes(bytes) => self.push_object(Object::Bytes(Rc::clone(bytes))),
            Value::List(list) => self.push_object(Object::List(Rc::clone(list))),
            Value::Map(map) => self.push_object(Object::Map(Rc::clone(map))),
            Value::GeoJson(text) => self.push_object(Object::GeoJson(Rc::clone(text))),
        }
    }

    /// What the Lua value at `index` is for Aerospike.
    pub(crate) fn value_at(&mut self, index: c_int) -> Converted {
        use super::frame::LuaType;
        if self.is_integer(index) {
            return Converted::Value(self.integer(index).map_or(Value::Nil, Value::Integer));
        }
        match self.kind(index) {
            LuaType::None | LuaType::Nil => Converted::Value(Value::Nil),
            LuaType::Boolean => Converted::Value(Value::Bool(self.boolean(index))),
            LuaType::Number => {
                Converted::Value(self.number(index).map_or(Value::Nil, Value::Float))
            }
            LuaType::String => Converted::Value(self.bytes(index).map_or(Value::Nil, |text| {
                Value::Text(Text::new(&self.shared().memory, text))
            })),
            LuaType::Userdata => match self.object(index) {
                Some(Object::Record(_)) => Converted::Record,
                Some(object) => object
                    .to_value()
                    .map_or(Converted::Unsupported, Converted::Value),
                None => Converted::Unsupported,
            },
            _ => Converted::Unsupported,
        }
    }
}

/// A Lua value on its way to Aerospike.
pub(crate) enum Converted {
    Value(Value),
    /// A record handle: where it may go differs from place to place.
    Record,
    /// A table, a function, a thread or foreign userdata.
    Unsupported,
}

/// A text up to its first zero byte.
pub(crate) fn until_nul(text: &[u8]) -> &[u8] {
    text.iter()
        .position(|byte| *byte == 0)
        .and_then(|end| text.get(..end))
        .unwrap_or(text)
}

/// The block at `index`, if it is one of ours.
///
/// # Safety
/// The answer lives as long as the value stays on the stack.
#[inline]
unsafe fn block(state: *mut ffi::lua_State, index: c_int) -> Option<*mut Block> {
    // SAFETY: reads only. A value of another kind has another length or is no userdata; a userdata of this length has room
    // for a mark, and only ours begin with it: scripts make no userdata of their own.
    unsafe {
        if ffi::lua_rawlen(state, index) != size_of::<Block>() {
            return None;
        }
        let block = ffi::lua_touserdata(state, index).cast::<Block>();
        (!block.is_null() && (*block).mark == MARK).then_some(block)
    }
}

/// Our object at `index`, if it is one.
///
/// # Safety
/// As for [`block`].
#[inline]
pub(crate) unsafe fn object<'a>(state: *mut ffi::lua_State, index: c_int) -> Option<&'a Object> {
    // SAFETY: the caller's promise.
    unsafe { block(state, index).map(|block| &(*block).object) }
}

/// Drops the object of a block.
unsafe extern "C-unwind" fn finalize(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: only blocks with one of our metatables get here: by Lua's collector, once, or not at all. Scripts cannot
    // reach the metatable; with the debug library they can, so the block is left in a state that may be dropped again.
    unsafe {
        if let Some(block) = block(state, 1) {
            (&raw mut (*block).object).replace(Object::Stream);
        }
    }
    0
}

/// Fills the table at `index` (absolute) with native functions.
pub(crate) fn set_functions(frame: &mut Frame<'_>, index: c_int, functions: &[(&str, Body)]) {
    for (name, body) in functions {
        // SAFETY: a frame's state is live.
        unsafe { push_native(frame.raw(), *body) };
        frame.raw_set_field(index, name);
    }
}
