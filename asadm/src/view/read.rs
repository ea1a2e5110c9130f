//! Info answers as fields and records.

use tools::answer::{is_error, reason};

use super::{Answers, Context, Event, Node, NodeAnswers};
use tools::sheet::{Marker, NODE, Record, Value};

/// The fields of a `k=v` list. A name that comes again adds its value behind a `,`.
pub(super) fn fields(text: &str, separator: char) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for field in text.split(separator) {
        let Some((name, value)) = field.split_once('=') else {
            continue;
        };
        // Lists are short and repeated names are neighbours, so a search from the end is cheap.
        match fields.last_mut() {
            Some((last, values)) if last == name => {
                values.push(',');
                values.push_str(value);
            }
            _ => fields.push((name.to_owned(), value.to_owned())),
        }
    }
    fields
}

/// A record of the fields of a `k=v` list.
pub(super) fn record(text: &str, separator: char) -> Record {
    let mut record = Record::default();
    add(&mut record, text, separator);
    record
}

/// Put the fields of a `k=v` list into a record.
pub(super) fn add(record: &mut Record, text: &str, separator: char) {
    for (name, value) in fields(text, separator) {
        record.set(name, Value::Text(value));
    }
}

/// The non-empty parts of a list.
pub(super) fn list(text: &str, separator: char) -> impl Iterator<Item = &str> {
    text.split(separator).filter(|part| !part.is_empty())
}

/// The names of the namespaces of one node.
pub(super) fn namespaces(answers: &NodeAnswers) -> impl Iterator<Item = &str> {
    list(answers.text_or_nothing("namespaces"), ';')
}

/// The nodes that were asked, with their answers, in the order of their display names.
pub(super) fn asked<'a>(
    answers: &'a Answers,
    context: &'a Context,
) -> Vec<(&'a Node, &'a NodeAnswers)> {
    let mut nodes: Vec<_> = context
        .nodes
        .iter()
        .filter_map(|node| Some((node, answers.node(&node.key)?)))
        .collect();
    nodes.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    nodes
}

fn marker(node: &Node) -> Marker {
    match (node.principal, node.this) {
        (true, _) => Marker::Principal,
        (_, true) => Marker::This,
        _ => Marker::None,
    }
}

/// The display name with its marker.
pub fn name(node: &Node) -> Value {
    Value::Node(node.name.clone(), marker(node))
}

/// The node id with its marker.
pub(super) fn id(node: &Node) -> Value {
    Value::Node(node.id.clone(), marker(node))
}

/// A record that begins with the node's name.
pub(super) fn of(node: &Node) -> Record {
    Record::default().with(NODE, name(node))
}

/// Mark keys as failed.
pub(super) fn fail(record: &mut Record, keys: &[&'static str]) {
    for key in keys {
        record.set(*key, Value::Error);
    }
}

/// A title with the time.
pub(super) fn stamped(title: &str, context: &Context) -> String {
    format!("{title} ({})", context.now)
}

/// The principal with its answers; of nodes that `with` chose, the first.
pub(super) fn principal<'a>(
    answers: &'a Answers,
    context: &'a Context,
) -> Option<(&'a Node, &'a NodeAnswers)> {
    let asked = asked(answers, context);
    let principal = asked.iter().find(|(node, _)| node.principal).copied();
    principal.or_else(|| asked.first().copied())
}

/// The answer to `command` of the principal, or what to say about its failure.
pub(super) fn principal_text<'a>(
    answers: &'a Answers,
    context: &'a Context,
    command: &str,
    failed: &str,
) -> Result<&'a str, Event> {
    let answer = principal(answers, context).and_then(|(_, answers)| answers.get(command));
    match answer {
        Some(Ok(text)) if is_error(text) => {
            Err(Event::Error(format!("{failed} : {}.", reason(text))))
        }
        Some(Ok(text)) => Ok(text),
        Some(Err(failure)) => Err(Event::Error(format!("{failed} : {failure}."))),
        None => Err(Event::Error(format!("{failed} : no node to ask."))),
    }
}
