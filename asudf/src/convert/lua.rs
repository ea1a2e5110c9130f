//! Values of recordings as Lua source.

use std::fmt::Write as _;

use protocol::value::Value as Stored;
use serde_json::Value;

use super::Unfit;

/// Longest list that is written out.
const RANGE_MAX: i64 = 10_000;

/// A text as a Lua literal.
pub(super) fn text(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for byte in bytes {
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b' '..=b'~' => out.push(char::from(*byte)),
            // Writing to a string does not fail.
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push('"');
    out
}

/// A value as scripts hold it.
pub(super) fn value(value: &Value) -> Result<String, Unfit> {
    Ok(match value {
        Value::Null => "nil".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => match number.as_i64() {
            Some(i64::MIN) => "math.mininteger".to_owned(),
            Some(number) => number.to_string(),
            None => return Err("a number that is no integer"),
        },
        Value::String(string) => text(string.as_bytes()),
        Value::Array(items) => list(items)?,
        Value::Object(entries) => match entries.iter().next() {
            Some((tag, of)) if tag.starts_with('$') => tagged(tag, of, value)?,
            _ => {
                let mut told = Vec::new();
                for (key, item) in entries {
                    told.push(format!("{}, {}", text(key.as_bytes()), self::value(item)?));
                }
                format!("t.map({})", told.join(", "))
            }
        },
    })
}

fn list(items: &[Value]) -> Result<String, Unfit> {
    let mut told = Vec::new();
    for item in items {
        told.push(value(item)?);
    }
    Ok(match told.len() {
        // A call takes so many arguments and not more.
        0..=200 => format!("t.list({})", told.join(", ")),
        _ => format!("t.packed{{ {}, n = {} }}", told.join(", "), told.len()),
    })
}

fn tagged(tag: &str, of: &Value, whole: &Value) -> Result<String, Unfit> {
    let string = || of.as_str().ok_or("a value of an unknown form");
    Ok(match tag {
        "$nil" => "nil".to_owned(),
        "$float" => match string()? {
            "nan" => "(0/0)".to_owned(),
            "inf" => "math.huge".to_owned(),
            "-inf" => "-math.huge".to_owned(),
            number if number.contains(['.', 'e']) => number.to_owned(),
            number => format!("{number}.0"),
        },
        "$strhex" => text(&bytes(string()?)?),
        "$bytes" => {
            let kind = whole.get("subtype").and_then(Value::as_i64).unwrap_or(4);
            format!("t.bytes(\"{}\", {kind})", string()?)
        }
        "$geojson" => format!("geojson({})", text(string()?.as_bytes())),
        "$repeat" => match of.as_array().map(Vec::as_slice) {
            Some([Value::String(part), Value::Number(count)]) => {
                format!("string.rep({}, {count})", text(part.as_bytes()))
            }
            _ => return Err("a value of an unknown form"),
        },
        "$range" => match of.as_array().map(Vec::as_slice) {
            Some([Value::Number(first), Value::Number(last)]) => {
                match (first.as_i64(), last.as_i64()) {
                    (Some(first), Some(last)) if last - first < RANGE_MAX => {
                        let items: Vec<Value> = (first..=last).map(Value::from).collect();
                        list(&items)?
                    }
                    _ => return Err("a list that is too long to be written out"),
                }
            }
            _ => return Err("a value of an unknown form"),
        },
        "$map" => {
            if whole.get("flags").and_then(Value::as_i64).unwrap_or(0) != 0 {
                return wire(&read(whole)?);
            }
            let mut told = Vec::new();
            for pair in of.as_array().into_iter().flatten() {
                match pair.as_array().map(Vec::as_slice) {
                    Some([key, item]) => told.push(format!("{}, {}", value(key)?, value(item)?)),
                    _ => return Err("a value of an unknown form"),
                }
            }
            format!("t.map({})", told.join(", "))
        }
        _ => wire(&read(whole)?)?,
    })
}

/// A value as it is stored: texts with zero bytes are whole there, and cut where scripts hold them.
pub(super) fn stored(of: &Value) -> Result<String, Unfit> {
    match of {
        Value::String(string) if string.contains('\0') => {
            wire(&Stored::String(string.clone().into()))
        }
        other => value(other),
    }
}

fn wire(value: &Stored) -> Result<String, Unfit> {
    let packed = value
        .to_msgpack()
        .map_err(|_| "a value that cannot be written")?;
    let hex: String = packed.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("t.wire(\"{hex}\")"))
}

fn bytes(hex: &str) -> Result<Vec<u8>, Unfit> {
    (0..hex.len())
        .step_by(2)
        .map(|at| {
            let pair = hex.get(at..at + 2);
            pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())
                .ok_or("digits that are none")
        })
        .collect()
}

fn read(of: &Value) -> Result<Stored, Unfit> {
    let flags = |of: &Value| {
        let flags = of.get("flags").and_then(Value::as_u64).unwrap_or(0);
        u8::try_from(flags).map_err(|_| "flags that are none")
    };
    Ok(match of {
        Value::Null => Stored::Nil,
        Value::Bool(value) => Stored::Bool(*value),
        Value::Number(number) => {
            Stored::Integer(number.as_i64().ok_or("a number that is no integer")?)
        }
        Value::String(string) => Stored::String(string.clone().into()),
        Value::Array(items) => Stored::list(items.iter().map(read).collect::<Result<Vec<_>, _>>()?),
        Value::Object(entries) => {
            if let Some(pairs) = of.get("$map").and_then(Value::as_array) {
                let mut entries = Vec::new();
                for pair in pairs {
                    match pair.as_array().map(Vec::as_slice) {
                        Some([key, item]) => entries.push((read(key)?, read(item)?)),
                        _ => return Err("a value of an unknown form"),
                    }
                }
                Stored::Map {
                    flags: flags(of)?,
                    entries,
                }
            } else if let Some(items) = of.get("$list").and_then(Value::as_array) {
                let items = items.iter().map(read).collect::<Result<Vec<_>, _>>()?;
                Stored::List {
                    flags: flags(of)?,
                    items,
                }
            } else if entries.keys().any(|key| key.starts_with('$')) {
                return Err("a value of an unknown form in an ordered one");
            } else {
                let mut told = Vec::new();
                for (key, item) in entries {
                    told.push((Stored::String(key.clone().into()), read(item)?));
                }
                Stored::map(told)
            }
        }
    })
}
