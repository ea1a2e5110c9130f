//! The recorded cases.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::shape::has_effect;

/// One recorded run.
#[derive(Deserialize)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) argv: Vec<String>,
    pub(super) stdin: Option<String>,
    /// A code that is shown is typed.
    pub(super) confirm: bool,
    #[serde(default, deserialize_with = "map")]
    pub(super) files: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "map")]
    pub(super) config_files: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "map")]
    pub(super) env: BTreeMap<String, String>,
    pub(super) tty: bool,
    pub(super) cluster: Value,
    pub(super) compare: String,
    #[serde(default, deserialize_with = "list")]
    pub(super) words: Vec<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) stdout: String,
    #[serde(default, deserialize_with = "map")]
    pub(super) out_files: BTreeMap<String, String>,
    pub(super) rc: Value,
    /// `node request` of those that change something, per node in order.
    #[serde(deserialize_with = "sent")]
    pub(super) sent: Vec<String>,
}

fn map<'de, D: serde::Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

fn list<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

fn text<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

fn sent<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let nodes: BTreeMap<String, Vec<String>> = BTreeMap::deserialize(from)?;
    let lines = nodes.into_iter().flat_map(|(node, requests)| {
        requests
            .into_iter()
            .filter(|request| has_effect(request))
            .map(move |request| format!("{node} {request}"))
    });
    Ok(lines.collect())
}

/// All of a file, a case a line.
pub(super) fn read(path: &Path) -> VecDeque<Case> {
    std::fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}
