//! `manage quiesce` and `manage revive`.

use super::{Outcome, ask, response, word};
use crate::session::Session;
use crate::view::Modifiers;

const RECLUSTER: &str = "Run \"manage recluster\" for your changes to take effect.\n";

/// The addresses of nodes, for a person.
pub(super) fn addresses(session: &Session, nodes: &[usize]) -> String {
    let names: Vec<_> = nodes
        .iter()
        .filter_map(|index| Some(session.cluster.members.get(*index)?.ip.as_str()))
        .collect();
    names.join(", ")
}

/// Takes nodes out of service, or back.
pub(super) async fn quiesce(session: &mut Session, undo: bool, modifiers: &Modifiers) -> Outcome {
    let Some(nodes) = session.selected(modifiers, Vec::new()) else {
        return Ok(());
    };
    let (command, title, what) = if undo || modifiers.has("undo") {
        (
            "quiesce-undo:",
            "Undo Quiesce for Nodes",
            "undo quiescing of",
        )
    } else {
        ("quiesce:", "Quiesce Nodes", "quiesce")
    };
    let named = modifiers.keyword("with").join(", ");
    let message = format!("You are about to {what} node(s): {named}");
    if session.warn && !session.confirm(&message).await {
        return Ok(());
    }
    let answers = ask(session, &nodes, command).await;
    let outcome = response::show(session, title, &nodes, &answers);
    session.out.text(RECLUSTER);
    outcome
}

/// Makes dead partitions available.
pub(super) async fn revive(session: &mut Session, modifiers: &Modifiers) -> Outcome {
    let all = session.cluster.alive();
    let Some(nodes) = session.selected(modifiers, all) else {
        return Ok(());
    };
    let namespace = word(modifiers, "ns");
    let message = format!("You are about to revive namespace {namespace}");
    if session.warn && !session.confirm(&message).await {
        return Ok(());
    }
    let answers = ask(session, &nodes, &format!("revive:namespace={namespace}")).await;
    let outcome = response::show(session, "Revive Namespace Partitions", &nodes, &answers);
    session.out.text(RECLUSTER);
    outcome
}
