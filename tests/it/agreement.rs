//! Functions and operations change the same lists and maps, in turn: each finds what the other has left, with its order,
//! its flags and the types of its elements.

use std::collections::BTreeMap;

use bytes::BytesMut;
use protocol::message::{Info2, MessageHeader, MessageWriter, OpCode};
use protocol::msgpack::{
    order, write_integer, write_list_header, write_map_header, write_nil, write_order, write_text,
};
use protocol::particle::{Particle, ParticleType};
use protocol::result_code::ResultCode;
use tests::connection::{Connection, Reply};
use tests::records::{CallOptions, RecordKey, put_module};

const MODULE: &[u8] = b"
function append(rec, v) local l = rec.l list.append(l, v) rec.l = l return aerospike:update(rec) end
function drop(rec, i) local l = rec.l list.remove(l, i) rec.l = l return aerospike:update(rec) end
function put(rec, k, v) local m = rec.m m[k] = v rec.m = m return aerospike:update(rec) end
function remove(rec, k) local m = rec.m map.remove(m, k) rec.m = m return aerospike:update(rec) end
";

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from(self.0 % bound).unwrap()
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    write_text(out, ParticleType::STRING, text.as_bytes());
}

struct Bench {
    connection: Connection,
    record: RecordKey,
}

impl Bench {
    fn send(&mut self, frame: &BytesMut) -> Reply {
        self.connection.message(frame).unwrap()
    }

    /// Sends one modifying operation.
    fn operate(&mut self, bin: &str, payload: &[u8]) {
        let header = MessageHeader {
            info2: Info2::WRITE,
            ..MessageHeader::default()
        };
        let mut out = BytesMut::new();
        let mut message = MessageWriter::new(&mut out, &header);
        message
            .namespace("test")
            .set("agree")
            .digest(&self.record.digest());
        let value = Particle::new(ParticleType::BLOB, payload.to_vec());
        message.op(OpCode::CDT_MODIFY, bin.as_bytes(), value.as_ref());
        message.finish().unwrap();
        let reply = self.send(&out);
        assert_eq!(reply.code(), ResultCode::OK, "{payload:02x?}");
    }

    /// Calls a function; the arguments are encoded.
    fn call(&mut self, function: &str, arguments: &[Vec<u8>]) {
        let mut list = Vec::new();
        write_list_header(&mut list, arguments.len());
        list.extend(arguments.concat());
        let frame = self
            .record
            .apply(b"agree", function.as_bytes(), &list, CallOptions::default())
            .unwrap();
        let reply = self.send(&frame);
        assert_eq!(reply.code(), ResultCode::OK, "{function}: {:?}", reply.bins);
    }

    fn bin(&mut self, name: &str) -> Particle {
        let frame = self.record.get().unwrap();
        let reply = self.send(&frame);
        reply.bin(name).cloned().unwrap_or_default()
    }
}

fn integer(number: i64) -> Vec<u8> {
    let mut out = Vec::new();
    write_integer(&mut out, number);
    out
}

fn encoded_text(value: &str) -> Vec<u8> {
    let mut out = Vec::new();
    text(&mut out, value);
    out
}

/// A payload of a number and encoded arguments.
fn payload(number: i64, arguments: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    write_list_header(&mut out, arguments.len() + 1);
    write_integer(&mut out, number);
    out.extend(arguments.concat());
    out
}

fn encoded_list(elements: &[i64]) -> Particle {
    let mut out = Vec::new();
    write_list_header(&mut out, elements.len());
    for element in elements {
        write_integer(&mut out, *element);
    }
    Particle::new(ParticleType::LIST, out)
}

fn ordered_list(elements: &[i64]) -> Particle {
    let mut out = Vec::new();
    write_list_header(&mut out, elements.len() + 1);
    write_order(&mut out, order::KEY);
    for element in elements {
        write_integer(&mut out, *element);
    }
    Particle::new(ParticleType::LIST, out)
}

