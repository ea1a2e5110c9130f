//! Values of bins as JSON, without loss: JSON where JSON has it, else an object with one member.
//!
//! ```text
//! {"$bytes": "base64"}  {"$hll": "base64"}  {"$geojson": …}  {"$float": "inf" | "-inf" | "nan"}
//! {"$text": "base64 of a text that is not UTF-8"}
//! {"$pairs": [[KEY, VALUE]]}   of a map whose keys are no texts, or begin with `$`
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::particle::ParticleType;
use protocol::value::Value;
use serde_json::{Map, Value as Json, json};

/// A value as JSON, without loss.
#[must_use]
pub fn to_json(value: &Value) -> Json {
    let encoded = |bytes: &[u8]| STANDARD.encode(bytes);
    match value {
        Value::Nil => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Float(value) => match serde_json::Number::from_f64(*value) {
            Some(number) => number.into(),
            None => json!({ "$float": named(*value) }),
        },
        Value::String(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => json!({ "$text": encoded(bytes) }),
        },
        Value::Blob { kind, bytes } if *kind == ParticleType::HLL => {
            json!({ "$hll": encoded(bytes) })
        }
        Value::Blob { bytes, .. } => json!({ "$bytes": encoded(bytes) }),
        Value::GeoJson(text) => {
            let parsed: Json = serde_json::from_slice(text)
                .unwrap_or_else(|_| String::from_utf8_lossy(text).into());
            json!({ "$geojson": parsed })
        }
        Value::List { items, .. } => items.iter().map(to_json).collect(),
        Value::Map { entries, .. } => of_map(entries),
    }
}

fn of_map(entries: &[(Value, Value)]) -> Json {
    let name = |key: &Value| match key {
        Value::String(bytes) if bytes.first() != Some(&b'$') => {
            String::from_utf8(bytes.clone()).ok()
        }
        _ => None,
    };
    let named: Option<Map<String, Json>> = entries
        .iter()
        .map(|(key, value)| Some((name(key)?, to_json(value))))
        .collect();
    match named {
        Some(members) => members.into(),
        None => {
            let pairs: Vec<Json> = entries
                .iter()
                .map(|(key, value)| json!([to_json(key), to_json(value)]))
                .collect();
            json!({ "$pairs": pairs })
        }
    }
}

/// The name of a double that JSON has no number for.
fn named(value: f64) -> &'static str {
    match value {
        value if value.is_nan() => "nan",
        value if value < 0.0 => "-inf",
        _ => "inf",
    }
}

/// The value that plain JSON stands for: numbers with a fraction are doubles, and so are those that no integer holds. None:
/// there is a number that is neither.
#[must_use]
pub fn from_json(json: &Json) -> Option<Value> {
    Some(match json {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(value) => Value::Integer(value),
            None => Value::Float(number.as_f64()?),
        },
        Json::String(text) => Value::String(text.clone().into_bytes()),
        Json::Array(items) => Value::list(items.iter().map(from_json).collect::<Option<Vec<_>>>()?),
        Json::Object(members) => Value::map(
            members
                .iter()
                .map(|(name, member)| {
                    Some((Value::String(name.clone().into_bytes()), from_json(member)?))
                })
                .collect::<Option<Vec<_>>>()?,
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lose_nothing() {
        let text = |text: &str| Value::String(text.into());
        for (value, expected) in [
            (Value::Nil, "null"),
            (Value::Integer(i64::MIN), "-9223372036854775808"),
            (Value::Float(0.1), "0.1"),
            (Value::Float(f64::NAN), r#"{"$float":"nan"}"#),
            (text("a\"b"), r#""a\"b""#),
            (Value::String(vec![0xff]), r#"{"$text":"/w=="}"#),
            (Value::blob([]), r#"{"$bytes":""}"#),
            (
                Value::GeoJson(b"{\"type\":\"x\"}".to_vec()),
                r#"{"$geojson":{"type":"x"}}"#,
            ),
            (
                Value::map([(text("k"), Value::list([Value::Bool(true)]))]),
                r#"{"k":[true]}"#,
            ),
            (
                Value::map([(Value::Integer(1), Value::Nil)]),
                r#"{"$pairs":[[1,null]]}"#,
            ),
            (
                Value::map([(text("$bytes"), text("x"))]),
                r#"{"$pairs":[["$bytes","x"]]}"#,
            ),
        ] {
            assert_eq!(to_json(&value).to_string(), expected);
        }
    }

    #[test]
    fn plain_json_becomes_values() {
        for text in [
            "null",
            "true",
            "-7",
            "0.5",
            "\"x\"",
            "[1,[2]]",
            "{\"a\":{\"b\":1}}",
        ] {
            let json: Json = serde_json::from_str(text).unwrap();
            assert_eq!(to_json(&from_json(&json).unwrap()), json, "{text}");
        }
    }
}
