//! What came back, compared with what was recorded.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::message::{FieldType, Info3, Message, MessageHeader};
use protocol::particle::{Particle, ParticleType};
use serde_json::{Map, Value, json};

use super::super::value;

/// Seconds from 1970 to 2010, where void times begin.
const EPOCH_2010: i64 = 1_262_304_000;

/// One message of a reply.
pub(super) struct Answer {
    pub(super) header: MessageHeader,
    pub(super) fields: Vec<(FieldType, Vec<u8>)>,
    /// Op, name and value.
    pub(super) ops: Vec<(u8, Vec<u8>, Particle)>,
}

impl Answer {
    pub(super) fn of(message: &Message<'_>) -> Self {
        Self {
            header: message.header,
            fields: message
                .fields
                .iter()
                .map(|field| (field.kind, field.data.to_vec()))
                .collect(),
            ops: message
                .ops
                .iter()
                .map(|op| (op.op.0, op.name.to_vec(), op.particle_ref().to_particle()))
                .collect(),
        }
    }

    pub(super) fn is_last(&self) -> bool {
        self.header.info3.contains(Info3::LAST)
    }

    pub(super) fn field(&self, kind: FieldType) -> Option<&[u8]> {
        let mut fields = self.fields.iter();
        fields
            .find(|(found, _)| *found == kind)
            .map(|(_, data)| data.as_slice())
    }

    /// Code, generation, ttl and ops, as the recordings have them.
    pub(super) fn shown(&self) -> Map<String, Value> {
        let mut shown = Map::new();
        shown.insert("code".to_owned(), json!(self.header.result.0));
        if self.header.generation != 0 {
            shown.insert("gen".to_owned(), json!(self.header.generation));
        }
        if self.header.record_ttl != 0 {
            shown.insert("ttl".to_owned(), json!(ttl_class(self.header.record_ttl)));
        }
        if !self.ops.is_empty() {
            let ops = self.ops.iter();
            let ops = ops.map(|(op, name, bin)| json!([op, name_shown(name), shown_value(bin)]));
            shown.insert("results".to_owned(), ops.collect());
        }
        shown
    }
}

/// Seconds left, rounded to tens.
pub(super) fn ttl_class(void_time: u32) -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let left = i64::from(void_time) - (i64::try_from(now).unwrap() - EPOCH_2010);
    (left + 8).div_euclid(10) * 10
}

pub(super) fn name_shown(name: &[u8]) -> String {
    match std::str::from_utf8(name) {
        Ok(name) => name.to_owned(),
        Err(_) => {
            let mut shown = String::from("$hex:");
            for byte in name {
                write!(shown, "{byte:02x}").unwrap();
            }
            shown
        }
    }
}

/// Deepest nesting of arrays and objects with which a value stands in the file; deeper ones stand as bytes there, as the
/// reader of JSON has a limit.
const MAX_DEPTH: usize = 40;

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Whether two values are the same; with `nan` something in them is no number, and only their sizes are compared.
fn is_same(left: &Particle, right: &Particle, nan: bool) -> bool {
    left == right || (nan && left.data.len() == right.data.len())
}

fn holds_nan(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(holds_nan),
        Value::Object(members) => {
            let float = members.get("$float").and_then(Value::as_str);
            float.is_some_and(|float| float.eq_ignore_ascii_case("nan"))
                || members.values().any(holds_nan)
        }
        _ => false,
    }
}

/// A value as the recordings have it: bytes where JSON would not give the same bytes again.
pub(super) fn shown_value(bin: &Particle) -> Value {
    let mut shown = value::from_particle(bin);
    if depth(&shown) > MAX_DEPTH {
        return value::bytes_of(bin);
    }
    const OPAQUE: [ParticleType; 2] = [ParticleType::VECTOR, ParticleType::HLL];
    // Of what is no number, and of the cells of a place, one form stands for all.
    let exact = !OPAQUE.contains(&bin.kind)
        && (bin.kind == ParticleType::GEOJSON
            || bin.kind == ParticleType::NIL
            || is_same(&value::to_particle(&shown), bin, holds_nan(&shown)));
    if !exact {
        shown = value::bytes_of(bin);
    }
    value::strip(&mut shown);
    shown
}

/// Notes a difference between what was recorded and what came.
pub(super) fn note(difference: &mut String, what: &str, expected: &Value, got: &Value) {
    if !value::same(expected, got) {
        let (expected, got) = (expected.to_string(), got.to_string());
        writeln!(
            difference,
            "    {what}: expect {}\n    {what}: got    {}",
            super::super::short(&expected),
            super::super::short(&got)
        )
        .unwrap();
    }
}
