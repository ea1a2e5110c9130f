//! Operations on lists, maps, bits and sketches whose cost is measured, beside plain reads and writes of as many bytes.

use bytes::BytesMut;
use protocol::message::{Info1, Info2, MessageHeader, MessageWriter, OpCode};
use protocol::msgpack::{
    order, write_integer, write_list_header, write_map_header, write_nil, write_order, write_text,
};
use protocol::particle::{Particle, ParticleRef, ParticleType};

use crate::error::{Error, Result};
use crate::records::{RecordKey, WriteOptions};

/// Numbers of elements.
const SIZES: [usize; 3] = [10, 1_000, 100_000];

/// A request that is repeated, and the one that is sent before.
#[derive(Debug)]
pub struct OperationCase {
    /// What it measures.
    pub name: String,
    /// The frame that makes the record.
    pub before: BytesMut,
    /// The frame whose cost counts.
    pub measured: BytesMut,
}

/// Map of so many pairs: texts of about 20 bytes together with their keys up to 1,000 of them, integers above, so that the
/// record stays below a megabyte.
fn map(count: usize, flags: u8) -> Particle {
    let mut out = Vec::new();
    write_map_header(&mut out, count + usize::from(flags != 0));
    if flags != 0 {
        write_order(&mut out, flags);
        write_nil(&mut out);
    }
    for number in 0..count {
        key(&mut out, count, number);
        value(&mut out, count, number);
    }
    Particle::new(ParticleType::MAP, out)
}

fn list(count: usize, ordered: bool) -> Particle {
    let mut out = Vec::new();
    write_list_header(&mut out, count + usize::from(ordered));
    if ordered {
        write_order(&mut out, order::KEY);
    }
    for number in 0..count {
        integer(&mut out, number);
    }
    Particle::new(ParticleType::LIST, out)
}

fn integer(out: &mut Vec<u8>, number: usize) {
    write_integer(out, i64::try_from(number).unwrap_or(i64::MAX));
}

fn key(out: &mut Vec<u8>, count: usize, number: usize) {
    if count > 1_000 {
        integer(out, number);
    } else {
        write_text(
            out,
            ParticleType::STRING,
            format!("key{number:05}").as_bytes(),
        );
    }
}

fn value(out: &mut Vec<u8>, count: usize, number: usize) {
    if count > 1_000 {
        integer(out, number);
    } else {
        write_text(
            out,
            ParticleType::STRING,
            format!("value{number:015}").as_bytes(),
        );
    }
}

/// A payload of integers, with encoded arguments behind them.
fn payload(numbers: &[i64], arguments: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    write_list_header(&mut out, numbers.len() + arguments.len());
    for number in numbers {
        write_integer(&mut out, *number);
    }
    for argument in arguments {
        out.extend_from_slice(argument);
    }
    out
}

/// One op on the bin `b` of the record.
fn operate(record: &RecordKey, op: OpCode, value: &[u8]) -> Result<BytesMut> {
    operate_all(record, op, &[value])
}

/// Ops of one kind on the bin `b` of the record.
fn operate_all(record: &RecordKey, op: OpCode, values: &[&[u8]]) -> Result<BytesMut> {
    let header = if op.is_write() {
        MessageHeader {
            info2: Info2::WRITE,
            ..MessageHeader::default()
        }
    } else {
        MessageHeader {
            info1: Info1::READ,
            ..MessageHeader::default()
        }
    };
    let mut out = BytesMut::new();
    let mut message = MessageWriter::new(&mut out, &header);
    message
        .namespace(&record.namespace)
        .set(&record.set)
        .digest(&record.digest());
    for value in values {
        message.op(op, b"b", ParticleRef::new(ParticleType::BLOB, value));
    }
    message
        .finish()
        .map_err(|error| Error::Unexpected(error.to_string()))?;
    Ok(out)
}

