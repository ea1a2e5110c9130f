//! Answers compared with those of a real node.

use std::collections::HashMap;

use serde_json::Value;

use super::{ask, node, reply};
use crate::contexts::stats::UdfTotals;
use crate::info::ConnectionState;

/// Text of a recorded step, in any of its three forms.
fn bytes_of(step: &Value, name: &str) -> Vec<u8> {
    if let Some(text) = step.get(name) {
        return text.as_str().unwrap().as_bytes().to_vec();
    }
    if let Some(hex) = step.get(format!("{name}_hex")) {
        let hex = hex.as_str().unwrap();
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        return (0..hex.len()).step_by(2).map(byte).collect();
    }
    let mut text = String::new();
    for part in step[format!("{name}_template")].as_array().unwrap() {
        match part.as_str() {
            Some(plain) => text += plain,
            None => {
                let repeat = part["repeat"].as_array().unwrap();
                text += &repeat[0]
                    .as_str()
                    .unwrap()
                    .repeat(repeat[1].as_u64().unwrap() as usize);
            }
        }
    }
    text.into_bytes()
}

#[test]
fn answers_as_recorded_from_a_real_node() {
    let node = node();
    let mut checked = 0;
    for line in include_str!("../../../../tests/golden/info.jsonl").lines() {
        let scenario: Value = serde_json::from_str(line).unwrap();
        let topic = scenario["topic"].as_str().unwrap();
        let steps = scenario["steps"].as_array().unwrap();
        // Here no module can be registered.
        let registers = steps.iter().any(|step| {
            let sent = bytes_of(step, "send");
            protocol::info::commands(&sent).any(|command| command.name == "udf-put")
        });
        if !matches!(topic, "other" | "multi" | "parsing") || registers {
            continue;
        }
        let session = ConnectionState::default();
        for step in steps {
            let found = reply(&node, &session, &bytes_of(step, "send"));
            assert_eq!(
                String::from_utf8_lossy(&found),
                String::from_utf8_lossy(&bytes_of(step, "expect")),
                "{}",
                scenario["scenario"]
            );
        }
        checked += 1;
    }
    assert!(checked > 30, "{checked}");
}

pub(super) fn recorded() -> HashMap<String, String> {
    let text = include_str!("../../../../tests/golden/asadm/cluster/127.0.0.11.json");
    serde_json::from_str(text).unwrap()
}

/// Names of `name=value` fields.
fn names(text: &str, separator: char) -> Vec<&str> {
    text.split(separator)
        .map(|field| field.split('=').next().unwrap())
        .collect()
}

#[test]
fn has_the_fields_of_a_real_node_in_its_order() {
    let node = node();
    let recorded = recorded();
    let cases = [
        ("statistics", "statistics"),
        ("namespace/bar", "namespace/bar"),
        ("get-config:context=service", "get-config:context=service"),
        ("get-config:context=network", "get-config:context=network"),
        ("get-config", "get-config"),
        (
            "config-get:context=namespace;id=bar",
            "get-config:context=namespace;id=bar",
        ),
        ("release", "release"),
    ];
    // What the recorded node has because of its configuration: more nodes, and more stripes.
    let only_there = |name: &str| {
        (name.contains("stripe[") && !name.contains("stripe[0]"))
            || name == "heartbeat.mesh-seed-address-port"
            || name == "service.access-address"
    };
    // What ours has because of its configuration, and what it counts that the reference does not.
    let counted_here = UdfTotals::default().named();
    let only_here = |name: &str| {
        name == "service.alternate-access-address"
            || name.starts_with("heartbeat.access-")
            || name.starts_with("fabric.access-")
            || name.ends_with(".cluster-secret-file")
            || name == "migrate_records_thrown_away"
            || name.starts_with("log_lines_")
            || name.starts_with("client-memory-")
            || name.starts_with("client_memory_")
            || name.starts_with("operation_memory_")
            || counted_here.iter().any(|(here, _)| *here == name)
    };
    for (command, key) in cases {
        let found = ask(&node, command);
        let found: Vec<&str> = names(&found, ';')
            .into_iter()
            .filter(|name| !only_here(name))
            .collect();
        let expected: Vec<&str> = names(&recorded[key], ';')
            .into_iter()
            .filter(|name| !only_there(name))
            .collect();
        assert_eq!(found, expected, "{command}");
    }
    assert!(ask(&node, "statistics").contains(";udf_modules=3;udf_contexts_idle=0;"));
    assert_eq!(ask(&node, "features"), recorded["features"]);
    let contexts = |text: &str| -> Vec<String> {
        text.split(';')
            .map(|field| field.split(':').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(contexts(&ask(&node, "log/0")), contexts(&recorded["log/0"]));
    let histograms = contexts(&ask(&node, "latencies:"));
    assert_eq!(histograms, contexts(&recorded["latencies:"]));
}

#[test]
fn latency_names_are_those_of_a_real_node() {
    let node = node();
    for (command, value) in recorded() {
        if command.starts_with("latencies:hist=") {
            let names = |text: &str| -> Vec<String> {
                text.split(';')
                    .map(|row| row.split(':').next().unwrap().to_owned())
                    .collect()
            };
            assert_eq!(names(&ask(&node, &command)), names(&value), "{command}");
        }
    }
}

#[test]
fn refuses_what_a_community_node_refuses() {
    let node = node();
    for (command, value) in recorded() {
        if value.starts_with("ERROR:25") {
            assert_eq!(ask(&node, &command), value, "{command}");
        }
    }
}

#[test]
fn an_empty_request_asks_for_the_summary() {
    let node = node();
    let body = String::from_utf8(reply(&node, &ConnectionState::default(), b"")).unwrap();
    let recorded = recorded();
    let lines = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.split('\t').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(lines(&body), lines(&recorded[""]));
}
