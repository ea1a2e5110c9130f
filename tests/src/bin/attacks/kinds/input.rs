//! Frames that attackers send, as bytes.

use bytes::BytesMut;
use protocol::header::{Header, MessageType};
use protocol::message::{BodyWriter, FieldType, Info1, Info3, MessageHeader, MessageWriter};
use protocol::msgpack::{write_integer, write_list_header};
use protocol::particle::{Particle, ParticleType};
use tests::error::{Error, Result};
use tests::records::{RecordKey, WriteOptions};

pub(super) fn unexpected(error: impl std::fmt::Display) -> Error {
    Error::Unexpected(error.to_string())
}

pub(super) fn frame(kind: MessageType, body: &[u8]) -> Vec<u8> {
    let header = Header::new(kind, body.len() as u64).to_bytes();
    [&header[..], body].concat()
}

pub(super) fn info(text: &str) -> Vec<u8> {
    frame(MessageType::Info, text.as_bytes())
}

pub(super) fn put_line(name: &str, chunk: &str) -> String {
    use base64::Engine as _;
    let content = base64::engine::general_purpose::STANDARD.encode(chunk);
    format!(
        "udf-put:filename={name};content={content};content-len={};udf-type=LUA;\n",
        content.len()
    )
}

/// A module of about so many bytes whose body does next to nothing.
pub(super) fn long_module(bytes: usize, more: &str) -> String {
    let line = "function f(rec, a, b) local t = {} t[a] = b return t[a] end\n";
    line.repeat(bytes / line.len()) + more
}

