//! Asking nodes what a view needs.

use std::collections::BTreeMap;

use tools::clock;
use tools::cluster::{NodeReply, SelectError};
use tools::output::Event;
use tools::sheet::Layout;

use super::Session;
use crate::command::Command;
use crate::outcome::Outcome;
use crate::view::{self, Answers, Context, FLIP, Failure, Flag, Modifiers, Target, View};

impl Session {
    /// The nodes of `with`, or those given when there is no `with` or no word behind it.
    pub(super) fn selected(
        &self,
        modifiers: &Modifiers,
        all: Vec<usize>,
    ) -> Result<Vec<usize>, SelectError> {
        match modifiers.keyword("with") {
            [] => Ok(all),
            words => self.cluster.select(words),
        }
    }

    pub(super) async fn view(
        &mut self,
        view: &'static View,
        command: &Command,
        rest: &[String],
    ) -> Outcome {
        let flags: Vec<Flag> = view.flags.iter().copied().chain([FLIP]).collect();
        let modifiers = Modifiers::parse(rest, view.keywords, &flags);
        // A view that knows the flag lays its sheets out itself.
        let flips = modifiers.flag("--flip") && !view.flags.contains(&FLIP);
        let expected = match view.target {
            Target::Nodes => (0..self.cluster.members.len()).collect(),
            Target::Principal => self.cluster.principal().into_iter().collect(),
            Target::Nobody => Vec::new(),
        };
        if let Some(outcome) = self.stray_words(command, &modifiers) {
            return outcome;
        }
        let expected = match self.selected(&modifiers, expected) {
            Ok(expected) => expected,
            Err(error) => return self.fail(Outcome::Misunderstood, &error.to_string()),
        };
        let alive = self.cluster.alive();
        let targets: Vec<usize> = expected
            .iter()
            .copied()
            .filter(|index| alive.contains(index))
            .collect();
        let context = self.context(modifiers);
        let mut answers = self.gather(view, &targets, &context).await;
        for node in expected.iter().filter_map(|at| context.nodes.get(*at)) {
            // Known and not reached: its cells are empty.
            answers.node_mut(&node.key);
        }
        let mut events = (view.render)(&answers, &context);
        for event in &mut events {
            if let (true, Event::Sheet(sheet)) = (flips, event) {
                sheet.layout = match sheet.layout {
                    Layout::Columns => Layout::Rows,
                    Layout::Rows => Layout::Columns,
                };
            }
        }
        let shown = self.tell(events).await;
        let silent = self.silent(&expected, &answers);
        match self.tell_missed(&silent, expected.len()) {
            // What was shown and failed is worse.
            Outcome::Done | Outcome::Incomplete => shown,
            missed => missed,
        }
    }

    /// Says which nodes a table misses, each with its reason.
    pub(super) fn tell_missed(&mut self, silent: &[String], expected: usize) -> Outcome {
        match missed(silent, expected) {
            Some(text) if self.strict => self.fail(Outcome::Unheard, &text),
            Some(text) => {
                self.out.warning(&text);
                Outcome::Incomplete
            }
            None => Outcome::Done,
        }
    }

    /// Whether a node refuses writes, as far as the cluster tells.
    pub async fn stops_writes(&mut self) -> bool {
        let context = self.context(Modifiers::default());
        let targets = self.cluster.alive();
        let view = &view::STOP_WRITES;
        let answers = self.gather(view, &targets, &context).await;
        view::stops_writes(&answers, &context)
    }

    pub(super) fn context(&self, modifiers: Modifiers) -> Context {
        Context {
            nodes: self.cluster.nodes(),
            modifiers,
            now: format!("{} UTC", clock::shown(clock::now().0)),
            system: system(),
        }
    }

    /// Of the nodes that a view expected to hear, those that were not reached or failed to answer, each with its reason.
    pub(super) fn silent(&self, expected: &[usize], answers: &Answers) -> Vec<String> {
        let members = expected
            .iter()
            .filter_map(|index| self.cluster.members.get(*index));
        members
            .filter_map(|member| {
                let failed = || {
                    let mut failures = answers.node(&member.node.key)?.failures();
                    failures.next().map(|failure| failure.reason.as_str())
                };
                let reason = member.failure.as_deref().or_else(failed)?;
                Some(format!("{}: {reason}", member.node.name))
            })
            .collect()
    }

