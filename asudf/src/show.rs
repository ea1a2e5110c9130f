//! Values for people, and where two of them differ.

use std::fmt::Write;

use protocol::particle::{ParticleRef, ParticleType};
use protocol::value::Value;

/// What stands for a Lua table without entries, which may be meant as a list or as a map.
pub(crate) const EMPTY_TABLE: &[u8] = b"\0empty table";

/// Differences that are listed.
const DIFFERENCES_MAX: usize = 8;

/// Characters of a value that are shown in one piece.
const WIDTH_MAX: usize = 400;

/// A value in the form of Lua source, as far as there is one.
pub(crate) fn particle(particle: ParticleRef<'_>) -> String {
    match Value::from_particle(particle) {
        Ok(found) => value(&found),
        Err(error) => format!("(a value that cannot be read: {error})"),
    }
}

/// A value in the form of Lua source, as far as there is one.
pub(crate) fn value(value: &Value) -> String {
    let mut out = String::new();
    write_value(value, &mut out);
    if out.len() > WIDTH_MAX {
        let mut end = WIDTH_MAX;
        while !out.is_char_boundary(end) {
            end -= 1;
        }
        let length = out.len();
        out.truncate(end);
        out += &format!("… ({length} bytes)");
    }
    out
}

/// Text of a float that reads as one.
fn float(value: f64) -> String {
    match value {
        _ if value.is_nan() => "nan".to_owned(),
        _ if value.is_infinite() => (if value > 0.0 { "inf" } else { "-inf" }).to_owned(),
        _ => format!("{value:?}"),
    }
}

fn text(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for part in bytes.utf8_chunks() {
        for character in part.valid().chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                other if other.is_control() => {
                    out += &format!("\\x{:02x}", u32::from(other));
                }
                other => out.push(other),
            }
        }
        for byte in part.invalid() {
            out += &format!("\\x{byte:02x}");
        }
    }
    out.push('"');
    out
}

// Writing to a string does not fail.
fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Nil => out.push_str("nil"),
        Value::Bool(value) => {
            let _ = write!(out, "{value}");
        }
        Value::Integer(value) => {
            let _ = write!(out, "{value}");
        }
        Value::Float(value) => out.push_str(&float(*value)),
        Value::String(bytes) => out.push_str(&text(bytes)),
        Value::Blob { kind, bytes } => {
            let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            match *kind {
                ParticleType::BLOB => {
                    let _ = write!(out, "bytes[{}]", hex.join(" "));
                }
                kind => {
                    let _ = write!(out, "bytes of type {}[{}]", kind.0, hex.join(" "));
                }
            }
        }
        Value::GeoJson(bytes) if bytes == EMPTY_TABLE => out.push_str("{}"),
        Value::GeoJson(bytes) => {
            let _ = write!(out, "geojson({})", text(bytes));
        }
        Value::List { items, .. } => {
            out.push_str("list{");
            for (number, item) in items.iter().enumerate() {
                if number > 0 {
                    out.push_str(", ");
                }
                write_value(item, out);
            }
            out.push('}');
        }
        Value::Map { entries, .. } => {
            out.push_str("map{");
            for (number, (key, item)) in sorted(entries).into_iter().enumerate() {
                if number > 0 {
                    out.push_str(", ");
                }
                match key {
                    Value::String(name) if is_name(name) => {
                        out.push_str(&String::from_utf8_lossy(name));
                    }
                    key => {
                        out.push('[');
                        write_value(key, out);
                        out.push(']');
                    }
                }
                out.push_str(" = ");
                write_value(item, out);
            }
            out.push('}');
        }
    }
}

fn is_name(bytes: &[u8]) -> bool {
    bytes
        .first()
        .is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_')
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

fn sorted(entries: &[(Value, Value)]) -> Vec<&(Value, Value)> {
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_by(|left, right| left.0.compare(&right.0));
    sorted
}

/// Whether two values are the same, but for what a sum of floats owes to its order.
pub(crate) fn about_equal(left: &Value, right: &Value) -> bool {
    same(left, right, &|left, right| {
        let scale = left.abs().max(right.abs());
        left == right || (left - right).abs() <= scale * 1e-9
    })
}

/// Whether two values are the same. Orders of lists and maps do not count, nor does where a map's entries stand; NaN is NaN.
pub(crate) fn equal(left: &Value, right: &Value) -> bool {
    same(left, right, &|left, right| {
        left == right || left.is_nan() && right.is_nan()
    })
}

fn same(left: &Value, right: &Value, floats: &dyn Fn(f64, f64) -> bool) -> bool {
    match (left, right) {
        (Value::Float(left), Value::Float(right)) => {
            floats(*left, *right) && (left.to_bits() == right.to_bits() || *left != 0.0)
        }
        (Value::List { items: left, .. }, Value::List { items: right, .. }) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| same(left, right, floats))
        }
        (Value::Map { entries: left, .. }, Value::Map { entries: right, .. }) => {
            left.len() == right.len()
                && sorted(left)
                    .into_iter()
                    .zip(sorted(right))
                    .all(|(left, right)| left.0 == right.0 && same(&left.1, &right.1, floats))
        }
        (Value::List { items, .. }, Value::GeoJson(text)) if items.is_empty() => {
            text == EMPTY_TABLE
        }
        (Value::Map { entries, .. }, Value::GeoJson(text)) if entries.is_empty() => {
            text == EMPTY_TABLE
        }
        (left, right) => left == right,
    }
}

