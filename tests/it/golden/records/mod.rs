//! Replay of `records.jsonl`: commands on records, alone, in batches and in queries, what they answer and what they
//! leave.

mod answer;
mod indexes;
mod request;

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::header::{Header, MessageType};
use protocol::key::Digest;
use protocol::message::{FieldType, Info1, Info3, Message};
use protocol::result_code::ResultCode;
use serde_json::{Map, Value, json};
use tests::connection::Connection;
use tests::error::{Error, Result};
use tests::records::put_module;

use self::answer::{Answer, name_shown, note, shown_value, ttl_class};
use self::request::{DEFAULT_SET, Part};
use super::{Findings, Target, value};

const FILE: &str = "records.jsonl";

/// One test a group of topics.
macro_rules! groups {
    ($($group:ident = $name:literal)*) => {
        $(
            #[test]
            fn $group() {
                replay($name);
            }
        )*

        #[test]
        fn every_group_of_the_file_has_a_test() {
            let mut tested = vec![$($name),*];
            tested.sort_unstable();
            let mut recorded: Vec<String> = cases().map(group).collect();
            recorded.sort();
            recorded.dedup();
            assert_eq!(recorded, tested);
        }
    };
}

groups! {
    put = "put"
    get = "get"
    key = "key"
    delete = "delete"
    delete_all = "deleteall"
    touch = "touch"
    modify = "modify"
    operate = "operate"
    durable = "durable"
    digest = "digest"
    set = "set"
    namespace = "namespace"
    filter = "filter"
    message = "message"
    geo = "geo"
    truncate = "truncate"
    batch = "batch"
    query = "query"
}

/// The cases of the file, without its data sets.
fn cases() -> impl Iterator<Item = &'static Value> {
    let lines = super::cases(FILE).iter();
    lines.filter(|line| line.get("dataset").is_none())
}

fn group(case: &Value) -> String {
    let topic = case["topic"].as_str().unwrap();
    topic.split('/').next().unwrap().to_owned()
}

fn replay(wanted: &str) {
    let target = Target::open();
    let mut findings = Findings::default();
    let mut runner = Runner::open(&target).unwrap();
    for case in cases().filter(|case| group(case) == wanted) {
        let name = case["case"].as_str().unwrap();
        let difference = runner.run(case).unwrap_or_else(|error| {
            // The connection may be gone or out of step; the next case begins anew.
            runner =
                Runner::open(&target).unwrap_or_else(|lost| panic!("{name}: {error}; then {lost}"));
            format!("    {error}\n")
        });
        findings.add(FILE, name, difference);
    }
    findings.check(FILE, wanted, &target.log());
}

/// One connection, and the data set that is loaded.
struct Runner<'t> {
    target: &'t Target,
    connection: Connection,
    data_sets: HashMap<&'static str, &'static Value>,
    loaded: Option<String>,
    keys: HashMap<Digest, Value>,
}

impl<'t> Runner<'t> {
    fn open(target: &'t Target) -> Result<Self> {
        let data_sets = super::cases(FILE)
            .iter()
            .filter_map(|line| Some((line["dataset"].as_str()?, line)))
            .collect();
        Ok(Self {
            target,
            connection: Connection::open(target.address())?,
            data_sets,
            loaded: None,
            keys: HashMap::new(),
        })
    }

    /// Sends a message, gives the messages of the reply up to the one that ends it.
    fn send(&mut self, body: &[u8]) -> Result<Vec<Answer>> {
        let header = Header::new(MessageType::Message, body.len() as u64);
        self.connection.send(&[&header.to_bytes(), body].concat())?;
        let kind = Replies::of(body);
        let mut answers = Vec::new();
        loop {
            let (_, frame) = self.connection.receive()?;
            for message in Message::parse_all(&frame) {
                let message = message.map_err(|error| Error::Unexpected(error.to_string()))?;
                answers.push(Answer::of(&message));
            }
            let Some(answer) = answers.last() else {
                continue;
            };
            let of_partition = answer.header.info3.contains(Info3::PARTITION_DONE);
            let refused = answer.header.result != ResultCode::OK && !of_partition;
            let at_end = match kind {
                Replies::One => true,
                Replies::OfBatch => answer.is_last(),
                Replies::OfQuery => answer.is_last() || refused,
            };
            if at_end {
                return Ok(answers);
            }
        }
    }

