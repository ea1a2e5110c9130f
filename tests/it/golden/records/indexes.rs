//! Replay of `sindex.jsonl` and `queries.jsonl`: indexes as info commands see them, and queries that return records.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use protocol::key::Digest;
use protocol::message::FieldType;
use protocol::result_code::ResultCode;
use serde_json::{Map, Value, json};
use tests::error::Result;
use tests::process::wait_until;

use super::answer::{Answer, name_shown, note, shown_value};
use super::request::{self, Part};
use super::{Runner, ordered_text, put_module, put_of};
use crate::golden::info::body;
use crate::golden::{Findings, Target, cases, short, value};

const DEFINITIONS: &str = "sindex.jsonl";
const QUERIES: &str = "queries.jsonl";

/// Number of partitions of a namespace.
const PARTITIONS: u16 = 4_096;

/// Time after which something that is to come about counts as never coming.
const PATIENCE: Duration = Duration::from_secs(180);

/// Most time between two looks at what is to come about.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

#[test]
fn definitions_are_checked_and_listed_as_recorded() {
    let target = Target::open();
    let mut findings = Findings::default();
    for scenario in cases(DEFINITIONS) {
        let name = scenario["scenario"].as_str().unwrap();
        let difference = define(&target, scenario).unwrap_or_else(|error| format!("    {error}\n"));
        findings.add(DEFINITIONS, name, difference);
    }
    findings.check(DEFINITIONS, "all", &target.log());
}

#[test]
fn queries_by_index_find_what_was_recorded() {
    let target = Target::open();
    let mut findings = Findings::default();
    let mut runner = Runner::open(&target).unwrap();
    let lines = cases(QUERIES);
    let is_case = |line: &&Value| line.get("case").is_some();
    let setups: HashMap<&str, &Value> = lines
        .iter()
        .filter(|line| !is_case(line))
        .map(|line| (line["setup"].as_str().unwrap(), line))
        .collect();
    let mut current = "";
    for case in lines.iter().filter(is_case) {
        let setup = case["setup"].as_str().unwrap();
        if setup != current {
            prepare(&mut runner, setups[setup]).unwrap();
            current = setup;
        }
        if case["kind"] == "background" {
            current = ""; // it changes records
        }
        let prepared = setups[setup];
        let difference =
            ask(&mut runner, prepared, case).unwrap_or_else(|error| format!("    {error}\n"));
        findings.add(QUERIES, case["case"].as_str().unwrap(), difference);
    }
    findings.check(QUERIES, "all", &target.log());
}

fn info(runner: &mut Runner<'_>, command: &str) -> Result<String> {
    runner.connection.info(command)
}

fn remove_indexes(runner: &mut Runner<'_>) -> Result<()> {
    let all = info(runner, "sindex-list")?;
    for entry in all.split(';').filter(|entry| !entry.is_empty()) {
        let part = |key: &str| {
            let mut parts = entry.split(':').filter_map(|part| part.split_once('='));
            parts.find(|(name, _)| *name == key).unwrap().1
        };
        let (namespace, name) = (part("ns"), part("indexname"));
        let answer = info(
            runner,
            &format!("sindex-delete:namespace={namespace};indexname={name}"),
        )?;
        assert_eq!(answer, "ok");
    }
    Ok(())
}

/// Writes or deletes a record.
fn write(
    runner: &mut Runner<'_>,
    record: &Value,
    key: &Value,
    mut step: Value,
) -> Result<ResultCode> {
    let set = record["set"].as_str().unwrap_or_default();
    let (digest, hex) = digest_of(set, key);
    runner.keys.insert(digest, key.clone());
    step["set"] = if set.is_empty() {
        Value::Null
    } else {
        json!(set)
    };
    step["digest_hex"] = json!(hex);
    if let Some(namespace) = record.get("ns") {
        step["ns"] = namespace.clone();
    }
    if record["send_key"] == true {
        step["key_field"] = key.clone();
    }
    let answers = runner.send(&request::single(&Part::of(record, &step)))?;
    Ok(answers[0].header.result)
}

fn put(runner: &mut Runner<'_>, record: &Value, key: &Value) -> Result<()> {
    let step = put_of(record["bins"].as_object().unwrap());
    assert_eq!(
        write(runner, record, key, step)?,
        ResultCode::OK,
        "{record}"
    );
    Ok(())
}

