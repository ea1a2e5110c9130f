//! Joining the cluster, following it, leaving it.
//!
//! ```text
//! joining ──── every live node counts this one among the live ones, and it has every module they have ───▶ ready
//! ready   ──── told to end ───▶ leaving ──── its records are with their new owners ───▶ left
//! ```
//!
//! The order at joining is what makes an acknowledged registration safe: once a node counts the newcomer, what is
//! registered there is pushed to the newcomer too; what was registered before is seen by the comparison that follows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::membership::{MemberState, Members};
use super::records::Records;
use super::{Cluster, LocalNode, modules, view};
use crate::modules::joining::Joining;
use crate::transaction::functions::LuaFunctions;

/// Pause between two tries.
const RETRY: Duration = Duration::from_millis(10);

/// The log says what is waited for this often.
const LOG_AGAIN: Duration = Duration::from_secs(5);

/// Time for clients to turn to other nodes.
const CLIENTS_NOTICE: Duration = Duration::from_millis(1_500);

/// Time for a node that leaves to hand over its records.
const HAND_OVER_LIMIT: Duration = Duration::from_secs(60);

/// Joins: returns when this node has every module that the live nodes have and all of them push new ones to it, or when
/// none of the seeds answered for as long as a silent node takes to be counted dead.
pub async fn join(cluster: &Arc<Cluster>, functions: &LuaFunctions) {
    let begun = Instant::now();
    let mut said = begun;
    let mut joining = Joining::default();
    loop {
        let alone = cluster.members().is_empty();
        let out_of_patience = cluster.seeds.is_empty() || begun.elapsed() >= cluster.patience;
        let waiting_for = if alone && !out_of_patience {
            greet_seeds(cluster);
            "an answer of a seed".to_owned()
        } else {
            let caught_up =
                modules::catch_up(cluster, functions, &mut joining, out_of_patience).await;
            match caught_up {
                Ok(true) => break,
                Ok(false) => "the others".to_owned(),
                Err(reason) => reason,
            }
        };
        if said.elapsed() >= LOG_AGAIN {
            said = Instant::now();
            warn!(target: "clustering", "not ready yet: waiting for {waiting_for}");
        }
        tokio::time::sleep(RETRY).await;
    }
    cluster.set_state(MemberState::Ready).await;
    info!(
        target: "clustering",
        "{} is ready in cluster `{}` with {} others",
        cluster.me,
        cluster.name,
        cluster.members().len()
    );
}

fn greet_seeds(cluster: &Cluster) {
    let addresses = cluster.seeds.iter().filter_map(|seed| {
        // Names are resolved by the gossip in its own time.
        seed.parse().ok()
    });
    addresses.for_each(|address| cluster.membership.greet(address));
}

/// Sets the node's view of the cluster, and gives back the task that keeps it up to date.
pub async fn follow(
    cluster: Arc<Cluster>,
    node: Arc<LocalNode>,
    records: Arc<Records>,
) -> impl Future<Output = ()> + Send {
    let mut members = cluster.membership.subscribe();
    let mut state = cluster.subscribe_state();
    let first = Arc::clone(&members.borrow_and_update());
    state.borrow_and_update();
    update(&cluster, &node, &records, &first).await;
    async move {
        loop {
            tokio::select! {
                changed = members.changed() => if changed.is_err() { return },
                changed = state.changed() => if changed.is_err() { return },
            }
            let now = Arc::clone(&members.borrow_and_update());
            state.borrow_and_update();
            update(&cluster, &node, &records, &now).await;
        }
    }
}

async fn update(cluster: &Cluster, node: &LocalNode, records: &Records, members: &Members) {
    let old = node.cluster.load_full();
    let new = view::next(cluster, members, &old);
    if new == *old {
        return;
    }
    let (key, size, principal) = (new.key, new.size(), new.principal);
    records.prepare(&new);
    node.cluster.store(Arc::new(new));
    if key != old.key {
        records.view_changed();
        let key = view::text_of(key);
        info!(target: "clustering", "cluster key {key}, {size} nodes, principal {principal}");
        cluster.membership.publish(view::KEY, &key).await;
        cluster.membership.greet_all().await;
    }
}

/// Leaves: the others own this node's partitions from now on, get its records, and forget it. `clients` says that there
/// are some, which need time to turn to the others.
pub async fn leave(cluster: &Cluster, records: &Records, clients: bool) {
    if cluster.members().is_empty() {
        return;
    }
    let begun = Instant::now();
    cluster.set_state(MemberState::Leaving).await;
    if clients {
        // They ask for the members about every second; until then they come here, and are served.
        tokio::time::sleep(CLIENTS_NOTICE).await;
    }
    while !records.is_settled_here() {
        if begun.elapsed() > HAND_OVER_LIMIT {
            warn!(
                target: "migrate",
                "records that are not handed over after {} s are lost",
                HAND_OVER_LIMIT.as_secs()
            );
            break;
        }
        tokio::time::sleep(RETRY).await;
    }
    cluster.membership.leave().await;
}
