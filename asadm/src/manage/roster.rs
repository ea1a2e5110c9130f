//! `manage roster`.

use tools::answer::is_error;
use tools::cluster::Cluster;
use tools::output::Event;

use super::{good, if_confirmed, tell, to_all, word};
use crate::command::RosterChange;
use crate::plan::{Plan, Planned, Reply, Request};
use crate::request::{Builder, checked_name};
use crate::view::Modifiers;

const FAILED: &str = "Failed to set pending-roster";

/// Changes the pending roster of a strong-consistency namespace. Asks for confirmation unless told not to.
pub(super) fn change(change: RosterChange, modifiers: &Modifiers, cluster: &Cluster) -> Planned {
    let namespace = checked_name("ns", word(modifiers, "ns"))?.to_owned();
    let named = match change {
        RosterChange::Stage => modifiers.words.clone(),
        RosterChange::Add | RosterChange::Remove | RosterChange::StageObserved => {
            modifiers.keyword("nodes").to_vec()
        }
    };
    if change == RosterChange::Stage && named.is_empty() {
        return Err("Missing required argument".to_owned());
    }
    for node in &named {
        checked_name("nodes", node)?;
    }
    let asks = !modifiers.flag("--no-warn");
    let Some(principal) = cluster.principal() else {
        return Err(format!("{FAILED} : no node to ask."));
    };
    let nodes = cluster.alive();
    to_all(
        &nodes.clone(),
        &format!("namespace/{namespace}"),
        move |answers| {
            let strong = |answer: &String| {
                answer
                    .split(';')
                    .any(|field| field == "strong-consistency=true")
            };
            if !answers.iter().flatten().any(strong) {
                // One that did not answer might have said otherwise.
                if let Some(Err(reason)) = answers.iter().find(|answer| answer.is_err()) {
                    return Err(format!("{FAILED} : {reason}."));
                }
                return Err(format!(
                    "namespace {namespace} is not in strong consistency mode"
                ));
            }
            to_all(&nodes, "cluster-stable:", move |keys| {
                let roster = Request {
                    node: principal,
                    command: Builder::new("roster").name("namespace", &namespace)?.text(),
                };
                let next = move |replies: Vec<Reply>| {
                    let roster = good(replies, FAILED)?;
                    let (wanted, done) = wanted(change, &named, &roster)?;
                    set(principal, &namespace, wanted, done, asks)
                };
                let ask = Plan::Send(vec![roster], Box::new(next));
                Ok(match unstable(keys) {
                    Some(warning) => Plan::Tell(vec![warning], Box::new(ask)),
                    None => ask,
                })
            })
        },
    )
}

/// A warning when the nodes do not agree about the cluster.
fn unstable(mut keys: Vec<Reply>) -> Option<Event> {
    keys.sort();
    keys.dedup();
    let agreed = matches!(keys.as_slice(), [Ok(key)] if !is_error(key));
    (!agreed).then(|| {
        Event::Warning("The cluster is unstable. The observed nodes may be incomplete.".to_owned())
    })
}

/// The nodes of the new roster, and what is said of it.
fn wanted(
    change: RosterChange,
    named: &[String],
    roster: &str,
) -> Result<(Vec<String>, &'static str), String> {
    let list = |name: &str| -> Vec<String> {
        roster
            .split(':')
            .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_default()
            .split(',')
            .filter(|node| !node.is_empty() && *node != "null")
            .map(str::to_owned)
            .collect()
    };
    let pending = list("pending_roster");
    Ok(match change {
        RosterChange::Add => {
            let mut wanted = pending;
            for node in named {
                if !wanted.contains(node) {
                    wanted.push(node.clone());
                }
            }
            (wanted, "Node(s) successfully added to pending-roster.")
        }
        RosterChange::Remove => {
            if let Some(absent) = named.iter().find(|node| !pending.contains(node)) {
                return Err(format!("{FAILED} : {absent} is not in the pending-roster."));
            }
            let wanted = pending
                .into_iter()
                .filter(|node| !named.contains(node))
                .collect();
            (wanted, "Node(s) successfully removed from pending-roster.")
        }
        RosterChange::Stage => (named.to_vec(), "Pending roster successfully set."),
        RosterChange::StageObserved => (
            list("observed_nodes"),
            "Pending roster now contains observed nodes.",
        ),
    })
}

fn set(
    principal: usize,
    namespace: &str,
    wanted: Vec<String>,
    done: &'static str,
    asks: bool,
) -> Planned {
    let command = Builder::new("roster-set")
        .name("namespace", namespace)?
        .value("nodes", &wanted.join(","))?
        .text();
    let send = move || {
        tell(principal, command, FAILED.to_owned(), move |_| {
            Plan::done(format!(
                "{done}\nRun \"manage recluster\" for your changes to take effect."
            ))
        })
    };
    let message = format!(
        "You are about to set the pending-roster for namespace {namespace} to: {}",
        wanted.join(", ")
    );
    if_confirmed(asks, message, send)
}
