//! The type `Record` and the global `record`: the record that a UDF was called on.
//!
//! Reads look at pending values first, then at the stored bins. Writes are pending until `aerospike:create` or `update`
//! takes them into the record's image; the image is what the transaction stores after the call. A handle is good for
//! its own call only.

use std::ffi::c_int;

use crate::call::RecordView;
use crate::host::BinAccess;
use crate::machine::encode;
use crate::machine::frame::{Body, Frame, LuaType, Raise};
use crate::machine::object::{Class, Converted, Metamethods, Object};
use crate::machine::record_call::{Pending, RecordCall};
use crate::machine::value::{Bytes, Value};
use data::record::{BinName, StoredRecord};
use protocol::bounds::Fit as _;

const FUNCTIONS: [(&str, Body); 13] = [
    ("bin_names", bin_names),
    ("device_size", device_size),
    ("digest", digest),
    ("drop_key", drop_key),
    ("gen", generation),
    ("key", key),
    ("last_update_time", last_update_time),
    ("memory_size", memory_size),
    ("numbins", numbins),
    ("set_ttl", set_ttl),
    ("setname", setname),
    ("size", size),
    ("ttl", ttl),
];

/// Defines the global `record`.
pub(crate) fn define(frame: &mut Frame<'_>) {
    frame.define_table("record", &FUNCTIONS);
    frame.push_table(0, 0);
    frame.define_class(
        Class::Record,
        &Metamethods {
            methods: &[("__index", index), ("__newindex", assign)],
        },
    );
    frame.pop(1);
}

impl Frame<'_> {
    /// Works on the record that the argument is a handle of.
    pub(crate) fn with_record<R>(
        &mut self,
        argument: c_int,
        work: impl FnOnce(&mut Self, &mut RecordCall) -> R,
    ) -> Result<R, Raise> {
        let number = match self.check_object(argument, Class::Record)? {
            Object::Record(number) => *number,
            _ => return Err(self.type_error(argument, "Record")),
        };
        let shared = self.shared();
        let stale = || Raise::text("record is no longer valid: its call has ended");
        if number != shared.call_number.get() {
            return Err(stale());
        }
        let mut record = shared.record.try_borrow_mut().map_err(|_| stale())?;
        match record.as_mut() {
            Some(record) => Ok(work(self, record)),
            None => Err(stale()),
        }
    }
}

/// The bin name at `index`; `None` when the bin cannot exist (nil, or a name that is too long).
fn bin_name(frame: &mut Frame<'_>, index: c_int) -> Result<Option<BinName>, Raise> {
    if frame.kind(index) == LuaType::Nil {
        return Ok(None);
    }
    let name = frame.check_bytes(index)?;
    let name = BinName::new(name);
    if name.is_none() {
        let name = frame.check_bytes(index)?;
        let text = format!("bin name {} too big", String::from_utf8_lossy(name));
        frame.shared().host.warn(&text);
    }
    Ok(name)
}

fn index(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let name = bin_name(frame, 2)?;
    let value = frame.with_record(1, |frame, record| {
        let memory = &frame.shared().memory;
        name.and_then(|name| record.get(memory, name))
    })?;
    frame.push_value(&value.unwrap_or(Value::Nil));
    frame.tell_of_bin(BinAccess::Read, -1);
    Ok(1)
}

fn assign(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let name = bin_name(frame, 2)?;
    let pending = match frame.value_at(3) {
        Converted::Value(value) => Pending::Write(value),
        Converted::Record => {
            frame.warn_lost(3, "is put into a bin", "nothing of this call can be stored");
            Pending::Unusable
        }
        Converted::Unsupported => {
            let mut text = b"can't set bin ".to_vec();
            text.extend(frame.check_bytes(2)?);
            text.extend(b" to unsupported type");
            return Err(Raise::Text(text));
        }
    };
    frame.with_record(1, |_, record| {
        if let Some(name) = name.filter(|_| !record.read_only) {
            record.set(name, pending);
        }
    })?;
    frame.tell_of_bin(BinAccess::Written, 3);
    Ok(0)
}

/// What is pushed is what the function gives, which the observer is told.
fn answer(frame: &mut Frame<'_>, function: &str) -> usize {
    frame.tell_of_function(function);
    1
}

