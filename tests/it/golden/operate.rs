//! Replay of `operate.jsonl`: operations on lists, maps, bits and sketches over the socket, with reply, record and generation.
//!
//! The same cases are asked of the operations alone in the tests of the crate `data`.

use bytes::BytesMut;
use protocol::header::MessageType;
use protocol::message::{
    FieldType, Info1, Info2, Info3, Message, MessageHeader, MessageWriter, OpCode,
};
use protocol::particle::Particle;
use protocol::result_code::ResultCode;
use serde_json::Value;
use tests::connection::Connection;
use tests::error::{Error, Result};
use tests::records::{RecordKey, WriteOptions};

use super::value::unhex;
use super::{Findings, Target, short};

#[path = "../../../data/tests/it/tagged.rs"]
mod tagged;

const FILE: &str = "operate.jsonl";

macro_rules! groups {
    ($($group:ident)*) => {
        $(
            #[test]
            fn $group() {
                replay(FILE, stringify!($group));
            }
        )*

        #[test]
        fn every_group_of_the_file_has_a_test() {
            for case in super::cases(FILE) {
                assert!([$(stringify!($group)),*].contains(&group(case)), "{}", case["topic"]);
            }
        }
    };
}

groups!(list map ctx path bit hll);

/// The topic up to its first slash.
fn group(case: &Value) -> &str {
    case["topic"].as_str().unwrap().split('/').next().unwrap()
}

/// Replays the cases of a group of topics.
fn replay(file: &str, wanted: &str) {
    replay_where(file, wanted, |case| group(case) == wanted);
}

/// Replays those cases of a file for which this holds.
pub(super) fn replay_where(file: &str, wanted: &str, holds: impl Fn(&Value) -> bool) {
    let target = Target::open();
    let mut findings = Findings::default();
    let mut connection = Connection::open(target.address()).unwrap();
    for case in super::cases(file) {
        if !holds(case) {
            continue;
        }
        let name = case["case"].as_str().unwrap();
        let difference = match run(&mut connection, case) {
            Ok(difference) => difference,
            Err(error) => {
                // The connection may be gone or out of step; the next case begins anew.
                connection = Connection::open(target.address())
                    .unwrap_or_else(|lost| panic!("{name}: {error}; then {lost}"));
                format!("    {error}\n")
            }
        };
        findings.add(file, name, difference);
    }
    findings.check(file, wanted, &target.log());
}

/// What a request is answered: every op with its id, bin and value.
struct Answer {
    code: ResultCode,
    generation: u32,
    ops: Vec<(u8, String, Particle)>,
}

fn send(connection: &mut Connection, frame: &BytesMut) -> Result<Answer> {
    connection.send(frame)?;
    let (kind, body) = connection.receive()?;
    if kind != MessageType::Message {
        return Err(Error::Unexpected(format!(
            "a record message was answered by {kind:?}"
        )));
    }
    let message = Message::parse(&body).map_err(|error| Error::Unexpected(error.to_string()))?;
    Ok(Answer {
        code: message.header.result,
        generation: message.header.generation,
        ops: message
            .ops
            .iter()
            .map(|op| {
                let name = String::from_utf8_lossy(op.name).into_owned();
                (op.op.0, name, op.particle_ref().to_particle())
            })
            .collect(),
    })
}

/// Asks a case or a step of its setup.
fn ask(connection: &mut Connection, step: &Value, record: &RecordKey) -> Result<Answer> {
    let ops: Vec<(OpCode, &str, Particle)> = step["ops"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|op| {
            let code = OpCode(op["op"].as_u64().unwrap().try_into().unwrap());
            (code, op["bin"].as_str().unwrap_or("b"), tagged::payload(op))
        })
        .collect();
    let reads = ops.iter().any(|op| op.0.is_read());
    let writes = ops.iter().any(|op| op.0.is_write());
    let bits = |name: &str, default: u8| {
        step[name]
            .as_u64()
            .map_or(default, |bits| bits.try_into().unwrap())
    };
    let respond_all = if step["respond_all"] == false {
        0
    } else {
        0x80
    };
    let header = MessageHeader {
        info1: Info1::from_bits_retain(bits("info1", u8::from(reads || !writes))),
        info2: Info2::from_bits_retain(bits("info2", u8::from(writes) | respond_all)),
        info3: Info3::from_bits_retain(bits("info3", 0)),
        ..MessageHeader::default()
    };
    let mut out = BytesMut::new();
    let mut message = MessageWriter::new(&mut out, &header);
    message
        .namespace("test")
        .set("golden")
        .digest(&record.digest());
    if step.get("filter").is_some() {
        let mut filter = Vec::new();
        tagged::pack(&step["filter"], &mut filter);
        message.field(FieldType::FILTER_EXP, &filter);
    }
    if let Some(hex) = step["filter_hex"].as_str() {
        message.field(FieldType::FILTER_EXP, &unhex(hex));
    }
    for (code, name, value) in &ops {
        message.op(*code, name.as_bytes(), value.as_ref());
    }
    message
        .finish()
        .map_err(|error| Error::Unexpected(error.to_string()))?;
    send(connection, &out)
}

