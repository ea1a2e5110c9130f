//! Numbers as Lua 5.4 writes them.

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Integer(i64),
    Float(f64),
}

/// Reads what looks like a number at the beginning; answers its length, and its value unless it is none.
pub(super) fn read(text: &[u8]) -> (usize, Option<Number>) {
    let hex = text.len() > 1 && text.starts_with(b"0") && matches!(text.get(1), Some(b'x' | b'X'));
    let mut length = if hex { 2 } else { 0 };
    while let Some(&byte) = text.get(length) {
        let exponent = match byte {
            b'e' | b'E' => !hex,
            b'p' | b'P' => hex,
            _ => false,
        };
        if exponent {
            length += 1;
            if matches!(text.get(length), Some(b'+' | b'-')) {
                length += 1;
            }
        } else if byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_' {
            length += 1;
        } else {
            break;
        }
    }
    let value = text.get(..length).and_then(value);
    (length, value)
}

/// The number that a text is, without space around it.
pub(crate) fn value(text: &[u8]) -> Option<Number> {
    let text = std::str::from_utf8(text).ok()?;
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => hexadecimal(digits),
        None => decimal(text),
    }
}

/// The number that Lua reads a string as, where it needs one.
pub(crate) fn of_string(text: &[u8]) -> Option<Number> {
    let text = text.trim_ascii();
    match text.split_first() {
        Some((b'-', rest)) => Some(match value(rest)? {
            Number::Integer(value) => Number::Integer(value.wrapping_neg()),
            Number::Float(value) => Number::Float(-value),
        }),
        Some((b'+', rest)) => value(rest),
        _ => value(text),
    }
}

fn decimal(text: &str) -> Option<Number> {
    let numeric = |byte: u8| byte.is_ascii_digit() || b".eE+-".contains(&byte);
    if !text.bytes().all(numeric)
        || !text.bytes().next()?.is_ascii_digit() && !text.starts_with('.')
    {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(value) = text.parse()
    {
        return Some(Number::Integer(value));
    }
    text.parse().ok().map(Number::Float)
}

fn hexadecimal(digits: &str) -> Option<Number> {
    let (mantissa, exponent) = match digits.split_once(['p', 'P']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.parse::<i32>().ok()?)),
        None => (digits, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() + fraction.len() == 0 {
        return None;
    }
    if exponent.is_none() && !mantissa.contains('.') {
        let mut value = 0_i64;
        for digit in whole.chars() {
            value = value
                .wrapping_mul(16)
                .wrapping_add(digit.to_digit(16)?.into());
        }
        return Some(Number::Integer(value));
    }
    let mut value = 0.0_f64;
    for digit in whole.chars() {
        value = value.mul_add(16.0, digit.to_digit(16)?.into());
    }
    let mut weight = 1.0_f64;
    for digit in fraction.chars() {
        weight /= 16.0;
        value = f64::from(digit.to_digit(16)?).mul_add(weight, value);
    }
    Some(Number::Float(value * 2.0_f64.powi(exponent.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::{Number, of_string, read};

    #[test]
    fn numbers_are_read_as_lua_reads_them() {
        for (text, length, value) in [
            ("3", 1, Some(Number::Integer(3))),
            ("3.", 2, Some(Number::Float(3.0))),
            (".5e-3+1", 5, Some(Number::Float(0.0005))),
            ("0xff", 4, Some(Number::Integer(255))),
            ("0xffffffffffffffff", 18, Some(Number::Integer(-1))),
            ("0xA.8p1", 7, Some(Number::Float(21.0))),
            (
                "9223372036854775808",
                19,
                Some(Number::Float(9_223_372_036_854_775_808.0)),
            ),
            ("12abc", 5, None),
            ("1e", 2, None),
            ("0x", 2, None),
            ("3..4", 4, None),
        ] {
            assert_eq!(read(text.as_bytes()), (length, value), "{text}");
        }
        assert_eq!(of_string(b" -0x10 "), Some(Number::Integer(-16)));
        assert_eq!(of_string(b"12x"), None);
        assert_eq!(of_string(b""), None);
    }
}
