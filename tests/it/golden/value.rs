//! The tagged JSON of the recordings: to particles and msgpack, back, and compared.

use std::sync::LazyLock;

use protocol::msgpack::{
    Reader, Token, write_bool, write_float, write_integer, write_list_header, write_map_header,
    write_nil, write_order, write_text,
};
use protocol::particle::{Particle, ParticleType};
use regex::Regex;
use serde_json::{Map, Value, json};

/// Bytes of a hexadecimal text.
pub(super) fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "odd number of digits: {text}");
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Drops the directory in front of a module's file name.
pub(super) fn without_directories(text: &str) -> String {
    static DIRECTORY: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?:\.\.\.)?[^\s'":,;()\[\]{}<>=]*/([^/\s'":]+\.lua)"#).unwrap()
    });
    DIRECTORY.replace_all(text, "$1").into_owned()
}

/// Drops directories from every text of a value.
pub(super) fn strip(value: &mut Value) {
    match value {
        Value::String(text) if text.contains(".lua") => *text = without_directories(text),
        Value::Array(items) => items.iter_mut().for_each(strip),
        Value::Object(entries) => entries.values_mut().for_each(strip),
        _ => (),
    }
}

/// What a tagged value is.
enum Tagged<'v> {
    Nil,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(ParticleType, Vec<u8>),
    List(&'v [Value], u8),
    Range(i64, i64),
    Pairs(Vec<(&'v Value, &'v Value)>, u8),
    Object(&'v Map<String, Value>),
    Raw(Vec<u8>),
}

fn flags(value: &Value) -> u8 {
    value["flags"].as_u64().unwrap_or(0).try_into().unwrap()
}

/// An unsigned integer that no signed one holds.
fn large(number: u64) -> Tagged<'static> {
    Tagged::Raw([&[0xcf][..], &number.to_be_bytes()].concat())
}

fn read(value: &Value) -> Tagged<'_> {
    let entries = match value {
        Value::Null => return Tagged::Nil,
        Value::Bool(truth) => return Tagged::Bool(*truth),
        Value::Number(number) => match number.as_i64() {
            Some(number) => return Tagged::Integer(number),
            None => return large(number.as_u64().unwrap()),
        },
        Value::String(text) => {
            return Tagged::Text(ParticleType::STRING, text.as_bytes().to_vec());
        }
        Value::Array(items) => return Tagged::List(items, 0),
        Value::Object(entries) => entries,
    };
    let Some(tag) = entries.keys().find(|key| key.starts_with('$')) else {
        return Tagged::Object(entries);
    };
    let content = &entries[tag];
    match tag.as_str() {
        "$nil" => Tagged::Nil,
        "$float" => Tagged::Float(content.as_str().unwrap().parse().unwrap()),
        "$strhex" => Tagged::Text(ParticleType::STRING, unhex(content.as_str().unwrap())),
        "$bytes" => {
            let subtype = value["subtype"].as_u64().unwrap_or(4).try_into().unwrap();
            Tagged::Text(ParticleType(subtype), unhex(content.as_str().unwrap()))
        }
        "$geojson" => Tagged::Text(
            ParticleType::GEOJSON,
            content.as_str().unwrap().as_bytes().to_vec(),
        ),
        "$msgpack" => Tagged::Raw(unhex(content.as_str().unwrap())),
        "$wild" => Tagged::Raw(vec![0xd4, 0xff, 0x00]),
        "$inf" => Tagged::Raw(vec![0xd4, 0xff, 0x01]),
        "$uint" => large(content.as_u64().unwrap()),
        "$raw" => {
            let text = content.as_str().unwrap().as_bytes();
            let size = u8::try_from(text.len()).unwrap();
            assert!(size < 32, "longer names do not occur");
            Tagged::Raw([&[0xa0 | size][..], text].concat())
        }
        "$list" => Tagged::List(content.as_array().unwrap(), flags(value)),
        "$map" => Tagged::Pairs(
            content
                .as_array()
                .unwrap()
                .iter()
                .map(|pair| (&pair[0], &pair[1]))
                .collect(),
            flags(value),
        ),
        "$repeat" => Tagged::Text(
            ParticleType::STRING,
            content[0]
                .as_str()
                .unwrap()
                .repeat(content[1].as_u64().unwrap().try_into().unwrap())
                .into_bytes(),
        ),
        "$range" => Tagged::Range(content[0].as_i64().unwrap(), content[1].as_i64().unwrap()),
        other => panic!("unknown tag {other}"),
    }
}

