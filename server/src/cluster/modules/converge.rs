//! Catching up by gossip: every node publishes which versions it has; who lacks one fetches it from a node that has it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use super::super::Cluster;
use super::super::fabric::QuestionKind;
use super::super::membership::{Member, Members};
use super::{Compare, Run, Versions, runs, store};
use crate::config::node_id::NodeId;
use crate::modules::item::ModuleItem;
use crate::modules::joining::Joining;
use crate::modules::joining::outdated_counts;
use crate::modules::version::Summaries;
use crate::transaction::functions::LuaFunctions;

/// Beginning of the names under which versions are published; the file name follows.
const PREFIX: &str = "module/";

/// Pause before a fetch that failed is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// Names asked for at once, most.
const FETCH_NAMES: usize = 1_000;

/// Publishes what this node has, at first and after every change, once it counts.
pub async fn publish(cluster: Arc<Cluster>, functions: LuaFunctions) {
    let mut changes = functions.0.changes();
    let mut published = Summaries::new();
    loop {
        changes.borrow_and_update();
        if functions.0.is_settled() {
            let now = functions.0.summaries();
            let changed = now
                .iter()
                .filter(|(name, summary)| published.get(*name) != Some(summary))
                .map(|(name, summary)| (format!("{PREFIX}{name}"), Some(summary.to_string())));
            let forgotten = published
                .keys()
                .filter(|name| !now.contains_key(*name))
                .map(|name| (format!("{PREFIX}{name}"), None));
            let texts: Vec<(String, Option<String>)> = changed.chain(forgotten).collect();
            let texts = texts
                .iter()
                .map(|(name, text)| (name.as_str(), text.as_deref()));
            cluster.membership.publish_all(texts);
            published = now;
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Fetches what others have published and this node lacks, until it is dropped.
pub async fn converge(cluster: Arc<Cluster>, functions: LuaFunctions) {
    let mut members = cluster.membership.subscribe();
    // Texts of each run that were looked through with success.
    let mut seen: HashMap<Run, u64> = HashMap::new();
    loop {
        let now = Arc::clone(&members.borrow_and_update());
        seen.retain(|run, _| runs(&now).any(|known| known == *run));
        let mut failed = false;
        for member in now.values() {
            let run = (member.id, member.incarnation);
            if seen.get(&run) == Some(&member.texts_version()) {
                continue;
            }
            match fetch_from(&cluster, &functions, member).await {
                Ok(()) => {
                    seen.insert(run, member.texts_version());
                }
                Err(reason) => {
                    debug!(target: "udf", "no modules from {}: {reason}", member.id);
                    failed = true;
                }
            }
        }
        let again = async {
            if failed {
                tokio::time::sleep(RETRY).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            changed = members.changed() => if changed.is_err() { return },
            () = again => {}
        }
    }
}

async fn fetch_from(
    cluster: &Arc<Cluster>,
    functions: &LuaFunctions,
    member: &Member,
) -> Result<(), String> {
    let theirs: Summaries = member
        .texts(PREFIX)
        .filter_map(|(name, summary)| Some((name.into(), summary.parse().ok()?)))
        .collect();
    let mut lacking = functions.0.missing(&theirs);
    while !lacking.is_empty() {
        let names = lacking.get(..FETCH_NAMES).unwrap_or(&lacking);
        let got = fetch(cluster, functions, member.id, names).await?;
        lacking.retain(|name| !got.contains(name));
    }
    Ok(())
}

/// Fetches and stores some of these modules; gives back those that need not be asked for again: at least one.
async fn fetch(
    cluster: &Arc<Cluster>,
    functions: &LuaFunctions,
    node: NodeId,
    names: &[Arc<str>],
) -> Result<Vec<Arc<str>>, String> {
    let question = serde_json::to_vec(names).map_err(|error| error.to_string())?;
    let answer = cluster
        .fabric
        .call(
            node,
            QuestionKind::ModuleFetch,
            &question,
            cluster.deadline(),
        )
        .await
        .map_err(|error| error.to_string())?;
    let items: Vec<ModuleItem> = serde_json::from_slice(&answer)
        .map_err(|error| format!("an answer that cannot be read: {error}"))?;
    let got: Vec<Arc<str>> = items
        .iter()
        .map(|item| item.file_name.as_str().into())
        .collect();
    if got.is_empty() {
        // It has none of them any more.
        return Ok(names.to_vec());
    }
    let stored = store(functions, items)
        .await
        .map_err(|error| error.to_string())?;
    for (name, stored) in got.iter().zip(stored) {
        if let Err(reason) = stored {
            warn!(target: "udf", "`{name}` of {node} was not stored: {reason}");
        }
    }
    Ok(got)
}

/// One step of joining: asks the members that have not answered well enough yet, and fetches what they have. True when
/// this node has everything that the live nodes have, and all of them push new changes to it.
///
/// `listened` tells that by now all live nodes would have been heard of.
///
/// # Errors
/// Whom or what to wait for.
pub(in super::super) async fn catch_up(
    cluster: &Arc<Cluster>,
    functions: &LuaFunctions,
    joining: &mut Joining<Run>,
    listened: bool,
) -> Result<bool, String> {
    let members = cluster.members();
    joining.members(runs(&members));
    let mut waiting_for = None;
    let to_ask: Vec<Run> = joining.to_ask().collect();
    for run in to_ask {
        let versions = ask(cluster, run.0).await?;
        let lacking = functions.0.missing(&versions.modules);
        if !versions.standing.lists_asker {
            waiting_for = Some(format!("{} to list this node", run.0));
        } else if !versions.standing.is_settled {
            waiting_for = Some(format!("{} to settle its modules", run.0));
        }
        joining.answered(run, versions.standing, functions.0.is_settled(), lacking);
    }
    settle(cluster, functions, joining, listened).await?;
    fetch_lacking(cluster, functions, joining, &members).await?;
    if joining.is_ready(runs(&cluster.members())) {
        return Ok(true);
    }
    waiting_for.map_or(Ok(false), Err)
}

/// What a node says about its modules.
pub(super) async fn ask(cluster: &Cluster, node: NodeId) -> Result<Versions, String> {
    let question = Compare {
        incarnation: cluster.incarnation,
    };
    let question = serde_json::to_vec(&question).map_err(|error| error.to_string())?;
    let answer = cluster
        .fabric
        .call(
            node,
            QuestionKind::ModuleVersions,
            &question,
            cluster.deadline(),
        )
        .await
        .map_err(|error| error.to_string())?;
    serde_json::from_slice(&answer)
        .map_err(|error| format!("{node} gave an answer that cannot be read: {error}"))
}

async fn settle(
    cluster: &Arc<Cluster>,
    functions: &LuaFunctions,
    joining: &mut Joining<Run>,
    listened: bool,
) -> Result<(), String> {
    if functions.0.is_settled() {
        return Ok(());
    }
    let Some(peers) = joining.peers_alive_until_ms(runs(&cluster.members())) else {
        return Ok(());
    };
    let counts = outdated_counts(functions.0.alive_until_ms(), peers.iter().copied());
    if counts && !listened {
        // A node that was alive later may not have been heard of yet.
        return Ok(());
    }
    let service = Arc::clone(&functions.0);
    let settled = tokio::task::spawn_blocking(move || service.settle(peers)).await;
    match settled {
        Ok(Err(error)) => Err(format!("its registry: {error}")),
        Ok(Ok(())) | Err(_) => Ok(()),
    }
}

async fn fetch_lacking(
    cluster: &Arc<Cluster>,
    functions: &LuaFunctions,
    joining: &mut Joining<Run>,
    members: &Members,
) -> Result<(), String> {
    for run in runs(members) {
        loop {
            let names: Vec<Arc<str>> = joining
                .to_fetch()
                .filter(|(peer, _)| *peer == run)
                .map(|(_, name)| Arc::clone(name))
                .take(FETCH_NAMES)
                .collect();
            if names.is_empty() {
                break;
            }
            for name in fetch(cluster, functions, run.0, &names).await? {
                joining.fetched(run, &name);
            }
        }
    }
    Ok(())
}
