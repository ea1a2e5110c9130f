//! The sheet that shows what each node said to a change.

use super::Outcome;
use crate::session::Session;
use crate::view::{is_error, reason};
use tools::sheet::{Format, Marker, NODE, Record, Rule, Sheet, Value, node, text};

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

/// Shows the answers. Fails, after the sheet, when a node did not say `ok`.
pub(super) fn show(
    session: &mut Session,
    title: &str,
    nodes: &[usize],
    answers: &[Result<String, String>],
) -> Outcome {
    let mut refused = Vec::new();
    let mut records = Vec::new();
    for (index, answer) in nodes.iter().zip(answers) {
        let Some(member) = session.cluster.members.get(*index) else {
            continue;
        };
        let name = member.node.name.clone();
        let response = match answer {
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
                .with(NODE, Value::Node(name, Marker::None))
                .with(RESPONSE, response),
        );
    }
    let response = text("Response", RESPONSE).rules(RULES);
    let sheet = Sheet::new(title, vec![node().into(), response.into()]).records(records);
    session.out.sheet(&sheet);
    match refused.as_slice() {
        [] => Ok(()),
        refused => Err(format!(
            "{} of {} nodes refused: {}",
            refused.len(),
            nodes.len(),
            refused.join("; ")
        )),
    }
}