    /// Runs a case; the text is empty when everything is as recorded.
    fn run(&mut self, case: &Value) -> Result<String> {
        if let Some(name) = case["load"].as_str() {
            self.load(name)?;
        }
        let nothing = Map::new();
        let others = case["others"].as_object().unwrap_or(&nothing);
        let mut records = vec![(case["main"].clone(), case)];
        for (name, other) in others {
            let mut who = json!({ "k": name });
            if let Some(namespace) = other.get("ns") {
                who["ns"] = namespace.clone();
            }
            records.push((who, other));
        }
        let sets = sets(case);
        for (who, _) in &records {
            self.wipe(case, who, &sets)?;
        }
        for (who, record) in &records {
            self.write_before(case, who, record)?;
        }
        let mut difference = String::new();
        let alone = std::slice::from_ref(case);
        let steps = case["steps"].as_array().map_or(alone, Vec::as_slice);
        for (number, step) in steps.iter().enumerate() {
            let got = match self.step(case, step) {
                Err(Error::Io { .. }) => {
                    self.connection = Connection::open(self.target.address())?;
                    json!({ "closed": true })
                }
                got => got?,
            };
            let nothing = json!({});
            let expected = step.get("expect").unwrap_or(&nothing);
            let (expected, got) = (in_any_order(expected), in_any_order(&got));
            note(&mut difference, &format!("step {number}"), &expected, &got);
        }
        for (who, record) in &records {
            let got = self.read(case, who)?;
            let what = format!("record {}", who["k"].as_str().unwrap_or_default());
            note(&mut difference, &what, &state(record), &got);
            self.wipe(case, who, &sets)?;
        }
        Ok(difference)
    }

    fn step(&mut self, case: &Value, step: &Value) -> Result<Value> {
        if let Some(command) = step["info"].as_str() {
            let answer = self.connection.info(&with_time(command))?;
            return Ok(json!({ "info": answer }));
        }
        if let Some(seconds) = step["sleep"].as_f64() {
            std::thread::sleep(Duration::from_secs_f64(seconds));
            return Ok(json!({}));
        }
        if let Some(batch) = step.get("batch") {
            return self.batch(&request::batch(case, batch));
        }
        if let Some(query) = step.get("query") {
            return self.query(query);
        }
        let answers = self.send(&request::single(&Part::of(case, step)))?;
        Ok(Value::Object(answers[0].shown()))
    }

    fn batch(&mut self, body: &[u8]) -> Result<Value> {
        let mut answers = self.send(body)?;
        let last = answers.pop().unwrap();
        let rows: Vec<Value> = answers
            .iter()
            .map(|answer| {
                let mut row = answer.shown();
                row.insert("index".to_owned(), json!(answer.header.transaction_ttl));
                Value::Object(row)
            })
            .collect();
        Ok(json!({ "last": last.header.result.0, "rows": rows }))
    }

    fn query(&mut self, query: &Value) -> Result<Value> {
        let mut answers = self.send(&request::query(query))?;
        let last = answers.pop().unwrap();
        let mut got = json!({ "code": last.header.result.0 });
        if !last.is_last() {
            got["no_last"] = json!(true);
        }
        let of_record = |answer: &&Answer| !answer.header.info3.contains(Info3::PARTITION_DONE);
        let mut rows: Vec<Value> = answers
            .iter()
            .filter(of_record)
            .map(|answer| self.row(query, answer))
            .collect();
        if query["distinct"] == true {
            rows.sort_by_key(ordered_text);
            rows.dedup();
        }
        if let Some(range) = query["count_between"].as_array() {
            let count = rows.len() as u64;
            let fits = (range[0].as_u64().unwrap()..=range[1].as_u64().unwrap()).contains(&count);
            got["count"] = if fits { json!("between") } else { json!(count) };
        } else if query["count_only"] == true {
            got["count"] = json!(rows.len());
        } else if !rows.is_empty() {
            got["rows"] = json!(rows);
        }
        Ok(got)
    }

