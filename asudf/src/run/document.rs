//! Arguments and records as JSON documents.

use std::fs;
use std::io;
use std::path::Path;

use protocol::particle::{Particle, ParticleType};
use protocol::value::Value;
use serde_json::{Map, Value as Json};

use crate::place::{NewRecord, Seen};
use crate::status::Failure;

/// Names of what JSON has no form for: `{"$bytes": "00ff"}`, `{"$geojson": "{…}"}`.
const BYTES: &str = "$bytes";
const GEOJSON: &str = "$geojson";

/// A value of a document.
fn value(json: &Json) -> Result<Value, String> {
    Ok(match json {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Value::Integer(number),
            (None, Some(number)) => Value::Float(number),
            _ => return Err(format!("{number} is no number of records")),
        },
        Json::String(text) => Value::String(text.clone().into()),
        Json::Array(items) => Value::list(items.iter().map(value).collect::<Result<Vec<_>, _>>()?),
        Json::Object(entries) => {
            if let (1, Some(Json::String(hex))) = (entries.len(), entries.get(BYTES)) {
                return Ok(Value::Blob {
                    kind: ParticleType::BLOB,
                    bytes: from_hex(hex)?,
                });
            }
            if let (1, Some(Json::String(text))) = (entries.len(), entries.get(GEOJSON)) {
                return Ok(Value::GeoJson(text.clone().into()));
            }
            let mut told = Vec::new();
            for (key, item) in entries {
                told.push((Value::String(key.clone().into()), value(item)?));
            }
            Value::map(told)
        }
    })
}

fn from_hex(hex: &str) -> Result<Vec<u8>, String> {
    let pairs = (0..hex.len()).step_by(2).map(|at| hex.get(at..at + 2));
    pairs
        .map(|pair| pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect::<Option<_>>()
        .ok_or_else(|| format!("`{hex}` are no hex digits"))
}

/// The same the other way. Text that is no UTF-8 and maps with other keys than texts have no form.
fn json(found: &Value) -> Result<Json, String> {
    Ok(match found {
        Value::Nil => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::String(text) => String::from_utf8(text.clone())
            .map_err(|_| "a text that is no UTF-8 has no form in JSON".to_owned())?
            .into(),
        Value::GeoJson(text) => {
            serde_json::json!({ GEOJSON: String::from_utf8_lossy(text) })
        }
        Value::Blob { bytes, .. } => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            serde_json::json!({ BYTES: hex })
        }
        Value::List { items, .. } => items
            .iter()
            .map(json)
            .collect::<Result<Vec<_>, _>>()?
            .into(),
        Value::Map { entries, .. } => {
            let mut told = Map::new();
            for (key, item) in entries {
                let key = match key {
                    Value::String(key) => String::from_utf8_lossy(key).into_owned(),
                    _ => {
                        return Err(
                            "a map with keys that are no texts has no form in JSON".to_owned()
                        );
                    }
                };
                told.insert(key, json(item)?);
            }
            told.into()
        }
    })
}

/// The argument list that a JSON list is, msgpack.
pub(super) fn arguments(text: &str) -> Result<Vec<u8>, String> {
    let parsed: Json = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if !parsed.is_array() {
        return Err("the arguments are a JSON list".to_owned());
    }
    value(&parsed)?
        .to_msgpack()
        .map_err(|error| error.to_string())
}

/// A file with a record.
pub(super) struct RecordFile;

impl RecordFile {
    /// What is in a file, if it is there.
    pub(super) fn read(path: &Path) -> Result<Option<NewRecord>, Failure> {
        let failed =
            |error: &dyn std::fmt::Display| Failure(format!("{}: {error}", path.display()));
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&error)),
        };
        let document: Json = serde_json::from_str(&text).map_err(|error| failed(&error))?;
        let Some(entries) = document.as_object() else {
            return Err(failed(&"a record is an object with `bins`"));
        };
        if let Some(other) = entries
            .keys()
            .find(|key| !matches!(key.as_str(), "bins" | "ttl" | "generation"))
        {
            return Err(failed(&format!(
                "a record has no `{other}`: say bins, ttl, generation"
            )));
        }
        let mut bins = Vec::new();
        for (name, item) in document
            .get("bins")
            .and_then(Json::as_object)
            .into_iter()
            .flatten()
        {
            let particle = value(item)
                .and_then(|value| value.to_particle().map_err(|error| error.to_string()));
            let particle: Particle = particle.map_err(|error| failed(&error))?;
            bins.push((name.clone().into_bytes(), particle));
        }
        if bins.is_empty() {
            return Ok(None);
        }
        let number = |key: &str, none: i64| match document.get(key) {
            None | Some(Json::Null) => Ok(none),
            Some(value) => value
                .as_i64()
                .ok_or_else(|| failed(&format!("`{key}` is an integer"))),
        };
        let ttl = match number("ttl", -1)? {
            -1 => u32::MAX,
            ttl => u32::try_from(ttl).map_err(|error| failed(&error))?,
        };
        Ok(Some(NewRecord {
            bins,
            ttl,
            generation: u16::try_from(number("generation", 1)?).map_err(|error| failed(&error))?,
            stores_key: true,
        }))
    }

    /// Writes what became of a record; a file without bins where there is none.
    pub(super) fn write(path: &Path, seen: Option<&Seen>) -> Result<(), Failure> {
        let failed =
            |error: &dyn std::fmt::Display| Failure(format!("{}: {error}", path.display()));
        let document = match seen {
            None => serde_json::json!({ "bins": {} }),
            Some(seen) => serde_json::json!({
                "bins": json(&seen.bins_as_map()).map_err(|error| failed(&error))?,
                "generation": seen.generation,
                "ttl": seen.ttl.map_or(-1, i64::from),
            }),
        };
        fs::write(path, format!("{document:#}\n")).map_err(|error| failed(&error))
    }
}
