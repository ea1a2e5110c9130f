//! Joining the cluster, following it, leaving it.
//!
//! ```text
//! joining ──── every live node counts this one among the live ones, and it has every module and index they have ───▶ ready
//! ready   ──── told to end ───▶ leaving ──── its records are with their new owners ───▶ left
//! ```
//!
//! The order at joining is what makes an acknowledged registration safe: once a node counts the newcomer, what is
//! registered there is pushed to the newcomer too; what was registered before is seen by the comparison that follows.
//!
//! A node that finds nobody who knows what the cluster holds founds it, with whom it has found; but not before every seed is
//! accounted for: it is here, nobody listens there, or it was silent for as long as the dead are. Else a slow node could
//! hold the records that this one would found anew. Where records outlive nodes, that nobody listens does not count: the
//! records are there all the same.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tracing::{info, warn};

use super::catalogue::{Catalogues, Newcomer};
use super::followers::{Farewell, Followers, Notice};
use super::member::name;
use super::membership::{MemberState, Members};
use super::records::Records;
use super::{Cluster, LocalNode, view};

/// Pause between two tries.
const RETRY: Duration = Duration::from_millis(10);

/// The log says what is waited for this often.
const LOG_AGAIN: Duration = Duration::from_secs(5);

/// Names of seeds are resolved this often while a node is alone.
const RESOLVE_AGAIN: Duration = Duration::from_secs(5);

/// Whether all agree is looked at this often, where patience with silent nodes is no shorter.
const LOOK_AGAIN: Duration = Duration::from_millis(150);

/// Time for a node that leaves to hand over its records.
const HAND_OVER_LIMIT: Duration = Duration::from_secs(60);

/// Another live node has this node's identity.
#[derive(Debug, thiserror::Error)]
#[error("the node-id {id} is that of the node at {holder}: each node needs its own")]
pub struct TakenIdentity {
    id: crate::config::node_id::NodeId,
    holder: SocketAddr,
}

/// Addresses of the seeds, as far as their names are known.
struct Seeds {
    names: Vec<String>,
    addresses: Vec<SocketAddr>,
    unresolved: usize,
    asked: Option<Instant>,
}

impl Seeds {
    async fn resolve(&mut self, cluster: &Cluster) {
        if self
            .asked
            .is_some_and(|asked| self.unresolved == 0 || asked.elapsed() < RESOLVE_AGAIN)
        {
            return;
        }
        self.asked = Some(Instant::now());
        self.unresolved = 0;
        for name in &self.names {
            match tokio::net::lookup_host(name).await {
                Ok(found) => {
                    for address in found {
                        cluster.membership.add_seed(address);
                        if !self.addresses.contains(&address) {
                            self.addresses.push(address);
                        }
                    }
                }
                Err(_) => self.unresolved += 1,
            }
        }
    }

    /// Whether nobody else may be there.
    async fn are_accounted(&self, cluster: &Arc<Cluster>) -> bool {
        if cluster.keeps {
            let mut seeds = self.addresses.iter();
            return self.unresolved == 0 && seeds.all(|seed| cluster.membership.is_here(*seed));
        }
        let mut looking = JoinSet::new();
        for seed in self.addresses.iter().copied() {
            let cluster = Arc::clone(cluster);
            looking.spawn(async move { cluster.membership.is_accounted(seed).await });
        }
        let mut all = self.unresolved == 0;
        while let Some(accounted) = looking.join_next().await {
            all &= accounted.unwrap_or(false);
        }
        all
    }
}

