//! Storing what comes from another node.

use std::sync::atomic::Ordering;
use std::task::Poll;

use data::record::StoredRecord;

use super::{Records, portable};
use crate::record::{Namespace, StoreError, Version};

/// Whether a version is to replace another. Only where two sides of a split meet are there two that differ.
fn is_newer(offered: &StoredRecord, known: &StoredRecord, policy: &str) -> bool {
    let age = |record: &StoredRecord| match policy {
        "last-update-time" => (record.last_update_ms(), u64::from(record.generation())),
        _ => (u64::from(record.generation()), record.last_update_ms()),
    };
    age(offered) > age(known)
}

impl Records {
    /// Stores records that come from another node; how many versions were thrown away. The caller holds `copying`.
    pub(super) async fn store(&self, name: &str, mut records: &[u8]) -> Result<u64, String> {
        let namespace = self
            .node
            .namespace(name)
            .ok_or_else(|| format!("there is no namespace {name} here"))?;
        let mut all = Vec::new();
        while !records.is_empty() {
            all.push(portable::read(&mut records).ok_or("a record cannot be read")?);
        }
        let mut thrown_away = 0;
        for some in all.chunks(together(namespace)) {
            let merging = some
                .iter()
                .map(|offered| self.merge_locked(namespace, offered));
            for is_thrown_away in all_of(merging).await {
                thrown_away += u64::from(is_thrown_away?);
            }
        }
        Ok(thrown_away)
    }

    async fn merge_locked(
        &self,
        namespace: &Namespace,
        offered: &StoredRecord,
    ) -> Result<bool, String> {
        let deadline = self.cluster.deadline();
        let lock = namespace.locks().lock(&offered.digest(), deadline, 0).await;
        let _lock = lock.map_err(|error| error.to_string())?;
        merge(namespace, offered).await
    }
}

/// Changes that wait for one sync together, where each waits for one.
const TOGETHER: usize = 256;

/// Changes of a namespace to be made at the same time: many where each waits for a sync, else one after the other.
pub(super) fn together(namespace: &Namespace) -> usize {
    let waits = namespace.keeps().persisted && namespace.settings.commit_to_device();
    if waits { TOGETHER } else { 1 }
}

/// What these futures give, in their order, all of them waiting at the same time.
pub(super) async fn all_of<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut are_ready = true;
        for (future, given) in &mut waiting {
            if given.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(output) => *given = Some(output),
                    Poll::Pending => are_ready = false,
                }
            }
        }
        if are_ready {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    waiting.into_iter().filter_map(|(_, given)| given).collect()
}

/// Stores a version if it is newer; true if one of two that differ was thrown away. The caller holds the record's lock.
async fn merge(namespace: &Namespace, offered: &StoredRecord) -> Result<bool, String> {
    let digest = offered.digest();
    let stats = &namespace.migration;
    let known = namespace.stored(&digest).await;
    let known = known.map_err(|error| error.to_string())?;
    let version = |record: &StoredRecord| (record.generation(), record.last_update_ms());
    let differs = known
        .as_ref()
        .is_some_and(|known| version(known) != version(offered));
    if differs {
        stats.thrown_away.fetch_add(1, Ordering::Relaxed);
    }
    namespace.heard_of_time(offered.last_update_ms());
    let policy = namespace.settings.conflict_resolution_policy();
    if known.is_some_and(|known| !is_newer(offered, &known, policy)) {
        return Ok(differs);
    }
    let refused = |error: StoreError| error.to_string();
    // It may be the first record of the set on this node.
    namespace.set(offered.set_name()).map_err(refused)?;
    let version = Version {
        generation: offered.generation(),
        void_time: offered.void_time(),
        last_update_ms: offered.last_update_ms(),
        set: offered.set_name(),
        key: offered.key(),
        size_before: None,
    };
    let bins = offered.bins().map(|bin| (bin.name, bin.value));
    let prepared = match namespace.prepare(&digest, version, Some(offered), bins) {
        Ok(prepared) => prepared,
        // It is gone, here as there.
        Err(StoreError::TruncatedInFuture) => return Ok(differs),
        Err(error) => return Err(error.to_string()),
    };
    namespace.store_prepared(prepared).await.map_err(refused)?;
    stats.received.fetch_add(1, Ordering::Relaxed);
    Ok(differs)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use data::record::Parts;
    use protocol::key::Digest;
    use protocol::particle::Particle;

    use super::*;
    use crate::record::NamespaceSettings;

    fn version(generation: u16, last_update_ms: u64) -> StoredRecord {
        let parts = Parts {
            digest: Digest([1; 20]),
            token: 1,
            generation,
            void_time: 0,
            last_update_ms,
            set: "",
            key: None,
        };
        let particle = Particle::integer(1);
        let bins = [(&b"n"[..], particle.as_ref())];
        StoredRecord::new(&parts, bins.into_iter(), &mut Vec::new()).unwrap()
    }

    #[tokio::test]
    async fn of_two_versions_the_policy_keeps_one_and_the_other_is_counted() {
        // The later one has fewer changes behind it.
        for (policy, kept) in [("generation", 5), ("last-update-time", 2)] {
            for versions in [[(5, 100), (2, 200)], [(2, 200), (5, 100)]] {
                let settings = NamespaceSettings::new("test");
                settings.set("conflict-resolution-policy", policy).unwrap();
                let namespace = Namespace::new("test", Arc::new(settings));
                for (generation, at) in versions {
                    merge(&namespace, &version(generation, at)).await.unwrap();
                }
                let found = namespace.stored(&Digest([1; 20])).await.unwrap().unwrap();
                assert_eq!(found.generation(), kept, "{policy}");
                // The same again is no conflict.
                let again = version(found.generation(), found.last_update_ms());
                assert!(!merge(&namespace, &again).await.unwrap());
                let thrown_away = namespace.migration.thrown_away.load(Ordering::Relaxed);
                assert_eq!(thrown_away, 1);
            }
        }
    }
}
