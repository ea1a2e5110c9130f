//! Values of scripts to and from the wire: particles and msgpack.

use std::collections::BTreeMap;
use std::rc::Rc;

use ::bytes::BufMut;
use protocol::limits::MAX_DEPTH;
use protocol::msgpack::{
    self, MsgpackError, Reader, Token, write_bool, write_float, write_integer, write_list_header,
    write_map_header, write_nil, write_order, write_text,
};
use protocol::particle::{Particle, ParticleRef, ParticleType};

use super::value::{Bytes, ELEMENT_BYTES, ENTRY_BYTES, Key, List, Map, Text, Value};
use crate::machine::memory::{MAX_TEXT_BYTES, Memory};
use crate::machine::object::until_nul;

/// Why a value has no form on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EncodeError {
    /// Nested deeper than the protocol allows, which includes a collection that holds itself.
    #[error("list or map nested more than {MAX_DEPTH} levels deep, or inside itself")]
    TooDeep,
    /// The same list or map occurs so often in it that its written form would be too large.
    #[error("list or map is larger than {MAX_TEXT_BYTES} bytes when written out")]
    TooLarge,
    /// The call is over.
    #[error("the call is over")]
    Stopped,
}

/// Size of a list or map as msgpack, bytes.
///
/// # Errors
/// Nested too deeply.
pub(crate) fn size(value: &Value) -> Result<usize, EncodeError> {
    Ok(to_msgpack(value)?.len())
}

fn to_msgpack(value: &Value) -> Result<Vec<u8>, EncodeError> {
    let elements = match value {
        Value::List(list) => list.len(),
        Value::Map(map) => map.len() * 2,
        _ => 0,
    };
    let mut out = Vec::with_capacity(elements.min(GROWN_FROM) * BYTES_PER_ELEMENT);
    write(value, &mut out, 0)?;
    Ok(out)
}

fn write(value: &Value, out: &mut Vec<u8>, depth: usize) -> Result<(), EncodeError> {
    if depth > MAX_DEPTH {
        return Err(EncodeError::TooDeep);
    }
    if out.len() > MAX_TEXT_BYTES {
        return Err(EncodeError::TooLarge);
    }
    match value {
        Value::Nil => write_nil(out),
        Value::Bool(value) => write_bool(out, *value),
        Value::Integer(value) => write_integer(out, *value),
        Value::Float(value) => write_float(out, *value),
        Value::Text(text) => write_text(out, ParticleType::STRING, text),
        Value::GeoJson(text) => write_text(out, ParticleType::GEOJSON, text),
        Value::Bytes(bytes) => write_text(out, blob_type(bytes), &bytes.data.borrow()),
        Value::List(list) => {
            let items = list.items.borrow();
            let ordered = usize::from(list.flags != 0);
            write_list_header(out, items.len() + ordered);
            if list.flags != 0 {
                write_order(out, list.flags);
            }
            for item in items.iter() {
                write(item, out, depth + 1)?;
            }
        }
        Value::Map(map) => {
            let entries = map.entries.borrow();
            let ordered = usize::from(map.flags != 0);
            write_map_header(out, entries.len() + ordered);
            if map.flags != 0 {
                write_order(out, map.flags);
                write_nil(out);
            }
            for (key, value) in entries.iter() {
                match key {
                    Key::Integer(key) => write_integer(out, *key),
                    Key::Text(key) => write_text(out, ParticleType::STRING, key),
                    Key::Blob(key) => write_text(out, ParticleType::BLOB, key),
                }
                write(value, out, depth + 1)?;
            }
        }
    }
    Ok(())
}

/// The particle type of a byte buffer; what Aerospike does not know as bytes is a blob.
fn blob_type(bytes: &Bytes) -> ParticleType {
    match u8::try_from(bytes.kind.get()) {
        Ok(kind @ (3 | 7..=12 | 18)) => ParticleType(kind),
        _ => ParticleType::BLOB,
    }
}

