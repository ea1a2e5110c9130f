//! The type `Map` and the global `map`.
//!
//! Keys are integers, strings and blobs; everything else is ignored on write and reads nil. Storage and iteration order
//! is Aerospike's: integers, strings, blobs, each ascending.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::rc::Rc;

use protocol::bounds::Fit as _;

use super::iterator::push_loop;
use super::text;
use crate::machine::encode::{self, EncodeError};
use crate::machine::frame::{Body, Frame, LuaType, Raise};
use crate::machine::iteration::Give;
use crate::machine::iteration::Iteration;
use crate::machine::object::{Class, Converted, Metamethods, Object};
use crate::machine::value::{ENTRY_BYTES, Key, Map, Value};

const FUNCTIONS: [(&str, Body); 13] = [
    ("clone", clone),
    ("create", create),
    ("diff", diff),
    ("iterator", pairs),
    ("keys", keys),
    ("merge", merge),
    ("nbytes", nbytes),
    ("new", create),
    ("pairs", pairs),
    ("remove", remove),
    ("size", size),
    ("tostring", tostring),
    ("values", values),
];

/// Defines the globals `map` and `Map`.
pub(crate) fn define(frame: &mut Frame<'_>) {
    frame.define_callable("map", &FUNCTIONS, construct);
    frame.push_table(0, 0);
    let metamethods = Metamethods {
        methods: &[
            ("__index", index),
            ("__newindex", assign),
            ("__len", size),
            ("__tostring", tostring),
        ],
    };
    frame.define_class(Class::Map, &metamethods);
    frame.pop_global("Map");
}

fn map<'f>(frame: &mut Frame<'f>, argument: c_int) -> Result<&'f Rc<Map>, Raise> {
    match frame.check_object(argument, Class::Map)? {
        Object::Map(map) => Ok(map),
        _ => Err(frame.type_error(argument, "Map")),
    }
}

fn push(frame: &mut Frame<'_>, entries: BTreeMap<Key, Value>) -> usize {
    let map = Map::new(&frame.shared().memory, entries);
    frame.push_object(Object::Map(map));
    1
}

/// The key at `index`, if it can be one. A float never is.
#[inline]
fn key(frame: &mut Frame<'_>, index: c_int) -> Option<Key> {
    if frame.is_integer(index) {
        return frame.integer(index).map(Key::Integer);
    }
    match frame.value_at(index) {
        Converted::Value(value) => Key::of(&value),
        Converted::Record | Converted::Unsupported => None,
    }
}

/// `map{...}` and `map({...}, capacity)`: the entries with a valid key and a supported value.
fn construct(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let arguments = frame.top() - 1;
    if arguments == 2 && frame.kind(3) != LuaType::Nil {
        frame.check_integer(3)?;
    }
    if !(1..=2).contains(&arguments) || frame.kind(2) != LuaType::Table {
        return Ok(push(frame, BTreeMap::new()));
    }
    frame.set_top(2);
    let mut entries = BTreeMap::new();
    frame.push_nil();
    while frame.next(2) {
        if let Some(key) = key(frame, 3) {
            match frame.value_at(4) {
                Converted::Value(value) => drop(entries.insert(key, value)),
                Converted::Unsupported => {
                    frame.warn_lost(4, "is put into a map", "it is left out");
                }
                Converted::Record => return Err(Raise::text("a record can't be put into a map")),
            }
            frame.check_room(entries.len() * ENTRY_BYTES)?;
        }
        frame.pop(1);
    }
    Ok(push(frame, entries))
}

fn create(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.top() != 1 || frame.optional_integer(1, 0)? < 1 {
        return Ok(0);
    }
    Ok(push(frame, BTreeMap::new()))
}

fn index(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let map = map(frame, 1)?;
    let value = key(frame, 2).and_then(|key| map.get(&key));
    frame.push_value(&value.unwrap_or(Value::Nil));
    Ok(1)
}

/// `m[k] = v`: nil is stored, a table or function removes the key, a record is ignored.
fn assign(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let map = map(frame, 1)?;
    let Some(key) = key(frame, 2) else {
        return Ok(0);
    };
    match frame.value_at(3) {
        Converted::Value(value) => map.insert(key, value),
        Converted::Unsupported => {
            frame.warn_lost(3, "is put into a map", "the key is removed");
            map.remove(&key);
        }
        Converted::Record => frame.warn_lost(3, "is put into a map", "the map stays as it is"),
    }
    Ok(0)
}

fn remove(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let map = map(frame, 1)?;
    if let Some(key) = key(frame, 2) {
        map.remove(&key);
    }
    Ok(0)
}

fn size(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let length = map(frame, 1)?.len();
    frame.push_integer(length.fit::<i64>());
    Ok(1)
}

fn pairs(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let map = map(frame, 1)?;
    Ok(push_loop(frame, Iteration::over_map(map, Give::Pairs)))
}

fn keys(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let map = map(frame, 1)?;
    Ok(push_loop(frame, Iteration::over_map(map, Give::Keys)))
}

fn values(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let map = map(frame, 1)?;
    Ok(push_loop(frame, Iteration::over_map(map, Give::Values)))
}

/// A copy without the entries whose value is nil.
fn clone(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let entries = without_nil(map(frame, 1)?);
    Ok(push(frame, entries))
}

fn without_nil(map: &Map) -> BTreeMap<Key, Value> {
    let entries = map.entries.borrow();
    entries
        .iter()
        .filter(|(_, value)| !value.is_nil())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// All keys of both; for common ones the second map wins, or what `f(a, b)` gives if that is truthy.
fn merge(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let (first, second) = (without_nil(map(frame, 1)?), without_nil(map(frame, 2)?));
    let combine = frame.kind(3) == LuaType::Function;
    let mut merged = first;
    for (key, theirs) in second {
        let mut value = theirs;
        if combine && let Some(ours) = merged.get(&key).filter(|ours| ours.is_truthy()) {
            frame.copy(3);
            frame.push_value(ours);
            frame.push_value(&value);
            frame.call(2, 1)?;
            if let Converted::Value(combined) = frame.value_at(-1)
                && combined.is_truthy()
            {
                value = combined;
            }
            frame.pop(1);
        }
        merged.insert(key, value);
    }
    Ok(push(frame, merged))
}

/// The entries of each map whose key has no truthy value in the other.
fn diff(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let (first, second) = (map(frame, 1)?, map(frame, 2)?);
    let mut left = BTreeMap::new();
    for (one, other) in [(first, second), (second, first)] {
        let others = other.entries.borrow();
        let missing = |key: &Key| !others.get(key).is_some_and(Value::is_truthy);
        for (key, value) in one
            .entries
            .borrow()
            .iter()
            .filter(|(_, value)| !value.is_nil())
        {
            if missing(key) {
                left.insert(key.clone(), value.clone());
            }
        }
    }
    Ok(push(frame, left))
}

fn nbytes(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let value = Value::Map(Rc::clone(map(frame, 1)?));
    let size = encode::size(&value).map_err(|error| Raise::text(error.to_string()))?;
    frame.spend(size)?;
    frame.push_integer(size.fit::<i64>());
    Ok(1)
}

fn tostring(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let value = Value::Map(Rc::clone(map(frame, 1)?));
    let text = text::of(&value, &|steps| frame.shared().spend(steps));
    let text = match text {
        Ok(text) => text,
        Err(EncodeError::Stopped) => return frame.spend(0).map(|()| 0),
        Err(error) => return Err(Raise::text(error.to_string())),
    };
    frame.spend(text.len() * 4)?;
    frame.push_bytes(&text);
    Ok(1)
}
