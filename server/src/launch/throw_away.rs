//! A cluster of several nodes in one process (`asd --nodes N`), for developers and CI: free ports, state in a temporary
//! directory that is removed at the end.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::cluster::{ClusterSockets, SocketsError};
use crate::config::{Config, ConfigError};
use crate::launch::{Launched, Prepared, StartError};
use crate::log::Log;

/// Time between two heartbeats: short, so that the nodes find each other at once.
const INTERVAL: Duration = Duration::from_millis(20);

/// Missing heartbeats after which a node counts as dead: together as long as by default.
const TIMEOUT: u32 = 75;

/// Time for the nodes to find each other.
const FORM_LIMIT: Duration = Duration::from_secs(30);

/// Pause between two looks at whether they have.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// The directory of all nodes, removed when this is dropped.
pub(crate) struct ThrowAway {
    directory: PathBuf,
    nodes: u8,
}

impl ThrowAway {
    /// Makes the directory.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn new(nodes: u8) -> io::Result<Self> {
        let name = format!("asd-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        // What an earlier process of the same number left behind.
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory)?;
        Ok(Self { directory, nodes })
    }

    /// The configurations of the nodes: the file's, or the built-in one, in directories of their own.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub(crate) fn configs(&self, file: Option<&Path>) -> Result<Vec<Config>, ConfigError> {
        (1..=self.nodes)
            .map(|number| {
                let directory = self.directory.join(format!("node-{number}"));
                Config::throw_away(file, &directory)
            })
            .collect()
    }
}

impl Drop for ThrowAway {
    fn drop(&mut self) {
        // Whoever has a file open there keeps it; nothing else depends on it.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Starts the nodes and waits until each counts all.
///
/// # Errors
/// A node does not start, or they do not find each other.
pub(crate) async fn launch(configs: Vec<Config>, log: &Log) -> Result<Vec<Launched>, StartError> {
    let size = configs.len();
    let mut prepared = Vec::with_capacity(size);
    let mut seeds = Vec::with_capacity(size);
    for config in configs {
        let name = config.service.cluster_name().unwrap_or_default();
        let mut node = Prepared::bind(config).await?;
        let sockets = sockets(name).await?;
        seeds.push(sockets.heartbeat_address());
        node.cluster = Some(sockets);
        prepared.push(node);
    }
    let mut starting = JoinSet::new();
    for (number, mut node) in prepared.into_iter().enumerate() {
        if let Some(sockets) = &mut node.cluster {
            sockets.add_seeds(seeds.iter().copied());
        }
        let log = log.clone();
        starting.spawn(async move { (number, node.start(log).await) });
    }
    let mut launched = Vec::with_capacity(size);
    while let Some(started) = starting.join_next().await {
        let (number, node) = started?;
        launched.push((number, node?));
    }
    launched.sort_by_key(|(number, _)| *number);
    let launched: Vec<Launched> = launched.into_iter().map(|(_, node)| node).collect();

    let limit = Instant::now() + FORM_LIMIT;
    let formed = |node: &Launched| {
        let view = node.node.cluster.load();
        view.size() == size && view.integrity
    };
    while !launched.iter().all(formed) {
        if Instant::now() > limit {
            return Err("the nodes do not find each other".into());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(launched)
}

async fn sockets(cluster_name: String) -> Result<ClusterSockets, SocketsError> {
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    ClusterSockets::bind(cluster_name, free, free, Vec::new(), INTERVAL, TIMEOUT).await
}