/// A message with ops, which `write` adds.
pub(super) fn message(
    key: &RecordKey,
    header: &MessageHeader,
    write: impl FnOnce(&mut MessageWriter<'_>),
) -> Result<Vec<u8>> {
    let mut out = BytesMut::new();
    let mut message = MessageWriter::new(&mut out, header);
    message
        .namespace(&key.namespace)
        .set(&key.set)
        .digest(&key.digest());
    write(&mut message);
    message.finish().map_err(unexpected)?;
    Ok(out.to_vec())
}

/// A corner of a polygon around a place, as JSON.
pub(super) fn corners(count: u32) -> String {
    let corner = |number: u32| {
        let angle = f64::from(number % count) / f64::from(count) * std::f64::consts::TAU;
        format!(
            "[{:.9},{:.9}]",
            13.0 + angle.cos() * 0.5,
            52.0 + angle.sin() * 0.5
        )
    };
    let all: Vec<_> = (0..=count).map(corner).collect();
    format!(
        r#"{{"type":"Polygon","coordinates":[[{}]]}}"#,
        all.join(",")
    )
}

/// A polygon with so many corners whose edges lie side by side, as many as are taken.
pub(super) fn comb(count: u32) -> String {
    let teeth = count - 2;
    let corner = |number: u32| {
        let east = if number.is_multiple_of(2) { 13.0 } else { 17.0 };
        format!("[{east:.4},{:.7}]", 20.0 + f64::from(number) * 0.001)
    };
    let mut all: Vec<_> = (0..teeth).map(corner).collect();
    let end = 20.0 + f64::from(teeth) * 0.001;
    all.extend([format!("[12.9,{end:.7}]"), "[12.9,20.0]".to_owned()]);
    all.extend(all.first().cloned());
    format!(
        r#"{{"type":"Polygon","coordinates":[[{}]]}}"#,
        all.join(",")
    )
}

pub(super) fn place(text: &str) -> Particle {
    Particle::new(
        ParticleType::GEOJSON,
        [&[0, 0, 0][..], text.as_bytes()].concat(),
    )
}

/// A query of a set, by an index when a bin and bounds are given.
pub(super) fn query(set: &str, by: Option<(&str, ParticleType, &[u8])>) -> Result<Vec<u8>> {
    let header = MessageHeader {
        info1: Info1::READ,
        info3: Info3::PARTITION_DONE,
        ..MessageHeader::default()
    };
    let partitions: Vec<u8> = (0..4_096_u16).flat_map(u16::to_le_bytes).collect();
    let mut out = BytesMut::new();
    let mut message = BodyWriter::new(&mut out, &header);
    message.namespace("test").set(set);
    if let Some((bin, kind, bound)) = by {
        let mut range = vec![1, u8::try_from(bin.len()).map_err(unexpected)?];
        range.extend_from_slice(bin.as_bytes());
        range.push(kind.0);
        for _ in 0..2 {
            let length = u32::try_from(bound.len()).map_err(unexpected)?;
            range.extend_from_slice(&length.to_be_bytes());
            range.extend_from_slice(bound);
        }
        message.field(FieldType::INDEX_RANGE, &range);
    }
    message.field(FieldType::PID_ARRAY, &partitions);
    message.finish().map_err(unexpected)?;
    Ok(frame(MessageType::Message, &out))
}

/// A batch whose field holds this.
pub(super) fn batch_of(rows: &[u8]) -> Result<Vec<u8>> {
    let header = MessageHeader {
        info1: Info1::READ | Info1::BATCH,
        transaction_ttl: 1_000,
        ..MessageHeader::default()
    };
    let mut out = BytesMut::new();
    let mut message = MessageWriter::new(&mut out, &header);
    message.field(FieldType::BATCH_INDEX, rows);
    message.finish().map_err(unexpected)?;
    Ok(out.to_vec())
}

/// Rows of so many fields that nobody knows, the first of which names a namespace.
pub(super) fn garbage(rows: u32, fields: u16, namespace: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = rows.to_be_bytes().to_vec();
    bytes.push(4);
    for row in 0..rows {
        bytes.extend_from_slice(&row.to_be_bytes());
        bytes.extend_from_slice(&[7; 20]);
        bytes.extend_from_slice(&[0, 1]);
        bytes.extend_from_slice(&fields.to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        let length = u32::try_from(namespace.len() + 1).map_err(unexpected)?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.push(0);
        bytes.extend_from_slice(namespace);
        for _ in 1..fields {
            bytes.extend_from_slice(&[0, 0, 0, 1, 200]);
        }
    }
    batch_of(&bytes)
}

/// A row of so many ops, and others that repeat it.
pub(super) fn repeated(rows: u32, ops: u16, fields: u16) -> Result<Vec<u8>> {
    let mut bytes = rows.to_be_bytes().to_vec();
    bytes.push(4);
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&[7; 20]);
    bytes.extend_from_slice(&[0, 1]);
    bytes.extend_from_slice(&(fields + 1).to_be_bytes());
    bytes.extend_from_slice(&ops.to_be_bytes());
    bytes.extend_from_slice(b"\0\0\0\x05\0test");
    for _ in 0..fields {
        bytes.extend_from_slice(&[0, 0, 0, 1, 200]);
    }
    for number in 0..ops {
        bytes.extend_from_slice(&[0, 0, 0, 10, 1, 0, 0, 6]);
        bytes.extend_from_slice(format!("c{number:05}").as_bytes());
    }
    for row in 1..rows {
        bytes.extend_from_slice(&row.to_be_bytes());
        bytes.extend_from_slice(&[7; 20]);
        bytes.push(1);
    }
    batch_of(&bytes)
}

/// A filter: one comparison out of so many holds.
pub(super) fn many_comparisons(count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    write_list_header(&mut out, count + 1);
    write_integer(&mut out, 17);
    for number in 0..count {
        write_list_header(&mut out, 3);
        write_integer(&mut out, 1);
        write_list_header(&mut out, 3);
        write_integer(&mut out, 81);
        write_integer(&mut out, 2);
        out.extend_from_slice(&[0xa2, 3, b'a']);
        write_integer(&mut out, i64::try_from(number).unwrap_or(i64::MAX));
    }
    out
}

/// A filter: the bin `t` matches a pattern.
pub(super) fn pattern(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_list_header(&mut out, 4);
    write_integer(&mut out, 7);
    write_integer(&mut out, 1);
    protocol::msgpack::write_text(&mut out, ParticleType::STRING, text.as_bytes());
    // A pattern is a plain text: without the byte that tells what it is.
    write_list_header(&mut out, 3);
    write_integer(&mut out, 81);
    write_integer(&mut out, 3);
    out.extend_from_slice(&[0xa2, 3, b't']);
    out
}

pub(super) fn filtered(key: &RecordKey, filter: &[u8]) -> Result<Vec<u8>> {
    let header = MessageHeader {
        info1: Info1::READ | Info1::GET_ALL,
        ..MessageHeader::default()
    };
    message(key, &header, |message| {
        message.field(FieldType::FILTER_EXP, filter);
    })
}

pub(super) fn payload(numbers: &[i64]) -> Vec<u8> {
    let mut out = Vec::new();
    write_list_header(&mut out, numbers.len());
    for number in numbers {
        write_integer(&mut out, *number);
    }
    out
}

pub(super) fn put(key: &RecordKey, bin: &str, value: &Particle) -> Result<Vec<u8>> {
    Ok(key.put([(bin, value)], WriteOptions::default())?.to_vec())
}

/// Records for scans.
pub(super) fn scanned() -> Result<Vec<Vec<u8>>> {
    (0..3_000)
        .map(|number| {
            let key = RecordKey::new("test", "scanned", &number.to_string());
            put(&key, "a", &Particle::integer(number))
        })
        .collect()
}
