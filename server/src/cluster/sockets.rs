//! The sockets between nodes, bound before the node starts, and the addresses under which others reach them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tracing::warn;

use super::heartbeat::HeartbeatSocket;
use super::secret::{Secret, SecretError};
use crate::config::{NetworkSettings, local_addresses, resolve};

/// Name of a cluster whose configuration states none.
const NO_NAME: &str = "null";

/// A node that was told to be in a cluster cannot be.
#[derive(Debug, Error)]
pub enum SocketsError {
    /// An address is in use, not of this machine, or unknown.
    #[error("cannot bind the {what} port {address}: {reason}")]
    Bind {
        /// `heartbeat` or `fabric`.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        reason: String,
    },
    /// A host name cannot be resolved.
    #[error(transparent)]
    Resolve(#[from] io::Error),
    /// The secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Two files with different secrets.
    #[error("`heartbeat` and `fabric` name files with different secrets")]
    TwoSecrets,
    /// A list of addresses is empty.
    #[error("`{0}.address` names no address")]
    NoAddress(&'static str),
}

/// The bound sockets of a node that takes part in a cluster.
pub struct ClusterSockets {
    pub(super) cluster_name: String,
    pub(super) heartbeat: HeartbeatSocket,
    pub(super) fabric: TcpListener,
    /// Where this node's own questions come from; the system chooses if it listens everywhere.
    pub(super) source: Option<IpAddr>,
    pub(super) seeds: Vec<String>,
    pub(super) interval: Duration,
    pub(super) timeout: u32,
    pub(super) secret: Option<Secret>,
    heartbeat_address: SocketAddr,
    fabric_address: SocketAddr,
}

impl ClusterSockets {
    /// Binds what the configuration says; `None` when it has no heartbeat port or no mesh, and the node stays alone.
    ///
    /// # Errors
    /// See [`SocketsError`].
    pub async fn configured(
        network: &NetworkSettings,
        cluster_name: Option<String>,
    ) -> Result<Option<Self>, SocketsError> {
        let port = network.heartbeat_port();
        if port == 0 {
            return Ok(None);
        }
        if network.heartbeat_mode() != "mesh" {
            warn!(target: "hb", "heartbeat.mode is not `mesh`: this node stays alone");
            return Ok(None);
        }
        let first = |what, hosts: &[String], port| {
            let found = resolve(hosts, port)?;
            found.first().copied().ok_or(SocketsError::NoAddress(what))
        };
        let heartbeat = first("heartbeat", &network.heartbeat_addresses(), port)?;
        let fabric = first("fabric", &network.fabric_addresses(), network.fabric_port())?;
        let interval = Duration::from_millis(network.heartbeat_interval_ms().into());
        let timeout = network.heartbeat_timeout();
        let seeds = network.mesh_seeds();
        let name = cluster_name.unwrap_or_else(|| NO_NAME.to_owned());
        let mut sockets = Self::bind(name, heartbeat, fabric, seeds, interval, timeout).await?;
        let told = |bound: &mut SocketAddr, address: Option<String>, port| -> io::Result<()> {
            if let Some(address) = address
                && let Some(told) = resolve(&[address], bound.port())?.first()
            {
                *bound = *told;
            }
            if port != 0 {
                bound.set_port(port);
            }
            Ok(())
        };
        told(
            &mut sockets.heartbeat_address,
            network.heartbeat_access_address(),
            network.heartbeat_access_port(),
        )?;
        told(
            &mut sockets.fabric_address,
            network.fabric_access_address(),
            network.fabric_access_port(),
        )?;
        sockets.secret = secret_of(network)?;
        let local = |address: &SocketAddr| address.ip().is_loopback();
        if sockets.secret.is_none() && !(local(&heartbeat) && local(&fabric)) {
            warn!(
                target: "hb",
                "there is no `cluster-secret-file`: whoever reaches {heartbeat} and {fabric} can join the cluster, and \
                 read and change what it holds"
            );
        }
        Ok(Some(sockets))
    }

    /// Binds these addresses; port 0 takes a free one.
    ///
    /// # Errors
    /// See [`SocketsError`].
    pub async fn bind(
        cluster_name: String,
        heartbeat: SocketAddr,
        fabric: SocketAddr,
        seeds: Vec<String>,
        interval: Duration,
        timeout: u32,
    ) -> Result<Self, SocketsError> {
        let refused = |what, address| {
            move |reason| SocketsError::Bind {
                what,
                address,
                reason,
            }
        };
        let heartbeat_socket =
            HeartbeatSocket::bind(heartbeat).map_err(refused("heartbeat", heartbeat))?;
        let in_use = |error: io::Error| refused("fabric", fabric)(error.to_string());
        let fabric_socket = TcpListener::bind(fabric).await.map_err(in_use)?;
        let source = Some(fabric.ip()).filter(|ip| !ip.is_unspecified());
        let fabric = fabric_socket.local_addr().map_err(in_use)?;
        let outside = |address: SocketAddr| {
            let mut address = address;
            if address.ip().is_unspecified() {
                address.set_ip(reachable_address(&seeds));
            }
            address
        };
        Ok(Self {
            heartbeat_address: outside(heartbeat_socket.address()),
            fabric_address: outside(fabric),
            cluster_name,
            heartbeat: heartbeat_socket,
            fabric: fabric_socket,
            source,
            seeds,
            interval,
            timeout,
            secret: None,
        })
    }

    /// Where other nodes send heartbeats.
    #[must_use]
    pub fn heartbeat_address(&self) -> SocketAddr {
        self.heartbeat_address
    }

    /// Where other nodes reach the fabric.
    #[must_use]
    pub fn fabric_address(&self) -> SocketAddr {
        self.fabric_address
    }

    /// Adds addresses to find the cluster by.
    pub fn add_seeds(&mut self, seeds: impl IntoIterator<Item = SocketAddr>) {
        self.seeds
            .extend(seeds.into_iter().map(|seed| seed.to_string()));
    }
}

/// The secret that the configuration names: one for both, wherever it stands.
fn secret_of(network: &NetworkSettings) -> Result<Option<Secret>, SocketsError> {
    let named = [
        network.heartbeat_cluster_secret_file(),
        network.fabric_cluster_secret_file(),
    ];
    let mut files = named.into_iter().flatten();
    let secret = files.next().map(|path| Secret::load(&path)).transpose()?;
    if let (Some(secret), Some(other)) = (&secret, files.next()) {
        let other = Secret::load(&other)?;
        if !secret.is_tag(&[], &other.tag(&[])) {
            return Err(SocketsError::TwoSecrets);
        }
    }
    Ok(secret)
}

/// The address of this machine that others see: the one from which the seeds are reached, else the first that is not
/// the loopback's.
fn reachable_address(seeds: &[String]) -> IpAddr {
    let towards = |seed: &String| -> Option<IpAddr> {
        let seed = seed.to_socket_addrs().ok()?.next()?;
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        // Sends nothing: it only looks up the route.
        socket.connect(seed).ok()?;
        socket.local_addr().ok().map(|address| address.ip())
    };
    seeds
        .iter()
        .find_map(towards)
        .or_else(|| local_addresses().first()?.parse().ok())
        .unwrap_or(Ipv4Addr::LOCALHOST.into())
}
