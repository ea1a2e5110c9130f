//! Requests of the cases, byte by byte: also those that no client would send.

use protocol::key::Digest;
use protocol::particle::Particle;
use serde_json::Value;

use super::super::value::{self, unhex};

/// Operations that read.
const READ_OPS: [u64; 5] = [1, 3, 7, 12, 15];

/// Partitions of a namespace.
const PARTITIONS: u16 = 4096;

const DEFAULT_NAMESPACE: &str = "test";
pub(super) const DEFAULT_SET: &str = "rec";

/// A step or a row of a case, or the case itself, which stands for its only step.
pub(super) struct Part<'v> {
    pub(super) case: &'v Value,
    pub(super) step: &'v Value,
    /// Which of the case's records it is about: empty, or `#` and a name.
    pub(super) record: String,
}

impl<'v> Part<'v> {
    pub(super) fn of(case: &'v Value, step: &'v Value) -> Self {
        let record = match &step["k"] {
            Value::Null => String::new(),
            Value::String(name) => format!("#{name}"),
            number => format!("#{number}"),
        };
        Self { case, step, record }
    }

    /// The key that the digest is made of.
    pub(super) fn key(&self) -> Particle {
        if self.record.is_empty() && !self.case["key"].is_null() {
            return value::to_particle(&self.case["key"]);
        }
        let case = self.case["case"].as_str().unwrap();
        Particle::string(format!("{case}{}", self.record))
    }

    pub(super) fn digest(&self) -> Digest {
        Digest::of_particle(DEFAULT_SET, self.key().as_ref())
    }

    fn fields(&self, in_row: bool) -> Vec<(u8, Vec<u8>)> {
        let step = self.step;
        let mut fields = Vec::new();
        if let Some(namespace) = named(step, "ns", DEFAULT_NAMESPACE) {
            fields.push((0, namespace));
        }
        if let Some(set) = named(step, "set", DEFAULT_SET) {
            fields.push((1, set));
        }
        if step["send_key"] == true {
            fields.push((2, key_bytes(&self.key())));
        }
        if !step["key_field"].is_null() {
            fields.push((2, key_bytes(&value::to_particle(&step["key_field"]))));
        }
        if let Some(hex) = step["key_field_hex"].as_str() {
            fields.push((2, unhex(hex)));
        }
        match (in_row, step.get("digest_hex")) {
            (true, _) | (_, Some(Value::Null)) => {}
            (false, Some(hex)) => fields.push((4, unhex(hex.as_str().unwrap()))),
            (false, None) => fields.push((4, self.digest().0.to_vec())),
        }
        push_udf(&step["udf"], &mut fields);
        push_filter(step, &mut fields);
        push_fields(step, "fields", &mut fields);
        fields
    }
}

/// The bytes that a member names: as text, or as hexadecimal digits; absent the default, null none.
fn named(step: &Value, member: &str, default: &str) -> Option<Vec<u8>> {
    match step.get(member) {
        None => Some(default.as_bytes().to_vec()),
        Some(Value::Null) => None,
        Some(name) => Some(untext(name.as_str().unwrap())),
    }
}

fn untext(text: &str) -> Vec<u8> {
    match text.strip_prefix("$hex:") {
        Some(hex) => unhex(hex),
        None => text.as_bytes().to_vec(),
    }
}

fn key_bytes(key: &Particle) -> Vec<u8> {
    [&[key.kind.0][..], &key.data].concat()
}

fn push_udf(udf: &Value, fields: &mut Vec<(u8, Vec<u8>)>) {
    if udf.is_null() {
        return;
    }
    if let Some(kind) = udf["op"].as_u64() {
        fields.push((33, vec![u8::try_from(kind).unwrap()]));
    }
    fields.push((30, udf["package"].as_str().unwrap().into()));
    fields.push((31, udf["function"].as_str().unwrap().into()));
    let arguments = match udf["args_hex"].as_str() {
        Some(hex) => unhex(hex),
        None => payload(udf.get("args").unwrap_or(&Value::Array(Vec::new()))),
    };
    fields.push((32, arguments));
}

fn push_filter(step: &Value, fields: &mut Vec<(u8, Vec<u8>)>) {
    if let Some(filter) = step.get("filter") {
        fields.push((43, payload(filter)));
    }
    if let Some(hex) = step["filter_hex"].as_str() {
        fields.push((43, unhex(hex)));
    }
}

