//! `asinfo` inside `asadm`: one info command to many nodes, nobody forgotten.

use regex::RegexSet;
use tools::output::{Answers, Event, NodeAnswer};
use tools::{suggest, value};

use super::Session;
use super::ask::missed;
use crate::outcome::Outcome;
use crate::view::{Flag, Modifiers};

const VALUE: &str = "-v";
const LINES: &str = "-l";
const KEYWORDS: &[&str] = &["like", "with"];
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
    pub(super) async fn asinfo(&mut self, rest: &[String]) -> Outcome {
        let modifiers = Modifiers::parse(rest, KEYWORDS, FLAGS);
        let lacks_value = rest.last().filter(|word| *word == VALUE);
        if let Some(word) = lacks_value.or(modifiers.words.first()) {
            let line = rest.join(" ");
            self.out
                .warning(&format!("Do not understand '{word}' in '{line}'"));
            let flags = FLAGS.iter().flat_map(|flag| flag.names).copied();
            self.hint(word, flags.chain(KEYWORDS.iter().copied()).collect());
            return Outcome::Done;
        }
        let like = match patterns(modifiers.keyword("like")) {
            Ok(like) => like,
            Err(error) => {
                let text = format!("cannot use a pattern: {error}");
                return self.fail(Outcome::Misunderstood, &text);
            }
        };
        let all = (0..self.cluster.members.len()).collect();
        let targets = match self.selected(&modifiers, all) {
            Ok(targets) => targets,
            Err(error) => return self.fail(Outcome::Misunderstood, &error.to_string()),
        };
        let text = modifiers.flags.get(VALUE).cloned().unwrap_or_default();
        let command = value::command(&text);
        let answers = if command.is_empty() {
            self.cluster.summaries(&targets).await
        } else {
            self.cluster.ask_all(&targets, command).await
        };
        let mut failed = Vec::new();
        let mut nodes = Vec::with_capacity(targets.len());
        for (index, answer) in targets.iter().zip(answers) {
            let Some(member) = self.cluster.members.get(*index) else {
                continue;
            };
            let answer = answer.map(|answer| match &like {
                Some(set) if !command.is_empty() => kept(&answer, set),
                _ => answer,
            });
            let shown = match &answer {
                Ok(answer) if command.is_empty() => answer.clone(),
                Ok(answer) => value::shown(answer, modifiers.flag(LINES)),
                Err(reason) => {
                    failed.push(format!("{}: {reason}", member.node.name));
                    String::new()
                }
            };
            nodes.push(NodeAnswer {
                node: member.node.name.clone(),
                address: member.ip.clone(),
                answer,
                shown,
            });
        }
        let unknown = nodes
            .iter()
            .any(|node| node.answer.as_deref().is_ok_and(suggest::is_unknown));
        let named = !modifiers.flag(NO_NODE_NAME);
        self.out
            .tell(Event::Answers(Answers { nodes, named }))
            .await;
        if let Some(near) = unknown.then(|| suggest::info_command(command)).flatten() {
            self.out.note(&format!("Did you mean `{near}`?"));
        }
        match missed(&failed, targets.len()) {
            Some(text) => self.fail(Outcome::Unheard, &text),
            None => Outcome::Done,
        }
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
