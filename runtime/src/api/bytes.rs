//! The type `Bytes` and the global `bytes`: a growable byte buffer with a type.
//!
//! Positions count from 1. Setters answer true or false and change nothing when they answer false; getters give no value
//! outside of the buffer. Reads never reach beyond the size.

use std::ffi::c_int;
use std::rc::Rc;

use protocol::bounds::Fit as _;

use super::text;
use crate::machine::frame::{Body, Frame, Raise};
use crate::machine::object::{Class, Metamethods, Object};
use crate::machine::value::Bytes;

/// Largest buffer that a script may make, bytes. The memory limit of the call usually comes first.
const MAX_SIZE: usize = 1 << 30;

const FUNCTIONS: [(&str, Body); 43] = [
    ("append_byte", append_byte),
    ("append_bytes", append_bytes),
    ("append_int16", append_integer::<2, false>),
    ("append_int16_be", append_integer::<2, false>),
    ("append_int16_le", append_integer::<2, true>),
    ("append_int32", append_integer::<4, false>),
    ("append_int32_be", append_integer::<4, false>),
    ("append_int32_le", append_integer::<4, true>),
    ("append_int64", append_integer::<8, false>),
    ("append_int64_be", append_integer::<8, false>),
    ("append_int64_le", append_integer::<8, true>),
    ("append_string", append_string),
    ("append_var_int", append_var_int),
    ("get_byte", get_byte),
    ("get_bytes", get_bytes),
    ("get_int16", get_integer::<2, false>),
    ("get_int16_be", get_integer::<2, false>),
    ("get_int16_le", get_integer::<2, true>),
    ("get_int32", get_integer::<4, false>),
    ("get_int32_be", get_integer::<4, false>),
    ("get_int32_le", get_integer::<4, true>),
    ("get_int64", get_integer::<8, false>),
    ("get_int64_be", get_integer::<8, false>),
    ("get_int64_le", get_integer::<8, true>),
    ("get_string", get_string),
    ("get_type", get_type),
    ("get_var_int", get_var_int),
    ("set_byte", set_byte),
    ("set_bytes", set_bytes),
    ("set_int16", set_integer::<2, false>),
    ("set_int16_be", set_integer::<2, false>),
    ("set_int16_le", set_integer::<2, true>),
    ("set_int32", set_integer::<4, false>),
    ("set_int32_be", set_integer::<4, false>),
    ("set_int32_le", set_integer::<4, true>),
    ("set_int64", set_integer::<8, false>),
    ("set_int64_be", set_integer::<8, false>),
    ("set_int64_le", set_integer::<8, true>),
    ("set_size", set_size),
    ("set_string", set_string),
    ("set_type", set_type),
    ("set_var_int", set_var_int),
    ("size", size),
];

/// Defines the globals `bytes` and `Bytes`.
pub(crate) fn define(frame: &mut Frame<'_>) {
    frame.define_callable("bytes", &FUNCTIONS, construct);
    frame.push_table(0, 0);
    let metamethods = Metamethods {
        methods: &[
            ("__index", index),
            ("__newindex", assign),
            ("__len", length),
            ("__tostring", tostring),
        ],
    };
    frame.define_class(Class::Bytes, &metamethods);
    frame.pop_global("Bytes");
}

fn bytes<'f>(frame: &mut Frame<'f>, argument: c_int) -> Result<&'f Rc<Bytes>, Raise> {
    match frame.check_object(argument, Class::Bytes)? {
        Object::Bytes(bytes) => Ok(bytes),
        _ => Err(frame.type_error(argument, "Bytes")),
    }
}

/// Position argument as an offset, if it is 1 or above.
fn offset(frame: &mut Frame<'_>, argument: c_int) -> Result<Option<usize>, Raise> {
    let position = frame.optional_integer(argument, 0)?;
    Ok(usize::try_from(position)
        .ok()
        .and_then(|at| at.checked_sub(1)))
}

/// Writes at an offset, growing the buffer with zero bytes up to there.
fn put(frame: &mut Frame<'_>, buffer: &Bytes, at: usize, data: &[u8]) -> Result<bool, Raise> {
    let Some(end) = at.checked_add(data.len()).filter(|end| *end <= MAX_SIZE) else {
        return Ok(false);
    };
    frame.reserve(end.saturating_sub(buffer.len()))?;
    buffer.change(|content| {
        if content.len() < end {
            content.resize(end, 0);
        }
        if let Some(place) = content.get_mut(at..end) {
            place.copy_from_slice(data);
        }
    });
    Ok(true)
}

