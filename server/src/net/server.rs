//! Listeners, the limit on connections, and the way down.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use super::shutdown::{PortKind, Shutdown};
use crate::net::connection;
use crate::net::connection::Closed;
use crate::net::running::Running;
use crate::priority;

/// Connections the kernel may hold before they are accepted.
const BACKLOG: u32 = 1024;

/// Pause after a failed accept (usually no file descriptor left), so that the loop does not spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// File descriptors kept back for module files, logs and listeners.
const RESERVED_DESCRIPTORS: u64 = 48;

/// How long calls in flight may go on after the order to stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address could not be bound.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// A socket that listens, with what it serves.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    kind: PortKind,
    address: SocketAddr,
}

impl Listener {
    /// Binds `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// The address is taken, not local, or not permitted.
    pub fn bind(address: SocketAddr, kind: PortKind) -> Result<Self, ListenError> {
        let bound = || -> io::Result<(TcpListener, SocketAddr)> {
            let socket = if address.is_ipv4() {
                TcpSocket::new_v4()?
            } else {
                TcpSocket::new_v6()?
            };
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            let socket = socket.listen(BACKLOG)?;
            let bound = socket.local_addr()?;
            Ok((socket, bound))
        };
        let (socket, bound_to) = bound().map_err(|source| ListenError::Bind { address, source })?;
        Ok(Self {
            socket,
            kind,
            address: bound_to,
        })
    }

    /// The address that clients reach, with the port actually taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it serves.
    #[must_use]
    pub fn kind(&self) -> PortKind {
        self.kind
    }
}

/// Serves all listeners until `shutdown`, then waits for what is in flight.
pub async fn serve(running: Arc<Running>, listeners: Vec<Listener>, shutdown: Shutdown) {
    let home = Handle::current();
    // Whoever is new costs the busy threads: connections by the thousand are not those who have been quiet.
    let accept_on = priority::busy_runtime().unwrap_or(&home);
    let mut accepting = JoinSet::new();
    for listener in listeners {
        let loops = accept_loop(
            home.clone(),
            Arc::clone(&running),
            listener,
            shutdown.clone(),
        );
        accepting.spawn_on(loops, accept_on);
    }
    let mut connections = Vec::new();
    while let Some(ended) = accepting.join_next().await {
        connections.extend(ended.ok());
    }
    let drain = async {
        for mut open in connections {
            while open.join_next().await.is_some() {}
        }
    };
    if tokio::time::timeout(DRAIN_LIMIT, drain).await.is_err() {
        warn!(target: "service", "calls still in flight after {} s are abandoned", DRAIN_LIMIT.as_secs());
    }
}

async fn accept_loop(
    home: Handle,
    running: Arc<Running>,
    listener: Listener,
    mut shutdown: Shutdown,
) -> JoinSet<()> {
    let mut open = JoinSet::new();
    let for_connections = shutdown.clone();
    let stopping = shutdown.wait();
    tokio::pin!(stopping);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stopping => return open,
            accepted = listener.socket.accept() => accepted,
        };
        while open.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                let guard = ConnectionGuard::open(&running, listener.kind);
                if guard.over_limit() {
                    guard.tell(peer);
                    // Closing at once is what the real server does: the client sees EOF and tries elsewhere.
                    continue;
                }
                open.spawn(run(
                    home.clone(),
                    Arc::clone(&running),
                    stream,
                    peer,
                    listener.kind,
                    for_connections.clone(),
                    guard,
                ));
            }
            Err(error) => {
                warn!(target: "service", "accept on {} failed: {error}", listener.address);
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn run(
    home: Handle,
    running: Arc<Running>,
    stream: TcpStream,
    peer: SocketAddr,
    kind: PortKind,
    shutdown: Shutdown,
    guard: ConnectionGuard,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(target: "service", "connection {peer}: {error}");
        return;
    }
    let reason = connection::serve(&home, running, stream, peer, kind, shutdown).await;
    drop(guard);
    match reason {
        Closed::ByPeer | Closed::Stopping => {}
        Closed::NotAFrame(_) | Closed::Unfinished(_) => {
            info!(target: "service", "connection {peer}: {reason}");
        }
        Closed::NoRoom(_) => warn!(target: "service", "connection {peer} is closed: {reason}"),
        _ => debug!(target: "service", "connection {peer}: {reason}"),
    }
}

/// Counts one connection for as long as it lives.
struct ConnectionGuard {
    running: Arc<Running>,
    kind: PortKind,
}

impl ConnectionGuard {
    fn open(running: &Arc<Running>, kind: PortKind) -> Self {
        let stats = &running.node.stats;
        match kind {
            PortKind::Service => stats.client_connections_opened.inc(),
            PortKind::Admin => stats.admin_connections_opened.inc(),
        }
        Self {
            running: Arc::clone(running),
            kind,
        }
    }

    /// Why a connection is closed at once.
    fn tell(&self, peer: SocketAddr) {
        let configured = u64::from(self.running.node.config.service.proto_fd_max());
        let limit = connection_limit(configured);
        let why = match limit < configured {
            true => format!(
                "the process may have {} file descriptors (ulimit -n)",
                descriptor_limit()
            ),
            false => "proto-fd-max".to_owned(),
        };
        warn!(target: "service", "connection {peer} is closed: {limit} are open, which is the limit: {why}");
    }

    fn over_limit(&self) -> bool {
        let node = &self.running.node;
        let open =
            node.stats.client_connections_opened.get() - node.stats.client_connections_closed.get();
        self.kind == PortKind::Service
            && open > connection_limit(node.config.service.proto_fd_max().into())
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let stats = &self.running.node.stats;
        match self.kind {
            PortKind::Service => stats.client_connections_closed.inc(),
            PortKind::Admin => stats.admin_connections_closed.inc(),
        }
    }
}

/// Connections that may be open: `proto-fd-max`, or what the process's descriptor limit leaves if that is less.
///
/// The real server refuses to start when the limit is too low; serving fewer connections is kinder to laptops and CI.
fn connection_limit(proto_fd_max: u64) -> u64 {
    proto_fd_max.min(
        descriptor_limit()
            .saturating_sub(RESERVED_DESCRIPTORS)
            .max(16),
    )
}

#[expect(
    unsafe_code,
    reason = "getrlimit has no safe wrapper among our dependencies"
)]
fn descriptor_limit() -> u64 {
    static LIMIT: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *LIMIT.get_or_init(|| {
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: `limit` is a valid rlimit for the call to fill.
        let answered = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0;
        if answered { limit.rlim_cur } else { u64::MAX }
    })
}
