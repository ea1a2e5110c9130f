use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use protocol::key::Digest;
use protocol::result_code::ResultCode;

use super::{NamespaceSettings, RecordLocks, SetTable};
use crate::clock::Clock;
use crate::stats::{MigrationStats, NamespaceLatency, NamespaceStats, RemovalStats};
use crate::storage::engine::StorageEngine;
use crate::storage::memory::MemoryEngine;
use data::record::policy::{self, TtlRules};
use data::record::seconds;
use data::record::{Record, Set, Usage};

/// Most bins of a record.
const MAX_BINS: usize = 32_767;

/// Why a version is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Above `max-record-size`.
    #[error("the record has {size} bytes, {limit} is the limit (`max-record-size`)")]
    TooBig {
        /// Size of the refused version, see [`Record::size`].
        size: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// Too many bins.
    #[error("the record has {0} bins, {MAX_BINS} is the limit")]
    TooManyBins(usize),
    /// The namespace has all the sets that it may have.
    #[error("the namespace has too many sets to make one more")]
    TooManySets,
    /// A truncation time lies in the future.
    #[error("the set or namespace is truncated up to a time in the future")]
    TruncatedInFuture,
}

impl StoreError {
    /// The code with which a request is answered.
    #[must_use]
    pub fn result_code(self) -> ResultCode {
        match self {
            Self::TooBig { .. } => ResultCode::RECORD_TOO_BIG,
            Self::TooManyBins(_) => ResultCode::BIN_NAME,
            Self::TooManySets => ResultCode::PARAMETER,
            Self::TruncatedInFuture => ResultCode::FORBIDDEN,
        }
    }
}

/// Which partitions are this node's.
struct Ownership(Box<dyn Fn(u16) -> bool + Send + Sync>);

impl fmt::Debug for Ownership {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Ownership")
    }
}

/// A namespace: an engine with the sets, locks, settings and statistics around it.
#[derive(Debug)]
pub struct Namespace {
    name: Box<str>,
    /// What the configuration says.
    pub settings: Arc<NamespaceSettings>,
    /// Says which partitions are this node's, if it is one of several.
    ownership: OnceLock<Ownership>,
    /// What transactions count.
    pub stats: NamespaceStats,
    /// Records on their way between nodes.
    pub migration: MigrationStats,
    /// How long transactions took.
    pub latency: NamespaceLatency,
    /// Records removed by the sweep.
    pub removals: RemovalStats,
    clock: Clock,
    engine: Box<dyn StorageEngine>,
    sets: SetTable,
    usage: Usage,
    /// Records that live for ever.
    non_expirable: AtomicU64,
    locks: Arc<RecordLocks>,
    truncate_lut_ms: AtomicU64,
}

impl Namespace {
    /// An empty namespace in memory.
    #[must_use]
    pub fn new(name: &str, settings: Arc<NamespaceSettings>) -> Self {
        Self::with(
            name,
            settings,
            Box::new(MemoryEngine::default()),
            Clock::default(),
        )
    }

    /// A namespace over an engine, with the clock that decides what has expired.
    #[must_use]
    pub fn with(
        name: &str,
        settings: Arc<NamespaceSettings>,
        engine: Box<dyn StorageEngine>,
        clock: Clock,
    ) -> Self {
        Self {
            name: name.into(),
            settings,
            ownership: OnceLock::new(),
            stats: NamespaceStats::default(),
            migration: MigrationStats::default(),
            latency: NamespaceLatency::default(),
            removals: RemovalStats::default(),
            clock,
            engine,
            sets: SetTable::default(),
            usage: Usage::default(),
            non_expirable: AtomicU64::new(0),
            locks: Arc::default(),
            truncate_lut_ms: AtomicU64::new(0),
        }
    }

    /// Has the namespace ask which partitions are this node's. Only the first call counts.
    pub fn set_ownership(&self, owns: impl Fn(u16) -> bool + Send + Sync + 'static) {
        let _ = self.ownership.set(Ownership(Box::new(owns)));
    }

    /// Whether this node owns a partition. While a record of it is locked, this tells whether a change may be made here:
    /// a partition is given to another node before its records are locked to be given.
    #[must_use]
    pub fn owns(&self, partition: u16) -> bool {
        self.ownership
            .get()
            .is_none_or(|Ownership(owns)| owns(partition))
    }

    /// Name, 1 to 31 bytes.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Milliseconds since 2010-01-01 UTC, the time by which records of this namespace live.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// The engine, for reading past what [`Namespace::find`] hides.
    #[must_use]
    pub fn engine(&self) -> &dyn StorageEngine {
        &*self.engine
    }

    /// The sets.
    #[must_use]
    pub fn sets(&self) -> &SetTable {
        &self.sets
    }

    /// Number and size of the records.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Records that live for ever.
    #[must_use]
    pub fn non_expirable_objects(&self) -> u64 {
        self.non_expirable.load(Ordering::Relaxed)
    }

    /// The locks on records. A caller of [`Namespace::store`] or [`Namespace::remove`] holds one.
    #[must_use]
    pub fn locks(&self) -> &Arc<RecordLocks> {
        &self.locks
    }

    /// Records last written before this are gone, in milliseconds since 2010-01-01 UTC; 0 is none.
    #[must_use]
    pub fn truncate_lut_ms(&self) -> u64 {
        self.truncate_lut_ms.load(Ordering::Acquire)
    }

