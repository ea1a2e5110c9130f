//! Requests of case files.
//!
//! | request | meaning | what comes of it |
//! |---|---|---|
//! | `call f(1, "a")` | a UDF call on the case's record | the result, or code and reason |
//! | `put a=1 b="x"` | a write of the case's record | `ok` |
//! | `get`, `get ttl` | a read of it | generation, seconds to live if asked for, bins |
//! | `info COMMAND` | an info command | its answer |
//! | `register NAME SOURCE` | `udf-put` of a source | its answer, the message in clear |
//!
//! Words after a call or write: `ttl=SECONDS` `timeout=MS` `key` (sent to be stored) `key=TEXT` (another one sent)
//! `set=NAME` `set=` `namespace=NAME` `module=NAME` `args=HEX` (the argument field as it is) `noargs` (without the field)
//! `filter=true|false` `create-only` `update-only` `generation=N`.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use protocol::info::Failure;
use protocol::key::{Digest, Key};
use protocol::message::{FieldType, Info1, Info2, Info3, MessageHeader, MessageWriter, OpCode};
use protocol::value::Value;

use crate::node::{Answer, Bench};
use crate::notation::{self, written};

/// The record of every case has this key, in this set.
const KEY: &str = "k";
const SET: &str = "demo";

/// Seconds from 1970 to 2010, where void times begin.
const EPOCH_2010: u64 = 1_262_304_000;
/// How long a case may take before its times to live look wrong.
const TTL_TOLERANCE: u64 = 30;

struct Request {
    header: MessageHeader,
    module: String,
    namespace: String,
    set: String,
    key: Option<String>,
    filter: Option<bool>,
}

impl Request {
    fn new(info1: Info1, info2: Info2) -> Self {
        Self {
            header: MessageHeader {
                info1,
                info2,
                ..MessageHeader::default()
            },
            module: "m".to_owned(),
            namespace: "test".to_owned(),
            set: SET.to_owned(),
            key: None,
            filter: None,
        }
    }

    /// Takes a word; false when it is none of these.
    fn word(&mut self, word: &str) -> bool {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let number = || value.parse::<i64>().unwrap();
        match name {
            // As in messages, -1 and -2 are the largest numbers.
            "ttl" => self.header.record_ttl = number() as u32,
            "timeout" => self.header.transaction_ttl = value.parse().unwrap(),
            "key" if value.is_empty() => self.key = Some(KEY.to_owned()),
            "key" => self.key = Some(value.to_owned()),
            "set" => value.clone_into(&mut self.set),
            "namespace" => value.clone_into(&mut self.namespace),
            "module" => value.clone_into(&mut self.module),
            "filter" => self.filter = Some(value == "true"),
            "create-only" => self.header.info2 |= Info2::CREATE_ONLY,
            "update-only" => self.header.info3 |= Info3::UPDATE_ONLY,
            "generation" => {
                self.header.info2 |= Info2::GENERATION;
                self.header.generation = value.parse().unwrap();
            }
            _ => return false,
        }
        true
    }

