//! The object `aerospike` and its method table `Aerospike`.

use std::ffi::c_int;

use data::work::{Meter, TimeIsUp};
use protocol::bounds::Fit as _;

use super::log;
use crate::machine::frame::{Body, Frame, Raise};
use crate::machine::object::{Class, Metamethods, Object, set_functions};
use crate::machine::place;
use crate::machine::record_call::{RecordCall, Status};
use crate::machine::shared::Shared;

const METHODS: [(&str, Body); 8] = [
    ("create", create),
    ("exists", exists),
    ("get_config", get_config),
    ("get_current_time", get_current_time),
    ("log", log::log),
    ("remove", remove),
    ("set_context", set_context),
    ("update", update),
];

/// Defines the class and the global `Aerospike`.
pub(crate) fn define(frame: &mut Frame<'_>) {
    frame.push_table(0, METHODS.len());
    let methods = frame.top();
    set_functions(frame, methods, &METHODS);
    frame.define_class(Class::Aerospike, &Metamethods { methods: &[] });
    frame.class_index(Class::Aerospike);
    frame.pop_global("Aerospike");
}

/// The work of a script's call that it does not see.
struct Steps<'s>(&'s Shared);

impl Meter for Steps<'_> {
    fn spend(&mut self, units: usize) -> Result<(), TimeIsUp> {
        self.0.spend(units).then_some(()).ok_or(TimeIsUp)
    }
}

/// Checks the object itself and the record argument, with the real server's numbering of arguments.
fn on_record(
    frame: &mut Frame<'_>,
    change: impl FnOnce(&mut RecordCall, &mut dyn Meter) -> Status,
) -> Result<Status, Raise> {
    frame.check_object(1, Class::Aerospike)?;
    check_record(frame, 2)?;
    let (status, written) = frame.with_record(2, |frame, record| {
        let status = change(record, &mut Steps(frame.shared()));
        (status, record.take_written())
    })?;
    frame.spend(written)?;
    Ok(status)
}

/// The same for what changes the record: a failure is noted for the log until a later change succeeds.
fn change(
    frame: &mut Frame<'_>,
    name: &str,
    change: impl FnOnce(&mut RecordCall, &mut dyn Meter) -> Status,
) -> Result<Status, Raise> {
    let mut error = None;
    let mut read_only = false;
    let status = on_record(frame, |record, work| {
        let status = change(record, work);
        (error, read_only) = (record.error, record.read_only);
        status
    })?;
    frame.shared().operated(name, status);
    if read_only {
        return Ok(status);
    }
    if status >= 0 {
        frame.shared().note(None, None);
        return Ok(status);
    }
    let why = match (status, error) {
        (-2, _) => "the record does not exist, or has more bins than a UDF may change".to_owned(),
        (_, Some(code)) => format!("result {code}"),
        (_, None) => "it was refused".to_owned(),
    };
    // SAFETY: a running body has room for a few values.
    let place = unsafe { place::innermost(frame.raw(), 1) };
    let text = format!("aerospike:{name} returned {status}: {why}");
    frame.shared().note(place, Some(text));
    Ok(status)
}

fn check_record(frame: &mut Frame<'_>, argument: c_int) -> Result<(), Raise> {
    match frame.object(argument) {
        Some(Object::Record(_)) => Ok(()),
        _ => Err(frame.type_error(argument, "Record")),
    }
}

fn create(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let status = change(frame, "create", RecordCall::create)?;
    frame.push_integer(status);
    Ok(1)
}

fn update(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let status = change(frame, "update", RecordCall::update)?;
    frame.push_integer(status);
    Ok(1)
}

fn remove(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let status = change(frame, "remove", |record, _| record.remove())?;
    frame.push_integer(status);
    Ok(1)
}

fn exists(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let exists = on_record(frame, |record, _| Status::from(record.exists()))? != 0;
    frame.shared().operated("exists", exists.into());
    frame.push_boolean(exists);
    Ok(1)
}

/// Milliseconds since the Unix epoch; in streams 0, as in the real server.
fn get_current_time(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.shared().is_in_stream() {
        frame.push_integer(0);
        return Ok(1);
    }
    frame.push_integer(frame.shared().host.unix_ms().fit::<i64>());
    Ok(1)
}

/// Unused; the real server answers 2.
fn set_context(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    frame.push_integer(2);
    Ok(1)
}

/// Unused; the real server answers 0.
fn get_config(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    frame.push_integer(0);
    Ok(1)
}
