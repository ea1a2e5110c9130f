//! Texts of values as the JSON output shows them.

use std::fmt::Write as _;

use protocol::value::Value;

use super::cell::general;

/// Writes a value at an indentation of so many blanks; its own first line is not indented. False: it has no text, and its
/// name is left out too.
///
/// Keys of maps that are no strings become their texts, and GeoJSON an object, unlike in the original, which loses the
/// former and puts the latter in quotes twice.
pub fn write(value: &Value, indent: usize, out: &mut String) -> bool {
    match value {
        Value::Nil => out.push_str("null"),
        Value::Bool(value) => {
            let _ = write!(out, "{value}");
        }
        Value::Integer(value) => {
            let _ = write!(out, "{value}");
        }
        Value::Float(value) => number(*value, out),
        Value::String(bytes) => string(&String::from_utf8_lossy(bytes), out),
        Value::Blob { bytes, .. } if bytes.is_empty() => return false,
        Value::Blob { bytes, .. } => {
            let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            string(&hex.join(" "), out);
        }
        Value::GeoJson(json) => match serde_json::from_slice::<serde_json::Value>(json) {
            Ok(parsed) => parsed_json(&parsed, indent, out),
            Err(_) => string(&String::from_utf8_lossy(json), out),
        },
        Value::List { items, .. } => {
            sequence(out, indent, ('[', ']'), items.iter(), |item, out| {
                if !write(item, indent + 2, out) {
                    out.push_str("\"\"");
                }
            })
        }
        Value::Map { entries, .. } => {
            sequence(
                out,
                indent,
                ('{', '}'),
                entries.iter(),
                |(key, value), out| {
                    string(&key_text(key), out);
                    out.push_str(": ");
                    if !write(value, indent + 2, out) {
                        out.push_str("\"\"");
                    }
                },
            );
        }
    }
    true
}

fn parsed_json(value: &serde_json::Value, indent: usize, out: &mut String) {
    match value {
        serde_json::Value::Array(items) => {
            sequence(out, indent, ('[', ']'), items.iter(), |item, out| {
                parsed_json(item, indent + 2, out);
            });
        }
        serde_json::Value::Object(members) => {
            sequence(
                out,
                indent,
                ('{', '}'),
                members.iter(),
                |(name, member), out| {
                    string(name, out);
                    out.push_str(": ");
                    parsed_json(member, indent + 2, out);
                },
            );
        }
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

fn sequence<T>(
    out: &mut String,
    indent: usize,
    (open, close): (char, char),
    items: impl ExactSizeIterator<Item = T>,
    mut write_item: impl FnMut(T, &mut String),
) {
    out.push(open);
    let count = items.len();
    for (position, item) in items.enumerate() {
        let _ = write!(out, "\n{:1$}", "", indent + 2);
        write_item(item, out);
        if position + 1 < count {
            out.push(',');
        }
    }
    if count > 0 {
        let _ = write!(out, "\n{:1$}", "", indent);
    }
    out.push(close);
}

/// The text of a key, without quotes.
fn key_text(key: &Value) -> String {
    match key {
        Value::String(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => String::from_utf8_lossy(&super::cell::cell(other, false)).into_owned(),
    }
}

/// A double with 17 digits; what JSON has no number for is null.
fn number(value: f64, out: &mut String) {
    if !value.is_finite() {
        out.push_str("null");
        return;
    }
    let text = general(value, 17);
    let (mantissa, exponent) = match text.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text.as_str(), None),
    };
    out.push_str(mantissa);
    match exponent {
        // `1e+20` is `1e20`, and `1e-05` is `1e-5`.
        Some(exponent) => {
            let digits = exponent
                .trim_start_matches(['+', '-'])
                .trim_start_matches('0');
            let sign = if exponent.starts_with('-') { "-" } else { "" };
            let _ = write!(out, "e{sign}{digits}");
        }
        None if !mantissa.contains('.') => out.push_str(".0"),
        None => {}
    }
}

/// A text in quotes, with the escapes of JSON.
pub fn string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control if u32::from(control) < 0x20 => {
                let _ = write!(out, "\\u{:04X}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &Value) -> String {
        let mut out = String::new();
        assert!(write(value, 0, &mut out));
        out
    }

    #[test]
    fn values_are_written_with_two_blanks_a_level() {
        let key = |text: &str| Value::String(text.into());
        for (value, expected) in [
            (Value::Float(1e20), "1e20"),
            (Value::Float(1e-5), "1.0000000000000001e-5"),
            (Value::Float(3.0), "3.0"),
            (Value::list([]), "[]"),
            (
                Value::list([Value::Integer(1), key("x")]),
                "[\n  1,\n  \"x\"\n]",
            ),
            (
                Value::map([(Value::Integer(1), Value::Nil)]),
                "{\n  \"1\": null\n}",
            ),
            (key("a\tb\"\\"), "\"a\\tb\\\"\\\\\""),
            (
                Value::GeoJson(b"{\"a\":[1]}".to_vec()),
                "{\n  \"a\": [\n    1\n  ]\n}",
            ),
        ] {
            assert_eq!(shown(&value), expected);
        }
        assert!(!write(&Value::blob([]), 0, &mut String::new()));
    }
}
