//! Values as scripts hold them: Aerospike's types, shared by reference within one Lua state.
//!
//! A list element that is a list is the same list for everybody who holds it, as in the real server. Reference counts
//! are not atomic: all values of a state move between threads together with it.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::rc::{Rc, Weak};

use protocol::bounds::Within as _;

use crate::machine::memory::Memory;

/// Memory that one element is counted with.
pub(crate) const ELEMENT_BYTES: usize = size_of::<Value>();
/// Memory that one map entry is counted with.
pub(crate) const ENTRY_BYTES: usize = 2 * ELEMENT_BYTES + 16;

/// One value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Nil,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(Rc<Text>),
    Bytes(Rc<Bytes>),
    List(Rc<List>),
    Map(Rc<Map>),
    GeoJson(Rc<Text>),
}

impl Value {
    pub(crate) fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// Lua's notion: everything but nil and false.
    pub(crate) fn is_truthy(&self) -> bool {
        !matches!(self, Self::Nil | Self::Bool(false))
    }

    fn is_container(&self) -> bool {
        matches!(self, Self::List(_) | Self::Map(_))
    }
}

/// A list; elements may be nil.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) items: RefCell<Vec<Value>>,
    /// Order flags of the msgpack form, 0 for an unordered list.
    pub(crate) flags: u8,
    /// A list made with step 0 does not grow beyond this.
    pub(crate) capacity: Option<usize>,
    account: Account,
}

/// A map; keys are kept in Aerospike's order.
#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) entries: RefCell<BTreeMap<Key, Value>>,
    /// Order flags of the msgpack form, 0 for an unordered map.
    pub(crate) flags: u8,
    account: Account,
}

/// What can be a map key. The order of the variants is Aerospike's order of types.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Integer(i64),
    Text(Rc<Text>),
    Blob(Rc<[u8]>),
}

impl Key {
    /// The key that this value makes, if it can be one.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Integer(number) => Some(Self::Integer(*number)),
            Value::Text(text) => Some(Self::Text(Rc::clone(text))),
            Value::Bytes(bytes) if bytes.kind.get() == Bytes::BLOB => {
                Some(Self::Blob(bytes.data.borrow().as_slice().into()))
            }
            _ => None,
        }
    }

    pub(crate) fn to_value(&self, memory: &Rc<Memory>) -> Value {
        match self {
            Self::Integer(number) => Value::Integer(*number),
            Self::Text(text) => Value::Text(Rc::clone(text)),
            Self::Blob(blob) => Value::Bytes(Bytes::new(memory, blob.to_vec(), Bytes::BLOB)),
        }
    }

    fn extra_bytes(&self) -> usize {
        match self {
            // A text has an account of its own.
            Self::Integer(_) | Self::Text(_) => 0,
            Self::Blob(bytes) => bytes.len(),
        }
    }
}

/// Texts of up to so many bytes lie in their [`Text`] itself: most keys and values are short.
const SHORT_TEXT_BYTES: usize = 30;

/// A string or the text of a GeoJSON value. It never changes.
#[derive(Debug)]
pub(crate) struct Text {
    content: Content,
    memory: Rc<Memory>,
}

#[derive(Debug)]
enum Content {
    Short(u8, [u8; SHORT_TEXT_BYTES]),
    Long(Box<[u8]>),
}

impl Text {
    pub(crate) fn new(memory: &Rc<Memory>, bytes: &[u8]) -> Rc<Self> {
        let mut short = [0; SHORT_TEXT_BYTES];
        let content = match (short.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(start), Ok(length)) => {
                start.copy_from_slice(bytes);
                Content::Short(length, short)
            }
            _ => Content::Long(bytes.into()),
        };
        memory.account(0, size_of::<Self>() + bytes.len());
        Rc::new(Self {
            content,
            memory: Rc::clone(memory),
        })
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        self.memory.account(size_of::<Self>() + self.len(), 0);
    }
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.content {
            Content::Short(length, bytes) => bytes.within(..usize::from(*length)),
            Content::Long(bytes) => bytes,
        }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

