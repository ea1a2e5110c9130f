//! Running commands: finds out what a line means, carries plans out, asks nodes for views, tells what comes of it.

mod accounts;
mod asinfo_command;
mod ask;
mod call;
mod collect;
mod execute;
mod look;
mod watch;
mod words;

use std::pin::Pin;

use tools::cluster::Cluster;
use tools::exit::Exit;
use tools::output::{Event, Output, Pager};

use crate::command::{self, Action, Command, Resolved, help, resolve};
use crate::manage;
use crate::outcome::Outcome;
use crate::view::Modifiers;

/// Whether the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Next command.
    Continue,
    /// No more commands.
    End,
}

/// When a command's words are shown above its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// When there are several commands; without `show`, `info`, `manage`.
    Several,
    /// Always, with all words.
    Always,
}

/// A connected session.
pub struct Session {
    /// The nodes.
    pub cluster: Cluster,
    /// Where events go.
    pub out: Output,
    /// Whether changes are allowed.
    pub privileged: bool,
    /// Whether changes have to be confirmed.
    pub warn: bool,
    /// Whether nodes that a view misses make it fail. Without it they are a warning, as scripts expect of the reference
    /// tool, which says nothing at all.
    pub strict: bool,
    /// Nothing was done since the picture of the cluster was drawn.
    fresh: bool,
    /// The worst that has happened.
    worst: Exit,
}

/// What came of a command.
pub(crate) type Ran = (Flow, Outcome);

impl Session {
    /// A session at its beginning.
    pub fn new(cluster: Cluster, out: Output) -> Self {
        Self {
            cluster,
            out,
            privileged: false,
            warn: false,
            strict: false,
            fresh: true,
            worst: Exit::Success,
        }
    }

    /// The exit status as far as the session has come.
    pub fn exit(&self) -> Exit {
        self.worst
    }

    /// Remembers how something ended that is no command.
    pub fn ended(&mut self, outcome: Outcome) {
        self.worst = self.worst.max(outcome.exit());
    }

    /// Says what is wrong.
    pub(crate) fn fail(&mut self, outcome: Outcome, text: &str) -> Outcome {
        self.out.error(text);
        outcome
    }

    /// Runs commands one after the other; one that fails does not stop the next.
    pub async fn run(&mut self, commands: &[Vec<String>], header: Header) -> Flow {
        for words in commands {
            let ends = matches!(words.as_slice(), [word, ..] if matches!(word.as_str(), "exit" | "quit" | "EOF"));
            if let Some(document) = self.out.document() {
                document.begin(&command::without_passwords(words));
            } else if !ends && (header == Header::Always || commands.len() > 1) {
                self.header(words, header);
            }
            let (flow, outcome) = self.command(words).await;
            self.ended(outcome);
            if flow == Flow::End || self.out.closed {
                return Flow::End;
            }
        }
        Flow::Continue
    }

    fn header(&mut self, words: &[String], header: Header) {
        let shown = match words {
            [first, rest @ ..]
                if header == Header::Several
                    && !rest.is_empty()
                    // However short it was written.
                    && !first.is_empty()
                    && ["show", "info", "manage"]
                        .iter()
                        .any(|family| family.starts_with(first.as_str())) =>
            {
                rest
            }
            words => words,
        };
        let shown = format!("{} ", shown.join(" "));
        let text = self.out.bold(&self.out.safe(&shown));
        self.out.put(&format!("\n~~~ {text}~~~\n"));
    }

