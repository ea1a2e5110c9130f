//! The text form of values: `tostring` of lists, maps and byte buffers.

use std::io::Write;

use crate::machine::encode::EncodeError;
use crate::machine::memory::MAX_TEXT_BYTES;
use crate::machine::value::{Bytes, Key, Value};
use protocol::limits::MAX_DEPTH;

/// Steps that an element is counted with.
const STEPS_PER_ELEMENT: usize = 64;

/// The text of a value; `spend` counts steps, and says whether to go on.
///
/// # Errors
/// Nested too deeply, which includes a collection that holds itself; or the call is over.
pub(crate) fn of(value: &Value, spend: &dyn Fn(usize) -> bool) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    write(value, &mut out, 0, spend)?;
    Ok(out)
}

fn write(
    value: &Value,
    out: &mut Vec<u8>,
    depth: usize,
    spend: &dyn Fn(usize) -> bool,
) -> Result<(), EncodeError> {
    if depth > MAX_DEPTH {
        return Err(EncodeError::TooDeep);
    }
    if out.len() > MAX_TEXT_BYTES {
        return Err(EncodeError::TooLarge);
    }
    match value {
        Value::Nil => out.extend(b"NIL"),
        Value::Bool(true) => out.extend(b"true"),
        Value::Bool(false) => out.extend(b"false"),
        Value::Integer(value) => integer(out, *value),
        Value::Float(value) => out.extend(float(*value).into_bytes()),
        Value::Text(text) | Value::GeoJson(text) => {
            out.push(b'"');
            out.extend(text.iter());
            out.push(b'"');
        }
        Value::Bytes(bytes) if bytes.len() == 0 => out.extend(b"<NULL>"),
        Value::Bytes(bytes) => hex(out, &bytes.data.borrow()),
        Value::List(list) => {
            out.push(b'[');
            count(list.items.borrow().len(), spend)?;
            for (at, item) in list.items.borrow().iter().enumerate() {
                if at > 0 {
                    out.extend(b", ");
                }
                write(item, out, depth + 1, spend)?;
            }
            out.push(b']');
        }
        Value::Map(map) => {
            out.push(b'{');
            count(map.entries.borrow().len(), spend)?;
            for (at, (key, value)) in map.entries.borrow().iter().enumerate() {
                if matches!(value, Value::Bytes(bytes) if bytes.len() == 0) {
                    break;
                }
                if at > 0 {
                    out.extend(b", ");
                }
                match key {
                    Key::Integer(key) => integer(out, *key),
                    Key::Text(key) => {
                        out.push(b'"');
                        out.extend(key.iter());
                        out.push(b'"');
                    }
                    Key::Blob(key) => hex(out, key),
                }
                out.push(b':');
                write(value, out, depth + 1, spend)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// Counts the elements of a collection.
fn count(elements: usize, spend: &dyn Fn(usize) -> bool) -> Result<(), EncodeError> {
    match spend((elements + 1).saturating_mul(STEPS_PER_ELEMENT)) {
        true => Ok(()),
        false => Err(EncodeError::Stopped),
    }
}

fn integer(out: &mut Vec<u8>, value: i64) {
    // Writing to a vector does not fail.
    let _ = write!(out, "{value}");
}

/// Upper-case hex pairs, separated by spaces.
fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or_default();
    out.reserve(bytes.len() * 3);
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        out.extend([digit(byte >> 4), digit(byte & 15)]);
    }
}

/// The text of a byte buffer on its own.
pub(crate) fn of_bytes(bytes: &Bytes) -> Vec<u8> {
    let data = bytes.data.borrow();
    if data.is_empty() {
        return b"Bytes()".to_vec();
    }
    let mut out = Vec::new();
    hex(&mut out, &data);
    out
}

/// C's `%.16g`.
fn float(value: f64) -> String {
    if value.is_nan() {
        return if value.is_sign_negative() {
            "-nan".to_owned()
        } else {
            "nan".to_owned()
        };
    }
    if value.is_infinite() {
        return if value > 0.0 {
            "inf".to_owned()
        } else {
            "-inf".to_owned()
        };
    }
    if value == 0.0 {
        return if value.is_sign_negative() {
            "-0".to_owned()
        } else {
            "0".to_owned()
        };
    }
    let scientific = format!("{value:.15e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |digits: &str| {
        if digits.contains('.') {
            digits
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_owned()
        } else {
            digits.to_owned()
        }
    };
    if (-4..16).contains(&exponent) {
        let decimals = usize::try_from(15 - exponent).unwrap_or(0);
        trim(&format!("{value:.decimals$}"))
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", trim(mantissa), exponent.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::float;

    #[test]
    fn floats_are_written_as_percent_16_g() {
        for (value, text) in [
            (1.0, "1"),
            (1.5, "1.5"),
            (0.1, "0.1"),
            (1e100, "1e+100"),
            (-0.0, "-0"),
            (1e15, "1000000000000000"),
            (1e16, "1e+16"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.0 / 3.0, "0.3333333333333333"),
            (-2.5e-7, "-2.5e-07"),
        ] {
            assert_eq!(float(value), text);
        }
    }
}
