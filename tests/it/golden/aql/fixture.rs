//! What the server holds before a case: records, modules, indexes.

use std::path::PathBuf;

use bytes::BytesMut;
use protocol::key::Digest;
use protocol::message::{Info1, Info2, MessageHeader, MessageWriter, OpCode};
use protocol::particle::Particle;
use protocol::result_code::ResultCode;
use serde_json::{Value, json};
use tests::connection::Connection;
use tests::records::{module_names, put_module, remove_all_modules};

use super::super::value;

/// A module of the recordings.
pub(super) fn lua(name: &str) -> PathBuf {
    crate::golden::path("aql/lua").join(name)
}

pub(super) struct Fixture {
    /// Names and sources.
    modules: Vec<(String, Vec<u8>)>,
    /// Commands that make them.
    indexes: Vec<String>,
    /// The records that are put, in their order.
    puts: Vec<BytesMut>,
    /// Whether the server makes indexes, and how it lists them and the modules; once they are there.
    made: Option<(bool, String)>,
}

impl Fixture {
    pub(super) fn read() -> Self {
        let text = std::fs::read_to_string(crate::golden::path("aql/fixture.json")).unwrap();
        let whole: Value = serde_json::from_str(&text).unwrap();
        let part = |name: &str| whole[name].as_array().unwrap().iter();
        Self {
            modules: part("modules")
                .map(|name| {
                    let name = name.as_str().unwrap();
                    (name.to_owned(), std::fs::read(lua(name)).unwrap())
                })
                .collect(),
            indexes: part("indexes").map(create).collect(),
            puts: part("records").flat_map(puts).collect(),
            made: None,
        }
    }

    /// Makes the server hold just this. False: it makes no indexes.
    ///
    /// Modules and indexes that are as they were made stay.
    pub(super) fn load(&mut self, connection: &mut Connection) -> bool {
        for namespace in ["test", "bar"] {
            let command = format!("truncate-namespace:namespace={namespace}");
            assert_eq!(connection.info(&command).unwrap(), "ok");
        }
        let has_indexes = match &self.made {
            Some((has_indexes, lists)) if *lists == listed(connection) => *has_indexes,
            _ => {
                let has_indexes = self.make(connection);
                self.made = Some((has_indexes, listed(connection)));
                has_indexes
            }
        };
        for put in &self.puts {
            connection.send(put).unwrap();
        }
        for put in &self.puts {
            let code = connection.reply().unwrap().code();
            assert_eq!(code, ResultCode::OK, "{put:?}");
        }
        has_indexes
    }

    /// Makes indexes and modules anew.
    fn make(&self, connection: &mut Connection) -> bool {
        for namespace in ["test", "bar"] {
            for (set, name) in indexes(connection, namespace) {
                let of_set = if set.is_empty() {
                    set
                } else {
                    format!(";set={set}")
                };
                let command =
                    format!("sindex-delete:namespace={namespace}{of_set};indexname={name}");
                connection.info(&command).unwrap();
            }
        }
        remove_all_modules(connection).unwrap();
        for (name, source) in &self.modules {
            assert_eq!(put_module(connection, name, source).unwrap(), "ok");
        }
        let mut has_indexes = true;
        for command in &self.indexes {
            has_indexes &= connection.info(command).unwrap() == "ok";
        }
        has_indexes
    }
}

/// How a server lists its modules and indexes.
fn listed(connection: &mut Connection) -> String {
    let list = |command: &str, connection: &mut Connection| connection.info(command).unwrap();
    let indexes = list("sindex-list", connection).replace("state=WO", "state=RW");
    indexes + &list("udf-list", connection)
}

/// The command that makes an index.
fn create(index: &Value) -> String {
    let text = |name: &str| index[name].as_str().unwrap_or("");
    let part = |key: &str, name: &str| match text(name) {
        "" => String::new(),
        value => format!(";{key}={value}"),
    };
    format!(
        "sindex-create:namespace={}{};indexname={}{};bin={};type={}",
        text("ns"),
        part("set", "set"),
        text("name"),
        part("indextype", "indextype"),
        text("bin"),
        text("type"),
    )
}

