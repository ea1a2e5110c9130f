//! Answers to commands on modules, compared with those recorded from a real node.

use std::collections::BTreeSet;

use protocol::info::commands;
use serde_json::Value;
use server::contexts::factory::ContextFactory;
use server::contexts::service::Service;

use crate::ask::answer;
use crate::fake::Fixture;

/// A text of a recorded step, in any of its three forms.
fn bytes_of(step: &Value, name: &str) -> Vec<u8> {
    if let Some(text) = step.get(name) {
        return text.as_str().expect("a text").as_bytes().to_vec();
    }
    if let Some(hex) = step.get(format!("{name}_hex")) {
        let hex = hex.as_str().expect("a text");
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits");
        return (0..hex.len()).step_by(2).map(byte).collect();
    }
    let parts = step[format!("{name}_template")].as_array().expect("a list");
    let text: String = parts
        .iter()
        .map(|part| match part.as_str() {
            Some(plain) => plain.to_owned(),
            None => {
                let count = part["repeat"][1].as_u64().expect("a count");
                part["repeat"][0]
                    .as_str()
                    .expect("a text")
                    .repeat(usize::try_from(count).expect("a small count"))
            }
        })
        .collect();
    text.into_bytes()
}

/// What the service answers to a request; none when a command of it is not about modules.
fn reply<F: ContextFactory>(service: &Service<F>, request: &[u8]) -> Option<Vec<u8>> {
    let mut reply = Vec::new();
    for command in commands(request) {
        reply.extend_from_slice(command.text);
        reply.push(b'\t');
        reply.extend(answer(service, &command)?);
        reply.push(b'\n');
    }
    Some(reply)
}

/// The scenarios that answer otherwise than recorded, and how many were tried.
fn differing<F: ContextFactory>(
    service: &Service<F>,
    applies: impl Fn(&[Value]) -> bool,
) -> (BTreeSet<String>, usize) {
    let mut differing = BTreeSet::new();
    let mut tried = 0;
    for line in include_str!("../../../tests/golden/info.jsonl").lines() {
        let scenario: Value = serde_json::from_str(line).expect("a line of JSON");
        let steps = scenario["steps"].as_array().expect("a list");
        let about_modules = |step: &Value| {
            let request = bytes_of(step, "send");
            commands(&request).next().is_some()
                && commands(&request).all(|command| command.name.starts_with("udf-"))
        };
        if !steps.iter().all(about_modules) || !applies(steps) {
            continue;
        }
        for module in service.modules().in_order() {
            service.remove(module.file_name()).expect("it is removed");
        }
        let mut same = true;
        for step in steps {
            match reply(service, &bytes_of(step, "send")) {
                Some(found) => same &= found == bytes_of(step, "expect"),
                None => continue,
            }
        }
        tried += 1;
        if !same {
            differing.insert(scenario["scenario"].as_str().expect("a name").to_owned());
        }
    }
    (differing, tried)
}

#[test]
fn registry_answers_as_recorded_from_a_real_node() {
    let fixture = Fixture::new();
    let (differing, tried) = differing(&fixture.service, |steps| {
        // What Lua says is compared where there is Lua.
        steps.iter().all(|step| {
            !String::from_utf8_lossy(&bytes_of(step, "expect")).contains("error=compile_error")
        })
    });
    assert!(tried > 160, "{tried} tried");
    assert_eq!(
        differing,
        BTreeSet::from(["names/so_extension_not_checked".to_owned()])
    );
}