fn delete(runner: &mut Runner<'_>, record: &Value, key: &Value) -> Result<()> {
    write(runner, record, key, json!({ "info1": 0, "info2": 3 }))?;
    Ok(())
}

/// The records of a setup, those that stand for many written out.
fn records(setup: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    for record in setup["records"].as_array().into_iter().flatten() {
        let Some(range) = record["repeat"].as_array() else {
            all.push(record.clone());
            continue;
        };
        for number in range[0].as_i64().unwrap()..=range[1].as_i64().unwrap() {
            let mut one = record.clone();
            let key = one["key"]
                .as_str()
                .unwrap()
                .replace("%04d", &format!("{number:04}"));
            one["key"] = json!(key);
            for bin in one["bins"].as_object_mut().unwrap().values_mut() {
                let Some(rule) = bin.get("$i").cloned() else {
                    continue;
                };
                let mut result = number * rule["mul"].as_i64().unwrap_or(1);
                result += rule["add"].as_i64().unwrap_or(0);
                if let Some(modulus) = rule["mod"].as_i64() {
                    result %= modulus;
                }
                *bin = match rule["text"].as_str() {
                    Some(text) => json!(text.replace("%d", &result.to_string())),
                    None => json!(result),
                };
            }
            all.push(one);
        }
    }
    all
}

fn prepare(runner: &mut Runner<'_>, setup: &Value) -> Result<()> {
    remove_indexes(runner)?;
    let records = records(setup);
    for record in &records {
        delete(runner, record, &record["key"])?;
    }
    let first = setup["indexes_first"] != false;
    if first {
        make_indexes(runner, setup)?;
    }
    for record in &records {
        for _ in 0..record["gen"].as_u64().unwrap_or(1) {
            put(runner, record, &record["key"])?;
        }
    }
    if !first {
        make_indexes(runner, setup)?;
    }
    for (file, source) in setup["modules"].as_object().into_iter().flatten() {
        let source = source.as_str().unwrap().as_bytes();
        let answer = put_module(&mut runner.connection, file, source)?;
        assert_eq!(answer, "ok", "udf-put of {file}");
    }
    for step in setup["then"].as_array().into_iter().flatten() {
        if let Some(command) = step["info"].as_str() {
            info(runner, command)?;
        } else if let Some(key) = step.get("put") {
            put(runner, step, key)?;
        } else {
            delete(runner, step, &step["delete"])?;
        }
    }
    wait_until("indexes are built", PATIENCE, || {
        Ok(!info(runner, "sindex-list")?.contains("state=WO"))
    })
}

fn make_indexes(runner: &mut Runner<'_>, setup: &Value) -> Result<()> {
    for command in setup["indexes"].as_array().into_iter().flatten() {
        assert_eq!(info(runner, command.as_str().unwrap())?, "ok", "{command}");
    }
    Ok(())
}