fn encoded_map(pairs: &BTreeMap<String, i64>, flags: u8) -> Particle {
    let mut out = Vec::new();
    write_map_header(&mut out, pairs.len() + usize::from(flags != 0));
    if flags != 0 {
        write_order(&mut out, flags);
        write_nil(&mut out);
    }
    for (key, value) in pairs {
        text(&mut out, key);
        write_integer(&mut out, *value);
    }
    Particle::new(ParticleType::MAP, out)
}

fn bench(server: &crate::server::Server, key: &str) -> Bench {
    let mut connection = Connection::open(server.address()).unwrap();
    assert_eq!(
        put_module(&mut connection, "agree.lua", MODULE).unwrap(),
        "ok"
    );
    Bench {
        connection,
        record: RecordKey::new("test", "agree", key),
    }
}

#[test]
fn lists_that_functions_and_operations_change_in_turn() {
    let server = crate::server::start();
    // Ordered or not, with and without an index, which no function sees.
    for (seed, kind) in [(1_u64, 0), (2, 0x10), (3, 1), (4, 0x11)] {
        let mut numbers = Numbers(seed * 0x9e37_79b9);
        let mut bench = bench(&server, &format!("list {seed}"));
        let ordered = kind & 1 != 0;
        bench.operate("l", &payload(0, &[integer(kind)]));
        let mut model: Vec<i64> = Vec::new();
        for step in 0..150 {
            let value = numbers.below(300) - 150;
            let size = model.len().max(1) as u64;
            let at = usize::try_from(numbers.below(size)).unwrap();
            match numbers.below(if model.len() > 1 { 6 } else { 2 }) {
                0 => {
                    bench.operate("l", &payload(1, &[integer(value)]));
                    model.push(value);
                }
                1 => {
                    bench.call("append", &[integer(value)]);
                    model.push(value);
                }
                2 if ordered => {
                    let twice = encoded_list(&[value, value]).data.to_vec();
                    bench.operate("l", &payload(2, &[twice]));
                    model.extend([value, value]);
                }
                2 => {
                    bench.operate("l", &payload(3, &[integer(at as i64), integer(value)]));
                    model.insert(at, value);
                }
                3 => {
                    // Lua counts from 1.
                    bench.call("drop", &[integer(at as i64 + 1)]);
                    model.remove(at);
                }
                4 => {
                    bench.operate("l", &payload(12, &[integer(at as i64), integer(value)]));
                    model[at] += value;
                }
                _ => {
                    bench.operate("l", &payload(13, &[]));
                    model.sort_unstable();
                }
            }
            let wanted = if ordered {
                model.sort_unstable();
                ordered_list(&model)
            } else {
                encoded_list(&model)
            };
            assert_eq!(bench.bin("l"), wanted, "kind {kind}, step {step}");
        }
    }
}

#[test]
fn maps_that_functions_and_operations_change_in_turn() {
    let server = crate::server::start();
    for (seed, flags) in [
        (1_u64, 0_u8),
        (2, order::KEY),
        (3, order::KEY | order::VALUE),
    ] {
        let mut numbers = Numbers(seed * 0x9e37_79b9);
        let mut bench = bench(&server, &format!("map {seed}"));
        bench.operate("m", &payload(64, &[integer(flags.into())]));
        let mut model: BTreeMap<String, i64> = BTreeMap::new();
        for step in 0..150 {
            let key = format!("k{}", numbers.below(20));
            let value = numbers.below(300) - 150;
            match numbers.below(5) {
                0 => {
                    let arguments = [encoded_text(&key), integer(value), integer(0)];
                    bench.operate("m", &payload(67, &arguments));
                    model.insert(key, value);
                }
                1 => {
                    bench.call("put", &[encoded_text(&key), integer(value)]);
                    model.insert(key, value);
                }
                2 => {
                    bench.operate("m", &payload(73, &[encoded_text(&key), integer(value)]));
                    *model.entry(key).or_insert(0) += value;
                }
                3 => {
                    bench.call("remove", &[encoded_text(&key)]);
                    model.remove(&key);
                }
                _ => {
                    bench.operate("m", &payload(76, &[integer(0), encoded_text(&key)]));
                    model.remove(&key);
                }
            }
            assert_eq!(
                bench.bin("m"),
                encoded_map(&model, flags),
                "flags {flags}, seed {seed}, step {step}"
            );
        }
    }
}
