//! The nodes of a cluster and who owns which partition.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use protocol::client::{Client, ClientError};
use protocol::limits::PARTITIONS;
use protocol::partition_map::{NamespaceReplicas, decode_replicas};
use tokio::task::JoinSet;

use super::RecordsError;
use super::node::Node;
use crate::answer::is_error;
use crate::ask::{AskError, connect};
use crate::cluster::peers::{self, Peer};
use crate::connection::Connection;
use crate::hosts::Seed;

/// Where the owner of a partition is not known.
const NOBODY: u16 = u16::MAX;

/// The owners of each partition of a namespace, as positions in the list of nodes.
#[derive(Clone, Debug)]
struct Owners {
    /// Master, then further replicas; [`NOBODY`] where none is known.
    replicas: Vec<Box<[u16]>>,
}

/// The cluster at one moment. Nodes are in the order in which they were found, that of the seed first.
#[derive(Default)]
pub struct Picture {
    nodes: Vec<Arc<Node>>,
    owners: BTreeMap<String, Owners>,
}

impl fmt::Debug for Picture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.nodes.iter().map(|node| node.address());
        formatter.debug_list().entries(nodes).finish()
    }
}

/// What one node told.
struct Told {
    id: String,
    peers: String,
    replicas: Vec<NamespaceReplicas>,
}

impl Picture {
    pub(super) async fn take(
        connection: &Connection,
        alternate: bool,
        limit: Duration,
    ) -> Result<Self, AskError> {
        let mut client = connect(connection, limit).await?;
        let told = inquire(&mut client, connection, alternate, limit).await?;
        let (host, port) = place_of(client.peer()).ok_or_else(|| ClientError::Malformed {
            peer: client.peer().to_owned(),
            reason: "no host and port".to_owned(),
        })?;
        let tls_name = connection
            .seeds
            .iter()
            .find(|seed| seed.host == host && seed.port == port)
            .and_then(|seed| seed.tls_name.clone());
        let mut picture = Self::default();
        let seed = Node::new(connection, told.id.clone(), host, port, tls_name);
        seed.keep(client);
        let (found, _) = peers::peers(&told.peers, |id| id == told.id);
        picture.add(seed, told.replicas);
        let mut looking = JoinSet::new();
        for (position, peer) in found.into_iter().enumerate() {
            let connection = connection.clone();
            looking
                .spawn(async move { (position, reach(&connection, peer, alternate, limit).await) });
        }
        let mut reached = BTreeMap::new();
        while let Some(done) = looking.join_next().await {
            if let Ok((position, Some(node))) = done {
                reached.insert(position, node);
            }
        }
        for (node, replicas) in reached.into_values() {
            picture.add(node, replicas);
        }
        Ok(picture)
    }

    fn add(&mut self, node: Node, replicas: Vec<NamespaceReplicas>) {
        let Ok(position) = u16::try_from(self.nodes.len()) else {
            return;
        };
        self.nodes.push(Arc::new(node));
        for told in replicas {
            let owners = self.owners.entry(told.namespace).or_insert_with(|| Owners {
                replicas: Vec::new(),
            });
            for (rank, map) in told.maps.iter().enumerate() {
                if owners.replicas.len() <= rank {
                    owners
                        .replicas
                        .push(vec![NOBODY; usize::from(PARTITIONS)].into());
                }
                let Some(row) = owners.replicas.get_mut(rank) else {
                    continue;
                };
                for (partition, owner) in (0..PARTITIONS).zip(row.iter_mut()) {
                    if map.has(partition) {
                        *owner = position;
                    }
                }
            }
        }
    }

    /// Takes over the connections of an older picture.
    pub(super) fn with_connections_of(self, older: &Self) -> Self {
        for node in &self.nodes {
            let same = |old: &&Arc<Node>| old.id() == node.id() && old.address() == node.address();
            if let Some(old) = older.nodes.iter().find(same) {
                node.inherit(old);
            }
        }
        self
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    /// Where the nodes are reached.
    pub(super) fn seeds(&self) -> Vec<Seed> {
        self.nodes.iter().map(|node| node.seed()).collect()
    }

    /// The names of the namespaces.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.owners.keys().map(String::as_str)
    }