/// All cases.
///
/// # Errors
/// A frame cannot be written.
pub fn cases(record: &RecordKey) -> Result<Vec<OperationCase>> {
    const READ: OpCode = OpCode::CDT_READ;
    const MODIFY: OpCode = OpCode::CDT_MODIFY;
    let put = |bin: &Particle| record.put([("b", bin)], WriteOptions::default());
    let mut all = Vec::new();
    let mut add = |name: String, bin: &Particle, measured: BytesMut| -> Result<()> {
        all.push(OperationCase {
            name,
            before: put(bin)?,
            measured,
        });
        Ok(())
    };
    let small = Particle::string("value000000000000500");
    add("get of 20 bytes".to_owned(), &small, record.get()?)?;
    for count in SIZES {
        let middle = count / 2;
        let (mut at, mut new, mut text) = (Vec::new(), Vec::new(), Vec::new());
        key(&mut at, count, middle);
        key(&mut new, count, count);
        value(&mut text, count, middle);
        let ordered = map(count, order::KEY);
        add(format!("get of a map of {count}"), &ordered, record.get()?)?;
        add(format!("put of a map of {count}"), &ordered, put(&ordered)?)?;
        for (kind, bin) in [("ordered", &ordered), ("unordered", &map(count, 0))] {
            let get = operate(record, READ, &payload(&[97, 7], &[&at]))?;
            add(format!("by key, {kind} map of {count}"), bin, get)?;
            let insert = operate(record, MODIFY, &payload(&[67], &[&at, &text]))?;
            add(format!("put, {kind} map of {count}"), bin, insert)?;
        }
        let index = operate(record, READ, &payload(&[98, 7, middle as i64], &[]))?;
        add(format!("by index, ordered map of {count}"), &ordered, index)?;
        let range = operate(record, READ, &payload(&[109, 7], &[&at, &[0], &[10]]))?;
        let name = format!("10 keys from one on, ordered map of {count}");
        add(name, &ordered, range)?;
        // And removed again, so that it does not grow from call to call.
        let there_and_back = [payload(&[67], &[&new, &text]), payload(&[76, 0], &[&new])];
        let [there, back] = &there_and_back;
        let inserted = operate_all(record, MODIFY, &[there, back])?;
        let name = format!("put of a new key and remove, ordered map of {count}");
        add(name, &ordered, inserted)?;
        let ranks = operate(record, READ, &payload(&[106, 7, -10, 10], &[]))?;
        add(
            format!("10 of the highest ranks, map of {count}"),
            &ordered,
            ranks,
        )?;
        let increment = operate(record, MODIFY, &payload(&[73], &[&new, &[1]]))?;
        add(
            format!("increment, ordered map of {count}"),
            &ordered,
            increment,
        )?;
        for (kind, bin) in [
            ("ordered", &list(count, true)),
            ("unordered", &list(count, false)),
        ] {
            // And removed again, so that it does not grow from call to call.
            let there_and_back = [payload(&[1, 5], &[]), payload(&[33, 0, 5], &[])];
            let [there, back] = &there_and_back;
            let append = operate_all(record, MODIFY, &[there, back])?;
            let trim = operate(record, MODIFY, &payload(&[10, 0, count as i64], &[]))?;
            add(
                format!("append and remove, {kind} list of {count}"),
                bin,
                append,
            )?;
            add(format!("trim, {kind} list of {count}"), bin, trim)?;
            let index = operate(record, READ, &payload(&[19, 7, middle as i64], &[]))?;
            add(format!("by index, {kind} list of {count}"), bin, index)?;
            let mut element = Vec::new();
            integer(&mut element, middle);
            let rank = operate(record, READ, &payload(&[22, 3], &[&element]))?;
            add(format!("by value, {kind} list of {count}"), bin, rank)?;
        }
    }
    let names: Vec<u8> = (0..100_u8)
        .flat_map(|number| [0xa3, 3, b'e', number])
        .collect();
    let mut hundred = Vec::new();
    write_list_header(&mut hundred, 100);
    hundred.extend_from_slice(&names);
    let sketch = {
        let mut bytes = vec![0, 12, 0];
        bytes.resize(11 + 3_072, 0);
        Particle::new(ParticleType::HLL, bytes)
    };
    let add_hundred = operate(record, OpCode::HLL_MODIFY, &payload(&[1], &[&hundred]))?;
    add("HLL add of 100".to_owned(), &sketch, add_hundred)?;
    let blob = Particle::new(ParticleType::BLOB, vec![0; 1_000]);
    let set = operate(
        record,
        OpCode::BITS_MODIFY,
        &payload(&[3, 4_000, 8], &[&[0xa2, 4, 0xff]]),
    )?;
    add("bit set, blob of 1,000 bytes".to_owned(), &blob, set)?;
    Ok(all)
}