fn push_fields(step: &Value, member: &str, fields: &mut Vec<(u8, Vec<u8>)>) {
    for field in step[member].as_array().into_iter().flatten() {
        let kind = u8::try_from(field[0].as_u64().unwrap()).unwrap();
        fields.push((kind, unhex(field[1].as_str().unwrap())));
    }
}

fn payload(value: &Value) -> Vec<u8> {
    let mut packed = Vec::new();
    value::pack(value, &mut packed);
    packed
}

fn number(step: &Value, member: &str) -> Option<u64> {
    let number = step.get(member)?;
    #[expect(
        clippy::cast_sign_loss,
        reason = "negative numbers stand for the top of the unsigned range"
    )]
    let signed = || number.as_i64().map(|number| number as u64);
    number.as_u64().or_else(signed)
}

/// The lowest bytes of a number.
fn low<const N: usize>(number: u64) -> [u8; N] {
    let bytes = number.to_be_bytes();
    bytes[8 - N..].try_into().unwrap()
}

/// Value type and bytes of an op.
fn op_value(op: &Value) -> (u8, Vec<u8>) {
    let kind = |default| u8::try_from(number(op, "ptype").unwrap_or(default)).unwrap();
    if let Some(hex) = op["payload_hex"].as_str().or_else(|| op["hex"].as_str()) {
        return (kind(4), unhex(hex));
    }
    if let Some(list) = op.get("payload") {
        return (kind(4), payload(list));
    }
    match op.get("value") {
        Some(bin) => {
            let particle = value::to_particle(bin);
            (particle.kind.0, particle.data.to_vec())
        }
        None => (kind(0), Vec::new()),
    }
}

fn push_op(op: &Value, bin: &[u8], out: &mut Vec<u8>) {
    if let Some(hex) = op["raw"].as_str() {
        out.extend(unhex(hex));
        return;
    }
    let (kind, data) = op_value(op);
    let size = (4 + bin.len() + data.len()) as u64;
    out.extend(low::<4>(number(op, "size").unwrap_or(size)));
    let name_len = number(op, "name_len").unwrap_or(bin.len() as u64);
    let [code, flags, name_len] = [
        number(op, "op").unwrap(),
        number(op, "flags").unwrap_or(0),
        name_len,
    ]
    .map(|number| u8::try_from(number).unwrap());
    out.extend([code, kind, flags, name_len]);
    out.extend(bin);
    out.extend(data);
}

/// All ops with their number.
fn ops(step: &Value) -> (u64, Vec<u8>) {
    let (mut count, mut out) = (0, Vec::new());
    for op in step["ops"].as_array().into_iter().flatten() {
        let bin = op["bin"].as_str().unwrap_or_default();
        let Some(repeat) = op["repeat"].as_array() else {
            count += 1;
            push_op(op, &untext(bin), &mut out);
            continue;
        };
        let (first, last) = (repeat[0].as_u64().unwrap(), repeat[1].as_u64().unwrap());
        for number in first..=last {
            count += 1;
            push_op(
                op,
                bin.replace("%d", &number.to_string()).as_bytes(),
                &mut out,
            );
        }
    }
    (count, out)
}

fn push_field_bytes(fields: &[(u8, Vec<u8>)], out: &mut Vec<u8>) {
    for (kind, data) in fields {
        out.extend(u32::try_from(data.len() + 1).unwrap().to_be_bytes());
        out.push(*kind);
        out.extend(data);
    }
}

/// The three bytes of bits, by default those that the ops need.
fn bits(step: &Value) -> [u8; 3] {
    let mut writes = false;
    let mut reads = false;
    for op in step["ops"].as_array().into_iter().flatten() {
        if let Some(code) = number(op, "op") {
            let is_read = READ_OPS.contains(&code);
            reads |= is_read;
            writes |= !is_read;
        }
    }
    let info1 = u64::from(reads || !writes);
    let respond_all = if step["respond_all"] == false {
        0
    } else {
        0x80
    };
    let info2 = u64::from(writes) | respond_all;
    [("info1", info1), ("info2", info2), ("info3", 0)]
        .map(|(member, default)| u8::try_from(number(step, member).unwrap_or(default)).unwrap())
}

