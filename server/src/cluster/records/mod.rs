//! Records in a cluster: each lives with the owner of its partition.
//!
//! `crate::cluster::ownership` says who that is and when; here the rule meets the engine and the network: `place` says where
//! a command runs, and passes it on; `hand_over` takes partitions and has copies dropped; `give` answers both. There are no
//! copies: a node that dies takes its records along.

mod give;
mod hand_over;
mod merge;
mod place;
mod placement;
mod portable;
mod wire;

pub use hand_over::hand_over;
pub use placement::ClusterPlacement;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::rule::Rule;
use super::{Cluster, LocalNode};
use crate::record::Namespace;
use crate::storage::engine::PARTITIONS;

/// The records of a node of a cluster.
pub struct Records {
    node: Arc<LocalNode>,
    cluster: Arc<Cluster>,
    rule: Arc<Rule>,
    /// Held while copies are stored or dropped: one must not undo the other.
    copying: tokio::sync::Mutex<()>,
}

impl Records {
    /// The records of a node that has none yet.
    #[must_use]
    pub fn new(node: &Arc<LocalNode>, cluster: &Arc<Cluster>) -> Arc<Self> {
        let rule = Arc::clone(&cluster.rule);
        for namespace in &node.namespaces {
            let rule = Arc::clone(&rule);
            namespace.set_ownership(move |partition| rule.ticket(partition).is_some());
        }
        // What an engine has kept over a restart is a copy like any other, which nothing here follows from.
        let stored: Vec<u16> = (0..PARTITIONS)
            .filter(|partition| {
                let has_records =
                    |namespace: &Arc<Namespace>| namespace.partition_objects(*partition) != 0;
                node.namespaces.iter().any(has_records)
            })
            .collect();
        rule.with(|ownership, _| ownership.hold_stored(&stored));
        Arc::new(Self {
            node: Arc::clone(node),
            cluster: Arc::clone(cluster),
            rule,
            copying: tokio::sync::Mutex::new(()),
        })
    }

    /// Counts the partitions that are on their way.
    pub fn count(&self) {
        let (incoming, outgoing) = self.rule.with(|ownership, _| ownership.on_their_way());
        for namespace in &self.node.namespaces {
            let stats = &namespace.migration;
            stats.incoming.store(incoming as u64, Ordering::Relaxed);
            stats.outgoing.store(outgoing as u64, Ordering::Relaxed);
        }
    }

    /// Whether no command is at work on a partition, in any namespace.
    fn is_quiet(&self, partition: u16) -> bool {
        let mut namespaces = self.node.namespaces.iter();
        namespaces.all(|namespace| namespace.locks().is_quiet(partition))
    }

    /// Removes what is here of a partition. The caller holds `copying` and knows that no copy is here that counts.
    async fn clear(&self, partition: u16) -> Result<(), String> {
        for namespace in &self.node.namespaces {
            loop {
                let page = namespace.scan(partition, None).page().await;
                let page = page.map_err(|error| error.to_string())?;
                if page.is_empty() {
                    break;
                }
                for record in page {
                    let digest = record.digest();
                    let deadline = self.cluster.deadline();
                    let lock = namespace.locks().lock(&digest, deadline, 0).await;
                    let _lock = lock.map_err(|error| error.to_string())?;
                    let removed = namespace.remove(&digest).await;
                    removed.map_err(|error| error.to_string())?;
                }
            }
        }
        Ok(())
    }
}
