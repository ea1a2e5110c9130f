//! The frozen cluster: its picture as discovery would find it, and its answers.

use std::collections::BTreeMap;
use std::path::Path;

use asadm::view::{Failure, Node};
use serde_json::{Map, Value};

const ADDRESSES: [&str; 3] = ["127.0.0.11", "127.0.0.12", "127.0.0.13"];

/// Three nodes; the last is the principal.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    /// By the key of a node.
    answers: BTreeMap<String, Map<String, Value>>,
}

impl Cluster {
    pub(crate) fn read() -> Self {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/asadm/cluster");
        let answers: BTreeMap<String, Map<String, Value>> = ADDRESSES
            .iter()
            .map(|address| {
                let path = directory.join(format!("{address}.json"));
                let text = std::fs::read_to_string(path).expect("recorded answers");
                let answers = serde_json::from_str(&text).expect("JSON");
                (format!("{address}:3000"), answers)
            })
            .collect();
        let nodes = answers.iter().enumerate().map(|(index, (key, answers))| {
            let text = |command: &str| answers[command].as_str().unwrap_or_default().to_owned();
            Node {
                key: key.clone(),
                name: key.clone(),
                id: text("node"),
                build: text("build"),
                alive: true,
                principal: index + 1 == ADDRESSES.len(),
                ..Node::default()
            }
        });
        Self {
            nodes: nodes.collect(),
            answers,
        }
    }

    /// What a node answers.
    pub(crate) fn answer(&self, node: &Node, request: &str) -> Result<String, Failure> {
        let known = self.answers[&node.key].get(request).and_then(Value::as_str);
        Ok(known.unwrap_or("ERROR:4:unrecognized command").to_owned())
    }
}