fn push_count(frame: &mut Frame<'_>, function: &str, count: u64) -> Result<usize, Raise> {
    frame.push_integer(count.fit::<i64>());
    Ok(answer(frame, function))
}

fn bin_names(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let names = frame.with_record(1, |_, record| {
        let names = record.image.names();
        names.filter(|_| !record.too_many_stored())
    })?;
    let Some(names) = names else {
        return Err(Raise::text("can't get bin names"));
    };
    frame.push_table(names.len(), 0);
    let table = frame.top();
    for (at, name) in (1..).zip(names) {
        frame.push_bytes(name.as_bytes());
        frame.raw_set_index(table, at);
    }
    Ok(answer(frame, "bin_names"))
}

fn numbins(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let count = frame.with_record(1, |_, record| {
        if record.too_many_stored() {
            0
        } else {
            record.image.count()
        }
    })?;
    push_count(frame, "numbins", count as u64)
}

fn stored_size(
    frame: &mut Frame<'_>,
    function: &str,
    counts: impl FnOnce(&RecordView) -> bool,
) -> Result<usize, Raise> {
    let size = frame.with_record(1, |_, record| {
        record
            .view
            .stored
            .as_ref()
            .filter(|_| counts(&record.view))
            .map_or(0, |stored| stored.size())
    })?;
    push_count(frame, function, size)
}

fn size(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    stored_size(frame, "size", |_| true)
}

fn memory_size(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    stored_size(frame, "memory_size", |view| view.in_memory)
}

fn device_size(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    stored_size(frame, "device_size", |view| view.persisted)
}

fn digest(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let digest = frame.with_record(1, |_, record| record.view.digest)?;
    let bytes = Bytes::new(&frame.shared().memory, digest.0.to_vec(), Bytes::BLOB);
    frame.push_object(Object::Bytes(bytes));
    Ok(answer(frame, "digest"))
}

fn generation(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let generation = frame.with_record(1, |_, record| {
        record
            .view
            .stored
            .as_ref()
            .map_or(0, StoredRecord::generation)
    })?;
    push_count(frame, "gen", generation.into())
}

fn ttl(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let left = frame.with_record(1, |_, record| {
        let void_time = record
            .view
            .stored
            .as_ref()
            .map_or(0, StoredRecord::void_time);
        void_time.saturating_sub(record.now)
    })?;
    push_count(frame, "ttl", left.into())
}

fn last_update_time(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let time = frame.with_record(1, |_, record| {
        record
            .view
            .stored
            .as_ref()
            .map_or(0, StoredRecord::last_update_ms)
    })?;
    push_count(frame, "last_update_time", time)
}

fn key(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let value = frame.with_record(1, |frame, record| {
        let key = record
            .view
            .key
            .as_ref()
            .filter(|_| !record.drop_key && record.seen);
        key.map_or(Value::Nil, |key| {
            encode::from_particle(&frame.shared().memory, key.as_ref())
        })
    })?;
    frame.push_value(&value);
    Ok(answer(frame, "key"))
}

fn setname(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let (stored, named) = frame.with_record(1, |_, record| {
        let view = Some(&record.view).filter(|_| record.seen);
        let stored = view.and_then(|view| view.stored.clone());
        (stored, view.and_then(|view| view.set.clone()))
    })?;
    let name = match (&stored, &named) {
        (Some(stored), _) => stored.set_bytes(),
        (None, Some(named)) => named.as_bytes(),
        (None, None) => &[],
    };
    match name {
        [] => frame.push_nil(),
        name => frame.push_bytes(name),
    }
    Ok(answer(frame, "setname"))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the life is cut to 32 bits"
)]
fn set_ttl(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    frame.check_object(1, Class::Record)?;
    let ttl = frame.optional_integer(2, 0)?;
    frame.with_record(1, |_, record| {
        if !record.read_only {
            record.ttl = Some(ttl as u32);
        }
    })?;
    frame.push_integer(ttl);
    frame.tell_of_function("set_ttl");
    frame.pop(1);
    Ok(0)
}

fn drop_key(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    frame.with_record(1, |_, record| record.drop_key = !record.read_only)?;
    frame.push_nil();
    frame.tell_of_function("drop_key");
    frame.pop(1);
    Ok(0)
}