fn answer(frame: &mut Frame<'_>, done: bool) -> Result<usize, Raise> {
    frame.push_boolean(done);
    Ok(1)
}

/// A copy of `count` bytes from an offset, cut at the size.
fn get(buffer: &Bytes, at: usize, count: usize) -> Vec<u8> {
    let content = buffer.data.borrow();
    let end = at.saturating_add(count).min(content.len());
    // Nothing stands at an offset behind the end.
    content.get(at..end).unwrap_or_default().to_vec()
}

/// `bytes()` and `bytes(capacity)`.
fn construct(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.top() > 2 {
        return Ok(0);
    }
    let capacity = frame.optional_integer(2, 0)?;
    let Some(capacity) = usize::try_from(capacity)
        .ok()
        .filter(|capacity| *capacity <= MAX_SIZE)
    else {
        return Err(Raise::argument(2, "size out of range"));
    };
    let buffer = Bytes::with_capacity(&frame.shared().memory, Vec::new(), Bytes::BLOB, capacity);
    frame.push_object(Object::Bytes(buffer));
    Ok(1)
}

fn index(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let buffer = bytes(frame, 1)?;
    let byte = offset(frame, 2)?.and_then(|at| buffer.data.borrow().get(at).copied());
    match byte {
        Some(byte) => frame.push_integer(byte.into()),
        None => frame.push_nil(),
    }
    Ok(1)
}

fn assign(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    set_byte(frame)?;
    Ok(0)
}

/// `#b` is 0 in the real server too: its length function wants one argument and Lua passes two.
fn length(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    bytes(frame, 1)?;
    frame.push_integer(0);
    Ok(1)
}

fn size(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let size = if frame.top() == 1 {
        bytes(frame, 1)?.len()
    } else {
        0
    };
    frame.push_integer(size.fit::<i64>());
    Ok(1)
}

fn tostring(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let text = text::of_bytes(bytes(frame, 1)?);
    frame.push_bytes(&text);
    Ok(1)
}

fn get_type(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.top() != 1 {
        return Ok(0);
    }
    let kind = bytes(frame, 1)?.kind.get();
    frame.push_integer(kind);
    Ok(1)
}

fn set_type(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.top() != 2 {
        return answer(frame, false);
    }
    let buffer = bytes(frame, 1)?;
    let kind = frame.optional_integer(2, 0)?;
    if kind != 0 {
        buffer.kind.set(kind);
    }
    answer(frame, kind != 0)
}

/// True if the size is within the capacity; it changes nothing.
fn set_size(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.top() != 2 {
        return answer(frame, false);
    }
    let buffer = bytes(frame, 1)?;
    let size = frame.optional_integer(2, 0)?;
    answer(
        frame,
        usize::try_from(size).is_ok_and(|size| size <= buffer.capacity.get()),
    )
}

/// The big- or little-endian form of an integer, if it fits.
fn encode<const WIDTH: usize, const LITTLE: bool>(value: i64) -> Option<[u8; WIDTH]> {
    let bits = u32::try_from(WIDTH * 8).unwrap_or(64);
    if bits < 64 {
        let limit = 1_i64 << (bits - 1);
        if value < -limit || value >= limit {
            return None;
        }
    }
    let mut out = [0; WIDTH];
    if LITTLE {
        out.copy_from_slice(value.to_le_bytes().get(..WIDTH)?);
    } else {
        out.copy_from_slice(value.to_be_bytes().get(8 - WIDTH..)?);
    }
    Some(out)
}

fn append_integer<const WIDTH: usize, const LITTLE: bool>(
    frame: &mut Frame<'_>,
) -> Result<usize, Raise> {
    if frame.top() != 2 {
        return answer(frame, false);
    }
    let buffer = bytes(frame, 1)?;
    let value = frame.optional_integer(2, 0)?;
    let done = match encode::<WIDTH, LITTLE>(value) {
        Some(data) => put(frame, buffer, buffer.len(), &data)?,
        None => false,
    };
    answer(frame, done)
}

