//! Getting a record from the nodes that may hold it.

use std::time::{Duration, Instant};

use protocol::key::Digest;
use protocol::result_code::ResultCode;
use tracing::debug;

use super::super::NodeId;
use super::super::fabric::Kind;
use super::Records;
use super::incoming::question;

/// Pause before a peer that did not answer is asked again.
const PAUSE: Duration = Duration::from_millis(10);

impl Records {
    /// Makes sure that the newest version of a record of this node's partitions is here.
    ///
    /// # Errors
    /// 9 when a peer that may have it does not answer in time, 20 for an unknown namespace.
    pub(super) async fn resolve(
        &self,
        namespace: &str,
        digest: &Digest,
        deadline: Instant,
    ) -> Result<(), ResultCode> {
        let position = self.position(namespace).ok_or(ResultCode::NAMESPACE)?;
        'again: loop {
            let peers = match self.peers_to_ask(position, digest) {
                peers if peers.is_empty() => return Ok(()),
                peers => peers,
            };
            let question = question(namespace, digest);
            for peer in peers {
                let answer = self
                    .cluster
                    .fabric
                    .call(peer, Kind::RecordPull, &question, deadline)
                    .await;
                let taken = match answer {
                    Ok(record) => self.take(position, &record, deadline).await,
                    Err(error) => Err(error.to_string()),
                };
                if let Err(reason) = taken {
                    debug!(target: "migrate", "a record of {peer} is not here yet: {reason}");
                    if Instant::now() + PAUSE > deadline {
                        return Err(ResultCode::TIMEOUT);
                    }
                    tokio::time::sleep(PAUSE).await;
                    continue 'again;
                }
            }
            self.state.lock().resolved.insert((position, *digest));
            return Ok(());
        }
    }

    fn peers_to_ask(&self, position: usize, digest: &Digest) -> Vec<NodeId> {
        let state = self.state.lock();
        let known = !state.may_be_elsewhere(digest.partition_id())
            || state.resolved.contains(&(position, *digest));
        if known {
            Vec::new()
        } else {
            state.unsettled.iter().map(|(id, _)| *id).collect()
        }
    }

    /// Notes that a record is not here after a command on it: what comes in later and is older was deleted.
    pub fn ran(&self, namespace: &str, digest: &Digest) {
        if !self.busy.load(std::sync::atomic::Ordering::Acquire) {
            return;
        }
        let Some(position) = self.position(namespace) else {
            return;
        };
        let Some(namespace) = self.node.namespaces.get(position) else {
            return;
        };
        let mut state = self.state.lock();
        if namespace.engine().get(digest).is_some() {
            state.absent.remove(&(position, *digest));
        } else {
            state.absent.insert((position, *digest), namespace.now_ms());
        }
    }
}