    /// Runs one command.
    pub(crate) fn command<'a>(
        &'a mut self,
        words: &'a [String],
    ) -> Pin<Box<dyn Future<Output = Ran> + 'a>> {
        Box::pin(async move {
            if let Some(asked) = command::question(words) {
                return (Flow::Continue, self.help(asked));
            }
            let resolved = resolve(words);
            let family = match &resolved {
                Resolved::Command(command, _) => command.path.first().copied(),
                Resolved::Group(group) | Resolved::Unknown { group, .. } => group.first().copied(),
                Resolved::NotSubcommand { .. } | Resolved::Ambiguous(_) => None,
            };
            if let Some(family) = family.filter(|family| command::privileged(family))
                && !self.privileged
            {
                let text = format!(
                    "User must be in privileged mode to issue \"{family}\" commands.\n       Type \"enable\" to enter privileged mode."
                );
                return (Flow::Continue, self.fail(Outcome::Forbidden, &text));
            }
            let outcome = match resolved {
                Resolved::Command(command, rest) => {
                    let ran = self.act(&command, &rest).await;
                    self.fresh = false;
                    return ran;
                }
                Resolved::Group(group) => self.group(&group),
                Resolved::Unknown { group, words } => self.unknown(&group, &words),
                Resolved::NotSubcommand { group, word } => {
                    let path = group.join(" ");
                    let text = format!(
                        "{path}: '{word}' is not a valid subcommand. See 'help {path}' for available subcommands."
                    );
                    let outcome = self.fail(Outcome::Misunderstood, &text);
                    self.hint(&word, command::children(&group));
                    outcome
                }
                Resolved::Ambiguous(text) => self.fail(Outcome::Misunderstood, &text),
            };
            (Flow::Continue, outcome)
        })
    }

    fn group(&mut self, group: &[&'static str]) -> Outcome {
        self.out.text(&help(group));
        // What has one form only lacks its word.
        match (group, command::children(group).as_slice()) {
            (["manage", "acl", ..], [word]) => {
                self.fail(Outcome::Misunderstood, &format!("{word} is required"))
            }
            _ => Outcome::Done,
        }
    }

    async fn act(&mut self, command: &Command, rest: &[String]) -> Ran {
        let outcome = match command.action {
            Action::View(view) => self.view(view, command, rest).await,
            Action::AsInfo => {
                self.renew().await;
                self.asinfo(rest).await
            }
            Action::Enable => {
                self.privileged = true;
                self.warn = rest.iter().any(|word| word == "--warn");
                Outcome::Done
            }
            Action::Disable => {
                self.privileged = false;
                self.warn = false;
                Outcome::Done
            }
            Action::Exit => return (Flow::End, Outcome::Done),
            Action::Help => self.help(rest),
            Action::Watch => return self.watch(rest).await,
            Action::Pager => self.pager(rest),
            Action::Manage(action) => self.manage(action, command, rest).await,
            Action::Accounts(accounts) => {
                let modifiers = command.modifiers(rest);
                match self.stray_words(command, &modifiers) {
                    Some(outcome) => outcome,
                    None => self.accounts(accounts, modifiers).await,
                }
            }
            Action::Collect => self.collect(command, rest).await,
            Action::Absent => {
                let words = command.path.join(" ");
                let text = format!("`{words}` is not supported by this version of asadm");
                self.fail(Outcome::Misunderstood, &text)
            }
        };
        (Flow::Continue, outcome)
    }

    async fn manage(
        &mut self,
        action: command::Manage,
        command: &Command,
        rest: &[String],
    ) -> Outcome {
        let modifiers = command.modifiers(rest);
        if let Some(missing) = missing(command, &modifiers) {
            self.out.text(&help(command.path));
            return self.fail(Outcome::Misunderstood, &missing);
        }
        if let Some(outcome) = self.stray_words(command, &modifiers) {
            return outcome;
        }
        self.renew().await;
        let plan = manage::plan(action, &modifiers, &self.cluster, self.warn);
        self.execute(plan).await
    }

    fn help(&mut self, rest: &[String]) -> Outcome {
        let path: Vec<&str> = match resolve(rest) {
            Resolved::Command(command, _) => command.path.to_vec(),
            Resolved::Group(group)
            | Resolved::Unknown { group, .. }
            | Resolved::NotSubcommand { group, .. } => group,
            Resolved::Ambiguous(text) => return self.fail(Outcome::Misunderstood, &text),
        };
        self.out.text(&help(&path));
        Outcome::Done
    }

    fn pager(&mut self, rest: &[String]) -> Outcome {
        match rest.first().map(String::as_str) {
            Some("on") => self.out.pager = Pager::On,
            Some("off") => self.out.pager = Pager::Off,
            Some("scroll") => self.out.pager = Pager::Scroll,
            _ => self.out.text(&help(&["pager"])),
        }
        Outcome::Done
    }

    /// Tells events in order. With an error among them the command has failed.
    pub(crate) async fn tell(&mut self, events: Vec<Event>) -> Outcome {
        let mut outcome = Outcome::Done;
        for event in events {
            if event.is_error() {
                outcome = Outcome::Failed;
            }
            self.out.tell(event).await;
        }
        outcome
    }
}

/// What a command lacks.
fn missing(command: &Command, modifiers: &Modifiers) -> Option<String> {
    let absent = command
        .required
        .iter()
        .find(|keyword| modifiers.keyword(keyword).is_empty());
    match absent {
        Some(keyword) => Some(format!("{keyword} is required")),
        None if modifiers.words.len() < command.words => {
            Some("Missing required argument".to_owned())
        }
        None => None,
    }
}
