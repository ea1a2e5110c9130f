//! Listeners, the limit on connections, and the way down.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};

use super::shutdown::{PortKind, Shutdown};
use crate::net::connection::{Closed, Connection};
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
    let mut accepting = JoinSet::new();
    for listener in listeners {
        let accepted = Accepted {
            home: home.clone(),
            running: Arc::clone(&running),
            shutdown: shutdown.clone(),
            among_busy: false,
            open: JoinSet::new(),
        };
        accepting.spawn(accept_loop(listener, accepted));
    }
    let mut connections = Vec::new();
    while let Some(ended) = accepting.join_next().await {
        match ended {
            Ok(Accepting::Ended(open)) => connections.push(open),
            Ok(Accepting::Moves(listener, accepted)) => {
                let busy = priority::busy_runtime().unwrap_or(&home);
                accepting.spawn_on(enter_and_accept(listener, accepted), busy);
            }
            Err(error) => warn!(target: "service", "a listener has ended: {error}"),
        }
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

/// What a listener has accepted, and what the next ones need.
struct Accepted {
    /// Where connections go on that have been quiet.
    home: Handle,
    running: Arc<Running>,
    shutdown: Shutdown,
    /// It listens in the runtime of busy connections, and new ones begin there.
    among_busy: bool,
    open: JoinSet<()>,
}

/// Why a listener listens no more where it did.
enum Accepting {
    /// The server stops; these are open.
    Ended(JoinSet<()>),
    /// It goes on in the runtime of busy connections.
    Moves(Listener, Accepted),
}

/// Goes on in the runtime of the caller, which is that of busy connections.
async fn enter_and_accept(mut listener: Listener, mut accepted: Accepted) -> Accepting {
    accepted.among_busy = true;
    let entered = listener.socket.into_std().and_then(TcpListener::from_std);
    match entered {
        Ok(socket) => listener.socket = socket,
        Err(error) => {
            error!(target: "service", "{} is listened to no more: {error}", listener.address);
            return Accepting::Ended(accepted.open);
        }
    }
    accept_loop(listener, accepted).await
}

async fn accept_loop(listener: Listener, mut accepted: Accepted) -> Accepting {
    let mut shutdown = accepted.shutdown.clone();
    let stopping = shutdown.wait();
    tokio::pin!(stopping);
    loop {
        let next = tokio::select! {
            biased;
            () = &mut stopping => return Accepting::Ended(accepted.open),
            next = listener.socket.accept() => next,
        };
        match next {
            Ok((stream, peer)) => accepted.take(stream, peer, listener.kind),
            Err(error) => {
                warn!(target: "service", "accept on {} failed: {error}", listener.address);
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
        // Whoever is new costs the busy threads from then on: connections by the thousand are not those who have been quiet.
        if !accepted.among_busy && priority::does_somebody_ask() {
            return Accepting::Moves(listener, accepted);
        }
    }
}

impl Accepted {
    fn take(&mut self, stream: TcpStream, peer: SocketAddr, kind: PortKind) {
        while self.open.try_join_next().is_some() {}
        let guard = ConnectionGuard::open(&self.running, kind);
        if guard.over_limit() {
            guard.tell(peer);
            // Closing at once is what the real server does: the client sees EOF and tries elsewhere.
            return;
        }
        self.open.spawn(run(
            self.home.clone(),
            Arc::clone(&self.running),
            stream,
            (peer, kind),
            self.among_busy,
            self.shutdown.clone(),
            guard,
        ));
    }
}

async fn run(
    home: Handle,
    running: Arc<Running>,
    stream: TcpStream,
    (peer, kind): (SocketAddr, PortKind),
    among_busy: bool,
    shutdown: Shutdown,
    guard: ConnectionGuard,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(target: "service", "connection {peer}: {error}");
        return;
    }
    let connection = Connection::new(running, stream, (peer, kind), among_busy, shutdown);
    let reason = connection.serve(&home).await;
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
