//! Texts of values, as tables and raw output show them.

use protocol::bounds::Fit as _;
use protocol::msgpack::order;
use protocol::value::Value;

/// A double as C's `%.Ng` writes it, `digits` significant digits.
#[must_use]
pub fn general(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-inf" } else { "inf" }.to_owned();
    }
    let digits = digits.max(1);
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    let digits = digits.fit::<i32>();
    if exponent < -4 || exponent >= digits {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs());
    }
    let decimals = usize::try_from(digits - 1 - exponent).unwrap_or(0);
    trimmed(&format!("{value:.decimals$}"))
}

/// The text of a bin; empty for a value without one. `types`: lists, maps and regions carry their type. Strings need not
/// be UTF-8, and so need the text not be.
#[must_use]
pub fn cell(value: &Value, types: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let typed = match value {
        Value::GeoJson(_) => "GeoJSON",
        Value::List { .. } => "LIST",
        Value::Map { flags, .. } => match flags & (order::KEY | order::VALUE) {
            0 => "MAP",
            order::KEY => "KEY_ORDERED_MAP",
            _ => "KEY_VALUE_ORDERED_MAP",
        },
        Value::Nil => return out,
        _ => "",
    };
    if !types || typed.is_empty() {
        inner(value, &mut out);
        return out;
    }
    out.extend_from_slice(typed.as_bytes());
    out.extend_from_slice(b"('");
    match value {
        Value::GeoJson(json) => out.extend_from_slice(json),
        value => inner(value, &mut out),
    }
    out.extend_from_slice(b"')");
    out
}

/// A value inside a list or map, or one that looks the same outside.
fn inner(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Nil => out.extend_from_slice(b"NIL"),
        Value::Bool(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Integer(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Float(value) => out.extend_from_slice(general(*value, 16).as_bytes()),
        Value::String(bytes) | Value::GeoJson(bytes) => {
            out.push(b'"');
            out.extend_from_slice(bytes);
            out.push(b'"');
        }
        Value::Blob { bytes, .. } => {
            let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            out.extend_from_slice(hex.join(" ").as_bytes());
        }
        Value::List { items, .. } => {
            out.push(b'[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.extend_from_slice(b", ");
                }
                inner(item, out);
            }
            out.push(b']');
        }
        Value::Map { entries, .. } => {
            out.push(b'{');
            for (position, (key, value)) in entries.iter().enumerate() {
                if position > 0 {
                    out.extend_from_slice(b", ");
                }
                inner(key, out);
                out.push(b':');
                inner(value, out);
            }
            out.push(b'}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_written_as_c_does() {
        for (value, digits, expected) in [
            (3.5, 16, "3.5"),
            (3.0, 16, "3"),
            (0.1, 16, "0.1"),
            (0.1, 17, "0.10000000000000001"),
            (1e20, 16, "1e+20"),
            (1e-5, 17, "1.0000000000000001e-05"),
            (123_456.0, 16, "123456"),
            (-2.25, 16, "-2.25"),
            (0.0, 16, "0"),
            (f64::INFINITY, 16, "inf"),
        ] {
            assert_eq!(general(value, digits), expected);
        }
    }

    #[test]
    fn values_have_texts_with_and_without_types() {
        let map = Value::Map {
            flags: order::KEY,
            entries: vec![(
                Value::Integer(1),
                Value::list([Value::Nil, Value::Bool(true)]),
            )],
        };
        for (value, with, without) in [
            (Value::Integer(5), "5", "5"),
            (Value::String(b"a\"b".to_vec()), "\"a\"b\"", "\"a\"b\""),
            (Value::blob([1, 255]), "01 FF", "01 FF"),
            (Value::list([Value::Integer(1)]), "LIST('[1]')", "[1]"),
            (map, "KEY_ORDERED_MAP('{1:[NIL, true]}')", "{1:[NIL, true]}"),
            (Value::GeoJson(b"{}".to_vec()), "GeoJSON('{}')", "\"{}\""),
        ] {
            assert_eq!(cell(&value, true), with.as_bytes());
            assert_eq!(cell(&value, false), without.as_bytes());
        }
    }
}
