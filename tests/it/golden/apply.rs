//! Replay of `apply.jsonl`: calls of functions on records, what they answer and what they leave.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use protocol::message::{Info2, Info3};
use protocol::particle::Particle;
use protocol::result_code::ResultCode;
use serde_json::{Map, Value, json};
use tests::connection::{Connection, Reply};
use tests::error::Result;
use tests::records::{CallOptions, RecordKey, WriteOptions, put_module, remove_all_modules};

use super::{Findings, Target, short, value};

const FILE: &str = "apply.jsonl";

/// Seconds from 1970 to 2010, where void times begin.
const EPOCH_2010: u64 = 1_262_304_000;

/// By how many seconds a time to live may differ from the recorded one.
const TTL_TOLERANCE: i64 = 30;

super::topics!("apply.jsonl", replay:
    aerospike_object args booleans bytes errors geojson globals_state iterators limits list logging map numbers
    programs record_basics record_meta requires returns rollback stdlib strings);

fn replay(topic: &str) {
    let target = Target::open();
    let mut findings = Findings::default();
    let mut runner = Runner::open(&target).unwrap();
    for case in super::cases(FILE) {
        if case["topic"] != topic {
            continue;
        }
        let name = case["case"].as_str().unwrap();
        let difference = match runner.run(case) {
            Ok(difference) => difference,
            Err(error) => {
                // The connection may be gone or out of step; the next case begins anew.
                runner = Runner::open(&target)
                    .unwrap_or_else(|lost| panic!("{name}: {error}; then {lost}"));
                format!("    {error}\n")
            }
        };
        findings.add(FILE, name, difference);
    }
    findings.check(FILE, topic, &target.log());
}

/// A module file and the name under which it is to be registered.
#[derive(Clone)]
struct Module {
    name: String,
    file: String,
}

impl Module {
    fn of(value: &Value) -> Self {
        let part = |key: &str| {
            let text = value.as_str().or_else(|| value[key].as_str());
            text.unwrap().to_owned()
        };
        Self {
            name: part("as"),
            file: part("file"),
        }
    }
}

/// One connection, and what is registered at its server: name to file.
struct Runner {
    connection: Connection,
    registered: HashMap<String, String>,
}

impl Runner {
    fn open(target: &Target) -> Result<Self> {
        let mut connection = Connection::open(target.address())?;
        remove_all_modules(&mut connection)?;
        Ok(Self {
            connection,
            registered: HashMap::new(),
        })
    }

    fn put(&mut self, module: &Module) -> Result<()> {
        let source = std::fs::read(super::path("lua").join(&module.file)).unwrap();
        let answer = put_module(&mut self.connection, &module.name, &source)?;
        assert_eq!(answer, "ok", "udf-put of {}", module.name);
        self.registered
            .insert(module.name.clone(), module.file.clone());
        Ok(())
    }

    fn info(&mut self, command: &str) -> Result<String> {
        if let Some(name) = command.strip_prefix("udf-remove:filename=") {
            self.registered.remove(name);
        }
        self.connection.info(command)
    }

    fn send(&mut self, frame: Result<BytesMut>) -> Result<Reply> {
        self.connection.message(&frame?)
    }

    /// Runs a case; the text is empty when everything is as recorded.
    fn run(&mut self, case: &Value) -> Result<String> {
        self.prepare_modules(case)?;
        let record = record(case);
        let known_namespace = matches!(record.namespace.as_str(), "test" | "bar");
        if known_namespace {
            self.send(record.delete())?;
        }
        self.write_before(case, &record)?;

        let mut difference = String::new();
        let alone = std::slice::from_ref(case);
        let steps = case["steps"].as_array().map_or(alone, Vec::as_slice);
        for (number, step) in steps.iter().enumerate() {
            let outcome = self.step(case, step, &record)?;
            note(
                &mut difference,
                &format!("step {number}"),
                &step["expect"],
                &outcome,
            );
        }

        if known_namespace {
            let (after, meta) = self.read(&record)?;
            note(&mut difference, "after", &case["after"], &after);
            if case["after"] != Value::Null && !meta_matches(&case["after_meta"], &meta) {
                note(&mut difference, "after_meta", &case["after_meta"], &meta);
            }
            self.send(record.delete())?;
        }
        Ok(difference)
    }

    fn prepare_modules(&mut self, case: &Value) -> Result<()> {
        let mut modules: Vec<Module> = case["modules"]
            .as_array()
            .into_iter()
            .flatten()
            .map(Module::of)
            .collect();
        if !case["module"].is_null() {
            modules.push(Module::of(&case["module"]));
        }
        if case["fresh"] == true {
            // Registering the same content again may change nothing, so removal comes first.
            for module in modules.iter().rev() {
                self.info(&format!("udf-remove:filename={}", module.name))?;
            }
        }
        for module in &modules {
            if self.registered.get(&module.name) != Some(&module.file) {
                self.put(module)?;
            }
        }
        Ok(())
    }