/// The bytes of a range, in hexadecimal.
fn range_bytes(range: &Value) -> String {
    if let Some(hex) = range["hex"].as_str() {
        return hex.to_owned();
    }
    let kind = match (range["type"].as_str(), range["type"].as_u64()) {
        (Some("integer"), _) => 1,
        (Some("string"), _) => 3,
        (Some("blob"), _) => 4,
        (Some("geo"), _) => 23,
        (_, number) => u8::try_from(number.unwrap()).unwrap(),
    };
    let bin = range["bin"].as_str().unwrap_or_default();
    let mut out = vec![1, u8::try_from(bin.len()).unwrap()];
    out.extend(bin.as_bytes());
    out.push(kind);
    let end = range.get("end").unwrap_or(&range["begin"]);
    for bound in [&range["begin"], end] {
        let bytes = match bound {
            Value::Number(number) => number.as_i64().unwrap().to_be_bytes().to_vec(),
            Value::String(text) => text.as_bytes().to_vec(),
            bound => match bound["$repeat"].as_array() {
                Some(part) => {
                    let times = usize::try_from(part[1].as_u64().unwrap()).unwrap();
                    part[0].as_str().unwrap().repeat(times).into_bytes()
                }
                None => {
                    let hex = bound.get("$bytes").unwrap_or(&bound["$strhex"]);
                    value::unhex(hex.as_str().unwrap())
                }
            },
        };
        out.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
        out.extend(bytes);
    }
    out.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a case asks for, as [`request::query`] has it.
fn asked(case: &Value) -> Value {
    let mut query = case["query"].clone();
    if let Some(range) = query.get("range") {
        query["range"] = json!({ "hex": range_bytes(range) });
    }
    if let Some(name) = query["index_type"].as_str() {
        let names = ["default", "list", "mapkeys", "mapvalues", "set"];
        query["index_type"] = json!(names.iter().position(|known| *known == name));
    }
    let mut more = query["extra_fields"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if let Some(expression) = query.get("index_expression") {
        more.push(json!([24, expression]));
    }
    let set = query["set"].as_str().unwrap_or_default();
    let (mut digests, mut values) = (String::new(), String::new());
    for place in query["resume"].as_array().into_iter().flatten() {
        match place["digest"].as_str() {
            Some(digest) => digests.push_str(digest),
            None => digests.push_str(&digest_of(set, &place["key"]).1),
        }
        if let Some(value) = place["bval"].as_i64() {
            values.push_str(&value::hex(&value.to_le_bytes()));
        }
    }
    if query.get("resume").is_some() {
        more.push(json!([12, digests]));
        if !values.is_empty() {
            more.push(json!([15, values]));
        }
    }
    query["extra_fields"] = json!(more);
    query
}

/// The digest of a recorded key, and as the recordings have it.
fn digest_of(set: &str, key: &Value) -> (Digest, String) {
    let digest = Digest::of_particle(set, value::to_particle(key).as_ref());
    let hex = value::hex(&digest.0);
    (digest, hex)
}

/// Runs a case; the text is empty when everything is as recorded.
fn ask(runner: &mut Runner<'_>, setup: &Value, case: &Value) -> Result<String> {
    let got = match case["kind"].as_str() {
        None => records_found(runner, case)?,
        Some("background") => background(runner, setup, case)?,
        Some("aggregate") => aggregated(runner, case)?,
        Some("pages") => pages(runner, case)?,
        Some(other) => panic!("unknown kind {other}"),
    };
    let mut difference = String::new();
    let expected = case["expect"].as_object().unwrap();
    for (member, expected) in expected {
        // How many pages it takes is the server's choice; the order is asserted by its own tests.
        if member == "pages" || member == "bval_order_in_partitions" {
            continue;
        }
        note(
            &mut difference,
            member,
            &sorted(expected),
            &sorted(&got[member]),
        );
    }
    for (member, got) in got.as_object().unwrap() {
        if !expected.contains_key(member) {
            note(&mut difference, member, &Value::Null, got);
        }
    }
    Ok(difference)
}

/// The elements of a list of records in one order.
fn sorted(list: &Value) -> Value {
    let mut list = list.clone();
    if let Some(rows) = list.as_array_mut() {
        rows.sort_by_key(ordered_text);
    }
    list
}

fn records_found(runner: &mut Runner<'_>, case: &Value) -> Result<Value> {
    let mut answers = runner.send(&request::query(&asked(case)))?;
    let last = answers.pop().unwrap();
    let rows: Vec<Value> = answers
        .iter()
        .map(|answer| row(runner, case, answer))
        .collect();
    let mut got = json!({ "code": last.header.result.0 });
    if !last.is_last() {
        got["no_last"] = json!(true);
    }
    if case["count_only"] == true {
        let digests: HashSet<_> = answers
            .iter()
            .map(|answer| answer.field(FieldType::DIGEST))
            .collect();
        got["count"] = json!(rows.len());
        got["distinct"] = json!(digests.len());
    } else if case["rows_as_count"] == true {
        got["rows"] = json!(rows.len());
    } else {
        got["rows"] = json!(rows);
    }
    Ok(got)
}

/// A job in the background: how it ended, and what the records are then.
fn background(runner: &mut Runner<'_>, setup: &Value, case: &Value) -> Result<Value> {
    static JOBS: AtomicU64 = AtomicU64::new(4_242);
    let job = JOBS.fetch_add(1, Ordering::Relaxed);
    let mut query = asked(case);
    query["task_id"] = json!(job);
    let answers = runner.send(&request::query(&query))?;
    let code = answers.last().unwrap().header.result;
    let mut got = json!({ "code": code.0 });
    if code != ResultCode::OK {
        return Ok(got);
    }
    let mut shown = String::new();
    wait_until("the job ends", PATIENCE, || {
        shown = info(runner, &format!("query-show:id={job}"))?;
        Ok(shown.contains(":status=done"))
    })?;
    for part in shown.split(':').filter_map(|part| part.split_once('=')) {
        const COMPARED: [&str; 6] = [
            "status",
            "recs-succeeded",
            "recs-failed",
            "recs-filtered-meta",
            "recs-filtered-bins",
            "job-type",
        ];
        if COMPARED.contains(&part.0) {
            got["job"][part.0] = json!(part.1);
        }
    }
    let mut after = Vec::new();
    for record in records(setup) {
        let set = record["set"].as_str().unwrap_or_default();
        let digest = digest_of(set, &record["key"]).1;
        let step = json!({ "info1": 3, "set": set, "digest_hex": digest });
        let answers = runner.send(&request::single(&Part::of(&record, &step)))?;
        let answer = &answers[0];
        if answer.header.result == ResultCode::OK {
            let bins: Map<String, Value> = answer
                .ops
                .iter()
                .map(|(_, name, bin)| (name_shown(name), shown_value(bin)))
                .collect();
            let generation = answer.header.generation;
            after
                .push(json!({ "key": record["key"], "set": set, "gen": generation, "bins": bins }));
        }
    }
    got["after"] = json!(after);
    Ok(got)
}

/// A stream UDF: the results of all partitions, put together as the case says.
fn aggregated(runner: &mut Runner<'_>, case: &Value) -> Result<Value> {
    let mut answers = runner.send(&request::query(&asked(case)))?;
    let last = answers.pop().unwrap();
    let mut got = json!({ "code": last.header.result.0 });
    if !last.is_last() {
        got["no_last"] = json!(true);
    }
    let (mut values, mut failures) = (Vec::new(), Vec::new());
    for (_, name, bin) in answers.iter().flat_map(|answer| &answer.ops) {
        match name.as_slice() {
            b"SUCCESS" => values.push(shown_value(bin)),
            b"FAILURE" => {
                let text = shown_value(bin);
                failures.push(json!(value::without_directories(text.as_str().unwrap())));
            }
            other => panic!("a result in {}", other.escape_ascii()),
        }
    }
    if !failures.is_empty() {
        failures.sort_by_key(ordered_text);
        failures.dedup();
        got["failures"] = json!(failures);
        return Ok(got);
    }
    match case["reduce"].as_str() {
        None => got["values"] = json!(values),
        Some("sum") => got["sum"] = json!(values.iter().filter_map(Value::as_i64).sum::<i64>()),
        Some("merge") => {
            let mut merged: BTreeMap<&str, i64> = BTreeMap::new();
            for (name, count) in values.iter().filter_map(Value::as_object).flatten() {
                *merged.entry(name).or_default() += count.as_i64().unwrap();
            }
            got["merged"] = json!(merged);
        }
        Some(other) => panic!("unknown reduce {other}"),
    }
    Ok(got)
}

/// Reads all records in pages, each going on where the one before it ended, as clients do.
fn pages(runner: &mut Runner<'_>, case: &Value) -> Result<Value> {
    let size = usize::try_from(case["query"]["max_records"].as_u64().unwrap()).unwrap();
    let mut ends: BTreeMap<u16, Value> = BTreeMap::new();
    let (mut rows, mut seen) = (Vec::new(), HashSet::new());
    let mut too_long = false;
    loop {
        let mut page = case.clone();
        if !ends.is_empty() {
            let rest: Vec<u16> = (0..PARTITIONS)
                .filter(|id| !ends.contains_key(id))
                .collect();
            page["query"]["pids"] = json!(rest);
            page["query"]["resume"] = json!(ends.values().collect::<Vec<_>>());
        }
        let mut answers = runner.send(&request::query(&asked(&page)))?;
        let last = answers.pop().unwrap();
        if last.header.result != ResultCode::OK {
            return Ok(json!({ "code": last.header.result.0 }));
        }
        too_long |= answers.len() > size;
        for answer in &answers {
            let digest = Digest(answer.field(FieldType::DIGEST).unwrap().try_into().unwrap());
            let mut end = json!({ "digest": value::hex(&digest.0) });
            if let Some(value) = answer.field(FieldType::BVAL_ARRAY) {
                end["bval"] = json!(i64::from_le_bytes(value.try_into().unwrap()));
            }
            ends.insert(digest.partition_id(), end);
            seen.insert(digest);
            rows.push(row(runner, case, answer));
        }
        if answers.len() < size {
            break;
        }
    }
    let twice = rows.len() - seen.len();
    let rows = match case["rows_as_count"] == true {
        true => json!(rows.len()),
        false => json!(rows),
    };
    Ok(json!({ "code": 0, "page_too_long": too_long, "twice": twice, "rows": rows }))
}

fn row(runner: &Runner<'_>, case: &Value, answer: &Answer) -> Value {
    let mut row = Map::new();
    if let Some(digest) = answer.field(FieldType::DIGEST) {
        let digest = Digest(digest.try_into().unwrap());
        row.insert("key".to_owned(), runner.keys[&digest].clone());
        let set = answer.field(FieldType::SET).map(name_shown);
        row.insert("set".to_owned(), json!(set.unwrap_or_default()));
    }
    if let Some(value) = answer.field(FieldType::BVAL_ARRAY) {
        let value = i64::from_le_bytes(value.try_into().unwrap());
        let shown = if case["exact_bval"] == true {
            json!(value)
        } else {
            json!("present")
        };
        row.insert("bval".to_owned(), shown);
    }
    if let Some(key) = answer.field(FieldType::KEY) {
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        row.insert("stored_key".to_owned(), json!(hex));
    }
    let mut bins = Map::new();
    let mut more = Vec::new();
    for (_, name, bin) in &answer.ops {
        let (name, shown) = (name_shown(name), shown_value(bin));
        if bins.contains_key(&name) {
            more.push(json!([name, shown]));
        } else {
            bins.insert(name, shown);
        }
    }
    if !more.is_empty() {
        bins.insert("$more".to_owned(), json!(more));
    }
    row.insert("bins".to_owned(), Value::Object(bins));
    Value::Object(row)
}

/// Runs a scenario; the text is empty when all answers are as recorded.
fn define(target: &Target, scenario: &Value) -> Result<String> {
    let mut runner = Runner::open(target)?;
    remove_indexes(&mut runner)?;
    for record in scenario["records"].as_array().into_iter().flatten() {
        put(&mut runner, record, &record["key"])?;
    }
    for (number, step) in scenario["steps"].as_array().unwrap().iter().enumerate() {
        let (send, expected) = (body(step, "send"), body(step, "expect"));
        let patience = Duration::from_secs(step["retry_s"].as_u64().unwrap_or(0));
        let begun = Instant::now();
        let got = loop {
            let got = runner.connection.info_body(&send)?;
            if fits(step, &expected, &got) || begun.elapsed() >= patience {
                break got;
            }
            std::thread::sleep(LOOK_AGAIN);
        };
        if !fits(step, &expected, &got) {
            let shown = |bytes: &[u8]| short(&bytes.escape_ascii().to_string());
            return Ok(format!(
                "    step {number}\n    send   {}\n    expect {}\n    got    {}\n",
                shown(&send),
                shown(&expected),
                shown(&got)
            ));
        }
    }
    Ok(String::new())
}

/// Whether an answer is the recorded one, in the way that the step says.
fn fits(step: &Value, expected: &[u8], got: &[u8]) -> bool {
    let (expected, got) = (
        String::from_utf8_lossy(expected),
        String::from_utf8_lossy(got),
    );
    match step["compare"].as_str() {
        None => expected == got,
        Some("mask") => {
            let hidden: Vec<&str> = step["mask"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_str)
                .collect();
            let masked = |text: &str| {
                let parts = text
                    .split([';', '\t', '\n'])
                    .map(|part| match part.split_once('=') {
                        Some((key, _)) if hidden.contains(&key) => key.to_owned(),
                        _ => part.to_owned(),
                    });
                parts.collect::<Vec<_>>()
            };
            masked(&expected) == masked(&got)
        }
        Some("entries") => {
            let entries = |text: &str| {
                let mut entries: Vec<String> = text
                    .split([';', '\t', '\n'])
                    .filter(|entry| !entry.is_empty())
                    .map(str::to_owned)
                    .collect();
                entries.sort();
                entries
            };
            entries(&expected) == entries(&got)
        }
        Some(other) => panic!("unknown comparison {other}"),
    }
}
