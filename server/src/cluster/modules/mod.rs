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

/// Question of [`Kind::ModuleVersions`](super::fabric::Kind::ModuleVersions), as JSON.
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
    let stored = tokio::task::spawn_blocking(move || service.store_many(items)).await;
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
