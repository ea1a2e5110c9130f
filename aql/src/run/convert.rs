//! From what is written in a statement to what is sent.

use protocol::key::{Digest, Key};
use protocol::value::Value;

use super::Failure;
use crate::language::notation;
use crate::language::statement::{JsonKind, Literal, RecordName};

/// The value of a bin. `bin` is named in errors.
///
/// # Errors
/// A JSON text is none, or another kind than the statement says.
pub(super) fn value(literal: &Literal, bin: &str) -> Result<Value, Failure> {
    Ok(match literal {
        Literal::Null => Value::Nil,
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Integer(value) => Value::Integer(*value),
        Literal::Float(value) => Value::Float(*value),
        Literal::Text(text) => Value::String(text.clone().into_bytes()),
        Literal::GeoJson(text) => Value::GeoJson(text.clone().into_bytes()),
        Literal::Json(kind, text) => {
            let wrong = || {
                let name = kind.name();
                let label = if bin.is_empty() { "argument" } else { bin };
                Failure::own(format!("Invalid {name} value: {label} {text}"))
            };
            match (notation::parse(text).ok_or_else(wrong)?, kind) {
                (parsed @ Value::List { .. }, JsonKind::Either | JsonKind::List)
                | (parsed @ Value::Map { .. }, JsonKind::Either | JsonKind::Map) => parsed,
                _ => return Err(wrong()),
            }
        }
        Literal::Exact(value) => value.clone(),
    })
}

/// The argument list of a UDF, as it is sent.
///
/// # Errors
/// As [`value`]; lists that are nested too deep.
pub(super) fn arguments(literals: &[Literal]) -> Result<Vec<u8>, Failure> {
    let values = literals
        .iter()
        .map(|literal| value(literal, ""))
        .collect::<Result<Vec<_>, _>>()?;
    Value::list(values)
        .to_msgpack()
        .map_err(|error| Failure::own(format!("an argument cannot be sent: {error}")))
}

/// How a record is asked for.
pub(super) struct Target {
    /// Its digest.
    pub(super) digest: Digest,
    /// Its key, where the statement names it by key.
    pub(super) key: Option<Key>,
    /// The same as a value, for the column `PK`.
    pub(super) shown: Option<Value>,
}

/// The digest of a record in a set.
///
/// # Errors
/// The key is nothing that a record can have, or the digest is none.
pub(super) fn target(set: &str, name: &RecordName) -> Result<Target, Failure> {
    let of_key = |key: Key, shown: Value| Target {
        digest: Digest::of(set, &key),
        key: Some(key),
        shown: Some(shown),
    };
    let bytes = match name {
        RecordName::Key(Literal::Integer(number)) => {
            return Ok(of_key(Key::Integer(*number), Value::Integer(*number)));
        }
        RecordName::Key(Literal::Text(text)) => {
            let bytes = text.clone().into_bytes();
            return Ok(of_key(Key::String(bytes.clone()), Value::String(bytes)));
        }
        RecordName::Key(Literal::Exact(value)) => {
            let key = match value {
                Value::String(bytes) => Key::String(bytes.clone()),
                Value::Blob { bytes, .. } => Key::Blob(bytes.clone()),
                _ => return Err(Failure::own("PK is neither a string nor an integer")),
            };
            return Ok(of_key(key, value.clone()));
        }
        RecordName::Key(_) => {
            return Err(Failure::own("PK is neither a string nor an integer"));
        }
        RecordName::Digest(text) => notation::hex(text),
        RecordName::EncodedDigest(text) => {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.decode(text).ok()
        }
    };
    let digest = bytes
        .and_then(|bytes| bytes.try_into().ok())
        .map(Digest)
        .ok_or_else(|| Failure::own("Invalid digest"))?;
    Ok(Target {
        digest,
        key: None,
        shown: None,
    })
}
