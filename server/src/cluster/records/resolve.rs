//! Getting a record from the nodes that may hold it.

use std::time::{Duration, Instant};

use protocol::key::Digest;
use protocol::result_code::ResultCode;
use tracing::debug;

use super::super::fabric::Kind;
use super::Records;
use super::incoming::question;
use crate::config::node_id::NodeId;

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
            let (key, peers) = self.peers_to_ask(position, digest);
            if peers.is_empty() {
                return Ok(());
            }
            let question = question(namespace, digest);
            for peer in peers {
                let answer = self
                    .cluster
                    .fabric
                    .call(peer, Kind::RecordPull, &question, deadline)
                    .await;
                let taken = match answer {
                    Ok(record) => self.take(key, position, &record, deadline).await,
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
            let mut state = self.state.lock();
            if state.key == key {
                state.resolved.insert((position, *digest));
                return Ok(());
            }
        }
    }

    /// The key of the view, and who may hold the record under it. Nobody is asked for what is another node's by now.
    fn peers_to_ask(&self, position: usize, digest: &Digest) -> (u64, Vec<NodeId>) {
        let partition = digest.partition_id();
        let owns = self.owns(partition);
        let state = self.state.lock();
        let known = !owns
            || !state.may_be_elsewhere(partition)
            || state.resolved.contains(&(position, *digest));
        let peers = match known {
            true => Vec::new(),
            false => state.unsettled.iter().map(|(id, _)| *id).collect(),
        };
        (state.key, peers)
    }

    /// Notes that a record is not here after a command on it: what comes in later and is older was deleted.
    pub async fn ran(&self, namespace: &str, digest: &Digest) {
        if !self.busy.load(std::sync::atomic::Ordering::Acquire) {
            return;
        }
        let Some(position) = self.position(namespace) else {
            return;
        };
        let Some(namespace) = self.node.namespaces.get(position) else {
            return;
        };
        let owns = self.owns(digest.partition_id());
        // What cannot be told may be there: a removal that is not noted is better than one that never was.
        let here = namespace.has(digest).await.unwrap_or(true);
        let mut state = self.state.lock();
        if !owns || here {
            state.absent.remove(&(position, *digest));
        } else {
            state.absent.insert((position, *digest), namespace.now_ms());
        }
    }
}
