use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use thiserror::Error;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout_at;

use super::super::ownership::Run;
use super::super::secret::Secret;
use super::door::IDLE;
use super::link::{Direct, Link};
use super::open::{ConnectionCounts, Open};
use super::{Hello, MAX_FRAME, NodeId, PROTOCOL, QuestionKind, Welcome, frame, nonce, tags};

/// Connections kept open for each peer, most.
const MAX_IDLE: usize = 64;

/// Connections kept for questions that are asked without the runtime, for each peer, most.
const MAX_DIRECT: usize = 16;

/// No connection is used that waited for longer.
pub(super) const UNUSED: Duration = Duration::from_secs(IDLE.as_secs() / 5);

/// Longest answer to a greeting, bytes.
const MAX_ANSWER: usize = 4 << 10;

/// Why a question has no answer.
#[derive(Debug, Error)]
pub enum FabricError {
    /// The node is not, or no longer, a live member. Nothing was sent.
    #[error("{0} is no live member of the cluster")]
    Unknown(NodeId),
    /// No connection. Nothing was sent.
    #[error("cannot reach {node} at {address}: {source}")]
    Connect {
        /// The node.
        node: NodeId,
        /// Its address on the fabric.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The connection broke: the node may have done what was asked.
    #[error("the connection to {node} broke: {source}")]
    Broken {
        /// The node.
        node: NodeId,
        /// What the system said.
        source: io::Error,
    },
    /// No answer in time: the node may have done what was asked, or do it yet.
    #[error("{0} did not answer in time")]
    TimedOut(NodeId),
    /// The node says why it did not do it.
    #[error("{node} refuses: {reason}")]
    Refused {
        /// The node.
        node: NodeId,
        /// Its words.
        reason: String,
    },
}

impl FabricError {
    /// Whether the node certainly did nothing.
    #[must_use]
    pub fn nothing_happened(&self) -> bool {
        matches!(
            self,
            Self::Unknown(_) | Self::Connect { .. } | Self::Refused { .. }
        )
    }
}

#[derive(Debug, Default)]
pub(super) struct Route {
    address: Option<SocketAddr>,
    word: u64,
    idle: Vec<(Instant, Link)>,
    /// Those on which something was pushed.
    pub(super) direct: Vec<(Instant, Direct)>,
}

/// The asking side of a node.
#[derive(Debug)]
pub struct Fabric {
    run: Run,
    cluster_name: String,
    source: Option<IpAddr>,
    secret: Option<Secret>,
    pub(super) routes: Mutex<HashMap<NodeId, Route>>,
    /// Questions about named things.
    pub of_catalogues: QuestionCounts,
    /// Connections of both directions.
    pub connections: Arc<ConnectionCounts>,
}

/// How many questions there were.
#[derive(Debug, Default)]
pub struct QuestionCounts {
    /// Asked of other nodes.
    pub asked: AtomicU64,
    /// Answered to them.
    pub answered: AtomicU64,
}

impl Fabric {
    /// A node that knows no peer yet. Its connections come from `source`, if there is one.
    #[must_use]
    pub fn new(
        run: Run,
        cluster_name: &str,
        source: Option<IpAddr>,
        secret: Option<Secret>,
    ) -> Self {
        Self {
            run,
            cluster_name: cluster_name.to_owned(),
            source,
            secret,
            routes: Mutex::default(),
            of_catalogues: QuestionCounts::default(),
            connections: Arc::default(),
        }
    }

    /// Sets where the live members are, and the words by which they let this node in; connections to others are closed.
    pub fn set_members(&self, members: impl IntoIterator<Item = (NodeId, SocketAddr, u64)>) {
        let mut routes = self.routes.lock();
        let mut old = std::mem::take(&mut *routes);
        for (node, address, word) in members {
            let route = old
                .remove(&node)
                .filter(|route| route.address == Some(address) && route.word == word)
                .unwrap_or(Route {
                    address: Some(address),
                    word,
                    ..Route::default()
                });
            routes.insert(node, route);
        }
    }

    /// Asks a node, until the deadline.
    ///
    /// # Errors
    /// See [`FabricError`]. A question whose connection breaks is not asked again: it may have been acted upon.
    pub async fn call(
        &self,
        node: NodeId,
        kind: QuestionKind,
        body: &[u8],
        deadline: Instant,
    ) -> Result<Vec<u8>, FabricError> {
        self.count_asked(kind);
        let asking = async {
            let mut link = match self.idle(node)? {
                Taken::Idle(link) => link,
                Taken::Address(address, word) => {
                    self.connect(node, address, word).await.map_err(|source| {
                        FabricError::Connect {
                            node,
                            address,
                            source,
                        }
                    })??
                }
            };
            let broken = |source| FabricError::Broken { node, source };
            frame::write(&mut link.stream, kind as u8, body)
                .await
                .map_err(broken)?;
            let (status, answer) = frame::read(&mut link.stream, MAX_FRAME)
                .await
                .and_then(|answer| answer.ok_or_else(|| io::ErrorKind::UnexpectedEof.into()))
                .map_err(broken)?;
            self.put_back(node, link, kind);
            answered(node, status, answer)
        };
        // A question given up takes its connection along: the late answer must not be read as that of another.
        timeout_at(deadline.into(), asking)
            .await
            .unwrap_or(Err(FabricError::TimedOut(node)))
    }

