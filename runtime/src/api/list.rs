//! The type `List` and the global `list`.
//!
//! Positions count from 1 and are cut to 32 bits, as in the real server. Elements may be nil.

use std::ffi::c_int;
use std::rc::Rc;

use protocol::bounds::Fit as _;

use super::iterator::push_loop;
use super::text;
use crate::machine::encode::{self, EncodeError};
use crate::machine::frame::{Body, Frame, LuaType, Raise};
use crate::machine::iteration::Iteration;
use crate::machine::object::{Class, Converted, Metamethods, Object};
use crate::machine::value::{ELEMENT_BYTES, List, Value};

const FUNCTIONS: [(&str, Body); 16] = [
    ("append", append),
    ("clone", clone),
    ("concat", concat),
    ("create", create),
    ("drop", drop_first),
    ("insert", insert),
    ("iterator", iterator),
    ("merge", merge),
    ("nbytes", nbytes),
    ("new", create),
    ("prepend", prepend),
    ("remove", remove),
    ("size", size),
    ("take", take),
    ("tostring", tostring),
    ("trim", trim),
];

/// Defines the globals `list` and `List`.
pub(crate) fn define(frame: &mut Frame<'_>) {
    frame.define_callable("list", &FUNCTIONS, construct);
    frame.push_table(0, 0);
    let metamethods = Metamethods {
        methods: &[
            ("__index", index),
            ("__newindex", assign),
            ("__len", size),
            ("__tostring", tostring),
        ],
    };
    frame.define_class(Class::List, &metamethods);
    frame.pop_global("List");
}

fn list<'f>(frame: &mut Frame<'f>, argument: c_int) -> Result<&'f Rc<List>, Raise> {
    match frame.check_object(argument, Class::List)? {
        Object::List(list) => Ok(list),
        _ => Err(frame.type_error(argument, "List")),
    }
}

fn push(frame: &mut Frame<'_>, items: Vec<Value>) -> usize {
    let list = List::new(&frame.shared().memory, items);
    frame.push_object(Object::List(list));
    1
}

/// A position as the real server cuts it: the low 32 bits, signed.
#[expect(
    clippy::cast_possible_truncation,
    reason = "positions are cut to 32 bits"
)]
fn position(frame: &mut Frame<'_>, argument: c_int) -> Result<i64, Raise> {
    Ok(i64::from(frame.optional_integer(argument, 0)? as i32))
}

/// `list{...}`: the values of a table's numeric keys, in traversal order.
fn construct(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.top() != 2 || frame.kind(2) != LuaType::Table {
        return Ok(push(frame, Vec::new()));
    }
    let mut items = Vec::new();
    let mut last = 0;
    frame.push_nil();
    while frame.next(2) {
        if frame.kind(3) == LuaType::Number {
            last = last.max(frame.integer(3).unwrap_or(0));
            items.push(match frame.value_at(4) {
                Converted::Value(value) => value,
                Converted::Unsupported => {
                    frame.warn_lost(4, "is put into a list", "nil is there instead");
                    Value::Nil
                }
                Converted::Record => return Err(Raise::text("a record can't be put into a list")),
            });
            frame.check_room(items.len() * ELEMENT_BYTES)?;
        }
        frame.pop(1);
    }
    if usize::try_from(last).is_ok_and(|last| last > items.len()) {
        frame.push_nil();
        frame.warn_lost(3, "is among the values of a list", "it is left out");
    }
    Ok(push(frame, items))
}

/// `list.create(capacity[, step])`; with step 0 the list does not grow beyond its capacity.
fn create(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if !(1..=2).contains(&frame.top()) || frame.is_absent(1) {
        return Ok(0);
    }
    let capacity = frame.optional_integer(1, 0)?;
    let step = frame.optional_integer(2, 10)?;
    let (Ok(capacity), 0..) = (usize::try_from(capacity), step) else {
        return Ok(0);
    };
    let memory = &frame.shared().memory;
    let list = if step == 0 {
        List::with_capacity(memory, capacity)
    } else {
        List::new(memory, Vec::new())
    };
    frame.push_object(Object::List(list));
    Ok(1)
}

fn index(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let list = list(frame, 1)?;
    let at = position(frame, 2)?;
    let value = usize::try_from(at - 1).ok().and_then(|at| list.get(at));
    frame.push_value(&value.unwrap_or(Value::Nil));
    Ok(1)
}

fn assign(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let list = list(frame, 1)?;
    let at = position(frame, 2)?;
    let Converted::Value(value) = frame.value_at(3) else {
        return Ok(0);
    };
    if at < 0 {
        return Err(Raise::text("list index out of range"));
    }
    let Ok(at) = usize::try_from(at - 1) else {
        return Ok(0);
    };
    pad(frame, list, at)?;
    list.change(|items| match items.get_mut(at) {
        Some(item) => *item = value,
        None => items.push(value),
    });
    Ok(0)
}

