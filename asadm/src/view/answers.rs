//! What the nodes answered: node key → info command → answer text or failure.

use std::collections::BTreeMap;

use tools::answer::is_error;

/// Why a node gave no answer to an info command (time-out, closed connection, …), in words for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    /// Lower-case sentence without full stop.
    pub reason: String,
}

/// The answers of one node: info command, without line feed, → the text after the tab.
#[derive(Debug, Clone, Default)]
pub struct NodeAnswers {
    answers: BTreeMap<String, Result<String, Failure>>,
}

impl NodeAnswers {
    /// Keep the answer to `command`.
    pub fn insert(&mut self, command: impl Into<String>, answer: Result<String, Failure>) {
        self.answers.insert(command.into(), answer);
    }

    /// True if `command` was asked, whatever came back.
    pub fn has(&self, command: &str) -> bool {
        self.answers.contains_key(command)
    }

    /// The answer to `command`; `None` if it was not asked.
    pub fn get(&self, command: &str) -> Option<Result<&str, &Failure>> {
        self.answers.get(command).map(|answer| answer.as_deref())
    }

    /// The answer to `command` if it is usable: asked, received, and not an error form (`ERROR…`, `FAIL…`).
    pub fn text(&self, command: &str) -> Option<&str> {
        self.get(command)?.ok().filter(|text| !is_error(text))
    }

    /// The usable answer, or nothing where there is none: what is made of it has no lines then, and the failure is told
    /// beside the table.
    pub fn text_or_nothing(&self, command: &str) -> &str {
        self.text(command).unwrap_or_default()
    }

    /// All commands that were asked, with what came back.
    pub fn all(&self) -> impl Iterator<Item = (&str, Result<&str, &Failure>)> {
        let answers = self.answers.iter();
        answers.map(|(command, answer)| (command.as_str(), answer.as_deref()))
    }

    /// Why commands were not answered at all.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.answers
            .values()
            .filter_map(|answer| answer.as_ref().err())
    }

    /// True if `command` was asked and there is no usable answer.
    pub fn failed(&self, command: &str) -> bool {
        self.has(command) && self.text(command).is_none()
    }
}

/// The answers of all nodes that were asked, by node key (`address:port`). Nodes that were not asked are absent.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    nodes: BTreeMap<String, NodeAnswers>,
}

impl Answers {
    /// The answers of one node, to fill.
    pub fn node_mut(&mut self, key: &str) -> &mut NodeAnswers {
        self.nodes.entry(key.to_owned()).or_default()
    }

    /// The answers of one node; `None` if it was not asked.
    pub fn node(&self, key: &str) -> Option<&NodeAnswers> {
        self.nodes.get(key)
    }
}
