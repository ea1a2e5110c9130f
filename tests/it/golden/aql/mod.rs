//! Replay of `aql/cases.jsonl`: what the real `aql` printed for command lines, against a server with known content.
//!
//! Compared are stdout, stderr, the exit status, files, and single records and modules that a case leaves behind. Cases
//! that need what the server refuses to make (secondary indexes, where it has none) are not run, and counted.

mod compare;
mod fixture;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tests::connection::Connection;
use tests::process::wait_until;

use super::{Findings, short};
use crate::server::{self, Server};
use compare::{Places, canonical, normalised};
use fixture::Fixture;

const FILE: &str = "aql/cases.jsonl";

/// Time for what a background job does.
const BACKGROUND: Duration = Duration::from_secs(180);

super::topics!("aql/cases.jsonl", replay:
    aggregate background config delete desc execute explain file help insert legacy lexer options query query2
    register remove run scan select session settings show stdin values);

fn replay(topic: &str) {
    let server = server::start();
    let mut fixture = Fixture::read();
    let mut findings = Findings::default();
    let mut has_indexes = None;
    let mut clean = false;
    for case in super::cases(FILE) {
        if case["topic"] != topic {
            continue;
        }
        if !clean {
            has_indexes = Some(fixture.load(&mut server.connect().unwrap()));
        }
        let needs_index = case["needs"]
            .as_array()
            .is_some_and(|needs| !needs.is_empty());
        if needs_index && has_indexes == Some(false) {
            continue;
        }
        let name = case["name"].as_str().unwrap();
        findings.add(FILE, name, difference(&server, case));
        clean = case["changes"] != true && case["prepare"].is_null();
    }
    findings.check(FILE, topic, &server.log());
}

struct Run {
    stdout: String,
    stderr: String,
    status: Option<i32>,
    files: Vec<(String, Option<String>)>,
}

fn difference(server: &Server, case: &Value) -> String {
    let mut connection = server.connect().unwrap();
    for command in texts(&case["prepare"]) {
        connection.info(&command).unwrap();
    }
    let found = perform(server, case);
    for command in texts(&case["restore"]) {
        connection.info(&command).unwrap();
    }
    let mut out = String::new();
    let mut differ = |what: &str, expected: &str, found: &str| {
        if expected != found {
            out += &format!(
                "    {what}\n    expect {}\n    got    {}\n",
                short(expected),
                short(found)
            );
        }
    };
    if let Some(status) = case["rc"].as_i64() {
        differ(
            "status",
            &status.to_string(),
            &found.status.map_or(-1, i64::from).to_string(),
        );
    }
    let mode = case["compare"].as_str().unwrap();
    match mode {
        "none" => {}
        "words" => {
            for word in texts(&case["words"]) {
                let shown = if found.stdout.contains(&word) {
                    &word
                } else {
                    ""
                };
                differ("word", &word, shown);
            }
        }
        _ => {
            let expected = case["stdout"].as_str().unwrap();
            match mode {
                "exact" => differ("stdout", expected, &found.stdout),
                _ => differ(
                    "stdout",
                    &canonical(expected, case),
                    &canonical(&found.stdout, case),
                ),
            }
            let expected = compare::stderr(case["stderr"].as_str().unwrap(), case);
            differ("stderr", &expected, &compare::stderr(&found.stderr, case));
        }
    }
    for (name, text) in &found.files {
        let expected = case["out_files"][name].as_str();
        differ(
            name,
            expected.unwrap_or("(none)"),
            text.as_deref().unwrap_or("(none)"),
        );
    }
    for after in case["after"].as_array().into_iter().flatten() {
        let check = &after["check"];
        let look = |connection: &mut Connection| fixture::look(connection, check);
        let Some(mut left) = look(&mut connection) else {
            continue;
        };
        if after["background"] == true || case["background"] == true {
            // What does not come is told below.
            let _ = wait_until("the job has worked", BACKGROUND, || {
                left = look(&mut connection).unwrap();
                Ok(super::value::same(&left, &after["expect"]))
            });
        }
        if !super::value::same(&left, &after["expect"]) {
            differ(
                &check.to_string(),
                &after["expect"].to_string(),
                &left.to_string(),
            );
        }
    }
    out
}

fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

fn perform(server: &Server, case: &Value) -> Run {
    let base = tempfile::tempdir().unwrap();
    let (work, home) = (base.path().join("work"), base.path().join("home"));
    for folder in [&work, &home] {
        fs::create_dir(folder).unwrap();
    }
    let places = Places::new(server.address(), &work, &home);
    for (name, text) in case["files"].as_object().into_iter().flatten() {
        let path = place(name, &work, &home);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text["lua"].as_str() {
            Some(lua) => drop(fs::copy(fixture::lua(lua), path).unwrap()),
            None => fs::write(path, places.enter(text.as_str().unwrap())).unwrap(),
        }
    }
    let program = tests::program::path("aql").unwrap();
    // A case of the limit itself has that of the recording.
    let patient = match case.to_string().to_lowercase().contains("timeout") {
        true => &[],
        false => tests::program::patient("aql"),
    };
    let mut child = Command::new(&program)
        .args(patient)
        .args(texts(&case["argv"]).iter().map(|word| places.enter(word)))
        .current_dir(&work)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", &home)
        .envs([("LANG", "C.UTF-8"), ("TERM", "dumb"), ("TZ", "UTC")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    if let Some(text) = case["stdin"].as_str() {
        // A program that does not read it has ended.
        stdin.write_all(places.enter(text).as_bytes()).ok();
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| normalised(bytes, &places, case);
    let out_files = case["out_files"].as_object().into_iter().flatten();
    Run {
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
        status: output.status.code(),
        files: out_files
            .map(|(name, _)| {
                let found = fs::read(place(name, &work, &home)).ok();
                (name.clone(), found.map(|bytes| text(&bytes)))
            })
            .collect(),
    }
}

fn place(name: &str, work: &Path, home: &Path) -> std::path::PathBuf {
    match name.strip_prefix("~/") {
        Some(name) => home.join(name),
        None => work.join(name),
    }
}
