//! Running a case: its words to views, views to requests, answers to text.

use std::net::{IpAddr, SocketAddr};

use asadm::render::{self, Style};
use asadm::view::{self, Answers, Context, Modifiers, Piece, Target, View};

use crate::case::Case;
use crate::cluster::Cluster;

/// What came out.
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) rc: i64,
    /// `ERROR: ...` and `WARNING: ...` lines.
    pub(crate) messages: Vec<String>,
}

/// Options of a case that a view can be run under.
#[derive(Default)]
struct Options {
    seed: String,
    json: bool,
    single: bool,
    execute: Option<String>,
}

fn options(case: &Case) -> Option<Options> {
    let mut options = Options::default();
    let mut words = case.argv.iter();
    if words.next()? != "asadm" {
        return None;
    }
    while let Some(word) = words.next() {
        match word.as_str() {
            "-h" => options.seed = words.next()?.clone(),
            "-j" | "--json" => options.json = true,
            "--single-node" => options.single = true,
            "-e" => options.execute = Some(words.next()?.clone()),
            _ => return None,
        }
    }
    Some(options)
}

/// The commands of an `-e` text that has no quotes and comments.
fn commands(text: &str) -> Option<Vec<Vec<String>>> {
    if text.contains(['\'', '"', '\\', '#', '|']) {
        return None;
    }
    let words = |command: &str| {
        command
            .split_whitespace()
            .map(ToOwned::to_owned)
            .collect::<Vec<_>>()
    };
    Some(
        text.split(';')
            .map(words)
            .filter(|words| !words.is_empty())
            .collect(),
    )
}

/// The view with the longest path that begins the words.
fn view_of(words: &[String]) -> Option<(&'static View, &[String])> {
    let view = view::all()
        .filter(|view| {
            words.len() >= view.path.len() && view.path.iter().zip(words).all(|(a, b)| a == b)
        })
        .max_by_key(|view| view.path.len())?;
    Some((view, &words[view.path.len()..]))
}

fn is_address(seed: &str) -> bool {
    seed.parse::<IpAddr>().is_ok() || seed.parse::<SocketAddr>().is_ok()
}

/// Run all commands of a case; `None` if one of them is no view or the case is about something else.
pub(crate) fn run(case: &Case) -> Option<Output> {
    if matches!(case.compare.as_str(), "none" | "help" | "version") {
        return None;
    }
    let options = options(case)?;
    let commands = commands(options.execute.as_ref()?)?;
    let views: Vec<_> = commands
        .iter()
        .map(|words| view_of(words))
        .collect::<Option<_>>()?;
    if views.is_empty() {
        return None;
    }
    let cluster = Cluster::of(case, &options.seed, options.single);
    if !is_address(&options.seed)
        || !cluster.nodes.iter().any(|node| node.alive)
        || options.seed.ends_with(":3003")
    {
        return None;
    }
    let mut output = Output {
        stdout: String::new(),
        rc: 0,
        messages: Vec::new(),
    };
    for ((view, rest), words) in views.iter().zip(&commands) {
        // A word that stands where a subcommand is expected is refused by the line language.
        if view.path.len() == 1
            && rest
                .first()
                .is_some_and(|word| word != "with" && !word.starts_with('-'))
        {
            return None;
        }
        if views.len() > 1 {
            output.stdout += &format!("\n~~~ {} ~~~\n", words[1..].join(" "));
        }
        one(view, rest, &cluster, case, options.json, &mut output);
    }
    Some(output)
}

fn one(
    view: &View,
    rest: &[String],
    cluster: &Cluster,
    case: &Case,
    json: bool,
    output: &mut Output,
) {
    let modifiers = Modifiers::parse(rest, view.keywords, view.flags);
    let with = modifiers.keyword("with").to_vec();
    let context = Context {
        nodes: cluster.nodes.clone(),
        modifiers,
        now: "2026-11-23 03:13:16 UTC".to_owned(),
    };
    let mut answers = Answers::default();
    for node in cluster.nodes.iter().filter(|node| node.alive) {
        let wanted = match view.target {
            Target::Nodes => {
                with.is_empty() || with.iter().any(|word| node.key.starts_with(word.as_str()))
            }
            Target::Principal => node.principal,
            Target::Nobody => false,
        };
        if !wanted {
            continue;
        }
        let answers = answers.node_mut(&node.key);
        for round in 0.. {
            let pending = view.pending(node, answers, &context);
            if pending.is_empty() {
                break;
            }
            assert!(
                round < view::ROUNDS_MAX,
                "{:?} asks on and on: {pending:?}",
                view.path
            );
            for request in pending {
                let answer = cluster.answer(node, &request);
                answers.insert(request, answer);
            }
        }
    }
    let style = Style {
        json,
        colour: case.tty,
        columns: case.columns.unwrap_or(160),
    };
    for piece in (view.render)(&answers, &context) {
        match piece {
            Piece::Sheet(sheet) => output.stdout += &render::print(&sheet, &style),
            Piece::Text(text) => output.stdout += &text,
            Piece::Error(text) => {
                output.rc = 2;
                output.messages.push(format!("ERROR: {text}"));
            }
            Piece::Warning(text) => output.messages.push(format!("WARNING: {text}")),
        }
    }
}