    fn write_before(&mut self, case: &Value, record: &RecordKey) -> Result<()> {
        let Some(before) = case["before"].as_object() else {
            return Ok(());
        };
        let meta = &case["before_meta"];
        let bins: Vec<(&str, Particle)> = before
            .iter()
            .map(|(name, bin)| (name.as_str(), value::to_particle(bin)))
            .collect();
        let options = WriteOptions {
            ttl: ttl_on_wire(&meta["ttl"]),
            send_key: meta["send_key"] == true,
        };
        for _ in 0..meta["gen"].as_u64().unwrap_or(1) {
            let bins = bins.iter().map(|(name, bin)| (*name, bin));
            let reply = self.send(record.put(bins, options))?;
            assert_eq!(reply.code(), ResultCode::OK, "put of the record before");
        }
        Ok(())
    }

    fn step(&mut self, case: &Value, step: &Value, record: &RecordKey) -> Result<Value> {
        if let Some(command) = step["info"].as_str() {
            return Ok(json!({ "info": self.info(command)? }));
        }
        if !step["put_module"].is_null() {
            self.put(&Module::of(&step["put_module"]))?;
            return Ok(json!({ "info": "ok" }));
        }
        let pick = |key: &str| match &step[key] {
            Value::Null => &case[key],
            own => own,
        };
        let package = pick("package").as_str().map(str::to_owned);
        let package = package.unwrap_or_else(|| match pick("module") {
            Value::Null => String::new(),
            module => {
                let name = Module::of(module).name;
                let stem = name.rsplit_once('.').map(|(stem, _)| stem.to_owned());
                stem.unwrap_or(name)
            }
        });
        let function = pick("function").as_str().unwrap_or_default();
        let mut arglist = Vec::new();
        match &step["args"] {
            Value::Null => value::pack(&json!([]), &mut arglist),
            args => value::pack(args, &mut arglist),
        }
        let options = call_options(pick("policy"));
        let frame = record.apply(package.as_bytes(), function.as_bytes(), &arglist, options);
        Ok(outcome(&self.send(frame)?))
    }

    fn read(&mut self, record: &RecordKey) -> Result<(Value, Value)> {
        let reply = self.send(record.get())?;
        if reply.code() == ResultCode::NOT_FOUND {
            return Ok((Value::Null, Value::Null));
        }
        if reply.code() != ResultCode::OK {
            return Ok((json!({ "$code": reply.code().0 }), Value::Null));
        }
        let bins: Map<String, Value> = reply
            .bins
            .iter()
            .map(|(name, bin)| (bin_name(name), value::from_particle(bin)))
            .collect();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let ttl = match i64::from(reply.header.record_ttl) {
            0 => json!("never"),
            void_time => {
                json!({ "about": void_time - i64::try_from(now - EPOCH_2010).unwrap() })
            }
        };
        let meta = json!({ "gen": reply.header.generation, "ttl": ttl });
        Ok((Value::Object(bins), meta))
    }
}

/// Where the record of a case lives.
fn record(case: &Value) -> RecordKey {
    let key = match &case["key"] {
        Value::Null => &case["case"],
        key => key,
    };
    RecordKey {
        namespace: case["ns"].as_str().unwrap_or("test").to_owned(),
        set: case["set"].as_str().unwrap_or("golden").to_owned(),
        key: value::to_particle(key),
    }
}

/// Seconds to live as they stand in the header: -1 never, -2 keep, absent the default.
fn ttl_on_wire(ttl: &Value) -> u32 {
    let seconds = ttl.as_i64().unwrap_or(0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the negative numbers are the top of the unsigned range"
    )]
    let wire = seconds as u32;
    wire
}

fn call_options(policy: &Value) -> CallOptions {
    let number = |key: &str| u32::try_from(policy[key].as_u64().unwrap_or(0)).unwrap();
    CallOptions {
        ttl: ttl_on_wire(&policy["ttl"]),
        send_key: policy["send_key"] == true,
        timeout_ms: number("timeout_ms"),
        info2: Info2::from_bits_retain(number("info2").try_into().unwrap()),
        info3: Info3::from_bits_retain(number("info3").try_into().unwrap()),
        generation: number("gen"),
        ..CallOptions::default()
    }
}

fn bin_name(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// What a reply says, in the form of the recordings.
fn outcome(reply: &Reply) -> Value {
    let mut outcome = json!({ "code": reply.code().0 });
    for (name, bin) in &reply.bins {
        let mut found = value::from_particle(bin);
        value::strip(&mut found);
        let key = match name.as_slice() {
            b"SUCCESS" => "value".to_owned(),
            b"FAILURE" => "error".to_owned(),
            other => format!("other bin {}", bin_name(other)),
        };
        outcome[key] = found;
    }
    outcome
}

fn meta_matches(expected: &Value, got: &Value) -> bool {
    if expected["gen"] != got["gen"] {
        return false;
    }
    match (
        expected["ttl"]["about"].as_i64(),
        got["ttl"]["about"].as_i64(),
    ) {
        (Some(expected), Some(got)) => (expected - got).abs() <= TTL_TOLERANCE,
        _ => expected["ttl"] == got["ttl"],
    }
}

/// Writes down two values that should be the same and are not.
fn note(difference: &mut String, what: &str, expected: &Value, got: &Value) {
    if value::same(expected, got) {
        return;
    }
    writeln!(
        difference,
        "    {what}: expect {}\n    {what}: got    {}",
        short(&expected.to_string()),
        short(&got.to_string())
    )
    .unwrap();
}
