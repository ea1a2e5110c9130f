//! Commands that change something in the cluster, as plans.
//!
//! Changes of modules, indexes and the like go to the principal and spread from there; settings go to every node.

mod acl;
mod call;
mod config;
mod context;
mod jobs;
mod masking;
mod nodes;
mod response;
mod roster;
mod sindex;
mod time;
mod truncate;
mod udfs;

use tools::answer::{self, is_error, reason};
use tools::cluster::Cluster;

use crate::command::Manage;
use crate::plan::{Next, Plan, Planned, Reply, Request};
use crate::request::Builder;
use crate::view::Modifiers;

/// The plan of a command. What it needs is there: [`crate::command::Command::required`]. `warned` is true for a person
/// who wants to confirm changes.
pub fn plan(action: Manage, modifiers: &Modifiers, cluster: &Cluster, warned: bool) -> Planned {
    match action {
        Manage::Acl(change) => acl::change(change, modifiers, warned),
        Manage::UdfAdd => udfs::add(modifiers, cluster, warned),
        Manage::UdfRun => call::run(modifiers, warned),
        Manage::UdfRemove => udfs::remove(modifiers, cluster, warned),
        Manage::SindexCreate => sindex::create(modifiers, cluster, warned),
        Manage::SindexDelete => sindex::delete(modifiers, cluster, warned),
        Manage::Config(scope) => config::change(scope, modifiers, cluster, warned),
        Manage::Truncate => truncate::run(modifiers, cluster),
        Manage::Recluster => recluster(cluster),
        Manage::Quiesce { undo } => nodes::quiesce(undo, modifiers, cluster, warned),
        Manage::Revive => nodes::revive(modifiers, cluster, warned),
        Manage::Roster(change) => roster::change(change, modifiers, cluster),
        Manage::KillJobs => jobs::by_trid(modifiers, cluster, warned),
        Manage::KillQueries => jobs::queries(modifiers, cluster, warned),
        Manage::KillScans => jobs::scans(modifiers, cluster, warned),
        Manage::MaskingAdd => masking::add(modifiers, cluster, warned),
        Manage::MaskingDrop => masking::drop_rule(modifiers, cluster, warned),
    }
}

/// The first word of a modifier; empty if there is none.
fn word<'a>(modifiers: &'a Modifiers, keyword: &str) -> &'a str {
    modifiers
        .keyword(keyword)
        .first()
        .map_or("", String::as_str)
}

/// A word before the first modifier; empty if there is none.
fn argument(modifiers: &Modifiers, position: usize) -> &str {
    modifiers.words.get(position).map_or("", String::as_str)
}

/// The nodes of `with`; without it all that were reached.
fn targets(modifiers: &Modifiers, cluster: &Cluster) -> Result<Vec<usize>, String> {
    match modifiers.keyword("with") {
        [] => Ok(cluster.alive()),
        words => cluster.select(words).map_err(|error| error.to_string()),
    }
}

/// A step; one that waits for a person where that person wants to be asked.
fn if_confirmed(
    asks: bool,
    message: impl Into<String>,
    next: impl FnOnce() -> Planned + 'static,
) -> Planned {
    if !asks {
        return next();
    }
    Ok(Plan::Confirm {
        message: message.into(),
        next: Box::new(next),
    })
}

/// The same command to these nodes.
fn to_all(
    nodes: &[usize],
    command: &str,
    next: impl FnOnce(Vec<Reply>) -> Planned + 'static,
) -> Planned {
    let request = |node: &usize| Request {
        node: *node,
        command: command.to_owned(),
    };
    let next: Next = Box::new(next);
    Ok(Plan::Send(nodes.iter().map(request).collect(), next))
}

/// A command to the principal. `failed` begins the error when there is no answer or an error answer.
fn to_principal(
    cluster: &Cluster,
    command: String,
    failed: impl Into<String>,
    next: impl FnOnce(String) -> Planned + 'static,
) -> Planned {
    let failed = failed.into();
    let Some(node) = cluster.principal() else {
        return Err(format!("{failed} : no node to ask."));
    };
    tell(node, command, failed, next)
}

/// A command to one node.
fn tell(
    node: usize,
    command: String,
    failed: String,
    next: impl FnOnce(String) -> Planned + 'static,
) -> Planned {
    let next: Next = Box::new(move |replies| next(good(replies, &failed)?));
    Ok(Plan::Send(vec![Request { node, command }], next))
}

/// The only answer, if it is no error.
fn good(replies: Vec<Reply>, failed: &str) -> Reply {
    match replies.into_iter().next() {
        Some(Ok(answer)) if is_error(&answer) => Err(format!("{failed} : {}.", reason(&answer))),
        Some(Ok(answer)) => Ok(answer),
        Some(Err(reason)) => Err(format!("{failed} : {reason}.")),
        None => Err(format!("{failed} : no node to ask.")),
    }
}

/// How many nodes were not reached.
fn missed(cluster: &Cluster) -> usize {
    cluster.members.len() - cluster.alive().len()
}

/// How many nodes did not answer: what they have is in no sum.
fn silent(answers: &[Reply]) -> usize {
    answers.iter().filter(|answer| answer.is_err()).count()
}

/// What a question about a sum says of nodes that did not answer.
fn left_out(silent: usize) -> String {
    match silent {
        0 => String::new(),
        1 => ", and what 1 node has that did not answer".to_owned(),
        nodes => format!(", and what {nodes} nodes have that did not answer"),
    }
}

/// The number under a name in `name=value` fields.
fn number(answer: &str, name: &str, separator: char) -> u64 {
    answer
        .split(separator)
        .find_map(|field| field.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
        .unwrap_or(0)
}

/// Whether the principal's version is at least this.
fn at_least(cluster: &Cluster, wanted: &[u32]) -> bool {
    cluster
        .members
        .iter()
        .find(|member| member.node.principal)
        .is_some_and(|member| answer::at_least(&member.node.build, wanted))
}

fn recluster(cluster: &Cluster) -> Planned {
    let failed = "Failed to recluster";
    let command = Builder::new("recluster").text();
    to_principal(cluster, command, failed, move |answer| {
        if answer == "ignored-by-non-principal" {
            return Err(format!("{failed} : {answer}."));
        }
        Plan::done("Successfully started recluster")
    })
}