/// Appends a tagged value in msgpack.
pub(super) fn pack(value: &Value, out: &mut Vec<u8>) {
    match read(value) {
        Tagged::Nil => write_nil(out),
        Tagged::Bool(truth) => write_bool(out, truth),
        Tagged::Integer(number) => write_integer(out, number),
        Tagged::Float(number) => write_float(out, number),
        Tagged::Text(kind, content) => write_text(out, kind, &content),
        Tagged::List(items, flags) => {
            write_list_header(out, items.len() + usize::from(flags != 0));
            if flags != 0 {
                write_order(out, flags);
            }
            items.iter().for_each(|item| pack(item, out));
        }
        Tagged::Range(first, last) => {
            write_list_header(out, usize::try_from(last - first + 1).unwrap());
            (first..=last).for_each(|number| write_integer(out, number));
        }
        Tagged::Pairs(pairs, flags) => {
            write_map_header(out, pairs.len() + usize::from(flags != 0));
            if flags != 0 {
                write_order(out, flags);
                write_nil(out);
            }
            for (key, item) in pairs {
                pack(key, out);
                pack(item, out);
            }
        }
        Tagged::Object(entries) => {
            write_map_header(out, entries.len());
            for (key, item) in entries {
                write_text(out, ParticleType::STRING, key.as_bytes());
                pack(item, out);
            }
        }
        Tagged::Raw(bytes) => out.extend(bytes),
    }
}

/// A tagged value as a bin's value or a key.
pub(super) fn to_particle(value: &Value) -> Particle {
    if let Some(kind) = value["$particle"].as_u64() {
        let kind = ParticleType(kind.try_into().unwrap());
        return Particle::new(kind, unhex(value["hex"].as_str().unwrap()));
    }
    match read(value) {
        Tagged::Nil => Particle::NIL,
        Tagged::Bool(truth) => Particle::bool(truth),
        Tagged::Integer(number) => Particle::integer(number),
        Tagged::Float(number) => Particle::float(number),
        Tagged::Text(ParticleType::GEOJSON, text) => Particle::geojson(&text),
        Tagged::Text(kind, content) => Particle::new(kind, content),
        Tagged::List(..) | Tagged::Range(..) | Tagged::Raw(_) => packed(ParticleType::LIST, value),
        Tagged::Pairs(..) | Tagged::Object(_) => packed(ParticleType::MAP, value),
    }
}

fn packed(kind: ParticleType, value: &Value) -> Particle {
    let mut out = Vec::new();
    pack(value, &mut out);
    Particle::new(kind, out)
}

fn float(number: f64) -> Value {
    json!({ "$float": number.to_string() })
}

fn string(content: &[u8]) -> Value {
    match std::str::from_utf8(content) {
        Ok(text) => json!(text),
        Err(_) => json!({ "$strhex": hex(content) }),
    }
}

fn text(kind: ParticleType, content: &[u8]) -> Value {
    match kind {
        ParticleType::STRING => string(content),
        ParticleType::GEOJSON => json!({ "$geojson": String::from_utf8_lossy(content) }),
        ParticleType::BLOB => json!({ "$bytes": hex(content) }),
        other => json!({ "$bytes": hex(content), "subtype": other.0 }),
    }
}

/// A bin's value as its type and bytes.
pub(super) fn bytes_of(particle: &Particle) -> Value {
    json!({ "$particle": particle.kind.0, "hex": hex(&particle.data) })
}

