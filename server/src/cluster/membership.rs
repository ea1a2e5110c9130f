//! Who is alive, and what each node says about itself.
//!
//! Every node publishes a small set of texts by name ([`Member`] reads them). A node is alive while its heartbeats keep
//! coming: `interval` times `timeout` without one, and the others go on without it.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;

use super::heartbeat::{Heartbeat, HeartbeatSettings, HeartbeatSocket, HeartbeatTraffic};
use super::member::name;
pub use super::member::{Member, Members};
pub use super::ownership::MemberState;
use super::ownership::Run;
use super::rule::Rule;
use super::secret::Secret;

/// Time between two looks whether anybody listens at a seed.
const PROBE: Duration = Duration::from_millis(20);

/// What a node needs to be found.
pub struct MembershipSettings {
    /// This run.
    pub run: Run,
    /// Nodes of another name are refused.
    pub cluster_name: String,
    /// The bound heartbeat socket.
    pub socket: HeartbeatSocket,
    /// Where others reach that socket.
    pub heartbeat: SocketAddr,
    /// Where others reach the fabric.
    pub fabric: SocketAddr,
    /// Time between two rounds of heartbeats.
    pub interval: Duration,
    /// Where clients reach this node.
    pub service: Vec<String>,
    /// Where clients reach it that ask for alternate addresses.
    pub alternate: Vec<String>,
    /// What authenticates the heartbeats, if anything.
    pub secret: Option<Secret>,
}

/// The heartbeat could not be started.
#[derive(Debug, Error)]
#[error("the heartbeat cannot be started: {0}")]
pub struct MembershipError(String);

/// The membership as one node sees it.
pub struct Membership {
    heartbeat: Arc<Heartbeat>,
    members: watch::Receiver<Arc<Members>>,
    rule: Arc<Rule>,
    interval: Duration,
    thread: Option<JoinHandle<()>>,
}

impl Membership {
    /// Starts to send heartbeats, as a node that is joining. `before_notice` sees every change before anyone else does.
    ///
    /// # Errors
    /// There can be no more threads.
    pub fn start(
        settings: MembershipSettings,
        rule: &Arc<Rule>,
        before_notice: impl Fn(&Members) + Send + Sync + 'static,
    ) -> Result<Self, MembershipError> {
        let MembershipSettings {
            run,
            cluster_name,
            socket,
            heartbeat,
            fabric,
            interval,
            service,
            alternate,
            secret,
        } = settings;
        let settings = HeartbeatSettings {
            run,
            cluster: cluster_name,
            address: heartbeat,
            interval,
            secret,
        };
        let before_notice = Box::new(before_notice);
        let heartbeat = Arc::new(Heartbeat::new(
            settings,
            socket,
            Arc::clone(rule),
            before_notice,
        ));
        let (fabric, service, alternate) =
            (fabric.to_string(), service.join(","), alternate.join(","));
        heartbeat.publish([
            (name::FABRIC, Some(fabric.as_str())),
            (name::SERVICE, Some(service.as_str())),
            (name::ALTERNATE, Some(alternate.as_str())),
        ]);
        let members = heartbeat.members();
        // A thread of its own: nothing else that the node does delays it.
        let thread = std::thread::Builder::new()
            .name("heartbeat".to_owned())
            .spawn({
                let heartbeat = Arc::clone(&heartbeat);
                move || heartbeat.run()
            })
            .map_err(|error| MembershipError(error.to_string()))?;
        Ok(Self {
            heartbeat,
            members,
            rule: Arc::clone(rule),
            interval,
            thread: Some(thread),
        })
    }

    /// The live nodes other than this one.
    #[must_use]
    pub fn members(&self) -> Arc<Members> {
        Arc::clone(&self.members.borrow())
    }

    /// The same, with a notice of each change of members or of what they publish.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Members>> {
        self.members.clone()
    }

    /// Where another live node is that has this node's identity, once that is known.
    #[must_use]
    pub fn taken(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.heartbeat.taken()
    }

    /// Publishes texts; those that are `None` are deleted. All nodes know them after a round.
    pub fn publish_all<'t>(&self, texts: impl IntoIterator<Item = (&'t str, Option<&'t str>)>) {
        self.heartbeat.publish(texts);
        self.heartbeat.say_all();
    }

    /// Changes what this node does, and tells the others.
    pub fn set_state(&self, state: MemberState) {
        self.rule.with(|ownership, _| ownership.set_state(state));
        self.heartbeat.say_all();
    }

    /// Tells everybody what is new.
    pub fn say_all(&self) {
        self.heartbeat.say_all();
    }

    /// Sends heartbeats to this address from now on.
    pub fn add_seed(&self, address: SocketAddr) {
        self.heartbeat.add_seed(address);
    }

    /// Sends heartbeats to this address no longer than to one that a member has named.
    pub fn remove_seed(&self, address: SocketAddr) {
        self.heartbeat.remove_seed(address);
    }

    /// Whether a seed is a live node, or belongs to another cluster.
    pub fn is_here(&self, seed: SocketAddr) -> bool {
        self.heartbeat.is_accounted(seed)
    }

    /// Whether a seed needs no waiting for: it is a live node, belongs to another cluster, or nobody listens there.
    pub async fn is_accounted(&self, seed: SocketAddr) -> bool {
        self.heartbeat.is_accounted(seed) || nobody_listens(seed).await
    }

    /// Where the fabric of a run was, which may be silent by now.
    #[must_use]
    pub fn fabric_of(&self, run: Run) -> Option<SocketAddr> {
        self.heartbeat.fabric_of(run)
    }

    /// Whether this is a live run that shows the word which was sent to its address.
    #[must_use]
    pub fn is_member(&self, run: Run, word: u64) -> bool {
        self.heartbeat.is_member(run, word)
    }

    /// The largest difference between two clocks of the cluster, in milliseconds.
    #[must_use]
    pub fn skew_ms(&self) -> u64 {
        self.heartbeat.skew_ms()
    }

    /// What was sent and received.
    #[must_use]
    pub fn traffic(&self) -> &HeartbeatTraffic {
        self.heartbeat.traffic()
    }

    /// Tells the others that this node is gone.
    pub async fn leave(&self) {
        self.set_state(MemberState::Left);
        // Datagrams get lost: tell them twice.
        tokio::time::sleep(self.interval / 2).await;
        self.heartbeat.say_all();
        self.heartbeat.end();
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if self.rule.with(|ownership, _| ownership.state()) != MemberState::Left {
            // One that is told to end while it joins.
            self.set_state(MemberState::Left);
        }
        self.heartbeat.end();
        if let Some(thread) = self.thread.take() {
            // It ends within an interval, by itself.
            drop(thread);
        }
    }
}

/// Whether the system of this address says that nobody listens there.
async fn nobody_listens(address: SocketAddr) -> bool {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let refused = |result: std::io::Result<()>| {
        result.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    };
    let connected = UdpSocket::bind(any).and_then(|socket| {
        socket.connect(address)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    });
    let Ok(socket) = connected else {
        return false;
    };
    // An empty datagram is no heartbeat: who listens drops it.
    if refused(socket.send(&[]).map(|_| ())) {
        return true;
    }
    tokio::time::sleep(PROBE).await;
    refused(socket.recv(&mut [0]).map(|_| ()))
}