    /// Asks until the view has all that it needs.
    pub(super) async fn gather(
        &mut self,
        view: &View,
        targets: &[usize],
        context: &Context,
    ) -> Answers {
        let mut answers = Answers::default();
        for _ in 0..=view::ROUNDS_MAX {
            let asked: Vec<(usize, Vec<String>)> = targets
                .iter()
                .filter_map(|index| {
                    let node = context.nodes.get(*index)?;
                    let pending = view.pending(node, answers.node_mut(&node.key), context);
                    (!pending.is_empty()).then_some((*index, pending))
                })
                .collect();
            if asked.is_empty() {
                break;
            }
            let replies = self.ask_each(&asked).await;
            for ((index, commands), reply) in asked.iter().zip(replies) {
                let Some(node) = context.nodes.get(*index) else {
                    continue;
                };
                let node = answers.node_mut(&node.key);
                for command in commands {
                    let answer = reply
                        .get(command)
                        .cloned()
                        .unwrap_or_else(|| Err("no answer".to_owned()));
                    node.insert(command.clone(), answer.map_err(|reason| Failure { reason }));
                }
            }
        }
        answers
    }

    /// The answers by command. When a node fails at several commands in one message, each is asked again by itself, so
    /// that one bad command does not hide the others; these only read.
    async fn ask_each(
        &mut self,
        asked: &[(usize, Vec<String>)],
    ) -> Vec<BTreeMap<String, Result<String, String>>> {
        let replies = self.cluster.ask(asked.to_vec()).await;
        let mut found: Vec<_> = asked
            .iter()
            .zip(&replies)
            .map(|((_, commands), reply)| by_command(commands, reply))
            .collect();
        let failed: Vec<usize> = replies
            .iter()
            .enumerate()
            .filter(|(_, reply)| reply.is_err())
            .map(|(position, _)| position)
            .collect();
        let longest = failed
            .iter()
            .filter_map(|position| Some(asked.get(*position)?.1.len()))
            .max()
            .unwrap_or(0);
        if longest < 2 {
            return found;
        }
        for at in 0..longest {
            let singles: Vec<(usize, usize, String)> = failed
                .iter()
                .filter_map(|position| {
                    let (index, commands) = asked.get(*position)?;
                    Some((*position, *index, commands.get(at)?.clone()))
                })
                .collect();
            let again = singles
                .iter()
                .map(|(_, index, command)| (*index, vec![command.clone()]))
                .collect();
            for ((position, _, command), reply) in singles.iter().zip(self.cluster.ask(again).await)
            {
                if let Some(node) = found.get_mut(*position) {
                    node.extend(by_command(std::slice::from_ref(command), &reply));
                }
            }
        }
        found
    }
}

/// What is said of nodes that were asked in vain, each with its reason.
pub(super) fn missed(silent: &[String], expected: usize) -> Option<String> {
    let count = silent.len();
    let reasons = silent.join("; ");
    (count > 0).then(|| format!("{count} of {expected} nodes did not answer: {reasons}"))
}

fn by_command(commands: &[String], reply: &NodeReply) -> BTreeMap<String, Result<String, String>> {
    commands
        .iter()
        .enumerate()
        .map(|(at, command)| {
            let answer = match reply {
                Ok(values) => values
                    .get(at)
                    .cloned()
                    .ok_or_else(|| "no answer".to_owned()),
                Err(reason) => Err(reason.clone()),
            };
            (command.clone(), answer)
        })
        .collect()
}

/// Name and kernel of the operating system of this machine: `Debian GNU/Linux 12 (bookworm) (6.12.9-cloud-64)`.
fn system() -> Option<String> {
    let release = std::fs::read_to_string("/etc/os-release").ok()?;
    let name = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))?
        .trim_matches('"');
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    Some(format!("{name} ({})", kernel.trim()))
}