/// A bin's value as a tagged value.
pub(super) fn from_particle(particle: &Particle) -> Value {
    let value = particle.as_ref();
    let whole = || -> Option<Value> {
        Some(match value.kind {
            ParticleType::NIL => json!({ "$nil": true }),
            ParticleType::INTEGER => json!(value.as_integer()?),
            ParticleType::FLOAT => float(value.as_float()?),
            ParticleType::BOOL => json!(value.as_bool()?),
            ParticleType::STRING => string(value.data),
            ParticleType::GEOJSON => text(ParticleType::GEOJSON, value.as_geojson()?),
            ParticleType::MAP | ParticleType::LIST => {
                let mut reader = Reader::new(value.data);
                let unpacked = unpack(&mut reader)?;
                reader.finish().ok()?;
                unpacked
            }
            kind if kind.is_blob() => text(kind, value.data),
            _ => return None,
        })
    };
    whole().unwrap_or_else(|| bytes_of(particle))
}

fn unpack(reader: &mut Reader<'_>) -> Option<Value> {
    let unsigned = reader.rest().first() == Some(&0xcf);
    Some(match reader.token().ok()? {
        Token::Integer(number) if unsigned => json!(number.cast_unsigned()),
        Token::Nil => json!({ "$nil": true }),
        Token::Bool(truth) => json!(truth),
        Token::Integer(number) => json!(number),
        Token::Double(number) => float(number),
        Token::Float(number) => float(number.into()),
        Token::Text(content) => match content.split_first() {
            Some((kind, content)) => text(ParticleType(*kind), content),
            None => json!({ "$strhex": "" }),
        },
        Token::List(count) => {
            let (flags, count) = reader.list_order(count).ok()?;
            let items: Option<Vec<Value>> = (0..count).map(|_| unpack(reader)).collect();
            match flags {
                0 => json!(items?),
                _ => json!({ "$list": items?, "flags": flags }),
            }
        }
        Token::Map(count) => {
            let (flags, count) = reader.map_order(count).ok()?;
            let pairs: Option<Vec<(Value, Value)>> = (0..count)
                .map(|_| Some((unpack(reader)?, unpack(reader)?)))
                .collect();
            map(pairs?, flags)
        }
        Token::Extension { .. } | Token::Order(_) => return None,
    })
}

/// A map is a plain object when its keys are strings that cannot be taken for tags.
fn map(pairs: Vec<(Value, Value)>, flags: u8) -> Value {
    let plain: Option<Map<String, Value>> = pairs
        .iter()
        .map(|(key, item)| {
            let key = key.as_str().filter(|key| !key.starts_with('$'))?;
            Some((key.to_owned(), item.clone()))
        })
        .collect();
    match (flags, plain) {
        (0, Some(plain)) if plain.len() == pairs.len() => Value::Object(plain),
        (0, _) => json!({ "$map": pairs }),
        _ => json!({ "$map": pairs, "flags": flags }),
    }
}

/// Orders the pairs of maps and gives floats one spelling, so that equal values are equal JSON.
pub(super) fn normal(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(normal).collect()),
        Value::Object(entries) => {
            if let Some(number) = entries.get("$float") {
                let number: f64 = number.as_str().unwrap().parse().unwrap();
                let spelled = if number.is_nan() {
                    "nan".to_owned()
                } else {
                    format!("{:016x}", number.to_bits())
                };
                return json!({ "$float": spelled });
            }
            let mut entries: Map<String, Value> = entries
                .iter()
                .map(|(key, item)| (key.clone(), normal(item)))
                .collect();
            if let Some(Value::Array(pairs)) = entries.get_mut("$map") {
                pairs.sort_by_key(|pair| pair[0].to_string());
            }
            Value::Object(entries)
        }
        other => other.clone(),
    }
}

/// Whether two tagged values are the same; maps compare without regard to order.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    normal(left) == normal(right)
}
