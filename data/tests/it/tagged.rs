//! Values as the recordings write them, tagged JSON, to particles and msgpack.

use protocol::msgpack::{
    write_bool, write_float, write_integer, write_list_header, write_map_header, write_nil,
    write_order, write_text,
};
use protocol::particle::{Particle, ParticleRef, ParticleType};
use serde_json::Value;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn flags(value: &Value) -> u8 {
    value["flags"].as_u64().unwrap_or(0).try_into().unwrap()
}

fn number(text: &str) -> f64 {
    text.parse().unwrap()
}

fn blob_type(value: &Value) -> ParticleType {
    ParticleType(value["subtype"].as_u64().unwrap_or(4).try_into().unwrap())
}

/// Writes a value as msgpack. The order of elements and pairs is kept, also where it is wrong on purpose.
pub(crate) fn pack(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => write_nil(out),
        Value::Bool(truth) => write_bool(out, *truth),
        Value::Number(number) => match number.as_i64() {
            Some(number) => write_integer(out, number),
            None => {
                out.push(0xcf);
                out.extend_from_slice(&number.as_u64().unwrap().to_be_bytes());
            }
        },
        Value::String(text) => write_text(out, ParticleType::STRING, text.as_bytes()),
        Value::Array(elements) => list(elements, 0, out),
        Value::Object(object) => match object.keys().next().map(String::as_str) {
            Some("$nil") => write_nil(out),
            Some("$float") => write_float(out, number(value["$float"].as_str().unwrap())),
            Some("$strhex") => write_text(
                out,
                ParticleType::STRING,
                &hex(value["$strhex"].as_str().unwrap()),
            ),
            Some("$bytes") => write_text(
                out,
                blob_type(value),
                &hex(value["$bytes"].as_str().unwrap()),
            ),
            Some("$geojson") => write_text(
                out,
                ParticleType::GEOJSON,
                value["$geojson"].as_str().unwrap().as_bytes(),
            ),
            Some("$raw") => {
                let text = value["$raw"].as_str().unwrap().as_bytes();
                let mut typed = Vec::new();
                write_text(&mut typed, ParticleType::STRING, text);
                assert!(text.len() < 31, "short texts only");
                out.push(0xa0 | u8::try_from(text.len()).unwrap());
                out.extend_from_slice(text);
            }
            Some("$wild") => out.extend_from_slice(&[0xd4, 0xff, 0x00]),
            Some("$inf") => out.extend_from_slice(&[0xd4, 0xff, 0x01]),
            Some("$uint") => {
                out.push(0xcf);
                out.extend_from_slice(&value["$uint"].as_u64().unwrap().to_be_bytes());
            }
            Some("$msgpack") => out.extend_from_slice(&hex(value["$msgpack"].as_str().unwrap())),
            Some("$list") => list(value["$list"].as_array().unwrap(), flags(value), out),
            Some("$map") => {
                let pairs = value["$map"].as_array().unwrap();
                map(
                    pairs.iter().map(|pair| (pair[0].clone(), &pair[1])),
                    flags(value),
                    out,
                );
            }
            Some("$repeat") => {
                let count = value["$repeat"][1].as_u64().unwrap().try_into().unwrap();
                let text = value["$repeat"][0].as_str().unwrap().repeat(count);
                write_text(out, ParticleType::STRING, text.as_bytes());
            }
            Some("$range") => {
                let bound = |at: usize| value["$range"][at].as_i64().unwrap();
                let all: Vec<Value> = (bound(0)..=bound(1)).map(Value::from).collect();
                list(&all, 0, out);
            }
            Some(tag) if tag.starts_with('$') => panic!("unknown tag {tag}"),
            _ => map(
                object
                    .iter()
                    .map(|(key, value)| (Value::from(key.as_str()), value)),
                0,
                out,
            ),
        },
    }
}

fn list(elements: &[Value], flags: u8, out: &mut Vec<u8>) {
    write_list_header(out, elements.len() + usize::from(flags != 0));
    if flags != 0 {
        write_order(out, flags);
    }
    for element in elements {
        pack(element, out);
    }
}