    /// Whether any node has the namespace.
    #[must_use]
    pub fn has_namespace(&self, namespace: &str) -> bool {
        self.owners.contains_key(namespace)
    }

    /// The owner of a partition.
    ///
    /// # Errors
    /// No node has the namespace, or none owns the partition at this moment.
    pub fn owner(&self, namespace: &str, partition: u16) -> Result<&Arc<Node>, RecordsError> {
        self.replica(namespace, partition, 0)?
            .ok_or(RecordsError::NoOwner)
    }

    /// The node with a further copy of a partition: 1 is the first one behind the owner. None where there is no copy.
    ///
    /// # Errors
    /// No node has the namespace.
    pub fn replica(
        &self,
        namespace: &str,
        partition: u16,
        rank: usize,
    ) -> Result<Option<&Arc<Node>>, RecordsError> {
        let owners = self
            .owners
            .get(namespace)
            .ok_or_else(|| RecordsError::NoNamespace(namespace.to_owned()))?;
        let row = owners.replicas.get(rank);
        let position = row.and_then(|row| row.get(usize::from(partition)));
        Ok(position.and_then(|position| self.nodes.get(usize::from(*position))))
    }

    /// The partitions that a node owns, ascending.
    #[must_use]
    pub fn partitions_of(&self, namespace: &str, node: &Arc<Node>) -> Vec<u16> {
        let Some(row) = self
            .owners
            .get(namespace)
            .and_then(|owners| owners.replicas.first())
        else {
            return Vec::new();
        };
        (0..PARTITIONS)
            .zip(row.iter())
            .filter(|(_, owner)| {
                let owner = self.nodes.get(usize::from(**owner));
                owner.is_some_and(|owner| Arc::ptr_eq(owner, node))
            })
            .map(|(partition, _)| partition)
            .collect()
    }
}

/// Host and port of a connection, which the client writes as `host:port`.
fn place_of(peer: &str) -> Option<(String, u16)> {
    let (host, port) = peer.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some((host.to_owned(), port.parse().ok()?))
}

/// Connects to a peer at the first of its addresses that answers under its id.
async fn reach(
    connection: &Connection,
    peer: Peer,
    alternate: bool,
    limit: Duration,
) -> Option<(Node, Vec<NamespaceReplicas>)> {
    for (host, port) in peer.addresses {
        let tls_name = peer.tls_name.clone();
        let node = Node::new(connection, peer.id.clone(), host, port, tls_name);
        let Ok(mut client) = node.take(limit).await else {
            continue;
        };
        match inquire(&mut client, connection, alternate, limit).await {
            Ok(told) if told.id == peer.id => {
                node.keep(client);
                return Some((node, told.replicas));
            }
            // Another node stands there, or none that answers.
            _ => {}
        }
    }
    None
}

async fn inquire(
    client: &mut Client,
    connection: &Connection,
    alternate: bool,
    limit: Duration,
) -> Result<Told, AskError> {
    let transport = if connection.tls.is_some() {
        "tls"
    } else {
        "clear"
    };
    let kind = if alternate { "alt" } else { "std" };
    let commands = [
        "node".to_owned(),
        format!("peers-{transport}-{kind}"),
        "replicas".to_owned(),
    ];
    let answers = client.info(&commands, limit).await?;
    let [id, peers, replicas] =
        <[String; 3]>::try_from(answers).map_err(|_| ClientError::Malformed {
            peer: client.peer().to_owned(),
            reason: "an info reply without all answers".to_owned(),
        })?;
    // A node that is starting owns nothing yet.
    let replicas = match is_error(&replicas) {
        true => Vec::new(),
        false => decode_replicas(&replicas).map_err(|error| ClientError::Malformed {
            peer: client.peer().to_owned(),
            reason: error.to_string(),
        })?,
    };
    let peers = if is_error(&peers) {
        String::new()
    } else {
        peers
    };
    Ok(Told {
        id,
        peers,
        replicas,
    })
}