    fn row(&self, query: &Value, answer: &Answer) -> Value {
        let mut row = answer.shown();
        if answer.header.result == ResultCode::OK {
            row.remove("code");
        }
        if row.remove("ttl").is_some() {
            row.insert("expires".to_owned(), json!(true));
        }
        if answer.header.info1.bits() != 0 {
            row.insert("info1".to_owned(), json!(answer.header.info1.bits()));
        }
        if let Some(digest) = answer.field(FieldType::DIGEST) {
            let key = Digest(digest.try_into().unwrap());
            row.insert("key".to_owned(), self.keys[&key].clone());
        }
        let named = [
            (FieldType::NAMESPACE, "ns", Some("test")),
            (FieldType::SET, "set", query["set"].as_str()),
        ];
        for (kind, member, expected) in named {
            let name = answer.field(kind).map(name_shown);
            if name.is_some() && name.as_deref() != expected {
                row.insert(member.to_owned(), json!(name));
            }
        }
        if let Some(key) = answer.field(FieldType::KEY) {
            let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
            row.insert("stored_key".to_owned(), json!(hex));
        }
        Value::Object(row)
    }

    /// Writes a record as it is to be before the steps.
    fn write_before(&mut self, case: &Value, who: &Value, record: &Value) -> Result<()> {
        let Some(bins) = record["before"].as_object() else {
            return Ok(());
        };
        let meta = &record["before_meta"];
        let mut step = put_of(bins);
        for source in [who, meta] {
            for member in ["k", "ns", "set", "send_key", "key_field", "ttl"] {
                if let Some(content) = source.get(member) {
                    step[member] = content.clone();
                }
            }
        }
        let body = request::single(&Part::of(case, &step));
        for _ in 0..meta["gen"].as_u64().unwrap_or(1) {
            let answers = self.send(&body)?;
            assert_eq!(
                answers[0].header.result,
                ResultCode::OK,
                "put of the record before, {}",
                case["case"]
            );
        }
        Ok(())
    }

    fn read(&mut self, case: &Value, who: &Value) -> Result<Value> {
        let mut step = json!({ "info1": 3, "info2": 0, "ttl": -1, "set": null });
        for member in ["k", "ns"] {
            if let Some(content) = who.get(member) {
                step[member] = content.clone();
            }
        }
        let answers = self.send(&request::single(&Part::of(case, &step)))?;
        let answer = &answers[0];
        match answer.header.result {
            ResultCode::NOT_FOUND => return Ok(json!({ "after": null })),
            ResultCode::OK => {}
            code => return Ok(json!({ "after": { "$code": code.0 } })),
        }
        let bins: Map<String, Value> = answer
            .ops
            .iter()
            .map(|(_, name, bin)| (name_shown(name), shown_value(bin)))
            .collect();
        let mut got = json!({ "after": bins, "gen": answer.header.generation });
        if answer.header.record_ttl != 0 {
            got["after_ttl"] = json!(ttl_class(answer.header.record_ttl));
        }
        Ok(got)
    }

    /// Removes a record, whatever namespace and set of the case it is in.
    fn wipe(&mut self, case: &Value, who: &Value, sets: &[Value]) -> Result<()> {
        let mut namespaces = vec!["test"];
        namespaces.extend(who["ns"].as_str());
        if case.to_string().contains("\"bar\"") {
            namespaces.push("bar");
        }
        namespaces.dedup();
        for namespace in namespaces {
            for set in sets {
                let mut step = json!({ "info1": 0, "info2": 3, "ns": namespace, "set": set });
                if let Some(record) = who.get("k") {
                    step["k"] = record.clone();
                }
                let answers = self.send(&request::single(&Part::of(case, &step)))?;
                let gone = [ResultCode::OK, ResultCode::NOT_FOUND];
                if gone.contains(&answers[0].header.result) {
                    break;
                }
            }
        }
        Ok(())
    }

