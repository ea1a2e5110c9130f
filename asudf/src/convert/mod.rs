//! `asudf convert`: recorded calls of a real server, turned into test files.
//!
//! A line of the recording is a case: modules, a record before, calls with what they answered, the record after. It becomes
//! one `t.test`. What a test cannot say (an info command between two calls, header bits that no client sets) is left out,
//! by name and with the reason.

mod lua;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use crate::status::{Failure, Status};

/// What `asudf convert` is told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The recording, a JSON object a line
    #[arg(value_name = "FILE")]
    recording: PathBuf,
    /// The folder with the modules that it names [default: `lua` beside it]
    #[arg(long, value_name = "DIR")]
    modules: Option<PathBuf>,
    /// A list of cases to leave out, as `differences.toml` has them
    #[arg(long, value_name = "FILE")]
    except: Option<PathBuf>,
    /// The folder to write to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Why a case is not turned into a test.
type Unfit = &'static str;

/// Tests of one topic, and modules by the name that they are to have.
#[derive(Debug, Default)]
struct Converted {
    topics: BTreeMap<String, String>,
    modules: BTreeMap<String, PathBuf>,
    count: usize,
    left_out: Vec<(String, Unfit)>,
}

/// Reads a recording and writes the tests.
pub(crate) fn run(options: &Options) -> Result<Status, Failure> {
    let cannot = |path: &Path, error: &dyn std::fmt::Display| {
        Failure(format!("{}: {error}", path.display()))
    };
    let text = fs::read_to_string(&options.recording)
        .map_err(|error| cannot(&options.recording, &error))?;
    let except = match &options.except {
        None => BTreeSet::new(),
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| cannot(path, &error))?;
            exceptions(&text, &options.recording).map_err(|error| cannot(path, &error))?
        }
    };
    let folder = match (&options.modules, options.recording.parent()) {
        (Some(folder), _) => folder.clone(),
        (None, Some(beside)) => beside.join("lua"),
        (None, None) => PathBuf::from("lua"),
    };
    let mut converted = Converted::default();
    for (number, line) in text.lines().enumerate() {
        let wrong = |error: &dyn std::fmt::Display| {
            Failure(format!(
                "{}:{}: {error}",
                options.recording.display(),
                number + 1
            ))
        };
        let case: Value = serde_json::from_str(line).map_err(|error| wrong(&error))?;
        let name = text_of(&case, "case").ok_or_else(|| wrong(&"it has no `case`"))?;
        if except.contains(name) {
            converted
                .left_out
                .push((name.to_owned(), "listed as different on purpose"));
            continue;
        }
        match converted.add(&case, name, &folder) {
            Ok(()) => converted.count += 1,
            Err(reason) => converted.left_out.push((name.to_owned(), reason)),
        }
    }
    fs::create_dir_all(&options.out).map_err(|error| cannot(&options.out, &error))?;
    for (topic, tests) in &converted.topics {
        let path = options.out.join(format!("{topic}_test.lua"));
        fs::write(&path, tests).map_err(|error| cannot(&path, &error))?;
    }
    for (name, source) in &converted.modules {
        let path = options.out.join(name);
        fs::copy(source, &path).map_err(|error| cannot(source, &error))?;
    }
    let mut told = format!(
        "{} tests in {} files, {} modules; {} cases left out\n",
        converted.count,
        converted.topics.len(),
        converted.modules.len(),
        converted.left_out.len()
    );
    for (name, reason) in &converted.left_out {
        // Writing to a string does not fail.
        let _ = writeln!(told, "  {name}: {reason}");
    }
    io::stdout()
        .write_all(told.as_bytes())
        .map_err(Failure::of)?;
    Ok(Status::Fine)
}

/// The cases that a list names for a recording.
fn exceptions(text: &str, recording: &Path) -> Result<BTreeSet<String>, String> {
    let table: toml::Table = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    let file = recording.file_name().map(|name| name.to_string_lossy());
    let rows = table.get("difference").and_then(toml::Value::as_array);
    let mut names = BTreeSet::new();
    for row in rows.into_iter().flatten() {
        if row.get("file").and_then(toml::Value::as_str) != file.as_deref() {
            continue;
        }
        let cases = row.get("cases").and_then(toml::Value::as_array);
        names.extend(
            cases
                .into_iter()
                .flatten()
                .filter_map(toml::Value::as_str)
                .map(str::to_owned),
        );
    }
    Ok(names)
}

fn text_of<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}

/// The name by which callers know a module file.
fn module_name(file: &str) -> &str {
    file.rsplit_once('.').map_or(file, |(name, _)| name)
}

impl Converted {
    fn add(&mut self, case: &Value, name: &str, folder: &Path) -> Result<(), Unfit> {
        let mut modules = Vec::new();
        let listed = case.get("modules").and_then(Value::as_array);
        for module in listed.into_iter().flatten().chain(case.get("module")) {
            match module {
                Value::Null => {}
                Value::String(file) => modules.push((file.clone(), folder.join(file))),
                other => {
                    let (Some(name), Some(file)) = (text_of(other, "as"), text_of(other, "file"))
                    else {
                        return Err("a module without a file");
                    };
                    modules.push((name.to_owned(), folder.join(file)));
                }
            }
        }
        for (name, source) in &modules {
            if self.modules.get(name).is_some_and(|known| known != source) {
                return Err("another case has another module of the same name");
            }
            if !source.is_file() {
                return Err("its module is not there");
            }
        }
        let test = test(case, name)?;
        self.modules.extend(modules);
        let topic = text_of(case, "topic").unwrap_or("cases").to_owned();
        self.topics.entry(topic).or_default().push_str(&test);
        Ok(())
    }
}

