//! Who is alive, and what each node says about itself.
//!
//! Every node gossips a small set of texts by name ([`Member`] reads them). A node is alive while its heartbeats keep
//! coming: `interval` times `timeout` without one, and the others go on without it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chitchat::{
    ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, NodeState, ProtocolVersion,
    spawn_chitchat,
};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::gossip::{Bound, GossipTraffic, HeartbeatSocket};
use crate::config::node_id::NodeId;

/// Names of the texts that a node gossips.
mod name {
    pub(super) const STATE: &str = "state";
    pub(super) const FABRIC: &str = "fabric";
    pub(super) const SERVICE: &str = "service";
    pub(super) const ALTERNATE: &str = "alternate";
}

/// A node that was dead for this long is forgotten.
const FORGET_DEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// Texts that were deleted are known as deleted for this long.
const FORGET_DELETED: Duration = Duration::from_secs(60 * 60);

/// What a node does in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    /// It fetches the modules and owns no partition. Modules are pushed to it.
    Joining,
    /// It serves.
    Ready,
    /// It hands over its records and owns no partition any more; it still serves.
    Leaving,
    /// It has left; the others forget it at once.
    Left,
}

impl MemberState {
    const TEXTS: [(Self, &'static str); 4] = [
        (Self::Joining, "joining"),
        (Self::Ready, "ready"),
        (Self::Leaving, "leaving"),
        (Self::Left, "left"),
    ];

    fn text(self) -> &'static str {
        Self::TEXTS
            .iter()
            .find(|(state, _)| *state == self)
            .map_or("", |(_, text)| *text)
    }

    fn parse(text: &str) -> Option<Self> {
        Self::TEXTS
            .iter()
            .find(|(_, known)| *known == text)
            .map(|(state, _)| *state)
    }
}

/// A live node other than this one.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its identity.
    pub id: NodeId,
    /// When its process started, milliseconds since 1970: tells a node from the one it was before a restart.
    pub incarnation: u64,
    /// What it does.
    pub state: MemberState,
    /// Where it answers other nodes.
    pub fabric: SocketAddr,
    /// Where it answers clients: `host:port`.
    pub service: Vec<String>,
    /// Where it answers clients that ask for alternate addresses.
    pub alternate: Vec<String>,
    texts: Arc<NodeState>,
}

impl Member {
    fn of(chitchat_id: &ChitchatId, texts: NodeState) -> Option<Self> {
        let list = |name| -> Vec<String> {
            let text = texts.get(name).unwrap_or_default();
            text.split_terminator(',').map(str::to_owned).collect()
        };
        Some(Self {
            id: NodeId::parse(&chitchat_id.node_id)?,
            incarnation: chitchat_id.generation_id,
            // A node whose texts have not arrived yet is not known well enough to be one.
            state: MemberState::parse(texts.get(name::STATE)?)?,
            fabric: texts.get(name::FABRIC)?.parse().ok()?,
            service: list(name::SERVICE),
            alternate: list(name::ALTERNATE),
            texts: Arc::new(texts),
        })
    }

    /// What it published under a name.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name)
    }

    /// What it published under names that begin so, without that beginning.
    pub fn texts<'m>(&'m self, prefix: &'m str) -> impl Iterator<Item = (&'m str, &'m str)> {
        self.texts
            .iter_prefix(prefix)
            .filter(|(_, value)| !value.is_deleted())
            .map(move |(name, value)| {
                let rest = name.strip_prefix(prefix).unwrap_or(name);
                (rest, value.value.as_str())
            })
    }

    /// Grows with every text that changes.
    #[must_use]
    pub fn texts_version(&self) -> u64 {
        self.texts.max_version()
    }
}

/// The live nodes other than this one, by their identity.
pub type Members = BTreeMap<NodeId, Member>;

/// What a node needs to be found.
pub struct MembershipSettings {
    /// Identity of this node.
    pub me: NodeId,
    /// When its process started, milliseconds since 1970.
    pub incarnation: u64,
    /// Nodes of another name are refused.
    pub cluster_name: String,
    /// The bound heartbeat socket.
    pub socket: HeartbeatSocket,
    /// Where others reach that socket.
    pub heartbeat: SocketAddr,
    /// Where others reach the fabric.
    pub fabric: SocketAddr,
    /// Heartbeat addresses to begin with: `host:port`.
    pub seeds: Vec<String>,
    /// Time between two rounds of heartbeats.
    pub interval: Duration,
    /// Rounds without a heartbeat after which a node counts as dead.
    pub timeout: u32,
    /// Where clients reach this node.
    pub service: Vec<String>,
    /// Where clients reach it that ask for alternate addresses.
    pub alternate: Vec<String>,
}

/// The heartbeat could not be started.
#[derive(Debug, Error)]
#[error("the heartbeat cannot be started: {0}")]
pub struct MembershipError(String);

/// The membership as one node sees it.
pub struct Membership {
    gossip: ChitchatHandle,
    members: watch::Receiver<Arc<Members>>,
    traffic: Arc<GossipTraffic>,
    follower: JoinHandle<()>,
    interval: Duration,
}