/// A growable byte buffer with a type.
#[derive(Debug)]
pub(crate) struct Bytes {
    pub(crate) data: RefCell<Vec<u8>>,
    /// Reserved size, which `bytes(n)` sets and `set_size` asks for.
    pub(crate) capacity: Cell<usize>,
    /// Aerospike's type number; 4 (blob) unless set otherwise.
    pub(crate) kind: Cell<i64>,
    account: Account,
}

/// The part of the state's memory that one collection holds; given back when it is dropped.
#[derive(Debug)]
struct Account {
    memory: Rc<Memory>,
    bytes: Cell<usize>,
    /// Place of a list or map among the [`Containers`].
    place: Option<usize>,
}

impl Account {
    fn new(memory: &Rc<Memory>, bytes: usize) -> Self {
        memory.account(0, bytes);
        Self {
            memory: Rc::clone(memory),
            bytes: Cell::new(bytes),
            place: None,
        }
    }

    /// Takes a place among the containers of the state.
    fn enter(&mut self) -> usize {
        let place = self.memory.containers.reserve();
        self.place = Some(place);
        place
    }

    fn set(&self, bytes: usize) {
        if bytes == self.bytes.get() {
            return;
        }
        self.memory.account(self.bytes.replace(bytes), bytes);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.memory.account(self.bytes.get(), 0);
        if let Some(place) = self.place {
            self.memory.containers.free(place);
        }
    }
}

/// A list or map that may be gone.
#[derive(Debug)]
enum Container {
    List(Weak<List>),
    Map(Weak<Map>),
}

/// All lists and maps of one state. Those that hold each other in a circle are dropped by nobody but the state.
#[derive(Debug, Default)]
pub(crate) struct Containers {
    places: RefCell<Vec<Option<Container>>>,
    free: RefCell<Vec<usize>>,
}

impl Containers {
    fn reserve(&self) -> usize {
        if let Some(place) = self.free.borrow_mut().pop() {
            return place;
        }
        let mut places = self.places.borrow_mut();
        places.push(None);
        places.len() - 1
    }

    fn fill(&self, place: usize, container: Container) {
        if let Some(slot) = self.places.borrow_mut().get_mut(place) {
            *slot = Some(container);
        }
    }

    fn free(&self, place: usize) {
        let container = self
            .places
            .borrow_mut()
            .get_mut(place)
            .and_then(Option::take);
        drop(container);
        self.free.borrow_mut().push(place);
    }

    /// Empties every list and map that is left.
    pub(crate) fn clear(&self) {
        let left: Vec<Value> = self
            .places
            .borrow()
            .iter()
            .flatten()
            .filter_map(|container| match container {
                Container::List(list) => list.upgrade().map(Value::List),
                Container::Map(map) => map.upgrade().map(Value::Map),
            })
            .collect();
        for value in &left {
            match value {
                Value::List(list) => drop_flat(list.items.take().into_iter()),
                Value::Map(map) => drop_flat(map.entries.take().into_values()),
                _ => {}
            }
        }
    }
}

impl List {
    pub(crate) fn new(memory: &Rc<Memory>, items: Vec<Value>) -> Rc<Self> {
        Self::with_flags(memory, items, 0)
    }

    pub(crate) fn with_flags(memory: &Rc<Memory>, items: Vec<Value>, flags: u8) -> Rc<Self> {
        Self::build(memory, items, flags, None)
    }

    pub(crate) fn with_capacity(memory: &Rc<Memory>, capacity: usize) -> Rc<Self> {
        Self::build(memory, Vec::new(), 0, Some(capacity))
    }

    fn build(
        memory: &Rc<Memory>,
        items: Vec<Value>,
        flags: u8,
        capacity: Option<usize>,
    ) -> Rc<Self> {
        let bytes = size_of::<Self>() + items.len() * ELEMENT_BYTES;
        let mut account = Account::new(memory, bytes);
        let place = account.enter();
        let list = Rc::new(Self {
            items: RefCell::new(items),
            flags,
            capacity,
            account,
        });
        memory
            .containers
            .fill(place, Container::List(Rc::downgrade(&list)));
        list
    }

    pub(crate) fn len(&self) -> usize {
        self.items.borrow().len()
    }

