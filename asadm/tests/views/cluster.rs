//! The frozen cluster: its picture as discovery would find it, and its answers under a case's faults.

use std::collections::BTreeMap;

use asadm::view::{Failure, Node};
use serde_json::{Map, Value};

use crate::case::{Case, golden};

const ADDRESSES: [&str; 3] = ["127.0.0.11", "127.0.0.12", "127.0.0.13"];

/// The cluster of one case.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    answers: BTreeMap<&'static str, Map<String, Value>>,
    faults: Value,
}

impl Cluster {
    /// The picture that starts at the seed `-h` of the case.
    pub(crate) fn of(case: &Case, seed: &str, single: bool) -> Self {
        let faults = case.cluster.clone();
        let answers: BTreeMap<_, _> = ADDRESSES.map(|address| (address, answers(address))).into();
        let listed = |key: &str, address: &str| {
            faults[key]
                .as_array()
                .is_some_and(|nodes| nodes.iter().any(|node| node == address))
        };
        let this = faults["listen"][seed].as_str().map(ToOwned::to_owned);
        let mut nodes: Vec<Node> = ADDRESSES
            .iter()
            .filter(|address| !single || seed.starts_with(**address))
            .map(|address| {
                let answers = &answers[address];
                let alive = !listed("down", address) && !listed("silent", address);
                let text = |command: &str| answers[command].as_str().unwrap_or_default().to_owned();
                Node {
                    key: format!("{address}:3000"),
                    name: format!("{address}:3000"),
                    id: if alive {
                        text("node")
                    } else {
                        "000000000000000".to_owned()
                    },
                    build: if alive { text("build") } else { String::new() },
                    alive,
                    this: this.as_deref() == Some(*address),
                    aliases: if this.as_deref() == Some(*address) {
                        vec![seed.to_owned()]
                    } else {
                        Vec::new()
                    },
                    ..Node::default()
                }
            })
            .collect();
        let highest = nodes
            .iter()
            .filter(|node| node.alive)
            .map(|node| node.id.clone())
            .max();
        for node in &mut nodes {
            node.principal = Some(&node.id) == highest.as_ref();
        }
        Self {
            nodes,
            answers,
            faults,
        }
    }

    /// What a node answers to a request.
    pub(crate) fn answer(&self, node: &Node, request: &str) -> Result<String, Failure> {
        let address = node.key.trim_end_matches(":3000");
        let rules = self.faults["on"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        for rule in rules {
            let wanted = rule["request"].as_str().expect("a request");
            let hit = wanted
                .strip_suffix('*')
                .map_or(wanted == request, |start| request.starts_with(start));
            if hit && (rule["node"] == "*" || rule["node"] == address) {
                return match rule["do"].as_str() {
                    Some("answer") => Ok(rule["answer"].as_str().expect("an answer").to_owned()),
                    _ => Err(Failure {
                        reason: "timeout after 1s".to_owned(),
                    }),
                };
            }
        }
        let answer = self.answers[address].get(request).and_then(Value::as_str);
        Ok(answer.unwrap_or("ERROR:4:unrecognized command").to_owned())
    }
}

fn answers(address: &str) -> Map<String, Value> {
    let text = std::fs::read_to_string(golden().join("cluster").join(format!("{address}.json")))
        .expect("a node");
    match serde_json::from_str(&text).expect("JSON") {
        Value::Object(answers) => answers,
        _ => panic!("answers of {address} are no object"),
    }
}