impl Membership {
    /// Starts to gossip, as a node that is joining. `before_notice` sees every change before anyone else does.
    ///
    /// # Errors
    /// The socket cannot be used.
    pub async fn start(
        settings: MembershipSettings,
        before_notice: impl Fn(&Members) + Send + 'static,
    ) -> Result<Self, MembershipError> {
        let traffic = Arc::<GossipTraffic>::default();
        let MembershipSettings {
            me,
            incarnation,
            cluster_name,
            socket,
            heartbeat,
            fabric,
            seeds,
            interval,
            timeout,
            service,
            alternate,
        } = settings;
        let transport = Bound::new(socket, &cluster_name, Arc::clone(&traffic));
        let config = ChitchatConfig {
            chitchat_id: ChitchatId::new(me.to_string(), incarnation, heartbeat),
            cluster_id: cluster_name,
            gossip_interval: interval,
            listen_addr: heartbeat,
            seed_nodes: seeds,
            failure_detector_config: FailureDetectorConfig {
                phi_threshold: f64::from(timeout),
                // The configured interval counts, not the one observed, which is shorter while there is much to tell.
                sampling_window_size: 1,
                max_interval: interval * timeout.max(1),
                initial_interval: interval,
                dead_node_grace_period: FORGET_DEAD,
            },
            marked_for_deletion_grace_period: FORGET_DELETED,
            catchup_callback: None,
            extra_liveness_predicate: None,
            protocol_version: ProtocolVersion::V1,
        };
        let texts = [
            (name::STATE, MemberState::Joining.text().to_owned()),
            (name::FABRIC, fabric.to_string()),
            (name::SERVICE, service.join(",")),
            (name::ALTERNATE, alternate.join(",")),
        ];
        let texts = texts
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text))
            .collect();
        let gossip = spawn_chitchat(config, texts, &transport)
            .await
            .map_err(|error| MembershipError(format!("{error:#}")))?;
        let mut live = gossip
            .with_chitchat(|chitchat| chitchat.live_nodes_watcher())
            .await;
        let (sender, members) = watch::channel(Arc::new(Members::new()));
        let follower = tokio::spawn(async move {
            loop {
                let found = members_of(me, &live.borrow_and_update());
                log_changes(&sender.borrow(), &found);
                before_notice(&found);
                sender.send_replace(Arc::new(found));
                if live.changed().await.is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            gossip,
            members,
            traffic,
            follower,
            interval,
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

    /// Publishes a text; all nodes know it after a few rounds.
    pub async fn publish(&self, name: &str, text: &str) {
        self.publish_all([(name, Some(text))]).await;
    }

    /// Publishes texts; those that are `None` are deleted.
    pub async fn publish_all<'t>(
        &self,
        texts: impl IntoIterator<Item = (&'t str, Option<&'t str>)>,
    ) {
        let chitchat = self.gossip.chitchat();
        let mut chitchat = chitchat.lock().await;
        let own = chitchat.self_node_state();
        for (name, text) in texts {
            match text {
                Some(text) => own.set(name, text),
                None => own.delete(name),
            }
        }
    }

    /// Publishes what this node does.
    pub async fn set_state(&self, state: MemberState) {
        self.publish(name::STATE, state.text()).await;
        self.greet_all().await;
    }

    /// Exchanges news with this address at once.
    pub fn greet(&self, address: SocketAddr) {
        // The task is gone only when the node ends.
        let _ = self.gossip.gossip(address);
    }

    /// Exchanges news with every live node at once.
    pub async fn greet_all(&self) {
        let addresses: Vec<SocketAddr> = self
            .gossip
            .with_chitchat(|chitchat| {
                let own = chitchat.self_chitchat_id().clone();
                chitchat
                    .live_nodes()
                    .filter(|id| **id != own)
                    .map(|id| id.gossip_advertise_addr)
                    .collect()
            })
            .await;
        for address in addresses {
            self.greet(address);
        }
    }

    /// What was sent and received.
    #[must_use]
    pub fn traffic(&self) -> &GossipTraffic {
        &self.traffic
    }

    /// Tells the others that this node is gone.
    pub async fn leave(&self) {
        self.set_state(MemberState::Left).await;
        // Datagrams get lost: tell them twice.
        tokio::time::sleep(self.interval).await;
        self.greet_all().await;
        tokio::time::sleep(self.interval / 2).await;
        let _ = self.gossip.initiate_shutdown();
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.follower.abort();
        let _ = self.gossip.initiate_shutdown();
    }
}

/// The live nodes, each as it is since its latest start.
fn members_of(me: NodeId, live: &BTreeMap<ChitchatId, NodeState>) -> Members {
    let mut members = Members::new();
    let found = live
        .iter()
        .filter_map(|(chitchat_id, texts)| Member::of(chitchat_id, texts.clone()));
    for member in found {
        if member.id == me || member.state == MemberState::Left {
            continue;
        }
        let newest = members
            .get(&member.id)
            .is_none_or(|known| known.incarnation < member.incarnation);
        if newest {
            members.insert(member.id, member);
        }
    }
    members
}

fn log_changes(old: &Members, new: &Members) {
    for (id, member) in new {
        match old.get(id) {
            None => info!(target: "clustering", "{id} at {} is here", member.fabric),
            Some(before) if before.incarnation != member.incarnation => {
                info!(target: "clustering", "{id} at {} has started again", member.fabric);
            }
            Some(before) if before.state != member.state => {
                info!(target: "clustering", "{id} is {}", member.state.text());
            }
            Some(_) => {}
        }
    }
    for (id, member) in old {
        if !new.contains_key(id) {
            warn!(target: "clustering", "{id} at {} is gone", member.fabric);
        }
    }
}
