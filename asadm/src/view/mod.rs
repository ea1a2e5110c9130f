//! Views: which info commands a `show`/`info`/`summary`/`features` command needs, and how the answers become sheets.
//!
//! A view opens no socket and prints nothing. The core asks [`View::pending`] for every node, sends, stores the answers,
//! and repeats until nothing is pending; then [`View::render`] makes the [`Event`]s, and [`tools::render::print`] turns
//! each into text.

pub mod accounts;
mod answers;
mod cluster;
mod distribution;
mod features;
mod filter;
mod health;
mod jobs;
mod latencies;
mod modifiers;
mod namespace;
mod network;
mod parameters;
mod read;
mod set;
mod sindex;
mod stop_writes;
mod summary;
mod summary_text;
mod transactions;
mod udfs;
mod usage;
mod xdr;

pub use answers::{Answers, Failure, NodeAnswers};
pub use modifiers::{Flag, Modifiers};
pub use parameters::FLIP;
pub(crate) use parameters::namespace_config;
pub use read::name as node_name;
pub use tools::answer::is_error;

use std::collections::BTreeSet;

pub use tools::cluster::Node;
pub use tools::output::Event;

/// All that a view needs besides the answers.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The whole cluster picture, also nodes that were not asked.
    pub nodes: Vec<Node>,
    /// The parsed tail of the command line.
    pub modifiers: Modifiers,
    /// The current time as titles show it: `YYYY-MM-DD HH:MM:SS UTC`.
    pub now: String,
    /// The operating system of this machine, for what is told about nodes that run on it.
    pub system: Option<String>,
}

/// Which nodes a view asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// All alive nodes, or those of `with`.
    Nodes,
    /// The expected principal only.
    Principal,
    /// Nobody: the view shows the cluster picture.
    Nobody,
}

/// The words of a command.
type Path = &'static [&'static str];

/// The info commands for one node, as far as its answers so far tell them.
type Requests = fn(&Node, &NodeAnswers, &Context) -> Vec<String>;

/// What answers look like.
type Render = fn(&Answers, &Context) -> Vec<Event>;

/// A command that reads: its line, its info commands, its output.
#[derive(Clone, Copy)]
pub struct View {
    /// The command words: `["show", "statistics", "service"]`.
    pub path: Path,
    /// Which nodes are asked.
    pub target: Target,
    /// Modifiers that the command knows.
    pub keywords: &'static [&'static str],
    /// Flags that the command knows.
    pub flags: &'static [Flag],
    /// One sentence for the help.
    pub help: &'static str,
    /// Help leaves it out.
    pub hidden: bool,
    /// How many words it takes before the first modifier.
    pub words: usize,
    /// The info commands for one node as far as its answers so far tell them.
    pub requests: Requests,
    /// The output.
    pub render: Render,
}

impl View {
    /// A view that asks the nodes that `with` names, and takes nothing else.
    const fn of(path: Path, help: &'static str, requests: Requests, render: Render) -> Self {
        Self {
            path,
            target: Target::Nodes,
            keywords: &["with"],
            flags: &[],
            help,
            hidden: false,
            words: 0,
            requests,
            render,
        }
    }

    /// What has to be asked of a node next, each command once; empty when it has answered all. At most [`ROUNDS_MAX`] rounds are needed.
    pub fn pending(&self, node: &Node, answers: &NodeAnswers, context: &Context) -> Vec<String> {
        let mut requests = (self.requests)(node, answers, context);
        let mut seen = BTreeSet::new();
        requests.retain(|request| !answers.has(request) && seen.insert(request.clone()));
        requests
    }
}

/// `info`: the sheets of its subcommands for network, namespaces and XDR.
const INFO: View = View {
    path: &["info"],
    target: Target::Nodes,
    keywords: &["with"],
    flags: &[],
    help: "Displays network, namespace and XDR summaries.",
    hidden: false,
    words: 0,
    requests: |node, answers, context| {
        let mut requests = network::network_requests(node, answers, context);
        requests.extend(namespace::usage_requests(node, answers, context));
        requests.extend(xdr::info_requests(node, answers, context));
        requests
    },
    render: |answers, context| {
        let mut pieces = vec![
            network::network(answers, context),
            namespace::usage(answers, context),
            namespace::objects(answers, context),
        ];
        pieces.extend(xdr::info(answers, context));
        pieces
    },
};

/// How often a view may find that more has to be asked.
pub const ROUNDS_MAX: usize = 4;

/// All views, in tables by subject.
pub const VIEWS: &[&[View]] = &[
    &[
        INFO,
        summary::SHOW,
        features::SHOW,
        health::SHOW,
        stop_writes::SHOW,
        udfs::SHOW,
        network::NETWORK,
        network::RELEASE,
        set::INFO,
        sindex::INFO,
        sindex::SHOW,
        latencies::SHOW,
    ],
    namespace::VIEWS,
    parameters::VIEWS,
    xdr::VIEWS,
    cluster::VIEWS,
    distribution::VIEWS,
    jobs::VIEWS,
    transactions::VIEWS,
];

/// All views one after the other.
pub fn all() -> impl Iterator<Item = &'static View> {
    VIEWS.iter().copied().flatten()
}

/// `show stop-writes`.
pub const STOP_WRITES: View = stop_writes::SHOW;

/// Whether the answers to [`STOP_WRITES`] tell of a limit that is reached.
pub fn stops_writes(answers: &Answers, context: &Context) -> bool {
    stop_writes::any(answers, context)
}

/// The view of exactly these command words.
pub fn find(path: &[&str]) -> Option<&'static View> {
    all().find(|view| view.path == path)
}
