//! Named things in a cluster: what is changed on one node is in force on all.
//!
//! The rule that decides between versions stands in [`crate::catalogue`], without input or output. Here it meets the
//! network, for every kind alike: `rollout` pushes a change to every live node and says when all have it, `converge` fetches
//! what others have gossiped and this node lacks, [`Answers`](super::Answers) serves both.

mod converge;
mod rollout;

pub(super) use converge::{Newcomer, ask};
pub use converge::{converge, publish};
pub(super) use rollout::{RollOutError, roll_out};

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Cluster;
use super::membership::Members;
use crate::catalogue::joining::Standing;
use crate::catalogue::version::{Summaries, Summary};
use crate::catalogue::{Catalogued, Item, Origin, StoreError, Stored};

pub(super) use super::ownership::Run;
use crate::storage::answer::{can_leave_the_worker, off_the_worker};

/// Everything that nodes have alike, a kind each.
pub type Catalogues = Arc<[Arc<dyn Catalogued>]>;

/// The runs of these members.
pub(super) fn runs(members: &Members) -> impl Iterator<Item = Run> + '_ {
    members
        .values()
        .map(|member| (member.id, member.incarnation))
}

/// A question about things of one kind, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct About<T> {
    /// Name of the kind.
    pub(super) kind: String,
    /// What is asked.
    pub(super) question: T,
}

impl<T: Serialize> About<T> {
    fn encode(kind: &str, question: T) -> Result<Vec<u8>, String> {
        let about = Self {
            kind: kind.to_owned(),
            question,
        };
        serde_json::to_vec(&about).map_err(|error| error.to_string())
    }
}

/// Question of [`QuestionKind::Versions`](super::fabric::QuestionKind::Versions).
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Compare {
    /// Incarnation of the asking node.
    pub(super) incarnation: u64,
}

/// What a node says about its things of a kind, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Versions {
    /// How far it can be relied upon.
    pub(super) standing: Standing,
    /// What it has on disk and in force, removed things included.
    pub(super) things: Summaries,
    /// Why it could not store one, by name.
    pub(super) failures: BTreeMap<String, String>,
}

/// Answer to a push, in the order of its items, as JSON: what the node has now, or why it has not stored the item.
pub(super) type Pushed = Vec<Result<Summary, String>>;

/// Stores items on a thread that may block; what the node has of each afterwards, or why it is not stored. It goes on when
/// nobody waits for it any more.
pub(super) async fn store(
    catalogue: &Arc<dyn Catalogued>,
    items: Vec<Item>,
    origin: Origin,
) -> Result<Pushed, StoreError> {
    let catalogue = Arc::clone(catalogue);
    let storing = tokio::task::spawn_blocking(move || store_here(&*catalogue, items, origin));
    // The runtime drops blocking work only at its end, when nobody waits for this any more.
    storing.await.unwrap_or_else(|_| Ok(Vec::new()))
}

/// The same for what was pushed, which somebody waits for: on this thread, if another can take over what it serves. To hand
/// it over and back means to wait twice for a processor.
pub(super) async fn store_pushed(
    catalogue: &Arc<dyn Catalogued>,
    items: Vec<Item>,
) -> Result<Pushed, StoreError> {
    if !can_leave_the_worker() {
        return store(catalogue, items, Origin::Peer).await;
    }
    let stored = off_the_worker(|| {
        catch_unwind(AssertUnwindSafe(|| {
            store_here(&**catalogue, items, Origin::Peer)
        }))
    });
    // As if it had been on another thread.
    stored.unwrap_or_else(|_| Ok(Vec::new()))
}

fn store_here(
    catalogue: &dyn Catalogued,
    items: Vec<Item>,
    origin: Origin,
) -> Result<Pushed, StoreError> {
    let offered: Vec<Summary> = items.iter().map(|item| item.summary).collect();
    let stored = catalogue.store(items, origin)?.into_iter().zip(offered);
    Ok(stored
        .map(|(stored, offered)| {
            stored
                .map(|stored: Stored| stored.has(&offered))
                .map_err(|error| error.to_string())
        })
        .collect())
}

/// What this node says of itself to one that asks.
pub(super) fn versions(cluster: &Cluster, catalogue: &dyn Catalogued, asker: Run) -> Versions {
    let shown = catalogue.shown();
    // In this order; see `Standing`.
    let standing = Standing {
        lists_asker: runs(&cluster.members()).any(|run| run == asker),
        alive_until_ms: shown.alive_until_ms(),
        is_settled: shown.is_settled(),
    };
    Versions {
        standing,
        things: shown.summaries(),
        failures: shown.failures().into_iter().collect(),
    }
}