/// Runs a case; the text is empty when everything is as recorded.
fn run(connection: &mut Connection, case: &Value) -> Result<String> {
    let mut record = RecordKey::new("test", "golden", case["case"].as_str().unwrap());
    if let Some(key) = case.get("key") {
        record.key = tagged::particle(key);
    }
    send(connection, &record.delete()?)?;
    if let Some(before) = case["before"].as_object() {
        let bins: Vec<(&str, Particle)> = before
            .iter()
            .map(|(name, value)| (name.as_str(), tagged::particle(value)))
            .collect();
        let options = WriteOptions {
            ttl: case["before_meta"]["ttl"]
                .as_u64()
                .map_or(0, |ttl| ttl.try_into().unwrap()),
            send_key: case["before_meta"]["send_key"] == true,
        };
        let bins = bins.iter().map(|(name, value)| (*name, value));
        let code = send(connection, &record.put(bins, options)?)?.code;
        assert_eq!(code, ResultCode::OK, "put of the record before");
    }
    for step in case["setup"].as_array().into_iter().flatten() {
        let code = ask(connection, step, &record)?.code;
        assert_eq!(code, ResultCode::OK, "setup of {}", case["case"]);
    }
    let answer = ask(connection, case, &record)?;
    let mut difference = String::new();
    let expect = &case["expect"];
    if u64::from(answer.code.0) != expect["code"].as_u64().unwrap() {
        difference += &format!("    expect {expect}\n    got    code {}\n", answer.code.0);
    }
    let wanted: Vec<(u8, String, Particle)> = expect["results"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|result| {
            let op = result[0].as_u64().unwrap().try_into().unwrap();
            (
                op,
                result[1].as_str().unwrap().to_owned(),
                tagged::particle(&result[2]),
            )
        })
        .collect();
    let same = wanted.len() == answer.ops.len()
        && wanted.iter().zip(&answer.ops).all(|(wanted, got)| {
            wanted.0 == got.0
                && wanted.1 == got.1
                && tagged::same(wanted.2.as_ref(), got.2.as_ref())
        });
    if !same {
        let text = short(&format!("{wanted:?}"));
        difference += &format!(
            "    expect {text}\n    got    {}\n",
            short(&format!("{:?}", answer.ops))
        );
    }
    let after = if case["after"] == "same" {
        &case["before"]
    } else {
        &case["after"]
    };
    let read = send(connection, &record.get()?)?;
    let mut bins = read.ops;
    bins.sort_by(|left, right| left.1.cmp(&right.1));
    let mut wanted: Vec<(String, Particle)> = after
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), tagged::particle(value)))
        .collect();
    wanted.sort_by(|left, right| left.0.cmp(&right.0));
    let same = (read.code == ResultCode::NOT_FOUND) == after.is_null()
        && wanted.len() == bins.len()
        && wanted.iter().zip(&bins).all(|(wanted, got)| {
            wanted.0 == got.1 && tagged::same_stored(&wanted.1, got.2.as_ref())
        });
    if !same {
        difference += &format!(
            "    after  {}\n    got    {}\n",
            short(&after.to_string()),
            short(&format!("{bins:?}"))
        );
    } else if let Some(generation) = case["gen"].as_u64()
        && generation != u64::from(read.generation)
    {
        difference += &format!(
            "    generation {generation}\n    got    {}\n",
            read.generation
        );
    }
    send(connection, &record.delete()?)?;
    Ok(difference)
}
