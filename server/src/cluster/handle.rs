//! A node's place in its cluster.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::ClusterSockets;
use super::fabric::Fabric;
use super::membership::{MemberState, Members, Membership, MembershipError, MembershipSettings};
use crate::clock;
use crate::config::node_id::NodeId;

/// What one node knows of the others, and how it reaches them.
pub struct Cluster {
    /// Identity of this node.
    pub me: NodeId,
    /// When it started, milliseconds since 1970.
    pub incarnation: u64,
    /// Name that all members share.
    pub name: String,
    /// Questions to the others.
    pub fabric: Arc<Fabric>,
    /// Who is there.
    pub membership: Membership,
    /// Time after which a silent node counts as dead.
    pub patience: Duration,
    /// Heartbeat addresses to begin with.
    pub seeds: Vec<String>,
    state: watch::Sender<MemberState>,
}

impl Cluster {
    /// Starts to gossip as a node that is joining. Gives back the bound fabric port, which has to be served at once.
    ///
    /// # Errors
    /// The heartbeat cannot be started.
    pub async fn start(
        me: NodeId,
        sockets: ClusterSockets,
        service: Vec<String>,
        alternate: Vec<String>,
    ) -> Result<(Arc<Self>, TcpListener), MembershipError> {
        let incarnation = clock::unix_ms();
        let heartbeat = sockets.heartbeat_address();
        let fabric_address = sockets.fabric_address();
        let ClusterSockets {
            cluster_name,
            heartbeat: socket,
            fabric: listener,
            source,
            seeds,
            interval,
            timeout,
            ..
        } = sockets;
        let own = heartbeat.to_string();
        let seeds: Vec<String> = seeds.into_iter().filter(|seed| *seed != own).collect();
        let fabric = Arc::new(Fabric::new(me, &cluster_name, source));
        let settings = MembershipSettings {
            me,
            incarnation,
            cluster_name: cluster_name.clone(),
            socket,
            heartbeat,
            fabric: fabric_address,
            seeds: seeds.clone(),
            interval,
            timeout,
            service,
            alternate,
        };
        let routes = Arc::clone(&fabric);
        let membership = Membership::start(settings, move |members| {
            routes.set_members(members.values().map(|member| (member.id, member.fabric)));
        })
        .await?;
        let cluster = Self {
            me,
            incarnation,
            name: cluster_name,
            fabric,
            membership,
            patience: interval * timeout,
            seeds,
            state: watch::Sender::new(MemberState::Joining),
        };
        Ok((Arc::new(cluster), listener))
    }

    /// The live nodes other than this one.
    #[must_use]
    pub fn members(&self) -> Arc<Members> {
        self.membership.members()
    }

    /// What this node does.
    #[must_use]
    pub fn state(&self) -> MemberState {
        *self.state.borrow()
    }

    /// A notice of each change of what this node does.
    #[must_use]
    pub fn subscribe_state(&self) -> watch::Receiver<MemberState> {
        self.state.subscribe()
    }

    /// Changes what this node does, and tells the others.
    pub async fn set_state(&self, state: MemberState) {
        self.state.send_replace(state);
        self.membership.set_state(state).await;
    }

    /// When a question that is asked now has to be given up: a node that takes longer is dead or as good as dead.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.patience.max(Duration::from_secs(1))
    }
}
