//! What scripts of a program find and scripts of a server do not: a function that asks the program, and its time of day.

use std::sync::Arc;

use protocol::particle::Particle;

use crate::machine::encode;
use crate::machine::frame::{Body, Frame, LuaType, Raise};
use crate::machine::object::Converted;

/// Which of it there is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Own {
    /// Name of the global function that asks.
    pub(crate) oracle: Option<&'static str>,
    /// `os.time` and `os.date` tell the host's time.
    pub(crate) host_clock: bool,
}

impl Own {
    /// Defines it; the libraries are there.
    pub(crate) fn define(self, frame: &mut Frame<'_>) {
        if let Some(name) = self.oracle {
            frame.push_native(ask);
            frame.pop_global(name);
        }
        if self.host_clock {
            let functions: [(&str, Body); 2] = [("time", time), ("date", date)];
            frame.push_global("os");
            let os = frame.top();
            for (name, function) in functions {
                frame.push_bytes(name.as_bytes());
                frame.raw_get(os);
                frame.push_closure(function, 1);
                frame.raw_set_field(os, name);
            }
            frame.pop(1);
        }
    }
}

/// Asks the program.
fn ask(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let mut question = Vec::new();
    for argument in 1..=frame.top() {
        let particle = match frame.value_at(argument) {
            Converted::Value(value) => encode::to_particle(&value)
                .map_err(|error| Raise::Text(error.to_string().into_bytes()))?,
            Converted::Record | Converted::Unsupported => {
                return Err(frame.type_error(argument, "value"));
            }
        };
        question.push(particle);
    }
    let oracle = frame.shared().oracle.borrow().as_ref().map(Arc::clone);
    let answer = oracle.map_or(Ok(Particle::NIL), |oracle| oracle.answer(question));
    let particle = answer.map_err(Raise::Text)?;
    let value = encode::from_particle(&frame.shared().memory, particle.as_ref());
    frame.push_value(&value);
    Ok(1)
}

/// `os.time`: of the host, without an argument.
fn time(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    match frame.kind(1) {
        LuaType::None | LuaType::Nil => push_time(frame),
        _ => {
            let count = frame.top();
            frame.copy(Frame::upvalue(1));
            for argument in 1..=count {
                frame.copy(argument);
            }
            frame.call(count, 1)?;
        }
    }
    Ok(1)
}

/// `os.date`: of the host's time, where none is given.
fn date(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    frame.set_top(2);
    frame.copy(Frame::upvalue(1));
    match frame.kind(1) {
        LuaType::None | LuaType::Nil => frame.push_bytes(b"%c"),
        _ => frame.copy(1),
    }
    match frame.kind(2) {
        LuaType::None | LuaType::Nil => push_time(frame),
        _ => frame.copy(2),
    }
    frame.call(2, 1)?;
    Ok(1)
}

fn push_time(frame: &mut Frame<'_>) {
    let seconds = frame.shared().host.unix_ms() / 1000;
    frame.push_integer(seconds.cast_signed());
}