    pub(crate) fn get(&self, index: usize) -> Option<Value> {
        self.items.borrow().get(index).cloned()
    }

    /// Changes the elements; the memory account follows.
    pub(crate) fn change<R>(&self, work: impl FnOnce(&mut Vec<Value>) -> R) -> R {
        let mut items = self.items.borrow_mut();
        let result = work(&mut items);
        if let Some(capacity) = self.capacity {
            items.truncate(capacity);
        }
        self.account
            .set(size_of::<Self>() + items.capacity() * ELEMENT_BYTES);
        result
    }
}

impl Map {
    pub(crate) fn new(memory: &Rc<Memory>, entries: BTreeMap<Key, Value>) -> Rc<Self> {
        Self::with_flags(memory, entries, 0)
    }

    pub(crate) fn with_flags(
        memory: &Rc<Memory>,
        entries: BTreeMap<Key, Value>,
        flags: u8,
    ) -> Rc<Self> {
        let bytes = size_of::<Self>()
            + entries
                .keys()
                .map(|key| ENTRY_BYTES + key.extra_bytes())
                .sum::<usize>();
        let mut account = Account::new(memory, bytes);
        let place = account.enter();
        let map = Rc::new(Self {
            entries: RefCell::new(entries),
            flags,
            account,
        });
        memory
            .containers
            .fill(place, Container::Map(Rc::downgrade(&map)));
        map
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Value> {
        self.entries.borrow().get(key).cloned()
    }

    pub(crate) fn insert(&self, key: Key, value: Value) {
        let extra = ENTRY_BYTES + key.extra_bytes();
        let replaced = self.entries.borrow_mut().insert(key, value);
        if replaced.is_none() {
            self.account.set(self.account.bytes.get() + extra);
        }
    }

    pub(crate) fn remove(&self, key: &Key) {
        let removed = self.entries.borrow_mut().remove(key);
        if removed.is_some() {
            let left = self
                .account
                .bytes
                .get()
                .saturating_sub(ENTRY_BYTES + key.extra_bytes());
            self.account.set(left);
        }
    }
}

impl Bytes {
    /// Type number of a blob.
    pub(crate) const BLOB: i64 = 4;

    pub(crate) fn new(memory: &Rc<Memory>, data: Vec<u8>, kind: i64) -> Rc<Self> {
        let capacity = data.len();
        Self::with_capacity(memory, data, kind, capacity)
    }

    pub(crate) fn with_capacity(
        memory: &Rc<Memory>,
        data: Vec<u8>,
        kind: i64,
        capacity: usize,
    ) -> Rc<Self> {
        let account = Account::new(memory, size_of::<Self>() + data.len());
        Rc::new(Self {
            data: RefCell::new(data),
            capacity: Cell::new(capacity),
            kind: Cell::new(kind),
            account,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.data.borrow().len()
    }

    /// Changes the buffer; capacity and memory account follow.
    pub(crate) fn change<R>(&self, work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let mut data = self.data.borrow_mut();
        let result = work(&mut data);
        self.capacity.set(self.capacity.get().max(data.len()));
        self.account.set(size_of::<Self>() + data.capacity());
        result
    }
}

impl Drop for List {
    fn drop(&mut self) {
        drop_flat(self.items.get_mut().drain(..));
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        drop_flat(std::mem::take(self.entries.get_mut()).into_values());
    }
}

/// Drops values without recursion: nesting may be deeper than any stack.
fn drop_flat(values: impl Iterator<Item = Value>) {
    let mut left: Vec<Value> = values.filter(Value::is_container).collect();
    while let Some(value) = left.pop() {
        match value {
            Value::List(list) => {
                if let Some(mut list) = Rc::into_inner(list) {
                    left.extend(list.items.get_mut().drain(..).filter(Value::is_container));
                }
            }
            Value::Map(map) => {
                if let Some(mut map) = Rc::into_inner(map) {
                    left.extend(
                        std::mem::take(map.entries.get_mut())
                            .into_values()
                            .filter(Value::is_container),
                    );
                }
            }
            _ => {}
        }
    }
}
