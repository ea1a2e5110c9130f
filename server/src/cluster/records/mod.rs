//! Records in a cluster: each lives with the owner of its partition.
//!
//! ```text
//! a view of other owners ─┬─ a node that holds records of others' partitions pushes them to their owners; when it holds
//!                         │  none any more it is *settled* under the key of the view, and says so when it is asked
//!                         └─ an owner whose peers are not all settled asks them for a record of a partition that it has
//!                            only now, before the first command on it: *resolving*
//! ```
//!
//! `place` says where a command runs, and passes it on; `resolve` gets a record from
//! where it was; `migrate` pushes what others own. Of two versions of a record the higher generation
//! wins, then the later update. There are no copies: a node that dies takes its records along.

mod incoming;
mod migrate;
mod place;
mod placement;
mod portable;
mod resolve;

pub use migrate::migrate;
pub use placement::ClusterPlacement;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use protocol::key::Digest;
use protocol::partition_map::PartitionMap;
use tokio::sync::Notify;

use super::membership::MemberState;
use super::modules::Run;
use super::{Cluster, ClusterView, LocalNode};
use crate::config::node_id::NodeId;
use crate::storage::engine::PARTITIONS;

/// How long a node believes one that claims a partition, against its own view.
const CLAIM_LIFE: Duration = Duration::from_secs(1);

/// A record of a namespace, which is named by its position.
type Place = (usize, Digest);

/// What a node knows about records that are on their way.
pub struct Records {
    node: Arc<LocalNode>,
    cluster: Arc<Cluster>,
    /// Commands cannot just run here: something is on its way, or may be.
    busy: AtomicBool,
    /// A view of the cluster is in force. Before, others may count this node as an owner already, but it owns nothing.
    has_view: AtomicBool,
    state: Mutex<State>,
    /// Wakes the pushing.
    changed: Notify,
    /// Wakes the asking.
    view_came: Notify,
}

struct State {
    /// The key of the view in force, or that is about to be.
    key: u64,
    /// This node holds no record of another's partition under that key.
    settled_here: bool,
    /// Partitions that this node owns.
    owned: PartitionMap,
    /// Partitions that it has owned without a break since everything was settled last: nobody else holds their records.
    kept: PartitionMap,
    /// Peers that said under this key that they are settled.
    settled: HashSet<Run>,
    /// Peers that did not.
    unsettled: Vec<Run>,
    /// Records that were asked for everywhere under this key.
    resolved: HashSet<Place>,
    /// Records that are not here although they were asked for; since when, in milliseconds since 2010: older versions
    /// that come in late are left out.
    absent: HashMap<Place, u64>,
    /// Partitions that others asked for as their owners, which this node's view does not know yet.
    claimed: HashMap<u16, (NodeId, Instant)>,
}

impl State {
    /// Whether another node may hold records of this partition.
    fn may_be_elsewhere(&self, partition: u16) -> bool {
        !self.unsettled.is_empty() && !self.kept.has(partition)
    }
}

impl Records {
    /// The records of a node that has none yet.
    #[must_use]
    pub fn new(node: &Arc<LocalNode>, cluster: &Arc<Cluster>) -> Arc<Self> {
        let records = Arc::new(Self {
            node: Arc::clone(node),
            cluster: Arc::clone(cluster),
            busy: AtomicBool::new(false),
            has_view: AtomicBool::new(false),
            state: Mutex::new(State {
                key: 0,
                settled_here: false,
                owned: PartitionMap::EMPTY,
                kept: PartitionMap::EMPTY,
                settled: HashSet::new(),
                unsettled: Vec::new(),
                resolved: HashSet::new(),
                absent: HashMap::new(),
                claimed: HashMap::new(),
            }),
            changed: Notify::new(),
            view_came: Notify::new(),
        });
        for namespace in &node.namespaces {
            // Namespaces belong to the node, and so do records: a strong reference would keep all of them for ever.
            let records = Arc::downgrade(&records);
            namespace.set_ownership(move |partition| {
                records
                    .upgrade()
                    .is_none_or(|records| records.owns(partition))
            });
        }
        records
    }

    /// Tells of a view before it comes into force: from now on, nothing runs here before it is resolved.
    pub fn prepare(&self, next: &ClusterView) {
        let mut state = self.state.lock();
        if state.key == next.key {
            return;
        }
        state.key = next.key;
        state.settled_here = false;
        state.settled.clear();
        state.owned = next
            .replicas
            .first()
            .cloned()
            .unwrap_or(PartitionMap::EMPTY);
        let lost: Vec<u16> = (0..PARTITIONS)
            .filter(|partition| state.kept.has(*partition) && !state.owned.has(*partition))
            .collect();
        lost.into_iter()
            .for_each(|partition| state.kept.remove(partition));
        state.resolved.clear();
        let owned = state.owned.clone();
        state
            .absent
            .retain(|(_, digest), _| owned.has(digest.partition_id()));
        self.look_around(&mut state);
    }

    /// Tells that a view is in force.
    pub fn view_changed(&self) {
        self.has_view.store(true, Ordering::Release);
        let mut state = self.state.lock();
        // They were made under the view before. Until this one was in force they counted.
        state.claimed.clear();
        self.look_around(&mut state);
        drop(state);
        self.changed.notify_one();
        self.view_came.notify_one();
    }

    /// Finds out who is not settled, and whether anything is on its way.
    fn look_around(&self, state: &mut State) {
        let members = self.cluster.members();
        state.unsettled = members
            .values()
            // One that is joining has no records.
            .filter(|member| member.state != MemberState::Joining)
            .map(|member| (member.id, member.incarnation))
            .filter(|run| !state.settled.contains(run))
            .collect();
        state
            .claimed
            .retain(|_, (_, since)| since.elapsed() < CLAIM_LIFE);
        if state.unsettled.is_empty() {
            state.kept = state.owned.clone();
            state.resolved.clear();
            state.absent.clear();
        }
        let waiting = (0..PARTITIONS)
            .filter(|partition| state.owned.has(*partition) && state.may_be_elsewhere(*partition))
            .count();
        for namespace in &self.node.namespaces {
            namespace
                .migration
                .incoming
                .store(waiting as u64, Ordering::Relaxed);
        }
        let busy = waiting != 0 || !state.claimed.is_empty();
        self.busy.store(busy, Ordering::Release);
    }

    /// Whether this node holds no record of another's partition under the key in force.
    pub(super) fn is_settled_here(&self) -> bool {
        self.state.lock().settled_here
    }

    /// The position of a namespace of this node.
    fn position(&self, namespace: &str) -> Option<usize> {
        self.node
            .namespaces
            .iter()
            .position(|known| known.name() == namespace)
    }
}
