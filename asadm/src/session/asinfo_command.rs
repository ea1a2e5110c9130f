//! `asinfo` inside `asadm`: one info command to many nodes, nobody forgotten.

use regex::RegexSet;
use tools::value;

use super::{Session, missed};
use crate::view::{Flag, Modifiers};
use tools::document::NodeAnswer;

const VALUE: &str = "-v";
const LINES: &str = "-l";
const NO_NODE_NAME: &str = "--no_node_name";

const FLAGS: &[Flag] = &[
    Flag {
        names: &[VALUE, "--value"],
        takes_value: true,
    },
    Flag {
        names: &[LINES, "--line-separator"],
        takes_value: false,
    },
    Flag {
        names: &[NO_NODE_NAME, "--no-node-name"],
        takes_value: false,
    },
];

impl Session {
    pub(super) async fn asinfo(&mut self, rest: &[String]) {
        let modifiers = Modifiers::parse(rest, &["like", "with"], FLAGS);
        let lacks_value = rest.last().filter(|word| *word == VALUE);
        if let Some(word) = lacks_value.or(modifiers.words.first()) {
            let line = rest.join(" ");
            self.out
                .warning(&format!("Do not understand '{word}' in '{line}'"));
            return;
        }
        let like = match patterns(modifiers.keyword("like")) {
            Ok(like) => like,
            Err(error) => {
                self.out.error(&format!("cannot use a pattern: {error}"));
                return;
            }
        };
        let all = (0..self.cluster.members.len()).collect();
        let Some(targets) = self.selected(&modifiers, all) else {
            return;
        };
        let text = modifiers.flags.get(VALUE).cloned().unwrap_or_default();
        let command = value::command(&text);
        let answers = self.answers(&targets, command).await;
        let mut failed = Vec::new();
        let mut blocks = String::new();
        let mut spoken = Vec::new();
        for (index, answer) in targets.iter().zip(answers) {
            let Some(member) = self.cluster.members.get(*index) else {
                continue;
            };
            let name = member.node.name.clone();
            let heading = format!("{name} ({}) returned", member.ip);
            let answer = answer.map(|answer| match &like {
                Some(set) if !command.is_empty() => kept(&answer, set),
                _ => answer,
            });
            if self.out.document().is_some() {
                spoken.push(NodeAnswer {
                    node: name.clone(),
                    address: member.ip.clone(),
                    answer: answer.clone(),
                });
            }
            let shown = match answer {
                Ok(answer) if command.is_empty() => answer,
                Ok(answer) => value::shown(&answer, modifiers.flag(LINES)),
                Err(reason) => {
                    failed.push(format!("{name}: {reason}"));
                    self.out.styled("31;91", &format!("FAILED: {reason}"))
                }
            };
            if modifiers.flag(NO_NODE_NAME) {
                blocks.extend([&shown, "\n"]);
            } else {
                blocks.extend([&self.out.bold(&heading), ":\n", &shown, "\n\n"]);
            }
        }
        match self.out.document() {
            Some(document) => document.answers(&spoken),
            // One write, however many nodes there are.
            None => self.out.text(&blocks),
        }
        if let Some(text) = missed(&failed, targets.len()) {
            self.out.error(&text);
        }
    }

    async fn answers(&mut self, targets: &[usize], command: &str) -> Vec<Result<String, String>> {
        if command.is_empty() {
            return self.cluster.summaries(targets).await;
        }
        self.cluster.ask_all(targets, command).await
    }
}

fn patterns(words: &[String]) -> Result<Option<RegexSet>, regex::Error> {
    if words.is_empty() {
        return Ok(None);
    }
    RegexSet::new(words.iter().map(|word| word.replace(['\'', '"'], ""))).map(Some)
}

/// The fields in which a pattern occurs.
fn kept(answer: &str, like: &RegexSet) -> String {
    let fields: Vec<_> = answer
        .split(';')
        .filter(|field| like.is_match(field))
        .collect();
    fields.join(";")
}
