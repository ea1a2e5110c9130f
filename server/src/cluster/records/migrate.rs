//! Pushing records to the nodes that own them now.

use crate::storage::Removal;
use data::record::StoredRecord;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tracing::{debug, info};

use super::super::fabric::Kind;
use super::incoming::begin_push;
use super::{Records, portable};
use crate::config::node_id::NodeId;
use crate::record::Namespace;
use crate::storage::engine::PARTITIONS;

/// Records that came here late, for example by a command that was on its way, are looked for this often.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Peers that are not settled are asked this often.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// Bytes of a push, about.
const PUSH_BYTES: usize = 1 << 20;

/// Pushes what others own, and finds out when the others have done so, until it is dropped.
pub async fn migrate(records: Arc<Records>) {
    tokio::join!(
        push_again_and_again(&records),
        ask_again_and_again(&records)
    );
}

async fn push_again_and_again(records: &Records) {
    loop {
        // What changes during a look wakes it again.
        let _ = tokio::time::timeout(LOOK_AGAIN, records.changed.notified()).await;
        let key = records.state.lock().key;
        let mut moved = 0;
        let mut clean = records.node.cluster.load().key == key;
        for namespace in &records.node.namespaces {
            match push_all(records, namespace).await {
                Ok(count) => moved += count,
                Err(reason) => {
                    debug!(target: "migrate", "{{{}}} {reason}", namespace.name());
                    clean = false;
                }
            }
        }
        if moved != 0 {
            info!(target: "migrate", "{moved} records are with their owners");
        }
        if clean && records.holds_nothing_of_others() {
            let mut state = records.state.lock();
            if state.key == key {
                state.settled_here = true;
            }
        } else {
            tokio::time::sleep(ASK_AGAIN).await;
            records.changed.notify_one();
        }
    }
}

async fn ask_again_and_again(records: &Arc<Records>) {
    loop {
        let (key, unsettled) = {
            let mut state = records.state.lock();
            records.look_around(&mut state);
            (state.key, state.unsettled.clone())
        };
        let mut asking = JoinSet::new();
        for run in unsettled {
            let cluster = Arc::clone(&records.cluster);
            asking.spawn(async move {
                let (deadline, key) = (cluster.deadline(), key.to_be_bytes());
                let answer = cluster.fabric.call(run.0, Kind::Settled, &key, deadline);
                (run, answer.await.is_ok_and(|answer| !answer.is_empty()))
            });
        }
        let pause = if asking.is_empty() {
            LOOK_AGAIN
        } else {
            ASK_AGAIN
        };
        while let Some(answer) = asking.join_next().await {
            if let Ok((run, true)) = answer {
                let mut state = records.state.lock();
                if state.key == key {
                    state.settled.insert(run);
                }
            }
        }
        let _ = tokio::time::timeout(pause, records.view_came.notified()).await;
    }
}

impl Records {
    /// Whether no record of another's partition is here, and no command is at work that began before the partition was
    /// another's.
    fn holds_nothing_of_others(&self) -> bool {
        let view = self.node.cluster.load();
        (0..PARTITIONS)
            .filter(|partition| view.partitions.owner(*partition) != Some(self.cluster.me))
            .all(|partition| {
                self.node.namespaces.iter().all(|namespace| {
                    // In this order: what was at work may have stored a record.
                    namespace.locks().is_quiet(partition)
                        && namespace.partition_objects(partition) == 0
                })
            })
    }
}

/// Pushes every record of a namespace that another node owns; how many there were.
async fn push_all(records: &Records, namespace: &Namespace) -> Result<u64, String> {
    let view = records.node.cluster.load_full();
    let foreign: Vec<(u16, NodeId)> = {
        (0..PARTITIONS)
            .filter(|partition| namespace.partition_objects(*partition) != 0)
            .filter_map(|partition| Some((partition, view.partitions.owner(partition)?)))
            .filter(|(_, owner)| *owner != records.cluster.me)
            .collect()
    };
    let outgoing = &namespace.migration.outgoing;
    outgoing.store(foreign.len() as u64, Ordering::Relaxed);
    let mut moved = 0;
    for (partition, owner) in foreign {
        moved += push_partition(records, namespace, partition, (owner, view.key)).await?;
        outgoing.fetch_sub(1, Ordering::Relaxed);
    }
    Ok(moved)
}

async fn push_partition(
    records: &Records,
    namespace: &Namespace,
    partition: u16,
    (owner, key): (NodeId, u64),
) -> Result<u64, String> {
    let mut scan = namespace.scan(partition, None);
    let mut moved = 0;
    loop {
        let page = scan.page().await.map_err(|error| error.to_string())?;
        if page.is_empty() {
            return Ok(moved);
        }
        let mut batch: Vec<StoredRecord> = Vec::new();
        let mut body = begin_push(key, namespace.name());
        for record in page {
            portable::write(&record, &mut body);
            batch.push(record);
            if body.len() >= PUSH_BYTES {
                moved += push(records, namespace, owner, &body, &batch).await?;
                batch.clear();
                body = begin_push(key, namespace.name());
            }
        }
        if !batch.is_empty() {
            moved += push(records, namespace, owner, &body, &batch).await?;
        }
    }
}

/// Pushes some records, and forgets those that did not change meanwhile.
async fn push(
    records: &Records,
    namespace: &Namespace,
    owner: NodeId,
    body: &[u8],
    batch: &[StoredRecord],
) -> Result<u64, String> {
    let deadline = records.cluster.deadline();
    records
        .cluster
        .fabric
        .call(owner, Kind::RecordPush, body, deadline)
        .await
        .map_err(|error| error.to_string())?;
    let mut moved = 0;
    for record in batch {
        let lock = namespace.locks().lock(&record.digest(), deadline, 0).await;
        let _lock = lock.map_err(|error| error.to_string())?;
        let removed = namespace.remove_version(record, Removal::Asked).await;
        if removed.map_err(|error| error.to_string())? {
            moved += 1;
        }
    }
    let transmitted = &namespace.migration.transmitted;
    transmitted.fetch_add(moved, Ordering::Relaxed);
    Ok(moved)
}