/// Where two values differ, a line each: `.bin[2]: found 1, expected 2`.
pub(crate) fn differences(found: &Value, expected: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    walk(found, expected, "", &mut lines);
    if lines.len() > DIFFERENCES_MAX {
        let more = lines.len() - DIFFERENCES_MAX;
        lines.truncate(DIFFERENCES_MAX);
        lines.push(format!("and {more} more"));
    }
    lines
}

fn walk(found: &Value, expected: &Value, path: &str, lines: &mut Vec<String>) {
    if equal(found, expected) {
        return;
    }
    match (found, expected) {
        (Value::List { items: left, .. }, Value::List { items: right, .. }) => {
            for number in 0..left.len().max(right.len()) {
                let path = format!("{path}[{}]", number + 1);
                pair(left.get(number), right.get(number), &path, lines);
            }
        }
        (Value::Map { entries: left, .. }, Value::Map { entries: right, .. }) => {
            let of = |entries: &'_ [(Value, Value)], key: &Value| {
                let found = entries.iter().position(|(own, _)| own == key);
                found.and_then(|at| entries.get(at).map(|(_, value)| value.clone()))
            };
            let keys = sorted(left).into_iter().chain(
                sorted(right)
                    .into_iter()
                    .filter(|(key, _)| of(left, key).is_none()),
            );
            for (key, _) in keys {
                let path = match key {
                    Value::String(name) if is_name(name) => {
                        format!("{path}.{}", String::from_utf8_lossy(name))
                    }
                    key => format!("{path}[{}]", value(key)),
                };
                pair(
                    of(left, key).as_ref(),
                    of(right, key).as_ref(),
                    &path,
                    lines,
                );
            }
        }
        (found, expected) => {
            let kinds = match (found, expected) {
                (Value::Integer(_), Value::Float(_)) => " (an integer, expected a float)",
                (Value::Float(_), Value::Integer(_)) => " (a float, expected an integer)",
                _ => "",
            };
            let place = if path.is_empty() { "value" } else { path };
            lines.push(format!(
                "{place}: found {}, expected {}{kinds}",
                value(found),
                value(expected)
            ));
        }
    }
}

fn pair(found: Option<&Value>, expected: Option<&Value>, path: &str, lines: &mut Vec<String>) {
    match (found, expected) {
        (Some(found), Some(expected)) => walk(found, expected, path, lines),
        (Some(found), None) => {
            lines.push(format!("{path}: found {}, expected nothing", value(found)))
        }
        (None, Some(expected)) => {
            lines.push(format!(
                "{path}: found nothing, expected {}",
                value(expected)
            ));
        }
        (None, None) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, Value)]) -> Value {
        let entries = entries.iter();
        Value::map(entries.map(|(name, value)| (Value::String((*name).into()), value.clone())))
    }

    #[test]
    fn values_read_like_lua() {
        for (found, shown) in [
            (Value::Float(7.0), "7.0"),
            (Value::Integer(7), "7"),
            (Value::String(b"a\"\n\xff".to_vec()), "\"a\\\"\\n\\xff\""),
            (
                map(&[("b", Value::list([Value::Nil])), ("a b", Value::Bool(true))]),
                "map{[\"a b\"] = true, b = list{nil}}",
            ),
            (Value::blob([1, 255]), "bytes[01 FF]"),
            (Value::GeoJson(EMPTY_TABLE.into()), "{}"),
        ] {
            assert_eq!(value(&found), shown);
        }
    }

    #[test]
    fn differences_have_paths() {
        let found = map(&[
            ("n", Value::Integer(7)),
            ("l", Value::list([Value::Integer(1), Value::Integer(2)])),
            ("gone", Value::Nil),
        ]);
        let expected = map(&[
            ("n", Value::Float(7.0)),
            ("l", Value::list([Value::Integer(1)])),
            ("new", Value::Bool(true)),
        ]);
        assert_eq!(
            differences(&found, &expected),
            [
                ".gone: found nil, expected nothing",
                ".l[2]: found 2, expected nothing",
                ".n: found 7, expected 7.0 (an integer, expected a float)",
                ".new: found nothing, expected true",
            ]
        );
    }

    #[test]
    fn an_empty_table_is_either() {
        let empty = Value::GeoJson(EMPTY_TABLE.into());
        assert!(equal(&Value::list([]), &empty) && equal(&Value::map([]), &empty));
        assert!(!equal(&Value::list([Value::Nil]), &empty));
        assert!(equal(&Value::Float(f64::NAN), &Value::Float(f64::NAN)));
        assert!(!equal(&Value::Float(0.0), &Value::Float(-0.0)));
    }
}