fn set_integer<const WIDTH: usize, const LITTLE: bool>(
    frame: &mut Frame<'_>,
) -> Result<usize, Raise> {
    if frame.top() != 3 {
        return answer(frame, false);
    }
    let buffer = bytes(frame, 1)?;
    let at = offset(frame, 2)?;
    let value = frame.optional_integer(3, 0)?;
    let done = match (at, encode::<WIDTH, LITTLE>(value)) {
        (Some(at), Some(data)) => put(frame, buffer, at, &data)?,
        _ => false,
    };
    answer(frame, done)
}

fn get_integer<const WIDTH: usize, const LITTLE: bool>(
    frame: &mut Frame<'_>,
) -> Result<usize, Raise> {
    if frame.top() != 2 {
        return Ok(0);
    }
    let buffer = bytes(frame, 1)?;
    let Some(at) = offset(frame, 2)? else {
        return Ok(0);
    };
    let data = get(buffer, at, WIDTH);
    if data.len() != WIDTH {
        return Ok(0);
    }
    let mut value = data.iter().copied();
    let fold = |value: u64, byte: u8| (value << 8) | u64::from(byte);
    let unsigned = if LITTLE {
        value.rfold(0, fold)
    } else {
        value.by_ref().fold(0, fold)
    };
    let unused = 64 - 8 * u32::try_from(WIDTH).unwrap_or(8);
    frame.push_integer((unsigned << unused).cast_signed() >> unused);
    Ok(1)
}

fn byte_value(value: i64) -> Option<u8> {
    u8::try_from(value).ok()
}

fn append_byte(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.top() != 2 {
        return answer(frame, false);
    }
    let buffer = bytes(frame, 1)?;
    let value = frame.optional_integer(2, 0)?;
    let done = match byte_value(value) {
        Some(byte) => put(frame, buffer, buffer.len(), &[byte])?,
        None => false,
    };
    answer(frame, done)
}

fn set_byte(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.top() != 3 {
        return answer(frame, false);
    }
    let buffer = bytes(frame, 1)?;
    let at = offset(frame, 2)?;
    let value = frame.optional_integer(3, 0)?;
    let done = match (at, byte_value(value)) {
        (Some(at), Some(byte)) => put(frame, buffer, at, &[byte])?,
        _ => false,
    };
    answer(frame, done)
}

fn get_byte(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.top() != 2 {
        return Ok(0);
    }
    let buffer = bytes(frame, 1)?;
    let byte = offset(frame, 2)?.and_then(|at| buffer.data.borrow().get(at).copied());
    match byte {
        Some(byte) => {
            frame.push_integer(byte.into());
            Ok(1)
        }
        None => Ok(0),
    }
}

/// A string argument; nil counts as the empty one.
fn text_argument<'f>(frame: &mut Frame<'f>, argument: c_int) -> Result<&'f [u8], Raise> {
    if frame.is_absent(argument) {
        Ok(&[])
    } else {
        frame.check_bytes(argument)
    }
}

fn append_string(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.top() != 2 {
        return answer(frame, false);
    }
    let buffer = bytes(frame, 1)?;
    let text = text_argument(frame, 2)?;
    let done = !text.is_empty() && put(frame, buffer, buffer.len(), text)?;
    answer(frame, done)
}

fn set_string(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.top() != 3 {
        return answer(frame, false);
    }
    let buffer = bytes(frame, 1)?;
    let at = offset(frame, 2)?;
    let absent = frame.is_absent(3);
    let text = text_argument(frame, 3)?;
    let done = match at {
        Some(_) if text.is_empty() => !absent,
        Some(at) => put(frame, buffer, at, text)?,
        None => false,
    };
    answer(frame, done)
}

/// Offset and count of a `get_string` or `get_bytes`.
fn range(frame: &mut Frame<'_>) -> Result<Option<(usize, usize)>, Raise> {
    let at = offset(frame, 2)?;
    let count = frame.optional_integer(3, 0)?;
    Ok(at.zip(usize::try_from(count).ok()))
}

fn get_string(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.top() != 3 {
        return Ok(0);
    }
    let buffer = bytes(frame, 1)?;
    let Some((at, count)) = range(frame)? else {
        return Ok(0);
    };
    frame.push_bytes(&get(buffer, at, count));
    Ok(1)
}