    pub(super) fn count_asked(&self, kind: QuestionKind) {
        if kind.is_of_catalogues() {
            self.of_catalogues.asked.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn idle(&self, node: NodeId) -> Result<Taken, FabricError> {
        let mut routes = self.routes.lock();
        let unknown = || FabricError::Unknown(node);
        let route = routes.get_mut(&node).ok_or_else(unknown)?;
        while let Some((since, link)) = route.idle.pop() {
            if since.elapsed() > UNUSED {
                continue;
            }
            // A connection that the other end has closed, or that holds bytes nobody asked for, is of no use.
            let unused = link.stream.try_read(&mut [0]);
            if unused.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                return Ok(Taken::Idle(link));
            }
        }
        let word = route.word;
        let address = route.address.ok_or_else(unknown)?;
        Ok(Taken::Address(address, word))
    }

    async fn connect(
        &self,
        node: NodeId,
        address: SocketAddr,
        word: u64,
    ) -> io::Result<Result<Link, FabricError>> {
        let mut stream = match self.source {
            Some(source) if source.is_ipv4() == address.is_ipv4() => {
                let socket = match source {
                    IpAddr::V4(_) => TcpSocket::new_v4()?,
                    IpAddr::V6(_) => TcpSocket::new_v6()?,
                };
                socket.bind((source, 0).into())?;
                socket.connect(address).await?
            }
            _ => TcpStream::connect(address).await?,
        };
        let open = Open::new(&self.connections);
        stream.set_nodelay(true)?;
        let hello = Hello {
            protocol: PROTOCOL.to_owned(),
            cluster_name: self.cluster_name.clone(),
            node: self.run.0,
            incarnation: self.run.1,
            word,
            nonce: nonce(),
        };
        frame::write(
            &mut stream,
            QuestionKind::Hello as u8,
            &serde_json::to_vec(&hello)?,
        )
        .await?;
        let ended = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let (status, answer) = frame::read(&mut stream, MAX_ANSWER)
            .await?
            .ok_or_else(ended)?;
        let refused = |reason: String| Ok(Err(FabricError::Refused { node, reason }));
        if status != 0 {
            return refused(String::from_utf8_lossy(&answer).into_owned());
        }
        let welcome: Welcome = serde_json::from_slice(&answer)?;
        if welcome.node != node {
            return refused(format!("{address} is {}", welcome.node));
        }
        if let Some(secret) = &self.secret {
            let tag = welcome.tag.unwrap_or_default();
            if !tags::is_of_server(secret, &hello, node, welcome.nonce, &tag) {
                return refused("it does not know the secret of the cluster".to_owned());
            }
            let proof = tags::of_client(secret, &hello, welcome.nonce);
            frame::write(&mut stream, QuestionKind::Proof as u8, &proof).await?;
            let (status, answer) = frame::read(&mut stream, MAX_ANSWER)
                .await?
                .ok_or_else(ended)?;
            if status != 0 {
                return refused(String::from_utf8_lossy(&answer).into_owned());
            }
        }
        Ok(Ok(Link { stream, open }))
    }

    /// Keeps a connection on which such a question was answered.
    pub(super) fn put_back(&self, node: NodeId, link: Link, kind: QuestionKind) {
        let same_address = |route: &&mut Route| route.address == link.stream.peer_addr().ok();
        let mut routes = self.routes.lock();
        let Some(route) = routes.get_mut(&node).filter(same_address) else {
            return;
        };
        if kind == QuestionKind::Push && route.direct.len() < MAX_DIRECT {
            // One that cannot be used so is closed.
            if let Ok(direct) = Direct::new(link) {
                route.direct.push((Instant::now(), direct));
            }
        } else if route.idle.len() < MAX_IDLE {
            route.idle.push((Instant::now(), link));
        }
    }

    /// Keeps such a connection again.
    pub(super) fn put_back_direct(&self, node: NodeId, direct: Direct) {
        let mut routes = self.routes.lock();
        if let Some(route) = routes.get_mut(&node)
            && route.address == direct.address()
            && route.direct.len() < MAX_DIRECT
        {
            route.direct.push((Instant::now(), direct));
        }
    }
}

/// What an answer says.
pub(super) fn answered(node: NodeId, status: u8, body: Vec<u8>) -> Result<Vec<u8>, FabricError> {
    match status {
        0 => Ok(body),
        _ => Err(FabricError::Refused {
            node,
            reason: String::from_utf8_lossy(&body).into_owned(),
        }),
    }
}

enum Taken {
    Idle(Link),
    Address(SocketAddr, u64),
}