/// Joins: returns when this node has everything that the live nodes have alike, can use it, and all of them push changes
/// to it, and what the cluster holds is known or nobody can hold anything.
///
/// # Errors
/// Another live node has this node's identity.
pub async fn join(cluster: &Arc<Cluster>, catalogues: &Catalogues) -> Result<(), TakenIdentity> {
    let begun = Instant::now();
    let mut said = begun;
    let mut newcomers: Vec<Newcomer> = catalogues.iter().map(Newcomer::new).collect();
    let mut seeds = Seeds {
        names: cluster.seeds.clone(),
        addresses: Vec::new(),
        unresolved: 0,
        asked: None,
    };
    let taken = cluster.membership.taken();
    loop {
        seeds.resolve(cluster).await;
        if let Some(holder) = *taken.borrow() {
            let id = cluster.me;
            return Err(TakenIdentity { id, holder });
        }
        let alone = cluster.members().is_empty();
        let out_of_patience = cluster.seeds.is_empty() || begun.elapsed() >= cluster.patience;
        let waiting_for = if alone && !out_of_patience {
            "an answer of a seed".to_owned()
        } else {
            match catch_up(cluster, &mut newcomers, out_of_patience).await {
                Ok(true) if may_serve(cluster, &seeds, begun).await => break,
                Ok(true) => "every seed to answer, or to be given up".to_owned(),
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
    cluster.set_state(MemberState::Ready);
    info!(
        target: "clustering",
        "{} is ready in cluster `{}` with {} others",
        cluster.me,
        cluster.name,
        cluster.members().len()
    );
    Ok(())
}

/// One step towards everything that the live nodes have alike; true when it is here.
async fn catch_up(
    cluster: &Arc<Cluster>,
    newcomers: &mut [Newcomer],
    listened: bool,
) -> Result<bool, String> {
    let mut all = true;
    for newcomer in newcomers {
        all &= newcomer.catch_up(cluster, listened).await?;
    }
    Ok(all)
}

async fn may_serve(cluster: &Arc<Cluster>, seeds: &Seeds, begun: Instant) -> bool {
    let may = |all_seeds_known| {
        cluster
            .rule
            .with(|ownership, now| ownership.may_serve(now, all_seeds_known))
    };
    if may(false) {
        return true;
    }
    let given_up = begun.elapsed() > cluster.dead_after;
    (given_up || seeds.are_accounted(cluster).await) && may(true)
}

/// Sets the node's view of the cluster, and gives back the task that keeps it up to date.
pub fn follow(
    cluster: Arc<Cluster>,
    node: Arc<LocalNode>,
    records: Arc<Records>,
) -> impl Future<Output = ()> + Send {
    let mut members = cluster.membership.subscribe();
    let mut state = cluster.subscribe_state();
    let first = Arc::clone(&members.borrow_and_update());
    state.borrow_and_update();
    update(&cluster, &node, &records, &first);
    async move {
        loop {
            tokio::select! {
                changed = members.changed() => if changed.is_err() { return },
                changed = state.changed() => if changed.is_err() { return },
                // Whether all agree is told by nobody.
                () = tokio::time::sleep(LOOK_AGAIN.min(cluster.patience / 10)) => {}
            }
            let now = Arc::clone(&members.borrow_and_update());
            state.borrow_and_update();
            update(&cluster, &node, &records, &now);
        }
    }
}

fn update(cluster: &Cluster, node: &LocalNode, records: &Records, members: &Members) {
    let old = node.cluster.load_full();
    let new = view::next(cluster, members, &old);
    if new == *old {
        return;
    }
    let (key, size, principal) = (new.key, new.size(), new.principal);
    let changed = new.peers != old.peers || size != old.size();
    node.cluster.store(Arc::new(new));
    records.count();
    if changed || key != old.key {
        let key = view::text_of(key);
        info!(target: "clustering", "cluster key {key}, {size} nodes, principal {principal}");
    }
}

/// Leaves: the others own this node's partitions from now on, get its records, and then forget it. `clients` says that
/// there are some, which need time to turn to the others: until then they come here, and are served. A client that is told
/// that a node is gone before it knows who has its partitions now has nobody to turn to in between. So the others list it no
/// more only then, and it answers until clients have turned away. A node that has nobody to hand over to goes at once.
pub async fn leave(cluster: &Cluster, clients: bool, followers: &Followers) {
    let begun = Instant::now();
    let may_end = || cluster.rule.with(|ownership, _| ownership.may_end());
    cluster.set_state(MemberState::Leaving);
    let mut notice = Notice::new(followers);
    let in_order = loop {
        let (nobody_left, agreed) = cluster
            .rule
            .with(|ownership, _| (ownership.has_no_heir(), ownership.is_agreed()));
        let noticed = !clients || notice.is_over(agreed);
        if nobody_left || (noticed && may_end()) {
            break !nobody_left;
        }
        if begun.elapsed() > HAND_OVER_LIMIT {
            warn!(
                target: "migrate",
                "records that are not handed over after {} s are lost",
                HAND_OVER_LIMIT.as_secs()
            );
            break false;
        }
        tokio::time::sleep(RETRY).await;
    };
    if clients && in_order {
        cluster.membership.publish_all([(name::UNLISTED, Some(""))]);
        let farewell = Farewell::to(followers);
        while !farewell.is_over() {
            tokio::time::sleep(RETRY).await;
        }
    }
    cluster.membership.leave().await;
}