    fn frame(&self, write_rest: impl FnOnce(&mut MessageWriter<'_>)) -> BytesMut {
        let mut out = BytesMut::new();
        let mut message = MessageWriter::new(&mut out, &self.header);
        message.namespace(&self.namespace);
        if !self.set.is_empty() {
            message.set(&self.set);
        }
        if let Some(key) = &self.key {
            let key = Value::String(key.clone().into_bytes());
            message.key(key.to_particle().unwrap().as_ref());
        }
        message.digest(&Digest::of(SET, &Key::String(KEY.into())));
        if let Some(truth) = self.filter {
            message.field(FieldType::FILTER_EXP, if truth { b"\xc3" } else { b"\xc2" });
        }
        write_rest(&mut message);
        message.finish().unwrap();
        out
    }
}

/// Removes what an earlier case left.
pub(crate) fn clean(bench: &Bench) {
    let request = Request::new(Info1::empty(), Info2::WRITE | Info2::DELETE);
    bench.send(&request.frame(|_| ()));
    for entry in bench.info("udf-list").split(';') {
        let name = entry.strip_prefix("filename=");
        if let Some((name, _)) = name.and_then(|rest| rest.split_once(",hash=")) {
            assert_eq!(bench.info(&format!("udf-remove:filename={name}")), "ok");
        }
    }
}

/// Registers a module; the answer, with the message of a refusal in clear.
pub(crate) fn register(bench: &Bench, name: &str, source: &str) -> String {
    let content = STANDARD.encode(source);
    let answer = bench.info(&format!(
        "udf-put:filename={name};udf-type=LUA;content-len={};content={content}",
        content.len()
    ));
    match Failure::of(&answer).and_then(|failure| failure.message) {
        Some(message) => {
            let (start, _) = answer.split_once(";message=").unwrap();
            format!("{start};message={message}")
        }
        None => answer,
    }
}

/// Sends a request; what came of it, with its mark.
pub(crate) fn run(bench: &Bench, request: &str, expected: &str) -> Result<String, String> {
    let (verb, rest) = request.split_once(' ').unwrap_or((request, ""));
    match verb {
        "call" => call(bench, rest),
        "put" => put(bench, rest),
        "get" if rest.is_empty() || rest == "ttl" => Ok(get(bench, rest == "ttl", expected)),
        "info" => Ok(format!("= {}", bench.info(rest))),
        "register" => {
            let (name, source) = rest.split_once(' ').ok_or("name and source expected")?;
            Ok(format!("= {}", register(bench, name, source)))
        }
        _ => Err(format!("no such request: {verb}")),
    }
}

/// The message of a call, as it is written in a case.
pub(crate) fn call_frame(text: &str) -> Result<BytesMut, String> {
    let (function, rest) = text.split_once('(').ok_or("( expected")?;
    let (values, words) = notation::values(rest, ')')?;
    let mut arguments = Some(
        Value::list(values)
            .to_msgpack()
            .map_err(|e| e.to_string())?,
    );
    let mut request = Request::new(Info1::empty(), Info2::WRITE);
    for word in words.split_whitespace() {
        match word.strip_prefix("args=") {
            Some(digits) => arguments = Some(notation::bytes(digits)?),
            None if word == "noargs" => arguments = None,
            None if request.word(word) => {}
            None => return Err(format!("unknown word {word}")),
        }
    }
    Ok(request.frame(|message| {
        message
            .field(FieldType::UDF_PACKAGE, request.module.as_bytes())
            .field(FieldType::UDF_FUNCTION, function.as_bytes());
        if let Some(arguments) = &arguments {
            message.field(FieldType::UDF_ARGLIST, arguments);
        }
    }))
}

fn call(bench: &Bench, text: &str) -> Result<String, String> {
    let answer = bench.send(&call_frame(text)?);
    Ok(match answer.bins.as_slice() {
        [(name, value)] if name == "SUCCESS" && answer.code == 0 => {
            format!("= {}", written(value))
        }
        [(name, Value::String(text))] if name == "FAILURE" => {
            format!("! {} {}", answer.code, String::from_utf8_lossy(text))
        }
        [] => format!("! {}", answer.code),
        bins => format!("! {} with {bins:?}", answer.code),
    })
}

fn put(bench: &Bench, text: &str) -> Result<String, String> {
    let mut request = Request::new(Info1::empty(), Info2::WRITE);
    let mut bins = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let word = rest.split(' ').next().unwrap_or_default();
        if request.word(word) {
            rest = rest[word.len()..].trim_start();
            continue;
        }
        let (name, after) = rest.split_once('=').ok_or("a bin expected")?;
        let (value, after) = notation::value(after)?;
        bins.push((
            name,
            value.to_particle().map_err(|error| error.to_string())?,
        ));
        rest = after.trim_start();
    }
    let answer = bench.send(&request.frame(|message| {
        for (name, value) in &bins {
            message.op(OpCode::WRITE, name.as_bytes(), value.as_ref());
        }
    }));
    Ok(plain(&answer))
}

fn plain(answer: &Answer) -> String {
    match answer.code {
        0 => "= ok".to_owned(),
        code => format!("! {code}"),
    }
}

fn get(bench: &Bench, with_ttl: bool, expected: &str) -> String {
    let request = Request::new(Info1::READ | Info1::GET_ALL, Info2::empty());
    let answer = bench.send(&request.frame(|_| ()));
    if answer.code != 0 {
        return plain(&answer);
    }
    let mut bins = answer.bins;
    bins.sort_by(|left, right| left.0.cmp(&right.0));
    let bins: Vec<_> = bins
        .iter()
        .map(|(name, value)| format!("{name}={}", written(value)))
        .collect();
    let mut words = vec![answer.generation.to_string()];
    if with_ttl {
        words.push(ttl(answer.void_time, expected.split(' ').nth(2)));
    }
    words.extend(bins);
    format!("= {}", words.join(" "))
}

/// The seconds that are left, or those that are expected when a few have passed.
fn ttl(void_time: u32, expected: Option<&str>) -> String {
    if void_time == 0 {
        return "never".to_owned();
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or(Duration::ZERO).as_secs() - EPOCH_2010;
    let left = u64::from(void_time).saturating_sub(now);
    match expected.and_then(|seconds| seconds.parse().ok()) {
        Some(seconds) if (left..=left + TTL_TOLERANCE).contains(&seconds) => seconds.to_string(),
        _ => left.to_string(),
    }
}
