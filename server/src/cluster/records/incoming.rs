//! Records that come from other nodes, and questions for records.

use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::{Buf, BufMut};
use protocol::key::Digest;

use super::Records;
use super::portable;
use crate::config::node_id::NodeId;
use crate::record::{Namespace, StoreError, Version};
use data::record::StoredRecord;

/// Bytes of [`Kind::RecordPull`](super::super::fabric::Kind::RecordPull): the digest, then the name of the namespace.
pub(super) fn question(namespace: &str, digest: &Digest) -> Vec<u8> {
    [digest.0.as_slice(), namespace.as_bytes()].concat()
}

/// Begins a push: the key of the view, the name of the namespace with its length in front; records follow.
pub(super) fn begin_push(key: u64, namespace: &str) -> Vec<u8> {
    let mut body = Vec::new();
    body.put_u64(key);
    // Names of namespaces have at most 31 bytes.
    body.put_u8(u8::try_from(namespace.len()).unwrap_or(u8::MAX));
    body.put_slice(namespace.as_bytes());
    body
}

impl Records {
    /// Answers a pull: the record, or nothing. From now on its partition is the asking node's.
    ///
    /// # Errors
    /// The question cannot be read, or the record is busy until the deadline.
    pub async fn pulled(
        &self,
        from: NodeId,
        body: &[u8],
        deadline: Instant,
    ) -> Result<Vec<u8>, String> {
        let unreadable = || "the question cannot be read".to_owned();
        let (digest, name) = body.split_at_checked(20).ok_or_else(unreadable)?;
        let digest = Digest(digest.try_into().map_err(|_| unreadable())?);
        let name = std::str::from_utf8(name).map_err(|_| unreadable())?;
        let Some(namespace) = self.node.namespace(name) else {
            return Ok(Vec::new());
        };
        let partition = digest.partition_id();
        if self.node.cluster.load().partitions.owner(partition) != Some(from) {
            let mut state = self.state.lock();
            state.claimed.insert(partition, (from, Instant::now()));
            self.busy.store(true, Ordering::Release);
        }
        // Whatever ran here before it was claimed is over when the lock is had.
        let _lock = namespace
            .locks()
            .lock(&digest, deadline, 0)
            .await
            .map_err(|error| error.to_string())?;
        let mut answer = Vec::new();
        let stored = namespace.stored(&digest).await;
        if let Some(record) = stored.map_err(|error| error.to_string())? {
            portable::write(&record, &mut answer);
        }
        Ok(answer)
    }

    /// Takes records that another node pushes. On return they are stored, or something newer is.
    ///
    /// # Errors
    /// The nodes have different views: records would go back and forth between them. The push cannot be read, names an
    /// unknown namespace, or a record cannot be stored.
    pub async fn pushed(&self, body: &[u8], deadline: Instant) -> Result<Vec<u8>, String> {
        let unreadable = || "the push cannot be read".to_owned();
        let mut rest = body;
        let key = rest.try_get_u64().map_err(|_| unreadable())?;
        let length = rest.try_get_u8().map_err(|_| unreadable())?;
        let (name, records) = rest
            .split_at_checked(length.into())
            .ok_or_else(unreadable)?;
        let position = std::str::from_utf8(name)
            .ok()
            .and_then(|name| self.position(name))
            .ok_or("no such namespace here")?;
        self.take(key, position, records, deadline).await?;
        Ok(Vec::new())
    }

    /// Whether this node is settled under a key, for a peer that asks: not empty if so.
    pub fn settled(&self, body: &[u8]) -> Vec<u8> {
        let state = self.state.lock();
        let is_settled = state.settled_here && body == state.key.to_be_bytes();
        if is_settled { vec![1] } else { Vec::new() }
    }

    /// Stores those of these records that are newer than what is here, while the view has this key.
    pub(super) async fn take(
        &self,
        key: u64,
        position: usize,
        mut records: &[u8],
        deadline: Instant,
    ) -> Result<(), String> {
        let namespace = self
            .node
            .namespaces
            .get(position)
            .ok_or("no such namespace here")?;
        while !records.is_empty() {
            let portable = portable::read(&mut records).ok_or("a record cannot be read")?;
            let digest = portable.digest();
            let lock = namespace.locks().lock(&digest, deadline, 0).await;
            let _lock = lock.map_err(|error| error.to_string())?;
            let absent = {
                let state = self.state.lock();
                if state.key != key {
                    return Err("this node has another view of the cluster".to_owned());
                }
                state.absent.get(&(position, digest)).copied()
            };
            if absent.is_none_or(|since_ms| portable.last_update_ms() > since_ms) {
                merge(namespace, &portable).await?;
            }
        }
        Ok(())
    }
}

/// Whether a version is to replace another: the higher generation, then the later update.
fn is_newer(offered: &StoredRecord, known: &StoredRecord) -> bool {
    let age = |record: &StoredRecord| (record.generation(), record.last_update_ms());
    age(offered) > age(known)
}

/// Stores a version if it is newer. The caller holds the record's lock.
async fn merge(namespace: &Namespace, offered: &StoredRecord) -> Result<(), String> {
    let digest = offered.digest();
    let known = namespace.stored(&digest).await;
    let known = known.map_err(|error| error.to_string())?;
    if known.is_some_and(|known| !is_newer(offered, &known)) {
        return Ok(());
    }
    let refused = |error: StoreError| error.to_string();
    let version = Version {
        generation: offered.generation(),
        void_time: offered.void_time(),
        last_update_ms: offered.last_update_ms(),
        set: namespace.set(offered.set_name()).map_err(refused)?,
        key: offered.key(),
    };
    let bins = offered.bins().map(|bin| (bin.name, bin.value));
    let prepared = namespace.prepare(&digest, version, bins).map_err(refused)?;
    namespace.store_prepared(prepared).await.map_err(refused)?;
    namespace.migration.received.fetch_add(1, Ordering::Relaxed);
    Ok(())
}
