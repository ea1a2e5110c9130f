//! The datagram socket under the gossip: bound before the node starts, counted, and closed to other clusters.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chitchat::transport::{RecvOutcome, SendOutcome, Socket, Transport, UdpSocket};
use chitchat::{ChitchatEnvelope, ChitchatMessage};
use parking_lot::Mutex;
use tracing::{debug, warn};

/// One line of the log in this time for each address that is refused.
const LOG_AGAIN: Duration = Duration::from_secs(60);

/// Addresses whose last line is remembered; a flood of others must not take memory.
const LOGGED_ADDRESSES: usize = 1_000;

/// What the gossip of a node has sent and received.
#[derive(Debug, Default)]
pub struct GossipTraffic {
    /// Datagrams sent.
    pub sent: AtomicU64,
    /// Bytes in them, without the heads of UDP and IP.
    pub sent_bytes: AtomicU64,
    /// Datagrams received from this cluster.
    pub received: AtomicU64,
    /// Datagrams received from others, and refused.
    pub received_foreign: AtomicU64,
}

impl GossipTraffic {
    /// Datagrams sent so far, and the bytes in them.
    #[must_use]
    pub fn sent(&self) -> (u64, u64) {
        (
            self.sent.load(Ordering::Relaxed),
            self.sent_bytes.load(Ordering::Relaxed),
        )
    }
}

/// The heartbeat socket of a node, bound to its port.
pub struct HeartbeatSocket {
    socket: UdpSocket,
    address: SocketAddr,
}

impl HeartbeatSocket {
    /// Binds the socket; port 0 takes a free one.
    ///
    /// # Errors
    /// The address is in use or not of this machine.
    pub async fn bind(address: SocketAddr) -> Result<Self, String> {
        let socket = UdpSocket::open(address)
            .await
            .map_err(|error| format!("{error:#}"))?;
        let address = socket.local_addr().map_err(|error| format!("{error:#}"))?;
        Ok(Self { socket, address })
    }

    /// The address it is bound to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A bound socket, for the one time that the gossip opens it.
pub(super) struct Bound(Mutex<Option<GossipSocket>>);

impl Bound {
    pub(super) fn new(
        socket: HeartbeatSocket,
        cluster_name: &str,
        traffic: Arc<GossipTraffic>,
    ) -> Self {
        Self(Mutex::new(Some(GossipSocket {
            socket: socket.socket,
            cluster_name: cluster_name.to_owned(),
            traffic,
            logged: HashMap::new(),
        })))
    }
}

#[async_trait]
impl Transport for Bound {
    async fn open(&self, _listen_addr: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let socket = self.0.lock().take();
        Ok(Box::new(socket.ok_or_else(|| {
            anyhow::anyhow!("the socket is open already")
        })?))
    }
}

/// What the log says about an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Told {
    Refused,
    RefusesUs,
}

struct GossipSocket {
    socket: UdpSocket,
    cluster_name: String,
    traffic: Arc<GossipTraffic>,
    logged: HashMap<(SocketAddr, Told), Instant>,
}

impl GossipSocket {
    /// Whether it is time to say this about this address again.
    fn may_log(&mut self, address: SocketAddr, told: Told) -> bool {
        let now = Instant::now();
        self.logged
            .retain(|_, last| now.duration_since(*last) < LOG_AGAIN);
        if self.logged.len() >= LOGGED_ADDRESSES || self.logged.contains_key(&(address, told)) {
            return false;
        }
        self.logged.insert((address, told), now);
        true
    }

    /// Whether a message is from this cluster; refuses those of others.
    async fn belongs_here(&mut self, from: SocketAddr, envelope: &ChitchatEnvelope) -> bool {
        match &envelope.message {
            ChitchatMessage::Syn { cluster_id, .. } if *cluster_id != self.cluster_name => {
                self.traffic
                    .received_foreign
                    .fetch_add(1, Ordering::Relaxed);
                if self.may_log(from, Told::Refused) {
                    warn!(
                        target: "hb",
                        "refused {from}: it belongs to cluster `{}`, this node to `{}`",
                        cluster_id.escape_default(),
                        self.cluster_name
                    );
                }
                let refusal = ChitchatEnvelope {
                    version: envelope.version,
                    message: ChitchatMessage::BadCluster,
                };
                // A refusal that gets lost is given again with the next message.
                let _ = self.send(from, refusal).await;
                false
            }
            ChitchatMessage::BadCluster => {
                if self.may_log(from, Told::RefusesUs) {
                    warn!(
                        target: "hb",
                        "{from} refuses this node: it does not belong to cluster `{}`",
                        self.cluster_name
                    );
                }
                false
            }
            _ => true,
        }
    }
}

#[async_trait]
impl Socket for GossipSocket {
    fn local_addr(&self) -> anyhow::Result<SocketAddr> {
        self.socket.local_addr()
    }

    async fn send(
        &mut self,
        to: SocketAddr,
        envelope: ChitchatEnvelope,
    ) -> anyhow::Result<SendOutcome> {
        let outcome = match self.socket.send(to, envelope).await {
            Ok(outcome) => outcome,
            Err(error) => {
                // Gossip goes on with the others, and comes back to this one.
                debug!(target: "hb", "nothing sent to {to}: {error:#}");
                SendOutcome { num_bytes_sent: 0 }
            }
        };
        self.traffic.sent.fetch_add(1, Ordering::Relaxed);
        self.traffic
            .sent_bytes
            .fetch_add(outcome.num_bytes_sent as u64, Ordering::Relaxed);
        Ok(outcome)
    }

    async fn recv(&mut self) -> anyhow::Result<RecvOutcome> {
        loop {
            let outcome = self.socket.recv().await?;
            if self
                .belongs_here(outcome.from_addr, &outcome.envelope)
                .await
            {
                self.traffic.received.fetch_add(1, Ordering::Relaxed);
                return Ok(outcome);
            }
        }
    }
}