/// The fixed part of a message.
struct Header {
    size: u64,
    bits: [u8; 3],
    info4: u64,
    generation: u64,
    ttl: u64,
    timeout: u64,
    n_fields: u64,
    n_ops: u64,
}

impl Header {
    fn bytes(&self) -> Vec<u8> {
        let mut out = low::<1>(self.size).to_vec();
        out.extend(self.bits);
        out.extend(low::<1>(self.info4));
        out.push(0);
        for number in [self.generation, self.ttl, self.timeout] {
            out.extend(low::<4>(number));
        }
        out.extend(low::<2>(self.n_fields));
        out.extend(low::<2>(self.n_ops));
        out
    }
}

/// Body of the message of a step on one record.
pub(super) fn single(part: &Part<'_>) -> Vec<u8> {
    let step = part.step;
    if let Some(hex) = step["msg_hex"].as_str() {
        return unhex(hex);
    }
    let fields = part.fields(false);
    let (count, ops) = ops(step);
    let header = Header {
        size: number(step, "header").unwrap_or(22),
        bits: bits(step),
        info4: number(step, "info4").unwrap_or(0),
        generation: number(step, "generation").unwrap_or(0),
        ttl: number(step, "ttl").unwrap_or(0),
        timeout: number(step, "timeout").unwrap_or(0),
        n_fields: number(step, "n_fields").unwrap_or(fields.len() as u64),
        n_ops: number(step, "n_ops").unwrap_or(count),
    };
    let mut out = header.bytes();
    push_field_bytes(&fields, &mut out);
    out.extend(unhex(step["fields_raw"].as_str().unwrap_or_default()));
    out.extend(ops);
    out.extend(unhex(step["tail_hex"].as_str().unwrap_or_default()));
    out
}

fn push_row(case: &Value, place: usize, row: &Value, out: &mut Vec<u8>) {
    let part = Part::of(case, row);
    out.extend(low::<4>(number(row, "index").unwrap_or(place as u64)));
    match row["digest_hex"].as_str() {
        Some(hex) => out.extend(unhex(hex)),
        None => out.extend(part.digest().0),
    }
    if row["repeat"] == true {
        out.extend(low::<1>(number(row, "row_flags").unwrap_or(1)));
        return;
    }
    let [info1, info2, info3] = bits(row);
    let default = if info2 & 1 == 1 { 0x0e } else { 0x0a };
    let flags = number(row, "row_flags").unwrap_or(default);
    out.extend(low::<1>(flags));
    out.push(info1);
    if flags & 0x02 != 0 {
        out.extend([info2, info3]);
    }
    if flags & 0x10 != 0 {
        out.extend(low::<1>(number(row, "info4").unwrap_or(0)));
    }
    if flags & 0x04 != 0 {
        out.extend(low::<2>(number(row, "generation").unwrap_or(0)));
    }
    if flags & 0x08 != 0 {
        out.extend(low::<4>(number(row, "ttl").unwrap_or(0)));
    }
    let fields = part.fields(true);
    let (count, ops) = ops(row);
    out.extend(low::<2>(
        number(row, "n_fields").unwrap_or(fields.len() as u64),
    ));
    out.extend(low::<2>(number(row, "n_ops").unwrap_or(count)));
    push_field_bytes(&fields, out);
    out.extend(ops);
}

/// Body of the message of a batch.
pub(super) fn batch(case: &Value, batch: &Value) -> Vec<u8> {
    let rows = batch["rows"].as_array().unwrap();
    let data = match batch["data_hex"].as_str() {
        Some(hex) => unhex(hex),
        None => {
            let mut data = low::<4>(number(batch, "count").unwrap_or(rows.len() as u64)).to_vec();
            data.extend(low::<1>(number(batch, "flags").unwrap_or(0x0d)));
            for (place, row) in rows.iter().enumerate() {
                push_row(case, place, row, &mut data);
            }
            data.extend(unhex(batch["tail_hex"].as_str().unwrap_or_default()));
            data
        }
    };
    let mut fields = Vec::new();
    push_filter(batch, &mut fields);
    match number(batch, "field").unwrap_or(41) {
        0 => {}
        kind => fields.push((u8::try_from(kind).unwrap(), data)),
    }
    push_fields(batch, "fields", &mut fields);
    let bits = [("info1", 8), ("info2", 0), ("info3", 0)]
        .map(|(member, default)| u8::try_from(number(batch, member).unwrap_or(default)).unwrap());
    let header = Header {
        size: 22,
        bits,
        info4: 0,
        generation: 0,
        ttl: 0,
        timeout: number(batch, "timeout").unwrap_or(5000),
        n_fields: fields.len() as u64,
        n_ops: 0,
    };
    let mut out = header.bytes();
    push_field_bytes(&fields, &mut out);
    out
}

