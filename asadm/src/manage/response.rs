//! The sheet that shows what each node said to a change.

use tools::answer::{is_error, reason};
use tools::cluster::Cluster;
use tools::output::Event;
use tools::sheet::{Format, Marker, NODE, Record, Rule, Sheet, Value, node, text};

use crate::plan::Reply;

/// The key of the node's words.
const RESPONSE: &str = "response";

/// Good is green, everything else red.
pub(super) const RULES: &[Rule] = &[
    Rule(
        Format::GreenAlert,
        |value, _| matches!(value, Value::Text(text) if text == "ok"),
    ),
    Rule(Format::RedAlert, |_, _| true),
];

/// A node's answer: `ok`, the reason of an error, or nothing when it did not answer.
fn said(answer: &str) -> String {
    let bare = answer.trim().trim_end_matches(';');
    if bare.eq_ignore_ascii_case("ok") {
        return "ok".to_owned();
    }
    if is_error(bare) {
        reason(bare)
    } else {
        bare.to_owned()
    }
}

/// A sheet that waits for the answers of nodes.
pub(super) struct Shown {
    title: String,
    names: Vec<String>,
}

impl Shown {
    /// For these nodes, in this order.
    pub(super) fn new(title: impl Into<String>, nodes: &[usize], cluster: &Cluster) -> Self {
        let name = |index: &usize| Some(cluster.members.get(*index)?.node.name.clone());
        Self {
            title: title.into(),
            names: nodes.iter().filter_map(name).collect(),
        }
    }

    /// The sheet and, when a node did not say `ok`, an error.
    pub(super) fn events(&self, replies: &[Reply]) -> Vec<Event> {
        let mut refused = Vec::new();
        let mut records = Vec::new();
        for (name, reply) in self.names.iter().zip(replies) {
            let response = match reply {
                Ok(answer) => {
                    let answer = said(answer);
                    if answer != "ok" {
                        refused.push(format!("{name}: {answer}"));
                    }
                    Value::text(answer)
                }
                Err(failure) => {
                    refused.push(format!("{name}: {failure}"));
                    Value::Error
                }
            };
            records.push(
                Record::default()
                    .with(NODE, Value::Node(name.clone(), Marker::None))
                    .with(RESPONSE, response),
            );
        }
        let response = text("Response", RESPONSE).rules(RULES);
        let sheet = Sheet::new(self.title.clone(), vec![node().into(), response.into()]);
        let mut events = vec![Event::sheet(sheet.records(records))];
        if !refused.is_empty() {
            events.push(Event::Error(format!(
                "{} of {} nodes refused: {}",
                refused.len(),
                self.names.len(),
                refused.join("; ")
            )));
        }
        events
    }
}