fn get_bytes(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.top() != 3 {
        return Ok(0);
    }
    let buffer = bytes(frame, 1)?;
    let Some((at, count)) = range(frame)? else {
        return Ok(0);
    };
    let copy = Bytes::new(&frame.shared().memory, get(buffer, at, count), Bytes::BLOB);
    frame.push_object(Object::Bytes(copy));
    Ok(1)
}

/// The first `count` bytes of another buffer, cut at its size.
fn source(frame: &mut Frame<'_>, buffer: c_int, count: c_int) -> Result<Option<Vec<u8>>, Raise> {
    let source = bytes(frame, buffer)?;
    let count = frame.optional_integer(count, 0)?;
    Ok(usize::try_from(count)
        .ok()
        .map(|count| get(source, 0, count)))
}

fn append_bytes(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.top() != 3 {
        return answer(frame, false);
    }
    let buffer = bytes(frame, 1)?;
    let done = match source(frame, 2, 3)? {
        Some(data) => put(frame, buffer, buffer.len(), &data)?,
        None => false,
    };
    answer(frame, done)
}

fn set_bytes(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.top() != 4 {
        return answer(frame, false);
    }
    let buffer = bytes(frame, 1)?;
    let at = offset(frame, 2)?;
    let done = match (at, source(frame, 3, 4)?) {
        (Some(at), Some(data)) => put(frame, buffer, at, &data)?,
        _ => false,
    };
    answer(frame, done)
}

/// Seven bits a byte, low group first; the high bit says that more follow. Negative numbers take 5 bytes.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is taken as 32 bits"
)]
fn var_int(value: i64) -> Vec<u8> {
    let mut left = value as u32;
    let mut out = Vec::with_capacity(5);
    while left >= 0x80 {
        out.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
    out
}

/// Writes a variable-length integer; the answer is how many bytes it took, 0 when it was not written.
fn put_var_int(
    frame: &mut Frame<'_>,
    buffer: &Bytes,
    at: Option<usize>,
    value: i64,
) -> Result<usize, Raise> {
    let mut written = 0;
    if let (Some(at), Ok(_)) = (at, i32::try_from(value)) {
        let data = var_int(value);
        if put(frame, buffer, at, &data)? {
            written = data.len();
        }
    }
    frame.push_integer(written.fit::<i64>());
    Ok(1)
}

fn append_var_int(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.top() != 2 {
        frame.push_integer(0);
        return Ok(1);
    }
    let buffer = bytes(frame, 1)?;
    let value = frame.optional_integer(2, 0)?;
    put_var_int(frame, buffer, Some(buffer.len()), value)
}

fn set_var_int(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.top() != 3 {
        frame.push_integer(0);
        return Ok(1);
    }
    let buffer = bytes(frame, 1)?;
    let at = offset(frame, 2)?;
    let value = frame.optional_integer(3, 0)?;
    put_var_int(frame, buffer, at, value)
}

/// Value and number of bytes read.
fn get_var_int(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.top() != 2 {
        return Ok(0);
    }
    let buffer = bytes(frame, 1)?;
    let Some(at) = offset(frame, 2)? else {
        return Ok(0);
    };
    let data = get(buffer, at, 5);
    let mut value = 0_u32;
    for (read, byte) in data.iter().enumerate() {
        value |= u32::from(byte & 0x7f)
            .checked_shl(7 * u32::try_from(read).unwrap_or(5))
            .unwrap_or(0);
        if byte & 0x80 == 0 {
            frame.push_integer(value.into());
            frame.push_integer((read + 1).fit::<i64>());
            return Ok(2);
        }
    }
    if data.is_empty() {
        return Ok(0);
    }
    frame.push_integer(value.into());
    frame.push_integer(data.len().fit::<i64>());
    Ok(2)
}

#[cfg(test)]
mod tests {
    use super::var_int;

    #[test]
    fn variable_length_integers_take_seven_bits_a_byte() {
        for (value, bytes) in [
            (0, vec![0]),
            (127, vec![127]),
            (300, vec![0xac, 2]),
            (-1, vec![0xff, 0xff, 0xff, 0xff, 0x0f]),
        ] {
            assert_eq!(var_int(value), bytes);
        }
    }
}