/// Fills up with nil until `count` elements are there.
fn pad(frame: &mut Frame<'_>, list: &List, count: usize) -> Result<(), Raise> {
    let missing = count.saturating_sub(list.len());
    if missing > 0 && list.capacity.is_none_or(|capacity| count <= capacity) {
        frame.reserve(missing.saturating_mul(ELEMENT_BYTES))?;
        list.change(|items| items.resize(count, Value::Nil));
    }
    Ok(())
}

/// The value argument, if there is one that a list takes.
fn element(frame: &mut Frame<'_>, argument: c_int) -> Option<Value> {
    if frame.kind(argument) == LuaType::None {
        return None;
    }
    match frame.value_at(argument) {
        Converted::Value(value) => Some(value),
        Converted::Record | Converted::Unsupported => {
            frame.warn_lost(argument, "is put into a list", "it is left out");
            None
        }
    }
}

fn append(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let list = list(frame, 1)?;
    if let Some(value) = element(frame, 2) {
        list.change(|items| items.push(value));
    }
    Ok(0)
}

fn prepend(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let list = list(frame, 1)?;
    if let Some(value) = element(frame, 2)
        && list.capacity.is_none_or(|capacity| list.len() < capacity)
    {
        list.change(|items| items.insert(0, value));
    }
    Ok(0)
}

fn insert(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let list = list(frame, 1)?;
    let at = position(frame, 2)?;
    let Some(value) = element(frame, 3) else {
        return Ok(0);
    };
    let Ok(at) = usize::try_from(at.saturating_sub(1)) else {
        return Ok(0);
    };
    pad(frame, list, at)?;
    if list.len() >= at && list.capacity.is_none_or(|capacity| list.len() < capacity) {
        list.change(|items| items.insert(at, value));
    }
    Ok(0)
}

fn remove(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let list = list(frame, 1)?;
    let at = position(frame, 2)?;
    if let Some(at) = usize::try_from(at - 1).ok().filter(|at| *at < list.len()) {
        list.change(|items| items.remove(at));
    }
    Ok(0)
}

fn concat(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let (first, other) = (list(frame, 1)?, list(frame, 2)?);
    frame.reserve(other.len() * ELEMENT_BYTES)?;
    let added = other.items.borrow().clone();
    let fits = first
        .capacity
        .is_none_or(|capacity| first.len() + added.len() <= capacity);
    if fits {
        first.change(|items| items.extend(added));
    }
    Ok(0)
}

fn trim(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let list = list(frame, 1)?;
    let at = position(frame, 2)?;
    if let Some(at) = usize::try_from(at - 1).ok().filter(|at| *at < list.len()) {
        list.change(|items| items.truncate(at));
    }
    Ok(0)
}

/// `list` and a count above zero, or nothing.
fn part<'f>(frame: &mut Frame<'f>) -> Result<Option<(&'f Rc<List>, usize)>, Raise> {
    let list = list(frame, 1)?;
    let count = position(frame, 2)?;
    Ok(usize::try_from(count)
        .ok()
        .filter(|count| *count > 0)
        .map(|count| (list, count)))
}

fn take(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let Some((list, count)) = part(frame)? else {
        frame.push_nil();
        return Ok(1);
    };
    let items = list.items.borrow().iter().take(count).cloned().collect();
    Ok(push(frame, items))
}

fn drop_first(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let Some((list, count)) = part(frame)? else {
        frame.push_nil();
        return Ok(1);
    };
    let items = list.items.borrow().iter().skip(count).cloned().collect();
    Ok(push(frame, items))
}

/// A copy of all elements; a loop over a list ends at its first nil, a copy does not.
fn clone(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let items = list(frame, 1)?.items.borrow().clone();
    Ok(push(frame, items))
}

fn merge(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let mut items = list(frame, 1)?.items.borrow().clone();
    items.extend(list(frame, 2)?.items.borrow().iter().cloned());
    Ok(push(frame, items))
}

fn iterator(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let list = list(frame, 1)?;
    Ok(push_loop(frame, Iteration::over_list(list)))
}

fn size(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let length = list(frame, 1)?.len();
    frame.push_integer(length.fit::<i64>());
    Ok(1)
}

fn nbytes(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let value = Value::List(Rc::clone(list(frame, 1)?));
    let size = encode::size(&value).map_err(|error| Raise::text(error.to_string()))?;
    frame.spend(size)?;
    frame.push_integer(size.fit::<i64>());
    Ok(1)
}

fn tostring(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let value = Value::List(Rc::clone(list(frame, 1)?));
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
