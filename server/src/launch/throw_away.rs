//! A cluster of several nodes in one process (`asd --nodes N`), for developers and CI: free ports, state in a temporary
//! directory that is removed at the end.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;
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

/// How directories of throw-away state begin.
const PREFIX: &str = "asd-throw-away-";

/// The file in such a directory that its process holds locked for as long as it lives.
const LOCK: &str = "lock";

/// The directory of all nodes, removed when this is dropped.
pub(crate) struct ThrowAway {
    directory: TempDir,
    /// Held locked: tells others that the directory is in use.
    _lock: File,
    nodes: u8,
}

impl ThrowAway {
    /// Makes the directory, after removing those that processes left behind which were killed.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn new(nodes: u8) -> io::Result<Self> {
        let parent = std::env::temp_dir();
        sweep(&parent);
        let directory = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(&parent)?;
        let lock = File::create_new(directory.path().join(LOCK))?;
        lock.lock()?;
        Ok(Self {
            directory,
            _lock: lock,
            nodes,
        })
    }

    /// The configurations of the nodes: the file's, or the built-in one, in directories of their own.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub(crate) fn configs(&self, file: Option<&Path>) -> Result<Vec<Config>, ConfigError> {
        (1..=self.nodes)
            .map(|number| {
                let directory = self.directory.path().join(format!("node-{number}"));
                Config::throw_away(file, &directory)
            })
            .collect()
    }
}

/// Removes the directories whose process is gone: it was killed and could not do so itself.
///
/// What is in use, cannot be opened or belongs to somebody else is left alone. A directory without its lock file may
/// be one that is being made, and stays too.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let ours = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(PREFIX));
        let directory = entry.path();
        if !ours || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if let Ok(lock) = File::open(directory.join(LOCK))
            && lock.try_lock().is_ok()
            && let Err(error) = fs::remove_dir_all(&directory)
        {
            tracing::warn!(target: "as", "old throw-away state {} stays: {error}", directory.display());
        }
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
    launched.sort_unstable_by_key(|(number, _)| *number);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_of_dead_processes_is_swept_up_and_that_of_living_ones_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let made = |name: &str| {
            let directory = parent.path().join(name);
            fs::create_dir(&directory).unwrap();
            File::create(directory.join(LOCK)).unwrap()
        };
        let living = made("asd-throw-away-living");
        living.lock().unwrap();
        drop(made("asd-throw-away-dead"));
        drop(made("somebody-elses"));
        fs::create_dir(parent.path().join("asd-throw-away-being-made")).unwrap();
        sweep(parent.path());
        let mut left: Vec<_> = fs::read_dir(parent.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort_unstable();
        let expected = [
            "asd-throw-away-being-made",
            "asd-throw-away-living",
            "somebody-elses",
        ];
        assert_eq!(left, expected);
    }
}