fn map<'a>(pairs: impl ExactSizeIterator<Item = (Value, &'a Value)>, flags: u8, out: &mut Vec<u8>) {
    write_map_header(out, pairs.len() + usize::from(flags != 0));
    if flags != 0 {
        write_order(out, flags);
        write_nil(out);
    }
    for (key, value) in pairs {
        pack(&key, out);
        pack(value, out);
    }
}

/// The particle of a bin or a reply.
pub(crate) fn particle(value: &Value) -> Particle {
    let tag = value
        .as_object()
        .and_then(|object| object.keys().next())
        .map(String::as_str);
    match (value, tag) {
        (Value::Null, _) | (_, Some("$nil")) => Particle::NIL,
        (Value::Bool(truth), _) => Particle::bool(*truth),
        (Value::Number(number), _) => Particle::integer(
            number
                .as_i64()
                .unwrap_or_else(|| number.as_u64().unwrap().cast_signed()),
        ),
        (Value::String(text), _) => Particle::string(text.clone().into_bytes()),
        (_, Some("$float")) => Particle::float(number(value["$float"].as_str().unwrap())),
        (_, Some("$strhex")) => Particle::string(hex(value["$strhex"].as_str().unwrap())),
        (_, Some("$bytes")) => {
            Particle::new(blob_type(value), hex(value["$bytes"].as_str().unwrap()))
        }
        (_, Some("$geojson")) => Particle::geojson(value["$geojson"].as_str().unwrap().as_bytes()),
        (_, Some("$particle")) => Particle::new(
            ParticleType(value["$particle"].as_u64().unwrap().try_into().unwrap()),
            hex(value["hex"].as_str().unwrap()),
        ),
        (_, Some("$repeat")) => {
            let count = value["$repeat"][1].as_u64().unwrap().try_into().unwrap();
            Particle::string(
                value["$repeat"][0]
                    .as_str()
                    .unwrap()
                    .repeat(count)
                    .into_bytes(),
            )
        }
        _ => {
            let mut out = Vec::new();
            pack(value, &mut out);
            let kind = match out[0] {
                0x90..=0x9f | 0xdc | 0xdd => ParticleType::LIST,
                _ => ParticleType::MAP,
            };
            Particle::new(kind, out)
        }
    }
}

/// The bytes of an op's value.
pub(crate) fn payload(op: &Value) -> Particle {
    let kind = op["ptype"].as_u64().unwrap_or(4).try_into().unwrap();
    let data = if let Some(text) = op["payload_hex"].as_str() {
        hex(text)
    } else if op.get("payload").is_some() {
        let mut out = Vec::new();
        pack(&op["payload"], &mut out);
        out
    } else if op.get("value").is_some() {
        return particle(&op["value"]);
    } else {
        return Particle::NIL;
    };
    Particle::new(ParticleType(kind), data)
}

/// Whether a recorded value and an answer are the same. NaN has many forms, of which a recording keeps none; nor does it
/// keep that a float has 4 bytes, or the cells of GeoJSON.
pub(crate) fn same(recorded: ParticleRef<'_>, got: ParticleRef<'_>) -> bool {
    use protocol::value::Value;
    recorded == got
        || (recorded.kind == ParticleType::GEOJSON && recorded.as_geojson() == got.as_geojson())
        || (got.data.contains(&0xca)
            && Value::from_particle(recorded).ok() == Value::from_particle(got).ok())
        || (recorded.kind == ParticleType::FLOAT
            && recorded.as_float().is_some_and(f64::is_nan)
            && got.as_float().is_some_and(f64::is_nan))
}

/// The same of a bin: maps are written in any order in a recording, and stored sorted.
#[allow(
    dead_code,
    reason = "the replay over the socket is included from another crate"
)]
pub(crate) fn same_stored(recorded: &Particle, got: ParticleRef<'_>) -> bool {
    same(recorded.as_ref(), got)
        || recorded
            .as_ref()
            .normalize()
            .is_ok_and(|recorded| same(recorded.as_ref(), got))
}