fn test(case: &Value, name: &str) -> Result<String, Unfit> {
    match case.get("ns").and_then(Value::as_str) {
        None | Some("test") => {}
        Some(_) => return Err("it is about another namespace"),
    }
    let mut out = format!("t.test({}, function()\n", lua::text(name.as_bytes()));
    let key = match case.get("key") {
        None => lua::text(name.as_bytes()),
        Some(key) => lua::value(key)?,
    };
    let set = text_of(case, "set").unwrap_or("golden");
    let mut record = format!("key = {key}, set = {}", lua::text(set.as_bytes()));
    if let Some(Value::Object(bins)) = case.get("before") {
        let mut told = Vec::new();
        for (bin, value) in bins {
            told.push(format!(
                "{}, {}",
                lua::text(bin.as_bytes()),
                lua::stored(value)?
            ));
        }
        record += &format!(", bins = t.map({})", told.join(", "));
        if !bins.keys().is_sorted() {
            let names: Vec<String> = bins.keys().map(|bin| lua::text(bin.as_bytes())).collect();
            record += &format!(", order = {{ {} }}", names.join(", "));
        }
        let meta = |key: &str| case.get("before_meta").and_then(|meta| meta.get(key));
        if let Some(ttl) = meta("ttl").and_then(Value::as_i64) {
            record += &format!(", ttl = {ttl}");
        }
        if let Some(generation) = meta("gen").and_then(Value::as_i64) {
            record += &format!(", generation = {generation}");
        }
        if meta("send_key").and_then(Value::as_bool) == Some(true) {
            record += ", send_key = true";
        }
    }
    line(&mut out, &format!("local record = t.record{{ {record} }}"));
    let alone = std::slice::from_ref(case);
    let steps = case.get("steps").and_then(Value::as_array);
    for step in steps.map_or(alone, Vec::as_slice) {
        call(case, step, &mut out)?;
    }
    match case.get("after") {
        Some(Value::Object(bins)) => {
            let mut told = Vec::new();
            for (bin, value) in bins {
                told.push(format!(
                    "{}, {}",
                    lua::text(bin.as_bytes()),
                    lua::value(value)?
                ));
            }
            line(
                &mut out,
                &format!("t.equal(record.bins, t.map({}))", told.join(", ")),
            );
            let meta = |key: &str| case.get("after_meta").and_then(|meta| meta.get(key));
            if let Some(generation) = meta("gen").and_then(Value::as_i64) {
                line(
                    &mut out,
                    &format!("t.equal(record.generation, {generation})"),
                );
            }
            match meta("ttl") {
                None => {}
                Some(Value::String(_)) => line(&mut out, "t.equal(record.ttl, -1)"),
                Some(about) => {
                    let seconds = about.get("about").and_then(Value::as_i64);
                    let seconds = seconds.ok_or("a ttl of an unknown form")?;
                    line(&mut out, &format!("t.near(record.ttl, {seconds}, 30)"));
                }
            }
        }
        _ => line(&mut out, "t.falsy(record.exists)"),
    }
    out.push_str("end)\n\n");
    Ok(out)
}

fn call(case: &Value, step: &Value, out: &mut String) -> Result<(), Unfit> {
    if step.get("info").is_some() || step.get("put_module").is_some() {
        return Err("it changes modules between calls");
    }
    let module = text_of(step, "package")
        .or_else(|| text_of(case, "package"))
        .or_else(|| text_of(step, "module").map(module_name))
        .or_else(|| text_of(case, "module").map(module_name))
        .ok_or("it names no module")?;
    let function = text_of(step, "function").ok_or("it names no function")?;
    let mut told = format!(
        "record = record, module = {}, name = {}",
        lua::text(module.as_bytes()),
        lua::text(function.as_bytes())
    );
    match step.get("args") {
        Some(Value::Array(items)) => {
            let mut arguments = Vec::new();
            for item in items {
                arguments.push(lua::value(item)?);
            }
            arguments.push(format!("n = {}", items.len()));
            told += &format!(", args = {{ {} }}", arguments.join(", "));
        }
        Some(raw) => {
            let hex = text_of(raw, "$msgpack").ok_or("arguments of an unknown form")?;
            told += &format!(", args_wire = \"{hex}\"");
        }
        None => return Err("it names no arguments"),
    }
    let policy = step.get("policy").or_else(|| case.get("policy"));
    if let Some(Value::Object(policy)) = policy {
        for (key, value) in policy {
            let name = match (key.as_str(), value.as_i64()) {
                ("timeout_ms", _) => "time_ms",
                ("info2", Some(16)) => {
                    told += ", durable_delete = true";
                    continue;
                }
                ("ttl" | "send_key", _) => key.as_str(),
                _ => return Err("it sets header bits that no test can set"),
            };
            told += &format!(", {name} = {value}");
        }
    }
    line(out, "do");
    line(out, &format!("    local answer = t.call{{ {told} }}"));
    let expect = step.get("expect").ok_or("it expects nothing")?;
    let code = expect.get("code").and_then(Value::as_i64);
    let code = code.ok_or("it expects no code")?;
    line(out, &format!("    t.equal(answer.code, {code})"));
    if let Some(error) = expect.get("error") {
        line(
            out,
            &format!("    t.equal(answer.error, {})", lua::value(error)?),
        );
    } else if code == 0 {
        let nil = Value::Null;
        let value = expect.get("value").unwrap_or(&nil);
        line(
            out,
            &format!("    t.equal(answer.value, {})", lua::value(value)?),
        );
    }
    line(out, "end");
    Ok(())
}

fn line(out: &mut String, text: &str) {
    out.push_str("    ");
    out.push_str(text);
    out.push('\n');
}
