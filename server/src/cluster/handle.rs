//! A node's place in its cluster.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::ClusterSockets;
use super::fabric::{ConnectionCounts, Fabric, Gatekeeper};
use super::membership::{MemberState, Members, Membership, MembershipError, MembershipSettings};
use super::ownership::{Run, Times};
use super::rule::Rule;
use super::secret::Secret;
use crate::config::node_id::NodeId;

/// What a silent node may hold is given up after so much more silence, at least: a machine with much to do can keep a
/// process waiting for seconds, and what it holds is nowhere else.
const LEAST_WAIT: Duration = Duration::from_secs(5);

/// What one node knows of the others, and how it reaches them.
pub struct Cluster {
    /// Identity of this node.
    pub me: NodeId,
    /// The number of this run, see [`incarnation`](super::incarnation).
    pub incarnation: u64,
    /// Name that all members share.
    pub name: String,
    /// Questions to the others.
    pub fabric: Arc<Fabric>,
    /// Who is there.
    pub membership: Membership,
    /// Who runs commands on what.
    pub rule: Arc<Rule>,
    /// Time after which a silent node is no member any more.
    pub patience: Duration,
    /// Time after which what a silent node holds is given up.
    pub dead_after: Duration,
    /// Its records outlive the process.
    pub keeps: bool,
    /// Heartbeat addresses to begin with.
    pub seeds: Vec<String>,
    secret: Option<Secret>,
    state: watch::Sender<MemberState>,
}

impl Cluster {
    /// Starts to send heartbeats as a node that is joining, as this run of it. `keeps` says that its records outlive the process. Gives back
    /// the bound fabric port, which has to be served at once.
    ///
    /// # Errors
    /// The heartbeat cannot be started.
    pub fn start(
        (me, incarnation): Run,
        sockets: ClusterSockets,
        service: Vec<String>,
        alternate: Vec<String>,
        keeps: bool,
    ) -> Result<(Arc<Self>, TcpListener), MembershipError> {
        let run: Run = (me, incarnation);
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
            secret,
            ..
        } = sockets;
        let own = heartbeat.to_string();
        let seeds: Vec<String> = seeds.into_iter().filter(|seed| *seed != own).collect();
        let fabric = Arc::new(Fabric::new(run, &cluster_name, source, secret.clone()));
        let silent = interval * timeout;
        let times = Times {
            silent,
            dead: silent + silent.max(LEAST_WAIT),
        };
        let rule = Arc::new(Rule::new(run, times, keeps));
        let settings = MembershipSettings {
            run,
            cluster_name: cluster_name.clone(),
            socket,
            heartbeat,
            fabric: fabric_address,
            interval,
            service,
            alternate,
            secret: secret.clone(),
        };
        let routes = Arc::clone(&fabric);
        let membership = Membership::start(settings, &rule, move |members| {
            let route =
                |member: &super::membership::Member| (member.id, member.fabric, member.word);
            routes.set_members(members.values().map(route));
        })?;
        let cluster = Self {
            me,
            incarnation,
            name: cluster_name,
            fabric,
            membership,
            rule,
            patience: silent,
            dead_after: times.dead,
            keeps,
            seeds,
            secret,
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
    pub fn set_state(&self, state: MemberState) {
        self.membership.set_state(state);
        self.state.send_replace(state);
    }

    /// When a question that is asked now has to be given up: a node that takes longer is dead or as good as dead.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.patience.max(Duration::from_secs(1))
    }
}

impl Gatekeeper for Cluster {
    fn run(&self) -> Run {
        (self.me, self.incarnation)
    }

    fn cluster_name(&self) -> &str {
        &self.name
    }

    fn secret(&self) -> Option<&Secret> {
        self.secret.as_ref()
    }

    fn connections(&self) -> &Arc<ConnectionCounts> {
        &self.fabric.connections
    }

    fn is_member(&self, run: Run, word: u64) -> bool {
        self.membership.is_member(run, word)
    }
}
