//! Records in a cluster: each lives with the owner of its partition.
//!
//! `crate::cluster::ownership` says who that is and when; here the rule meets the engine and the network: `place` says where
//! a command runs, and passes it on; `hand_over` takes partitions and has copies dropped; `give` answers both. There are no
//! copies: a node that dies takes its records along.

mod give;
mod hand_over;
mod kept;
mod merge;
mod place;
mod placement;
mod portable;
mod wire;

pub use hand_over::hand_over;
pub use kept::forget_copies;
pub use placement::ClusterPlacement;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::rule::Rule;
use super::{Cluster, LocalNode};

/// The records of a node of a cluster.
pub struct Records {
    node: Arc<LocalNode>,
    cluster: Arc<Cluster>,
    rule: Arc<Rule>,
    /// Held while copies are stored or dropped: one must not undo the other.
    copying: tokio::sync::Mutex<()>,
    /// What is said of copies is noted in every namespace.
    is_complete: AtomicBool,
    /// Nobody was served yet: what others have truncated meanwhile is heard of.
    is_back: AtomicBool,
}

impl Records {
    /// The records of a node that begins: what its engines have kept over a restart is a copy like any other.
    #[must_use]
    pub fn open(node: &Arc<LocalNode>, cluster: &Arc<Cluster>) -> Arc<Self> {
        let rule = Arc::clone(&cluster.rule);
        for namespace in &node.namespaces {
            let rule = Arc::clone(&rule);
            namespace.set_ownership(move |partition| rule.ticket(partition).is_some());
        }
        let kept::Found {
            stored,
            is_complete,
        } = kept::found(&node.namespaces);
        rule.with(|ownership, _| ownership.hold_stored(stored, is_complete));
        Arc::new(Self {
            node: Arc::clone(node),
            cluster: Arc::clone(cluster),
            rule,
            copying: tokio::sync::Mutex::new(()),
            is_complete: AtomicBool::new(is_complete),
            is_back: AtomicBool::new(true),
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
                for some in page.chunks(merge::together(namespace)) {
                    let removing = some.iter().map(async |record| {
                        let digest = record.digest();
                        let deadline = self.cluster.deadline();
                        let lock = namespace.locks().lock(&digest, deadline, 0).await;
                        let _lock = lock.map_err(|error| error.to_string())?;
                        let removed = namespace.remove(&digest).await;
                        removed.map_err(|error| error.to_string())
                    });
                    for removed in merge::all_of(removing).await {
                        removed?;
                    }
                }
            }
        }
        Ok(())
    }
}
