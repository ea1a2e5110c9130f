//! The recorded cases.

use std::path::PathBuf;

use serde_json::Value;

/// One recorded run.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) argv: Vec<String>,
    pub(crate) cluster: Value,
    pub(crate) columns: Option<usize>,
    pub(crate) tty: bool,
    pub(crate) compare: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) rc: i64,
    pub(crate) quirk: bool,
}

/// The directory of the recorded data.
pub(crate) fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/asadm")
}

/// All cases.
pub(crate) fn read() -> Vec<Case> {
    let text = std::fs::read_to_string(golden().join("cases.jsonl")).expect("the recorded cases");
    text.lines()
        .map(|line| parse(&serde_json::from_str(line).expect("one case per line")))
        .collect()
}

fn parse(case: &Value) -> Case {
    let text = |key: &str| case[key].as_str().unwrap_or_default().to_owned();
    let argv = case["argv"].as_array().expect("argv");
    Case {
        name: text("name"),
        argv: argv
            .iter()
            .map(|word| word.as_str().expect("a word").to_owned())
            .collect(),
        cluster: case["cluster"].clone(),
        columns: case["env"]["COLUMNS"]
            .as_str()
            .map(|columns| columns.parse().expect("a number")),
        tty: case["tty"] == true,
        compare: text("compare"),
        stdout: text("stdout"),
        stderr: text("stderr"),
        rc: case["rc"].as_i64().unwrap_or(-1),
        quirk: case["quirk"] == true,
    }
}
