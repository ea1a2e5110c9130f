//! Replay of `info.jsonl`: requests of info commands and the exact answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use tests::connection::Connection;
use tests::records::remove_all_modules;

use super::{Findings, Target, short, value};

const FILE: &str = "info.jsonl";

super::topics!("info.jsonl", replay:
    clear_cache compile get lifecycle list multi names other parsing put put_errors remove size);

fn replay(topic: &str) {
    let target = Target::open();
    let mut findings = Findings::default();
    for scenario in super::cases(FILE) {
        if scenario["topic"] != topic {
            continue;
        }
        let name = scenario["scenario"].as_str().unwrap();
        let difference = run(&target, scenario).unwrap_or_else(|error| format!("    {error}\n"));
        findings.add(FILE, name, difference);
    }
    findings.check(FILE, topic, &target.log());
}

/// Runs a scenario on a connection of its own; the text is empty when all answers are as recorded.
fn run(target: &Target, scenario: &Value) -> tests::error::Result<String> {
    let mut connection = Connection::open(target.address())?;
    remove_all_modules(&mut connection)?;
    for (number, step) in scenario["steps"].as_array().unwrap().iter().enumerate() {
        let send = body(step, "send");
        let expected = body(step, "expect");
        let got = connection.info_body(&send)?;
        let same = match step["compare"].as_str() {
            None => got == expected,
            Some("message-first-line") => {
                got == expected || first_line_form(&got) == first_line_form(&expected)
            }
            Some(other) => panic!("unknown comparison {other}"),
        };
        if !same {
            return Ok(format!(
                "    step {number}\n    send   {}\n    expect {}\n    got    {}\n",
                show(&send),
                show(&expected),
                show(&got)
            ));
        }
    }
    Ok(String::new())
}

/// The bytes of `send` or `expect`: text, hex, or a template of parts.
pub(super) fn body(step: &Value, key: &str) -> Vec<u8> {
    if let Some(parts) = step[format!("{key}_template")].as_array() {
        let mut text = String::new();
        for part in parts {
            match part.as_str() {
                Some(plain) => text.push_str(plain),
                None => {
                    let repeated = part["repeat"][0].as_str().unwrap();
                    let times = part["repeat"][1].as_u64().unwrap();
                    text.push_str(&repeated.repeat(usize::try_from(times).unwrap()));
                }
            }
        }
        return text.into_bytes();
    }
    if let Some(hex) = step[format!("{key}_hex")].as_str() {
        return value::unhex(hex);
    }
    step[key].as_str().unwrap().as_bytes().to_vec()
}

/// The answer with each `;message=<base64>` replaced by the first line of the message, without directories in front of
/// module files: the rest of such a message lists search paths.
fn first_line_form(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut form = String::new();
    for (number, part) in text.split(";message=").enumerate() {
        if number == 0 {
            form.push_str(part);
            continue;
        }
        let end = part
            .find(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c)))
            .unwrap_or(part.len());
        let (encoded, rest) = part.split_at(end);
        let message = BASE64.decode(encoded).unwrap_or_default();
        let message = String::from_utf8_lossy(&message).into_owned();
        let first = message.split('\n').next().unwrap_or_default();
        form.push_str(&format!(
            ";message={{{}}}{rest}",
            value::without_directories(first)
        ));
    }
    form
}

fn show(bytes: &[u8]) -> String {
    short(&bytes.escape_ascii().to_string())
}