/// The value as the result of a call. Blobs go as plain blobs, top-level lists without order metadata.
///
/// # Errors
/// Nested too deeply.
pub(crate) fn to_result(value: &Value) -> Result<Particle, EncodeError> {
    Ok(match value {
        Value::Bytes(bytes) => Particle::new(ParticleType::BLOB, bytes.data.borrow().clone()),
        Value::List(list) if list.flags != 0 => {
            let mut out = Vec::new();
            let items = list.items.borrow();
            write_list_header(&mut out, items.len());
            for item in items.iter() {
                write(item, &mut out, 1)?;
            }
            Particle::new(ParticleType::LIST, out)
        }
        _ => to_particle(value)?,
    })
}

/// The value as a bin holds it.
///
/// # Errors
/// Nested too deeply.
pub(crate) fn to_particle(value: &Value) -> Result<Particle, EncodeError> {
    Ok(match value {
        Value::Nil => Particle::NIL,
        Value::Bool(value) => Particle::bool(*value),
        Value::Integer(value) => Particle::integer(*value),
        Value::Float(value) => Particle::float(*value),
        Value::Text(text) => Particle::string(text.to_vec()),
        Value::GeoJson(text) => Particle::geojson(text),
        Value::Bytes(bytes) => Particle::new(blob_type(bytes), bytes.data.borrow().clone()),
        Value::List(_) => Particle::new(ParticleType::LIST, to_msgpack(value)?),
        Value::Map(_) => Particle::new(ParticleType::MAP, to_msgpack(value)?),
    })
}

/// What scripts see of a bin; a list or map that cannot be read is nil.
pub(crate) fn from_particle(memory: &Rc<Memory>, particle: ParticleRef<'_>) -> Value {
    let blob = |kind: u8| Value::Bytes(Bytes::new(memory, particle.data.to_vec(), i64::from(kind)));
    match particle.kind {
        ParticleType::NIL => Value::Nil,
        ParticleType::INTEGER => particle.as_integer().map_or(Value::Nil, Value::Integer),
        ParticleType::FLOAT => particle.as_float().map_or(Value::Nil, Value::Float),
        ParticleType::BOOL => particle.as_bool().map_or(Value::Nil, Value::Bool),
        ParticleType::STRING => Value::Text(Text::new(memory, particle.data)),
        ParticleType::GEOJSON => particle
            .as_geojson()
            .map_or(Value::Nil, |text| Value::GeoJson(Text::new(memory, text))),
        ParticleType::LIST | ParticleType::MAP => {
            from_msgpack(memory, particle.data).unwrap_or(Value::Nil)
        }
        ParticleType(kind) => blob(kind),
    }
}

/// The value of a whole msgpack text.
///
/// # Errors
/// Malformed, nested too deeply, or a map with a key that Aerospike does not take.
pub(crate) fn from_msgpack(memory: &Rc<Memory>, bytes: &[u8]) -> Result<Value, MsgpackError> {
    let mut reader = Reader::new(bytes);
    read(memory, &mut reader, 0, whole)
}

/// The arguments of a call. What is no list counts as no arguments. Strings end at their first zero byte, as in the real
/// server; everywhere else they are kept whole.
///
/// # Errors
/// A list with an element that cannot be read.
pub(crate) fn read_arguments(
    memory: &Rc<Memory>,
    arglist: &[u8],
    mut push: impl FnMut(Value),
) -> Result<usize, MsgpackError> {
    let mut reader = Reader::new(arglist);
    let Ok(Token::List(count)) = reader.token() else {
        return Ok(0);
    };
    let (_, count) = reader.list_order(count)?;
    for _ in 0..count {
        push(read(memory, &mut reader, 1, until_nul)?);
    }
    Ok(count)
}

