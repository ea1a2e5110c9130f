//! Iterators over lists and maps, and the global `iterator`.
//!
//! An iterator keeps its collection alive and sees changes made during the loop. It stands at a position, as in the real
//! server: entries of a map that move to a position before it are not visited, or are again.
//!
//! `for v in list.iterator(l)` gets a
//! generator function and the iterator; a nil element ends the loop, as Lua's `for` has it.

use std::cell::RefCell;
use std::ffi::c_int;

use crate::machine::frame::{Frame, Raise};
use crate::machine::iteration::{Give, Iteration};
use crate::machine::object::{Class, Metamethods, Object, set_functions};
use crate::machine::value::List;

/// Pushes a generator and its iterator, for a `for` loop.
pub(crate) fn push_loop(frame: &mut Frame<'_>, iteration: Iteration) -> usize {
    frame.push_native(generate);
    frame.push_object(Object::Iterator(RefCell::new(iteration)));
    2
}

fn iteration<'f>(frame: &mut Frame<'f>, argument: c_int) -> Result<&'f RefCell<Iteration>, Raise> {
    match frame.check_object(argument, Class::Iterator)? {
        Object::Iterator(iteration) => Ok(iteration),
        _ => Err(frame.type_error(argument, "Iterator")),
    }
}

/// One step of a `for` loop: a value, or a key and a value.
fn generate(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let iteration = iteration(frame, 1)?;
    frame.spend(iteration.borrow().steps())?;
    let step = iteration.borrow_mut().advance();
    let Some((key, value)) = step else {
        return Ok(0);
    };
    let give = match &*iteration.borrow() {
        Iteration::List { .. } => Give::Values,
        Iteration::Map { give, .. } => *give,
    };
    match give {
        Give::Values => {
            frame.push_value(&value);
            Ok(1)
        }
        Give::Keys => {
            let key = key.to_value(&frame.shared().memory);
            frame.push_value(&key);
            Ok(1)
        }
        Give::Pairs => {
            let key = key.to_value(&frame.shared().memory);
            frame.push_value(&key);
            frame.push_value(&value);
            Ok(2)
        }
    }
}

fn has_next(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let more = iteration(frame, 1)?.borrow().has_next();
    frame.push_boolean(more);
    Ok(1)
}

/// The next value; of a map the next pair, as a list of key and value.
fn next(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let iteration = iteration(frame, 1)?;
    frame.spend(iteration.borrow().steps())?;
    let step = iteration.borrow_mut().advance();
    let give = match &*iteration.borrow() {
        Iteration::List { .. } => Give::Values,
        Iteration::Map { give, .. } => *give,
    };
    match step {
        None => return Ok(0),
        Some((_, value)) if give == Give::Values => frame.push_value(&value),
        Some((key, value)) => {
            let key = key.to_value(&frame.shared().memory);
            if give == Give::Keys {
                frame.push_value(&key);
            } else {
                let pair = List::new(&frame.shared().memory, vec![key, value]);
                frame.push_object(Object::List(pair));
            }
        }
    }
    Ok(1)
}

fn construct(_: &mut Frame<'_>) -> Result<usize, Raise> {
    Ok(0)
}

/// Defines the globals `iterator` and `Iterator`.
pub(crate) fn define(frame: &mut Frame<'_>) {
    let functions: [(&str, crate::machine::frame::Body); 2] =
        [("has_next", has_next), ("next", next)];
    frame.define_callable("iterator", &functions, construct);
    frame.push_table(0, 2);
    let methods = frame.top();
    set_functions(frame, methods, &functions);
    frame.define_class(Class::Iterator, &Metamethods { methods: &[] });
    frame.class_index(Class::Iterator);
    frame.pop_global("Iterator");
}
