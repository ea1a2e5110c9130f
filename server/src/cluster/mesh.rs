//! What operators tell a node of its mesh: whom else to send heartbeats to, whom to forget, and what all are to remove.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::truncation::{self, TruncateRequest};
use super::{Cluster, ClusterView, NodeId};

/// Addresses that may be told of at most.
const MOST_TIPS: usize = 1_024;

/// The mesh of a node, as info commands change it.
pub struct Mesh {
    cluster: Arc<Cluster>,
    view: Arc<ArcSwap<ClusterView>>,
    tips: Mutex<BTreeSet<SocketAddr>>,
    runtime: Handle,
}

impl Mesh {
    /// The mesh of a node that has this view; to be called on the node's runtime.
    #[must_use]
    pub fn new(cluster: &Arc<Cluster>, view: &Arc<ArcSwap<ClusterView>>) -> Arc<Self> {
        Arc::new(Self {
            cluster: Arc::clone(cluster),
            view: Arc::clone(view),
            tips: Mutex::default(),
            runtime: Handle::current(),
        })
    }

    /// Connections to and from other nodes that were opened and closed so far.
    #[must_use]
    pub fn fabric_connections(&self) -> (u64, u64) {
        self.cluster.fabric.connections.get()
    }

    /// Heartbeats of other nodes that were received.
    #[must_use]
    pub fn heartbeats_received(&self) -> u64 {
        let traffic = self.cluster.membership.traffic();
        traffic.received.load(Ordering::Relaxed)
    }

    /// Sends heartbeats to this address too, until it is cleared. False when there are too many already.
    #[must_use]
    pub fn tip(&self, address: SocketAddr) -> bool {
        let mut tips = self.tips.lock();
        if tips.len() >= MOST_TIPS && !tips.contains(&address) {
            return false;
        }
        tips.insert(address);
        drop(tips);
        self.cluster.membership.add_seed(address);
        true
    }

    /// Sends no more heartbeats to this address for its being told of; false when nobody told of it. A member of the
    /// cluster stays one.
    pub fn clear(&self, address: SocketAddr) -> bool {
        let was_told = self.tips.lock().remove(&address);
        if was_told {
            self.cluster.membership.remove_seed(address);
        }
        was_told
    }

    /// The same for all addresses.
    pub fn clear_all(&self) {
        for address in std::mem::take(&mut *self.tips.lock()) {
            self.cluster.membership.remove_seed(address);
        }
    }

    /// Has all other live nodes remove these records. Waits for them on this thread, which is that of a blocking command.
    ///
    /// # Errors
    /// The first node that did not say that they are gone, and why. Others may have removed theirs.
    pub fn truncate(&self, request: &TruncateRequest) -> Result<(), (NodeId, String)> {
        self.runtime
            .block_on(truncation::on_others(&self.cluster, request))
    }

    /// Forgets the members of the past that are not there now.
    pub fn forget_alumni(&self) {
        self.view.rcu(|view| {
            let mut view = ClusterView::clone(view);
            view.alumni = view.peers.clone();
            view
        });
    }
}
