//! What a real server answered to 4,809 requests, and what was in the record afterwards, asked of the operations alone.
//!
//! What needs a whole server (reply bits, generation, other kinds of ops) is compared by the replay over the socket.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use data::encoded::Landmarks;
use data::expression::{Context, RecordExpressions};
use data::metadata::Metadata;
use data::operation::{Call, Change, Environment, Limits, collection};
use data::work::Unmetered;
use protocol::key::Digest;
use protocol::message::OpCode;
use protocol::particle::Particle;
use protocol::result_code::ResultCode;
use serde_json::Value;

use crate::tagged;

type Bins = BTreeMap<String, Particle>;

const RECORDING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/operate.jsonl");

/// Ops that are not of this module, and so are the socket's alone.
const OTHERS: [u64; 6] = [5, 7, 8, 9, 10, 11];

/// Replies and bins after the ops; or the code.
fn run(ops: &[Value], record: Option<&Bins>) -> Result<(Vec<Particle>, Option<Bins>), ResultCode> {
    let writes = ops
        .iter()
        .any(|op| OpCode(op["op"].as_u64().unwrap().try_into().unwrap()).is_write());
    if record.is_none() && !writes {
        return Err(ResultCode::NOT_FOUND);
    }
    let mut bins = record.cloned().unwrap_or_default();
    let mut replies = Vec::new();
    for op in ops {
        let name = op["bin"].as_str().unwrap_or("b").to_owned();
        let code = OpCode(op["op"].as_u64().unwrap().try_into().unwrap());
        let value = tagged::payload(op);
        match code {
            OpCode::READ => replies.push(bins.get(&name).map_or(Particle::NIL, shown)),
            OpCode::WRITE => {
                let stored = value
                    .as_ref()
                    .normalize()
                    .map_err(|error| error.result_code())?;
                bins.insert(name, stored);
                replies.push(Particle::NIL);
            }
            OpCode::DELETE_ALL => {
                bins.clear();
                replies.push(Particle::NIL);
            }
            _ => {
                let call = Call::parse(code, value.as_ref()).expect("one of the six");
                let limits = Limits {
                    max_particle_bytes: 1 << 20,
                };
                let digest = Digest([0; 20]);
                let metadata = Metadata::of_new(&digest, b"golden");
                let record = Context::of_record(metadata, None, 0, limits);
                let mut environment = Environment {
                    limits,
                    work: &mut Unmetered::default(),
                    landmarks: Landmarks::NONE,
                    expressions: Some(&mut RecordExpressions::of(record)),
                };
                let applied = call
                    .apply(bins.get(&name).map(Particle::as_ref), &mut environment)
                    .map_err(|error| error.code)?;
                match applied.change {
                    Change::Keep => {}
                    Change::Set(particle) => {
                        bins.insert(name, particle);
                    }
                    Change::Append(_) | Change::Prepend(_) => panic!("not of these operations"),
                    Change::Remove => {
                        bins.remove(&name);
                    }
                }
                replies.push(applied.reply.unwrap_or(Particle::NIL));
            }
        }
    }
    if bins.is_empty() && record.is_none() {
        return Err(ResultCode::NOT_FOUND);
    }
    Ok((replies, (!bins.is_empty()).then_some(bins)))
}

fn shown(stored: &Particle) -> Particle {
    Particle::new(
        stored.kind,
        collection::visible(stored.as_ref()).into_owned(),
    )
}

fn bins(value: &Value) -> Option<Bins> {
    value.as_object().map(|object| {
        object
            .iter()
            .map(|(name, value)| (name.clone(), tagged::particle(value)))
            .collect()
    })
}

fn same_bins(left: Option<&Bins>, right: Option<&Bins>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| {
                    left.0 == right.0 && tagged::same(left.1.as_ref(), shown(right.1).as_ref())
                })
        }
        (left, right) => left.is_none() && right.is_none(),
    }
}

/// What differs; `None` when nothing does.
fn check(case: &Value) -> Option<String> {
    let before = bins(&case["before"]).map(|bins| {
        bins.into_iter()
            .map(|(name, particle)| (name, particle.as_ref().normalize().unwrap()))
            .collect::<Bins>()
    });
    let mut record = before.clone();
    for step in case["setup"].as_array().into_iter().flatten() {
        match run(step["ops"].as_array().unwrap(), record.as_ref()) {
            Ok((_, after)) => record = after,
            Err(code) => return Some(format!("setup: {code}")),
        }
    }
    let expect = &case["expect"];
    let code = ResultCode(expect["code"].as_u64().unwrap().try_into().unwrap());
    let after = if case["after"] == "same" {
        before.clone()
    } else {
        bins(&case["after"])
    };
    match run(case["ops"].as_array().unwrap(), record.as_ref()) {
        Err(got) if got == code => same_bins(after.as_ref(), record.as_ref())
            .then_some(())
            .map_or(Some("the record should have changed".into()), |()| None),
        Err(got) => Some(format!("expect {code}, got {got}")),
        Ok(_) if code != ResultCode::OK => Some(format!("expect {code}, got success")),
        Ok((replies, got)) => {
            let mut text = String::new();
            if case["respond_all"] != false {
                let wanted: Vec<Particle> = expect["results"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|result| tagged::particle(&result[2]))
                    .collect();
                if wanted.len() != replies.len() {
                    let _ = write!(
                        text,
                        "expect {} replies, got {}; ",
                        wanted.len(),
                        replies.len()
                    );
                }
                for (place, (wanted, got)) in wanted.iter().zip(&replies).enumerate() {
                    if !tagged::same(wanted.as_ref(), got.as_ref()) {
                        let _ = write!(
                            text,
                            "reply {place}: expect {} got {}; ",
                            printed(wanted),
                            printed(got)
                        );
                    }
                }
            }
            if !same_bins(after.as_ref(), got.as_ref()) {
                let _ = write!(text, "after: expect {after:?}, got {got:?}");
            }
            (!text.is_empty()).then_some(text)
        }
    }
}

fn printed(particle: &Particle) -> String {
    match protocol::value::Value::from_particle(particle.as_ref()) {
        Ok(value) => format!(
            "{value:?} ({:02x?})",
            &particle.data[..particle.data.len().min(40)]
        ),
        Err(_) => format!("{particle:?}"),
    }
}

#[test]
fn every_recorded_answer() {
    let text = std::fs::read_to_string(RECORDING).unwrap();
    let only = std::env::var("ONLY").unwrap_or_default();
    let (mut passed, mut elsewhere, mut failed) = (0, 0, Vec::new());
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let name = case["case"].as_str().unwrap().to_owned();
        if !name.contains(&only) {
            continue;
        }
        let other = case["ops"]
            .as_array()
            .unwrap()
            .iter()
            .any(|op| OTHERS.contains(&op["op"].as_u64().unwrap()));
        if other
            || ["info1", "info2", "info3"]
                .iter()
                .any(|bits| case.get(*bits).is_some())
        {
            elsewhere += 1;
            continue;
        }
        match check(&case) {
            None => passed += 1,
            Some(_) if case["compat"] == "optional" => elsewhere += 1,
            Some(text) => failed.push(format!(
                "{name}\n    {}\n    {} {}\n    {text}",
                case["before"], case["setup"], case["ops"]
            )),
        }
    }
    let report: String = failed.join("\n");
    assert!(
        failed.is_empty(),
        "{report}\n{passed} passed, {} failed",
        failed.len()
    );
    assert!(
        passed > 4700 || !only.is_empty(),
        "only {passed} cases were compared, {elsewhere} not"
    );
}