fn partitions(value: &Value) -> Vec<u8> {
    if let Some(hex) = value["hex"].as_str() {
        return unhex(hex);
    }
    let id = |value: &Value| u16::try_from(value.as_u64().unwrap()).unwrap();
    let list: Vec<u16> = match value {
        Value::String(all) => {
            assert_eq!(all, "all");
            (0..PARTITIONS).collect()
        }
        Value::Array(list) => list.iter().map(id).collect(),
        range => (id(&range["from"])..=id(&range["to"])).collect(),
    };
    list.iter().flat_map(|id| id.to_le_bytes()).collect()
}

/// A range of integers, or the bytes of one.
fn index_range(range: &Value) -> Vec<u8> {
    if let Some(hex) = range["hex"].as_str() {
        return unhex(hex);
    }
    let bin = range["bin"].as_str().unwrap();
    let mut out = vec![1, u8::try_from(bin.len()).unwrap()];
    out.extend(bin.as_bytes());
    out.push(u8::try_from(number(range, "type").unwrap()).unwrap());
    for bound in ["begin", "end"] {
        out.extend(low::<4>(8));
        out.extend(low::<8>(number(range, bound).unwrap()));
    }
    out
}

/// Body of the message of a query.
pub(super) fn query(query: &Value) -> Vec<u8> {
    let text = |member: &str| query[member].as_str().unwrap_or_default();
    let mut fields = vec![(0, query["ns"].as_str().unwrap_or(DEFAULT_NAMESPACE).into())];
    if query.get("set").is_some() {
        fields.push((1, text("set").into()));
    }
    let mut sized = |member: &str, kind: u8, size: usize| match query.get(member) {
        None => {}
        Some(Value::Object(hex)) => fields.push((kind, unhex(hex["hex"].as_str().unwrap()))),
        Some(_) => {
            let bytes = number(query, member).unwrap().to_be_bytes();
            fields.push((kind, bytes[8 - size..].to_vec()));
        }
    };
    sized("rps", 10, 4);
    sized("socket_timeout", 9, 4);
    sized("task_id", 7, 8);
    sized("index_type", 26, 1);
    if query.get("index_name").is_some() {
        fields.push((21, text("index_name").into()));
    }
    if let Some(range) = query.get("range") {
        fields.push((22, index_range(range)));
    }
    if query.get("context").is_some() {
        fields.push((23, unhex(text("context"))));
    }
    if let Some(names) = query["binlist"].as_array() {
        let mut list = vec![u8::try_from(names.len()).unwrap()];
        for name in names {
            let name = name.as_str().unwrap();
            list.push(u8::try_from(name.len()).unwrap());
            list.extend(name.as_bytes());
        }
        fields.push((40, list));
    }
    push_udf(&query["udf"], &mut fields);
    if query.get("filter").is_some() {
        fields.push((43, unhex(text("filter"))));
    }
    if let Some(list) = query.get("pids") {
        fields.push((11, partitions(list)));
    }
    match query.get("max_records") {
        None => {}
        Some(Value::Object(hex)) => fields.push((13, unhex(hex["hex"].as_str().unwrap()))),
        Some(_) => fields.push((13, low::<8>(number(query, "max_records").unwrap()).to_vec())),
    }
    push_fields(query, "extra_fields", &mut fields);
    let (count, ops) = ops(query);
    let bits = [("info1", 1), ("info2", 0), ("info3", 4)]
        .map(|(member, default)| u8::try_from(number(query, member).unwrap_or(default)).unwrap());
    let header = Header {
        size: 22,
        bits,
        info4: number(query, "info4").unwrap_or(0),
        generation: 0,
        ttl: number(query, "record_ttl").unwrap_or(0),
        timeout: number(query, "transaction_ttl").unwrap_or(0),
        n_fields: fields.len() as u64,
        n_ops: count,
    };
    let mut out = header.bytes();
    push_field_bytes(&fields, &mut out);
    out.extend(ops);
    out
}
