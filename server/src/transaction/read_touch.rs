//! Reads that give a record its life anew, so that what is read often does not expire.

use std::time::Instant;

use data::record::{StoredRecord, policy, seconds};
use protocol::key::Digest;
use protocol::result_code::ResultCode;

use crate::record::{Namespace, StoreError, Version};

/// The life in seconds that a read with this ttl gives the record anew, if it does.
///
/// Errors: 4 for a ttl that is no percentage.
pub(super) fn due(
    namespace: &Namespace,
    sent: u32,
    record: &StoredRecord,
) -> Result<Option<u32>, ResultCode> {
    let lived = (record.void_time(), record.last_update_ms());
    let default = || namespace.read_touch_percent(record.set_name());
    policy::read_touch(sent, default, lived, || seconds(namespace.now_ms()))
}

/// Stores the record once more, as just updated and with so many seconds to live. Its generation stays: nobody has
/// written it. What becomes of it is counted and not told to the reader, who has had the record.
pub(super) async fn touch(namespace: &Namespace, digest: &Digest, life: u32, deadline: Instant) {
    let stats = &namespace.stats;
    let counter = match try_touch(namespace, digest, life, deadline).await {
        Ok(true) => &stats.read_touch_success,
        Ok(false) | Err(ResultCode::KEY_BUSY) => &stats.read_touch_skip,
        Err(ResultCode::TIMEOUT) => &stats.read_touch_timeout,
        Err(_) => &stats.read_touch_error,
    };
    counter.inc();
}

/// False when there is nothing to do any more: the record is gone, or has been given a longer life by a write.
async fn try_touch(
    namespace: &Namespace,
    digest: &Digest,
    life: u32,
    deadline: Instant,
) -> Result<bool, ResultCode> {
    let pending_limit = namespace.settings.transaction_pending_limit();
    let locking = namespace.locks().lock(digest, deadline, pending_limit);
    let _held = locking.await.map_err(|error| error.result_code())?;
    if !namespace.owns(digest.partition_id()) {
        return Ok(false);
    }
    let refused = |error: StoreError| error.result_code();
    let found = namespace.find(digest).await;
    let Some(record) = found.map_err(|error| error.result_code())? else {
        return Ok(false);
    };
    let now_ms = namespace.now_ms();
    let void_time = seconds(now_ms).saturating_add(life);
    if record.void_time() == 0 || record.void_time() >= void_time {
        return Ok(false);
    }
    let version = Version {
        generation: record.generation(),
        void_time,
        last_update_ms: now_ms,
        set: record.set_name(),
        key: record.key(),
        size_before: None,
    };
    let bins = record.bins().map(|bin| (bin.name, bin.value));
    let prepared = namespace
        .prepare(digest, version, Some(&record), bins)
        .map_err(refused)?;
    let stored = namespace.store_prepared(prepared).await;
    stored.map(|_| true).map_err(refused)
}
