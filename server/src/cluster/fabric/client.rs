use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use parking_lot::Mutex;
use thiserror::Error;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout_at;

use super::{Hello, Kind, NodeId, PROTOCOL, frame};

/// Connections kept open for each peer, most.
const MAX_IDLE: usize = 64;

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
struct Route {
    address: Option<SocketAddr>,
    idle: Vec<TcpStream>,
}

/// The asking side of a node.
#[derive(Debug)]
pub struct Fabric {
    hello: Vec<u8>,
    source: Option<IpAddr>,
    routes: Mutex<HashMap<NodeId, Route>>,
}

impl Fabric {
    /// A node that knows no peer yet. Its connections come from `source`, if there is one.
    #[must_use]
    pub fn new(me: NodeId, cluster_name: &str, source: Option<IpAddr>) -> Self {
        let hello = Hello {
            protocol: PROTOCOL.to_owned(),
            cluster_name: cluster_name.to_owned(),
            node: me,
        };
        Self {
            // Strings and a number: they always can be written as JSON.
            hello: serde_json::to_vec(&hello).unwrap_or_default(),
            source,
            routes: Mutex::default(),
        }
    }

    /// Sets where the live members are; connections to others are closed.
    pub fn set_members(&self, members: impl IntoIterator<Item = (NodeId, SocketAddr)>) {
        let mut routes = self.routes.lock();
        let mut old = std::mem::take(&mut *routes);
        for (node, address) in members {
            let route = old
                .remove(&node)
                .filter(|route| route.address == Some(address))
                .unwrap_or(Route {
                    address: Some(address),
                    idle: Vec::new(),
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
        kind: Kind,
        body: &[u8],
        deadline: Instant,
    ) -> Result<Vec<u8>, FabricError> {
        let asking = async {
            let mut stream = match self.idle(node)? {
                Taken::Idle(stream) => stream,
                Taken::Address(address) => {
                    self.connect(node, address)
                        .await
                        .map_err(|source| FabricError::Connect {
                            node,
                            address,
                            source,
                        })??
                }
            };
            let broken = |source| FabricError::Broken { node, source };
            frame::write(&mut stream, kind as u8, body)
                .await
                .map_err(broken)?;
            let (status, answer) = frame::read(&mut stream)
                .await
                .and_then(|answer| answer.ok_or_else(|| io::ErrorKind::UnexpectedEof.into()))
                .map_err(broken)?;
            self.put_back(node, stream);
            match status {
                0 => Ok(answer),
                _ => Err(FabricError::Refused {
                    node,
                    reason: String::from_utf8_lossy(&answer).into_owned(),
                }),
            }
        };
        // A question given up takes its connection along: the late answer must not be read as that of another.
        timeout_at(deadline.into(), asking)
            .await
            .unwrap_or(Err(FabricError::TimedOut(node)))
    }

    fn idle(&self, node: NodeId) -> Result<Taken, FabricError> {
        let mut routes = self.routes.lock();
        let unknown = || FabricError::Unknown(node);
        let route = routes.get_mut(&node).ok_or_else(unknown)?;
        while let Some(stream) = route.idle.pop() {
            // A connection that the other end has closed, or that holds bytes nobody asked for, is of no use.
            let unused = stream.try_read(&mut [0]);
            if unused.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                return Ok(Taken::Idle(stream));
            }
        }
        route.address.map(Taken::Address).ok_or_else(unknown)
    }

    async fn connect(
        &self,
        node: NodeId,
        address: SocketAddr,
    ) -> io::Result<Result<TcpStream, FabricError>> {
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
        stream.set_nodelay(true)?;
        frame::write(&mut stream, Kind::Hello as u8, &self.hello).await?;
        let (status, answer) = frame::read(&mut stream)
            .await?
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        let reason = String::from_utf8_lossy(&answer).into_owned();
        Ok(match status {
            0 if reason == node.to_string() => Ok(stream),
            0 => Err(FabricError::Refused {
                node,
                reason: format!("{address} is {reason}"),
            }),
            _ => Err(FabricError::Refused { node, reason }),
        })
    }

    fn put_back(&self, node: NodeId, stream: TcpStream) {
        let same_address = |route: &&mut Route| route.address == stream.peer_addr().ok();
        let mut routes = self.routes.lock();
        if let Some(route) = routes.get_mut(&node).filter(same_address)
            && route.idle.len() < MAX_IDLE
        {
            route.idle.push(stream);
        }
    }
}

enum Taken {
    Idle(TcpStream),
    Address(SocketAddr),
}
