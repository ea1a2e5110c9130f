//! `manage roster`.

use super::{Outcome, ask, tell_principal, word};
use crate::command::RosterChange;
use crate::session::Session;
use crate::view::{Modifiers, is_error};

/// Changes the pending roster of a strong-consistency namespace. Asks for confirmation unless told not to.
pub(super) async fn change(
    session: &mut Session,
    change: RosterChange,
    modifiers: &Modifiers,
) -> Outcome {
    let namespace = word(modifiers, "ns");
    let nodes = session.cluster.alive();
    let answers = ask(session, &nodes, &format!("namespace/{namespace}")).await;
    let strong = answers.iter().flatten().any(|answer| {
        answer
            .split(';')
            .any(|field| field == "strong-consistency=true")
    });
    if !strong {
        return Err(format!(
            "namespace {namespace} is not in strong consistency mode"
        ));
    }
    let failed = "Failed to set pending-roster";
    stable(session, &nodes).await?;
    let roster = tell_principal(session, format!("roster:namespace={namespace}"), failed).await?;
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
    let named = match change {
        RosterChange::Stage => modifiers.words.as_slice(),
        _ => modifiers.keyword("nodes"),
    };
    let (wanted, done) = match change {
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
                return Err(format!("{failed} : {absent} is not in the pending-roster."));
            }
            let wanted = pending
                .into_iter()
                .filter(|node| !named.contains(node))
                .collect();
            (wanted, "Node(s) successfully removed from pending-roster.")
        }
        RosterChange::Stage if named.is_empty() => {
            return Err("Missing required argument".to_owned());
        }
        RosterChange::Stage => (named.to_vec(), "Pending roster successfully set."),
        RosterChange::StageObserved => (
            list("observed_nodes"),
            "Pending roster now contains observed nodes.",
        ),
    };
    let message = format!(
        "You are about to set the pending-roster for namespace {namespace} to: {}",
        wanted.join(", ")
    );
    if !modifiers.flag("--no-warn") && !session.confirm(&message).await {
        return Ok(());
    }
    let command = format!(
        "roster-set:namespace={namespace};nodes={}",
        wanted.join(",")
    );
    tell_principal(session, command, failed).await?;
    session.out.text(&format!(
        "{done}\nRun \"manage recluster\" for your changes to take effect.\n"
    ));
    Ok(())
}

/// Warns when the nodes do not agree about the cluster.
async fn stable(session: &mut Session, nodes: &[usize]) -> Outcome {
    let mut keys: Vec<_> = ask(session, nodes, "cluster-stable:").await;
    keys.sort();
    keys.dedup();
    let agreed = matches!(keys.as_slice(), [Ok(key)] if !is_error(key));
    if !agreed {
        session
            .out
            .warning("The cluster is unstable. The observed nodes may be incomplete.");
    }
    Ok(())
}
