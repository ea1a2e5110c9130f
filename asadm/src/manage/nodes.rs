//! `manage quiesce` and `manage revive`.

use tools::cluster::Cluster;
use tools::output::Event;

use super::{if_confirmed, response, targets, to_all, word};
use crate::plan::{Plan, Planned};
use crate::request::Builder;
use crate::view::Modifiers;

const RECLUSTER: &str = "Run \"manage recluster\" for your changes to take effect.\n";

/// The addresses of nodes, for a person.
pub(super) fn addresses(cluster: &Cluster, nodes: &[usize]) -> String {
    let names: Vec<_> = nodes
        .iter()
        .filter_map(|index| Some(cluster.members.get(*index)?.ip.as_str()))
        .collect();
    names.join(", ")
}

/// A command to nodes that shows what each says, and what to do then.
fn change(
    message: String,
    title: &'static str,
    nodes: Vec<usize>,
    command: String,
    (cluster, warned): (&Cluster, bool),
) -> Planned {
    let shown = response::Shown::new(title, &nodes, cluster);
    if_confirmed(warned, message, move || {
        to_all(&nodes, &command, move |replies| {
            let mut told = shown.events(&replies);
            // Behind the sheet, before the error.
            told.insert(1, Event::Text(RECLUSTER.to_owned()));
            Ok(Plan::Done(told))
        })
    })
}

/// Takes nodes out of service, or back.
pub(super) fn quiesce(
    undo: bool,
    modifiers: &Modifiers,
    cluster: &Cluster,
    warned: bool,
) -> Planned {
    let nodes = targets(modifiers, cluster)?;
    let (name, title, what) = if undo || modifiers.has("undo") {
        (
            "quiesce-undo",
            "Undo Quiesce for Nodes",
            "undo quiescing of",
        )
    } else {
        ("quiesce", "Quiesce Nodes", "quiesce")
    };
    let named = modifiers.keyword("with").join(", ");
    let message = format!("You are about to {what} node(s): {named}");
    change(
        message,
        title,
        nodes,
        Builder::new(name).text(),
        (cluster, warned),
    )
}

/// Makes dead partitions available.
pub(super) fn revive(modifiers: &Modifiers, cluster: &Cluster, warned: bool) -> Planned {
    let nodes = targets(modifiers, cluster)?;
    let namespace = word(modifiers, "ns");
    let command = Builder::new("revive").name("namespace", namespace)?.text();
    let message = format!("You are about to revive namespace {namespace}");
    change(
        message,
        "Revive Namespace Partitions",
        nodes,
        command,
        (cluster, warned),
    )
}