    pub(super) fn raise_truncate_lut(&self, lut_ms: u64) {
        self.truncate_lut_ms.fetch_max(lut_ms, Ordering::AcqRel);
    }

    /// What the settings say about the expiration of records in this set.
    #[must_use]
    pub fn ttl_rules(&self, set: &str) -> TtlRules {
        let of_set = self
            .settings
            .set_settings(set)
            .map_or(0, |set| set.default_ttl());
        TtlRules {
            default_ttl: if of_set == 0 {
                self.settings.default_ttl()
            } else {
                of_set
            },
            expiry_allowed: self.settings.nsup_period() != 0
                || self.settings.allow_ttl_without_nsup(),
        }
    }

    /// Why records may not be written now, if they may not: 8 when the namespace is full, 22 when the set is, 4 for a
    /// record without a set where the configuration wants one. `existing` is the version that would be written over.
    ///
    /// Deletes are never refused for these reasons.
    #[must_use]
    pub fn write_refusal(&self, set: &str, existing: Option<&Record>) -> Option<ResultCode> {
        if self.settings.stops_writes(self.usage.bytes()) {
            return Some(ResultCode::OUT_OF_SPACE);
        }
        if set.is_empty() {
            return self
                .settings
                .disallow_null_setname()
                .then_some(ResultCode::PARAMETER);
        }
        let limits = self.settings.set_settings(set)?;
        let usage = self.sets.get(set)?;
        let reached = |used: u64, limit: u64| limit != 0 && used >= limit;
        let full = reached(usage.usage().bytes(), limits.stop_writes_size())
            || existing.is_none() && reached(usage.usage().objects(), limits.stop_writes_count());
        full.then_some(ResultCode::FORBIDDEN)
    }

    /// The record, unless it has expired or was truncated. The clock is read only if the record can expire.
    #[must_use]
    pub fn find(&self, digest: &Digest) -> Option<Arc<Record>> {
        let record = self.engine.get(digest)?;
        let expired =
            record.void_time != 0 && policy::is_expired(record.void_time, seconds(self.now_ms()));
        (!expired && !self.is_truncated(&record)).then_some(record)
    }

    /// Whether the record is there for clients at `now_ms`: neither expired nor truncated.
    #[must_use]
    pub fn is_live(&self, record: &Record, now_ms: u64) -> bool {
        !policy::is_expired(record.void_time, seconds(now_ms)) && !self.is_truncated(record)
    }

    pub(super) fn is_truncated(&self, record: &Record) -> bool {
        record.last_update_ms < self.truncate_lut_ms()
            || record
                .set
                .as_ref()
                .is_some_and(|set| record.last_update_ms < set.truncate_lut_ms())
    }

    /// The set in which a write puts its record; `existing` is the version that it writes over.
    ///
    /// # Errors
    /// There are too many sets.
    pub fn set_for_write(
        &self,
        name: &str,
        existing: Option<&Record>,
    ) -> Result<Option<Arc<Set>>, StoreError> {
        if name.is_empty() {
            return Ok(None);
        }
        match existing.and_then(|record| record.set.as_ref()) {
            Some(set) if set.name() == name => Ok(Some(Arc::clone(set))),
            _ => self
                .sets
                .get_or_create(name)
                .map(Some)
                .ok_or(StoreError::TooManySets),
        }
    }

    /// Stores a version. The caller holds the record's lock.
    ///
    /// # Errors
    /// Nothing is changed when the version is above a limit.
    pub fn store(&self, digest: &Digest, record: Record) -> Result<Arc<Record>, StoreError> {
        let size = record.size();
        let limit = self.settings.max_record_size();
        if size > limit {
            return Err(StoreError::TooBig { size, limit });
        }
        if record.bins.len() > MAX_BINS {
            return Err(StoreError::TooManyBins(record.bins.len()));
        }
        if self.is_truncated(&record) {
            return Err(StoreError::TruncatedInFuture);
        }
        let record = Arc::new(record);
        if record.void_time == 0 {
            self.non_expirable.fetch_add(1, Ordering::Relaxed);
        }
        let replaced = self.engine.put(digest, Arc::clone(&record));
        self.forget_life(replaced.as_deref());
        match replaced {
            None => self.count(&record, size, Usage::grow),
            Some(replaced) if replaced.set_name() == record.set_name() => {
                let before = replaced.size();
                self.count(&record, size, |usage, size| usage.resize(before, size));
            }
            Some(replaced) => {
                self.count(&replaced, replaced.size(), Usage::shrink);
                self.count(&record, size, Usage::grow);
            }
        }
        Ok(record)
    }

    /// Removes the record. The caller holds its lock. False when there was none.
    pub fn remove(&self, digest: &Digest) -> bool {
        let Some(removed) = self.engine.remove(digest) else {
            return false;
        };
        self.forget_life(Some(&removed));
        self.count(&removed, removed.size(), Usage::shrink);
        true
    }

    /// Takes a version that is gone out of the count of those that live for ever.
    fn forget_life(&self, gone: Option<&Record>) {
        if gone.is_some_and(|gone| gone.void_time == 0) {
            self.non_expirable.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn count(&self, record: &Record, size: u64, how: impl Fn(&Usage, u64)) {
        how(&self.usage, size);
        if let Some(set) = &record.set {
            how(set.usage(), size);
        }
    }
}