/// The puts of what may be one record or many, each as often as its generation says.
fn puts(record: &Value) -> Vec<BytesMut> {
    let (first, last) = match record["repeat"].as_array() {
        Some(bounds) => (bounds[0].as_i64().unwrap(), bounds[1].as_i64().unwrap()),
        None => (0, 0),
    };
    let times = usize::try_from(record["gen"].as_u64().unwrap_or(1)).unwrap();
    (first..=last)
        .flat_map(|number| std::iter::repeat_n(put(&numbered(record, number)), times))
        .collect()
}

fn indexes(connection: &mut Connection, namespace: &str) -> Vec<(String, String)> {
    let list = connection
        .info(&format!("sindex-list:namespace={namespace}"))
        .unwrap();
    let entries = list.split(';').filter(|entry| entry.contains("indexname="));
    entries
        .map(|entry| {
            let value = |name: &str| {
                let found = entry
                    .split(':')
                    .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
                found.unwrap_or("").to_owned()
            };
            let set = value("set");
            let set = if set.eq_ignore_ascii_case("null") {
                String::new()
            } else {
                set
            };
            (set, value("indexname"))
        })
        .collect()
}

/// The record with each `$i` replaced.
fn numbered(template: &Value, number: i64) -> Value {
    match template {
        Value::Object(entries) if entries.contains_key("$i") => {
            let how = &entries["$i"];
            let of = |name: &str, default: i64| how[name].as_i64().unwrap_or(default);
            let mut result = number * of("mul", 1) + of("add", 0);
            if let Some(modulus) = how["mod"].as_i64() {
                result = result.rem_euclid(modulus);
            }
            match how["text"].as_str() {
                Some(text) => json!(text.replace("%d", &result.to_string())),
                None => json!(result),
            }
        }
        Value::Object(entries) => entries
            .iter()
            .map(|(name, value)| (name.clone(), numbered(value, number)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(|item| numbered(item, number)).collect(),
        other => other.clone(),
    }
}

fn frame(record: &Value, header: &MessageHeader, bins: &[(String, Particle)]) -> BytesMut {
    let text =
        |name: &str, default: &'static str| record[name].as_str().unwrap_or(default).to_owned();
    let (namespace, set) = (text("ns", "test"), text("set", ""));
    let key = value::to_particle(&record["key"]);
    let mut out = BytesMut::new();
    let mut message = MessageWriter::new(&mut out, header);
    message.namespace(&namespace);
    if !set.is_empty() {
        message.set(&set);
    }
    message.digest(&Digest::of_particle(&set, key.as_ref()));
    if record["send_key"] != false && header.info2.contains(Info2::WRITE) {
        message.key(key.as_ref());
    }
    for (name, particle) in bins {
        message.op(OpCode::WRITE, name.as_bytes(), particle.as_ref());
    }
    message.finish().unwrap();
    out
}

fn put(record: &Value) -> BytesMut {
    let named = record["bins"].as_object().unwrap().iter();
    let mut bins: Vec<(String, Particle)> = named
        .map(|(name, tagged)| (name.clone(), value::to_particle(tagged)))
        .collect();
    for number in 0..record["many_bins"].as_i64().unwrap_or(0) {
        bins.push((format!("b{number:03}"), Particle::integer(number)));
    }
    let header = MessageHeader {
        info2: Info2::WRITE,
        ..MessageHeader::default()
    };
    frame(record, &header, &bins)
}

/// What a check sees; none for those that look at whole sets or at indexes, which other cases print.
pub(super) fn look(connection: &mut Connection, check: &Value) -> Option<Value> {
    if check["modules"] == true {
        let mut names = module_names(connection).unwrap();
        names.sort();
        return Some(json!(names));
    }
    let record = check.get("record")?;
    let header = MessageHeader {
        info1: Info1::READ | Info1::GET_ALL,
        ..MessageHeader::default()
    };
    let reply = connection.message(&frame(record, &header, &[])).unwrap();
    if reply.code() != ResultCode::OK {
        return Some(json!({ "code": reply.code().0 }));
    }
    let bins: serde_json::Map<String, Value> = reply
        .bins
        .iter()
        .map(|(name, particle)| {
            let name = String::from_utf8_lossy(name).into_owned();
            (name, value::from_particle(particle))
        })
        .collect();
    let ttl = if reply.header.record_ttl == 0 {
        "never"
    } else {
        "some"
    };
    Some(json!({ "bins": bins, "ttl": ttl }))
}