    fn load(&mut self, name: &str) -> Result<()> {
        if self.loaded.as_deref() == Some(name) {
            return Ok(());
        }
        let data_set = self.data_sets[name].clone();
        for (module, source) in data_set["modules"].as_object().into_iter().flatten() {
            let source = source.as_str().unwrap().as_bytes();
            let answer = put_module(&mut self.connection, module, source)?;
            assert_eq!(answer, "ok", "udf-put of {module}");
        }
        let set = data_set["set"].as_str().unwrap();
        for record in data_set["records"].as_array().into_iter().flatten() {
            let key = value::to_particle(&record["key"]);
            let digest = Digest::of_particle(set, key.as_ref());
            self.keys.insert(digest, record["key"].clone());
            let hex: String = digest.0.iter().map(|byte| format!("{byte:02x}")).collect();
            let place = |mut step: Value| {
                step["set"] = json!(set);
                step["digest_hex"] = json!(hex);
                step
            };
            let delete = place(json!({ "info1": 0, "info2": 3 }));
            self.send(&request::single(&Part::of(&data_set, &delete)))?;
            let mut step = place(put_of(record["bins"].as_object().unwrap()));
            if record["send_key"] == true {
                step["key_field"] = record["key"].clone();
            }
            if let Some(ttl) = record.get("ttl") {
                step["ttl"] = ttl.clone();
            }
            let body = request::single(&Part::of(&data_set, &step));
            for _ in 0..record["gen"].as_u64().unwrap_or(1) {
                let answers = self.send(&body)?;
                assert_eq!(answers[0].header.result, ResultCode::OK, "put of {name}");
            }
        }
        self.loaded = Some(name.to_owned());
        Ok(())
    }
}

/// A request that writes these bins.
fn put_of(bins: &Map<String, Value>) -> Value {
    let ops = bins.iter();
    let ops: Vec<Value> = ops
        .map(|(name, bin)| json!({ "op": 2, "bin": name, "value": bin }))
        .collect();
    json!({ "ops": ops, "info1": 0, "info2": 1 })
}

/// What the reply to a message is made of.
#[derive(Clone, Copy)]
enum Replies {
    One,
    /// Rows, and one that ends them.
    OfBatch,
    /// Records, and one that ends them, or says why there are none.
    OfQuery,
}

impl Replies {
    fn of(body: &[u8]) -> Self {
        match Message::parse(body) {
            Ok(message) if message.header.info1.contains(Info1::BATCH) => Self::OfBatch,
            Ok(message) if !message.fields.has(FieldType::DIGEST) => Self::OfQuery,
            _ => Self::One,
        }
    }
}

/// All sets in which a case may leave its record.
fn sets(case: &Value) -> Vec<Value> {
    let mut sets = vec![json!(DEFAULT_SET), Value::Null];
    let mut add = |part: &Value| {
        if let Some(set) = part.get("set")
            && !sets.contains(set)
        {
            sets.push(set.clone());
        }
    };
    let alone = std::slice::from_ref(case);
    let steps = case["steps"].as_array().map_or(alone, Vec::as_slice);
    let others = case["others"].as_object().into_iter().flatten();
    let parts = steps.iter().chain(others.map(|(_, other)| other));
    add(&case["before_meta"]);
    for part in parts {
        add(part);
        add(&part["before_meta"]);
        for row in part["batch"]["rows"].as_array().into_iter().flatten() {
            add(row);
        }
    }
    sets
}

/// How a record is to be afterwards.
fn state(record: &Value) -> Value {
    let after = if record["after"] == "same" {
        &record["before"]
    } else {
        &record["after"]
    };
    let mut state = json!({ "after": after });
    for member in ["gen", "after_ttl"] {
        if let Some(content) = record.get(member) {
            state[member] = content.clone();
        }
    }
    state
}

/// An answer with its rows in an order of their own.
fn in_any_order(answer: &Value) -> Value {
    let mut answer = answer.clone();
    if let Some(Value::Array(rows)) = answer.get_mut("rows") {
        rows.sort_by_key(ordered_text);
    }
    answer
}

/// The text of a value with the members of objects in order.
fn ordered_text(value: &Value) -> String {
    let mut value = value::normal(value);
    value.sort_all_objects();
    value.to_string()
}

/// Puts times into a command: `${now}` is nanoseconds since 1970; `+N`, `-N` and `/D` may follow the word.
fn with_time(command: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = i128::try_from(now.as_nanos()).unwrap();
    let mut out = String::new();
    let mut rest = command;
    while let Some((before, after)) = rest.split_once("${now") {
        let (expression, after) = after.split_once('}').unwrap();
        let (sum, divisor) = expression.split_once('/').unwrap_or((expression, "1"));
        let added: i128 = if sum.is_empty() {
            0
        } else {
            sum.parse().unwrap()
        };
        let time = (now + added) / divisor.parse::<i128>().unwrap();
        out.push_str(before);
        out.push_str(&time.to_string());
        rest = after;
    }
    out + rest
}