fn read(
    memory: &Rc<Memory>,
    reader: &mut Reader<'_>,
    depth: usize,
    text: fn(&[u8]) -> &[u8],
) -> Result<Value, MsgpackError> {
    if depth > MAX_DEPTH {
        return Err(MsgpackError::Depth);
    }
    Ok(match reader.token()? {
        Token::Nil => Value::Nil,
        Token::Bool(value) => Value::Bool(value),
        Token::Integer(value) => Value::Integer(value),
        Token::Double(value) => Value::Float(value),
        Token::Float(value) => Value::Float(f64::from(value)),
        Token::Text(content) => text_value(memory, content, text),
        Token::List(count) => {
            let (flags, count) = reader.list_order(count)?;
            let mut items = Vec::with_capacity(count.min(GROWN_FROM));
            let mut growth = Growth::new(memory, ELEMENT_BYTES);
            for number in 0..count {
                if !growth.has_room_for(number) {
                    break;
                }
                items.push(read(memory, reader, depth + 1, text)?);
            }
            drop(growth);
            Value::List(List::with_flags(memory, items, flags))
        }
        Token::Map(count) => {
            let (flags, count) = reader.map_order(count)?;
            let mut entries = BTreeMap::new();
            let mut growth = Growth::new(memory, ENTRY_BYTES);
            for number in 0..count {
                if !growth.has_room_for(number) {
                    break;
                }
                let key =
                    Key::of(&read(memory, reader, depth + 1, text)?).ok_or(MsgpackError::Key)?;
                entries.insert(key, read(memory, reader, depth + 1, text)?);
            }
            drop(growth);
            Value::Map(Map::with_flags(memory, entries, flags))
        }
        Token::Extension { .. } | Token::Order(_) => Value::Nil,
    })
}

/// Room in a written form for an element of a list or map; it grows where that is too little.
const BYTES_PER_ELEMENT: usize = 16;

/// Elements that are counted at once.
const COUNTED_AT_ONCE: usize = 1_024;

/// Memory of a collection that is being read: counted in parts, so that its end does not come as a surprise, and given back
/// when the collection counts itself.
struct Growth<'m> {
    memory: &'m Memory,
    element: usize,
    counted: usize,
}

impl<'m> Growth<'m> {
    fn new(memory: &'m Memory, element: usize) -> Self {
        Self {
            memory,
            element,
            counted: 0,
        }
    }

    /// Whether there is room for element `number` (from 0). If not, the call is over.
    fn has_room_for(&mut self, number: usize) -> bool {
        if number < self.counted + COUNTED_AT_ONCE {
            return true;
        }
        let has_room = self.memory.grow(COUNTED_AT_ONCE * self.element);
        if has_room {
            self.counted += COUNTED_AT_ONCE;
        }
        has_room
    }
}

impl Drop for Growth<'_> {
    fn drop(&mut self) {
        self.memory.account(self.counted * self.element, 0);
    }
}

/// Room for elements before any is read. A count that the bytes could just hold is no measure: an element takes far more
/// memory than its encoding, and every level of nesting may claim as many.
const GROWN_FROM: usize = 64;

/// A string as it is.
fn whole(text: &[u8]) -> &[u8] {
    text
}

/// A text of the str family: its first byte says what it is.
fn text_value(memory: &Rc<Memory>, content: &[u8], text: fn(&[u8]) -> &[u8]) -> Value {
    match content.split_first() {
        Some((&3, content)) => Value::Text(Text::new(memory, text(content))),
        Some((&23, content)) => Value::GeoJson(Text::new(memory, content)),
        Some((&kind, content)) => {
            Value::Bytes(Bytes::new(memory, content.to_vec(), i64::from(kind)))
        }
        None => Value::Text(Text::new(memory, &[])),
    }
}

/// Puts the elements of an ordered list back into order, and checks what a script may have made of a collection.
///
/// # Errors
/// As [`msgpack::normalize`].
pub(crate) fn for_storage(particle: Particle, ordered: bool) -> Result<Particle, MsgpackError> {
    if !ordered || particle.kind != ParticleType::LIST {
        return Ok(particle);
    }
    let mut reader = Reader::new(&particle.data);
    let Token::List(count) = reader.token()? else {
        return Ok(particle);
    };
    let (flags, count) = reader.list_order(count)?;
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        items.push(reader.value()?);
    }
    let mut failed = None;
    items.sort_by(|left, right| {
        msgpack::compare(left, right).unwrap_or_else(|error| {
            failed = Some(error);
            std::cmp::Ordering::Equal
        })
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let mut out = Vec::with_capacity(particle.data.len());
    write_list_header(&mut out, items.len() + 1);
    write_order(&mut out, flags);
    for item in items {
        out.put_slice(item);
    }
    Ok(Particle::new(ParticleType::LIST, out))
}
