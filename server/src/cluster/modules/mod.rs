//! Modules in a cluster: what is registered on one node is served by all.
//!
//! The rule that decides between versions stands in [`crate::modules`], without input or output. Here it meets the network:
//! `rollout` pushes a change to every live node and says when all have it, `converge` fetches what
//! others have gossiped and this node lacks, `answers` serves both, `status` asks every
//! node what it has.

mod commands;
mod converge;
mod rollout;
mod status;

pub use commands::ClusterModules;
pub(super) use converge::catch_up;
pub use converge::{converge, publish};

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Cluster;
use super::membership::Members;
use crate::modules::catalogue::Stored;
use crate::modules::item::ModuleItem;
use crate::modules::joining::Standing;
use crate::modules::module::ModuleSet;
use crate::modules::persistence::StoreError;
use crate::modules::version::{Summaries, Summary};
use crate::transaction::functions::LuaFunctions;

pub(super) use super::ownership::Run;

/// The runs of these members.
pub(super) fn runs(members: &Members) -> impl Iterator<Item = Run> + '_ {
    members
        .values()
        .map(|member| (member.id, member.incarnation))
}

/// Question of [`QuestionKind::ModuleVersions`](super::fabric::QuestionKind::ModuleVersions), as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Compare {
    /// Incarnation of the asking node.
    pub(super) incarnation: u64,
}

/// What a node says about its modules, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Versions {
    /// How far it can be relied upon.
    pub(super) standing: Standing,
    /// What it has on disk and serves, removed modules included.
    pub(super) modules: Summaries,
    /// Why it could not store a module, by file name.
    pub(super) failures: BTreeMap<String, String>,
}

/// Answer to a push, in the order of its items, as JSON: what the node has now, or why it has not stored the item.
pub(super) type Pushed = Vec<Result<Summary, String>>;

/// Stores items on a thread that may block; what the node has of each afterwards, or why it is not stored.
pub(super) async fn store(
    functions: &LuaFunctions,
    items: Vec<ModuleItem>,
) -> Result<Pushed, StoreError> {
    let offered: Vec<Summary> = items.iter().map(|item| item.summary).collect();
    let service = Arc::clone(&functions.0);
    let before = service.modules();
    let names: Vec<(String, u64)> = items
        .iter()
        .map(|item| (item.file_name.clone(), item.summary.version.node))
        .collect();
    let stored = tokio::task::spawn_blocking(move || service.store_many(items)).await;
    tell(&before, &functions.0.modules(), &names);
    // The runtime drops blocking work only at its end, when nobody waits for this any more.
    let stored = stored.unwrap_or_else(|_| Ok(Vec::new()))?;
    Ok(stored
        .into_iter()
        .zip(offered)
        .map(|(stored, offered)| {
            stored
                .map(|stored: Stored| stored.has(&offered))
                .map_err(|error| error.to_string())
        })
        .collect())
}

/// One line for each module that another node has changed here.
fn tell(before: &ModuleSet, after: &ModuleSet, names: &[(String, u64)]) {
    for (name, node) in names {
        let hash = |set: &ModuleSet| {
            set.of_file(name.as_bytes())
                .map(|module| module.hash().to_owned())
        };
        let shown = |hash: &Option<String>| hash.clone().unwrap_or_else(|| "-".to_owned());
        let (old, new) = (hash(before), hash(after));
        if old == new {
            continue;
        }
        let what = match (&old, &new) {
            (_, None) => "removed",
            (None, Some(_)) => "registered",
            (Some(_), Some(_)) => "replaced",
        };
        tracing::info!(
            target: "udf",
            "module `{name}` {what} by a change of node {node:X}: hash={} (was {})",
            shown(&new),
            shown(&old)
        );
    }
}

/// What this node says of itself to one that asks.
pub(super) fn versions(cluster: &Cluster, functions: &LuaFunctions, asker: Run) -> Versions {
    let service = &functions.0;
    // In this order; see `Standing`.
    let standing = Standing {
        lists_asker: runs(&cluster.members()).any(|run| run == asker),
        alive_until_ms: service.alive_until_ms(),
        is_settled: service.is_settled(),
    };
    Versions {
        standing,
        modules: service.summaries(),
        failures: service.failures().into_iter().collect(),
    }
}
