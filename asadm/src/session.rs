//! Running commands: finds out what a line means, asks the nodes, shows the result.

mod accounts;
mod asinfo_command;
mod watch;

use std::collections::BTreeMap;
use std::pin::Pin;

use tools::terminal::line::read_line;

use crate::command::{self, Action, Command, Resolved, help, resolve};
use crate::manage;
use crate::view::{self, Answers, Context, FLIP, Failure, Flag, Modifiers, Piece, Target, View};
use tools::clock;
use tools::cluster::{Cluster, NodeReply};
use tools::output::{Output, Pager};
use tools::sheet::Layout;

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
    /// Where text goes.
    pub out: Output,
    /// Whether changes are allowed.
    pub privileged: bool,
    /// Whether changes have to be confirmed.
    pub warn: bool,
    /// Whether nodes that a view misses make it fail. Without it they are a warning, as scripts expect of the reference
    /// tool, which says nothing at all.
    pub strict: bool,
}

impl Session {
    /// A session at its beginning.
    pub fn new(cluster: Cluster, out: Output) -> Self {
        Self {
            cluster,
            out,
            privileged: false,
            warn: false,
            strict: false,
        }
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
            if self.command(words).await == Flow::End || self.out.closed {
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
        let text = self.out.bold(&format!("{} ", shown.join(" ")));
        self.out.text(&format!("\n~~~ {text}~~~\n"));
    }

    /// Runs one command.
    pub fn command<'a>(
        &'a mut self,
        words: &'a [String],
    ) -> Pin<Box<dyn Future<Output = Flow> + 'a>> {
        Box::pin(async move {
            let resolved = resolve(words);
            let family = match &resolved {
                Resolved::Command(command, _) => command.path.first().copied(),
                Resolved::Group(group) | Resolved::Unknown { group, .. } => group.first().copied(),
                _ => None,
            };
            if let Some(family) = family.filter(|family| command::privileged(family))
                && !self.privileged
            {
                self.out.error(&format!(
                    "User must be in privileged mode to issue \"{family}\" commands.\n       Type \"enable\" to enter privileged mode."
                ));
                return Flow::Continue;
            }
            match resolved {
                Resolved::Command(command, rest) => return self.act(&command, &rest).await,
                Resolved::Group(group) => {
                    self.out.text(&help(&group));
                    // What has one form only lacks its word.
                    if let (["manage", "acl", ..], [word]) =
                        (group.as_slice(), command::children(&group).as_slice())
                    {
                        self.out.error(&format!("{word} is required"));
                    }
                }
                Resolved::Unknown { group, words } => {
                    self.out.text(&help(&group));
                    self.out
                        .error(&format!("{}: command not found.", words.join(" ")));
                }
                Resolved::NotSubcommand { group, word } => {
                    let group = group.join(" ");
                    self.out.error(&format!(
                        "{group}: '{word}' is not a valid subcommand. See 'help {group}' for available subcommands."
                    ));
                }
                Resolved::Ambiguous(text) => self.out.error(&text),
            }
            Flow::Continue
        })
    }

    async fn act(&mut self, command: &Command, rest: &[String]) -> Flow {
        match command.action {
            Action::View(view) => self.view(view, rest).await,
            Action::AsInfo => self.asinfo(rest).await,
            Action::Enable => {
                self.privileged = true;
                self.warn = rest.iter().any(|word| word == "--warn");
            }
            Action::Disable => {
                self.privileged = false;
                self.warn = false;
            }
            Action::Exit => return Flow::End,
            Action::Help => self.help(rest),
            Action::Watch => self.watch(rest).await,
            Action::Pager => self.pager(rest),
            Action::Manage(action) => {
                let modifiers = command.modifiers(rest);
                if let Some(missing) = missing(command, &modifiers) {
                    self.out.text(&help(command.path));
                    self.out.error(&missing);
                } else {
                    manage::run(self, action, &modifiers).await;
                }
            }
            Action::Accounts(accounts) => {
                self.accounts(accounts, command.modifiers(rest)).await;
            }
            Action::Absent => {
                let words = command.path.join(" ");
                self.out.error(&format!(
                    "`{words}` is not supported by this version of asadm"
                ));
            }
        }
        Flow::Continue
    }

    fn help(&mut self, rest: &[String]) {
        let path: Vec<&str> = match resolve(rest) {
            Resolved::Command(command, _) => command.path.to_vec(),
            Resolved::Group(group)
            | Resolved::Unknown { group, .. }
            | Resolved::NotSubcommand { group, .. } => group,
            Resolved::Ambiguous(text) => {
                self.out.error(&text);
                return;
            }
        };
        self.out.text(&help(&path));
    }

    fn pager(&mut self, rest: &[String]) {
        match rest.first().map(String::as_str) {
            Some("on") => self.out.pager = Pager::On,
            Some("off") => self.out.pager = Pager::Off,
            Some("scroll") => self.out.pager = Pager::Scroll,
            _ => {
                self.out.text(&help(&["pager"]));
            }
        }
    }

    /// The nodes of `with`, or those given when there is no `with`; `None` after an error.
    pub fn selected(&mut self, modifiers: &Modifiers, all: Vec<usize>) -> Option<Vec<usize>> {
        if modifiers.keyword("with").is_empty() {
            return Some(all);
        }
        match self.cluster.select(modifiers.keyword("with")) {
            Ok(selected) => Some(selected),
            Err(error) => {
                self.out.error(&error.to_string());
                None
            }
        }
    }

    async fn view(&mut self, view: &'static View, rest: &[String]) {
        let flags: Vec<Flag> = view.flags.iter().copied().chain([FLIP]).collect();
        let modifiers = Modifiers::parse(rest, view.keywords, &flags);
        // A view that knows the flag lays its sheets out itself.
        let flips = modifiers.flag("--flip") && !view.flags.contains(&FLIP);
        let expected = match view.target {
            Target::Nodes => (0..self.cluster.members.len()).collect(),
            Target::Principal => self.cluster.principal().into_iter().collect(),
            Target::Nobody => Vec::new(),
        };
        let Some(expected) = self.selected(&modifiers, expected) else {
            return;
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
        for mut piece in (view.render)(&answers, &context) {
            if let (true, Piece::Sheet(sheet)) = (flips, &mut piece) {
                sheet.layout = match sheet.layout {
                    Layout::Columns => Layout::Rows,
                    Layout::Rows => Layout::Columns,
                };
            }
            self.out.piece(&piece);
        }
        let silent = self.silent(&expected, &answers);
        self.tell_missed(&silent, expected.len());
    }

    /// Says which nodes a table misses, each with its reason.
    fn tell_missed(&mut self, silent: &[String], expected: usize) {
        match missed(silent, expected) {
            Some(text) if self.strict => self.out.error(&text),
            Some(text) => self.out.warning(&text),
            None => {}
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

    fn context(&self, modifiers: Modifiers) -> Context {
        Context {
            nodes: self.cluster.nodes(),
            modifiers,
            now: format!("{} UTC", clock::shown(clock::now().0)),
            system: system(),
        }
    }

    /// Of the nodes that a view expected to hear, those that were not reached or failed to answer, each with its reason.
    fn silent(&self, expected: &[usize], answers: &Answers) -> Vec<String> {
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
    async fn gather(&mut self, view: &View, targets: &[usize], context: &Context) -> Answers {
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

    /// Shows a message and a code that has to be typed.
    pub async fn confirm(&mut self, message: &str) -> bool {
        let code = code();
        let shown = self.out.bold(&code);
        let gap = if message.is_empty() { "" } else { "\n" };
        self.out.question(&format!(
            "{message}{gap}Confirm that you want to proceed by typing {shown}, or cancel by typing anything else.\n"
        ));
        read_line().await.is_some_and(|line| line.trim() == code)
    }
}

/// What is said of nodes that were asked in vain, each with its reason.
fn missed(silent: &[String], expected: usize) -> Option<String> {
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

/// Six hexadecimal digits that nobody can type by habit.
fn code() -> String {
    use std::hash::{BuildHasher, Hasher};
    // The keys of every RandomState are random; nothing secret depends on this code.
    let random = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    format!("{:06x}", random & 0xff_ffff)
}
