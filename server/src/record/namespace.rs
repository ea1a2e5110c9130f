use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use data::record::policy::{self, TtlRules};
use data::record::{Handle, LimitError, Parts, Record, Set, StoredRecord, Usage, seconds};
use protocol::key::Digest;
use protocol::particle::{Particle, ParticleRef};
use protocol::result_code::ResultCode;

use super::repacking::Repacking;
use super::version::{Accounted, Follows};
use super::{NamespaceSettings, Prepared, RecordLocks, SetTable, Version};
use crate::clock::Clock;
use crate::index::Indexes;
use crate::processor::Alone;
use crate::stats::{MigrationStats, NamespaceLatency, NamespaceStats, RemovalStats};
use crate::storage::answer::off_the_worker;
use crate::storage::{
    Changed, Expected, Extent, Keeps, MemoryEngine, Named, PARTITIONS, Removal, Space,
    StorageEngine, StorageError, Truncation,
};

/// Why a version is not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It is above a limit of records.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The namespace has all the sets that it may have.
    #[error("the namespace has too many sets to make one more")]
    TooManySets,
    /// A truncation time lies in the future.
    #[error("the set or namespace is truncated up to a time in the future")]
    TruncatedInFuture,
    /// The engine cannot store it.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl StoreError {
    /// The code with which a request is answered.
    #[must_use]
    pub fn result_code(&self) -> ResultCode {
        match self {
            Self::Limit(error) => error.result_code(),
            Self::Storage(error) => error.result_code(),
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
    /// The secondary indexes.
    pub indexes: Indexes,
    usage: Usage,
    /// Writes are refused because the namespace is full, as was told last.
    told_of_stop: AtomicBool,
    /// Records that live for ever.
    non_expirable: AtomicU64,
    locks: Arc<RecordLocks>,
    truncate_lut_ms: AtomicU64,
    /// The latest truncation of any set: what was written later is not in a set that was truncated since.
    set_lut_ms: AtomicU64,
    /// The token given last to a version in a file; alone, as every such write takes one, and every request reads what is
    /// around it.
    tokens: Alone<AtomicU64>,
    pub(super) repacking: Repacking,
}

/// A change of what is stored.
#[derive(Clone, Copy)]
enum Step<'a> {
    Put(&'a StoredRecord),
    Remove(&'a Digest, Removal),
}

/// Bytes that an entry of the primary index counts for, as in the reference, and one of a set index.
pub const INDEX_ENTRY_BYTES: u64 = 64;
const SET_INDEX_ENTRY_BYTES: u64 = 16;

/// Room for making versions that a thread keeps, in bytes.
const SCRATCH_KEPT: usize = 64 << 10;

thread_local! {
    /// Where versions are made before they get memory of their own.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
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
            indexes: Indexes::default(),
            usage: Usage::default(),
            told_of_stop: AtomicBool::new(false),
            non_expirable: AtomicU64::new(0),
            locks: Arc::default(),
            truncate_lut_ms: AtomicU64::new(0),
            set_lut_ms: AtomicU64::new(0),
            tokens: Alone::default(),
            repacking: Repacking::default(),
        }
    }

    /// Has the namespace ask which partitions are this node's. Only the first call counts.
    pub fn set_ownership(&self, owns: impl Fn(u16) -> bool + Send + Sync + 'static) {
        // The first one stays.
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

    /// Whether this node is one of several.
    pub(super) fn is_clustered(&self) -> bool {
        self.ownership.get().is_some()
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

    /// A record comes from another node, where it was written at that time, ms since 2010.
    pub fn heard_of_time(&self, time_ms: u64) {
        self.clock.not_before(time_ms);
    }

    /// The engine. What is outside of this room asks the namespace.
    pub(super) fn engine(&self) -> &dyn StorageEngine {
        &*self.engine
    }

    /// What the engine does with records.
    #[must_use]
    pub fn keeps(&self) -> Keeps {
        self.engine.keeps()
    }

    /// Room on the engine's device, if it has one.
    #[must_use]
    pub fn space(&self) -> Option<Space> {
        self.engine.space()
    }

    /// Records stored in one partition.
    #[must_use]
    pub fn partition_objects(&self, partition: u16) -> usize {
        self.engine.partition_objects(partition)
    }

    /// Has everything that is stored outlive the process, as far as the engine keeps records, and ends its work.
    ///
    /// # Errors
    /// Not all of it could be written.
    pub async fn close(&self) -> Result<(), StorageError> {
        self.repacking.end();
        self.engine.close().await
    }

    /// Counts what the engine found when it was opened. Called once, before anybody is served; `progress` gets the number
    /// of records counted so far, from time to time.
    ///
    /// # Errors
    /// The engine cannot read its records.
    pub async fn load(&self, mut progress: impl FnMut(u64)) -> Result<(), StoreError> {
        let (truncations, token) = self.engine.opened_with();
        self.tokens.0.fetch_max(token, Ordering::AcqRel);
        for truncation in truncations {
            self.raise_lut(&truncation)?;
        }
        if !self.keeps().persisted {
            // What is only in memory begins empty.
            return Ok(());
        }
        let mut latest_ms = 0;
        for partition in 0..PARTITIONS {
            let mut scan = self.scan(partition, None).outlines();
            loop {
                let page = scan.page().await?;
                if page.is_empty() {
                    break;
                }
                for record in &page {
                    latest_ms = latest_ms.max(record.last_update_ms());
                    let set = self.set(record.set_name())?;
                    let accounted = Accounted {
                        record,
                        size: record.size(),
                        set,
                        follows: None,
                    };
                    self.account(None, Some(accounted));
                }
            }
            if partition % 256 == 255 {
                progress(self.usage.objects());
            }
        }
        self.clock.not_before(latest_ms);
        Ok(())
    }

    /// Remembers a note of this number for as long as the engine keeps records, in place of the one before. It outlives a
    /// crash once [`Namespace::flush`] has returned, and never without what was stored before it.
    ///
    /// # Errors
    /// The engine cannot.
    pub async fn note(&self, number: u16, note: Vec<u8>) -> Result<(), StorageError> {
        self.engine.note(number, note).await
    }

    /// The notes that were there when the namespace was opened, by number. They are given once.
    #[must_use]
    pub fn take_notes(&self) -> BTreeMap<u16, Vec<u8>> {
        self.engine.take_notes()
    }

    /// Has everything that is stored outlive the process from now on, as far as the engine keeps records.
    ///
    /// # Errors
    /// Not all of it could be written.
    pub async fn flush(&self) -> Result<(), StorageError> {
        self.engine.flush().await
    }

    /// The truncations that hold.
    #[must_use]
    pub fn truncations(&self) -> Vec<Truncation> {
        let whole = Truncation {
            set: String::new(),
            before_ms: self.truncate_lut_ms(),
        };
        let of_sets = self.sets.all().into_iter().map(|set| Truncation {
            set: set.name().to_owned(),
            before_ms: set.truncate_lut_ms(),
        });
        let all = std::iter::once(whole).chain(of_sets);
        all.filter(|truncation| truncation.before_ms != 0).collect()
    }

    /// Has a truncation hold of which another node has told. What it makes vanish is removed by the next sweep; nobody sees
    /// it until then. False when it, or a later one, held already.
    ///
    /// # Errors
    /// The engine cannot remember it, or there are too many sets.
    pub async fn hear_of_truncation(&self, truncation: &Truncation) -> Result<bool, StoreError> {
        let known = match self.set(&truncation.set)? {
            None => self.truncate_lut_ms(),
            Some(set) => set.truncate_lut_ms(),
        };
        if known >= truncation.before_ms {
            return Ok(false);
        }
        self.engine.truncated(truncation).await?;
        self.raise_lut(truncation)?;
        Ok(true)
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

    /// Makes a truncation hold for readers from now on.
    pub(super) fn raise_lut(&self, truncation: &Truncation) -> Result<(), StoreError> {
        let before_ms = truncation.before_ms;
        self.clock.not_before(before_ms);
        match self.set(&truncation.set)? {
            None => self.truncate_lut_ms.fetch_max(before_ms, Ordering::AcqRel),
            Some(set) => {
                set.raise_truncate_lut(before_ms);
                self.set_lut_ms.fetch_max(before_ms, Ordering::AcqRel)
            }
        };
        Ok(())
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

    /// Of the life of records in this set: percent of it, at most, that are left when a read gives it anew; 0 never.
    #[must_use]
    pub fn read_touch_percent(&self, set: &str) -> u32 {
        let of_set = self.settings.set_settings(set);
        match of_set.map_or(0, |set| set.default_read_touch_ttl_pct()) {
            0 => self.settings.default_read_touch_ttl_pct(),
            percent => percent,
        }
    }

    /// Bytes that the indexes take, primary, set and secondary ones: what statistics show of the first two, and at most
    /// what the others do.
    #[must_use]
    pub fn index_memory(&self) -> u64 {
        let entries = self.usage.objects() * INDEX_ENTRY_BYTES + self.set_index_memory();
        entries + self.indexes.memory()
    }

    /// What all set indexes count for, bytes.
    #[must_use]
    pub fn set_index_memory(&self) -> u64 {
        let sets = self.indexes.indexed_sets().into_iter();
        let objects = sets.filter_map(|set| Some(self.sets.get(&set)?.usage().objects()));
        objects.sum::<u64>() * SET_INDEX_ENTRY_BYTES
    }

    /// Whether writes are refused because the indexes take more than they may.
    fn indexes_are_full(&self) -> bool {
        let budget = self.settings.indexes_memory_budget();
        budget != 0 && self.index_memory() > budget
    }

    /// Whether writes are refused for want of room: the indexes are above `indexes-memory-budget`, more is used than `stop-writes-used-pct` of what there is, or less is
    /// free of a file than `stop-writes-avail-pct`.
    #[must_use]
    pub fn stops_writes(&self) -> bool {
        if self.indexes_are_full() {
            return true;
        }
        match self.space() {
            None => self.settings.stops_writes(self.usage.bytes()),
            Some(space) => {
                let share = |part: u64| u128::from(part) * 100;
                let of_total = |percent: u32| u128::from(space.total) * u128::from(percent);
                let used = self.settings.stop_writes_used_pct();
                used != 0 && share(space.used) > of_total(used)
                    || share(space.available) < of_total(self.settings.stop_writes_avail_pct())
            }
        }
    }

    /// Why records may not be written now, if they may not: 8 when the namespace is full, 22 when the set is, 4 for a
    /// record without a set where the configuration wants one. `existing` is the version that would be written over.
    ///
    /// Deletes are never refused for these reasons.
    #[must_use]
    pub fn write_refusal(&self, set: &str, existing: Option<&StoredRecord>) -> Option<ResultCode> {
        let stops = self.stops_writes();
        if stops != self.told_of_stop.load(Ordering::Relaxed) {
            self.tell_of_stop(stops);
        }
        if stops {
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

    /// A line when writes begin to be refused because the namespace is full, and when they no longer are.
    #[cold]
    fn tell_of_stop(&self, stops: bool) {
        if self.told_of_stop.swap(stops, Ordering::Relaxed) == stops {
            return;
        }
        let (name, used) = (self.name(), self.usage.bytes());
        let percent = self.settings.stop_writes_used_pct();
        if self.indexes_are_full() {
            let (indexes, budget) = (self.index_memory(), self.settings.indexes_memory_budget());
            tracing::warn!(target: "namespace", "{{{name}}} stop-writes begin: indexes take {indexes} bytes, indexes-memory-budget is {budget}: writes are refused with 8");
        } else if stops {
            tracing::warn!(target: "namespace", "{{{name}}} stop-writes begin: {used} bytes are used, stop-writes-used-pct is {percent}: writes are refused with 8");
        } else {
            tracing::warn!(target: "namespace", "{{{name}}} stop-writes end: {used} bytes are used");
        }
    }

    /// The record, unless it has expired or was truncated. The clock is read only if the record can expire.
    ///
    /// # Errors
    /// The engine cannot read it.
    pub async fn find(&self, digest: &Digest) -> Result<Option<StoredRecord>, StorageError> {
        let record = self.stored(digest).await?;
        Ok(record.filter(|record| {
            let void_time = record.void_time();
            let expired = void_time != 0 && policy::is_expired(void_time, seconds(self.now_ms()));
            !expired && !self.is_truncated(record)
        }))
    }

    /// The version that is stored, expired and truncated ones too.
    ///
    /// # Errors
    /// The engine cannot read it.
    pub async fn stored(&self, digest: &Digest) -> Result<Option<StoredRecord>, StorageError> {
        self.engine.get(digest, Extent::Whole).await
    }

    /// What an index calls by this name, expired and truncated versions too.
    ///
    /// # Errors
    /// The engine cannot read it.
    pub async fn named(&self, handle: Handle) -> Result<Named, StorageError> {
        self.engine.named(handle).await
    }

    /// Whether a version is stored, expired and truncated ones too.
    ///
    /// # Errors
    /// The engine cannot tell.
    pub async fn has(&self, digest: &Digest) -> Result<bool, StorageError> {
        let found = self.engine.get(digest, Extent::Outline).await?;
        Ok(found.is_some())
    }

    /// Whether the record is there for clients at `now_ms`: neither expired nor truncated.
    #[must_use]
    pub fn is_live(&self, record: &StoredRecord, now_ms: u64) -> bool {
        !policy::is_expired(record.void_time(), seconds(now_ms)) && !self.is_truncated(record)
    }

    pub(super) fn is_truncated(&self, record: &StoredRecord) -> bool {
        self.was_truncated(record.last_update_ms(), || record.set_name())
    }

    /// Whether a record of this age is gone. Its set is looked for only if it is older than some truncation of a set.
    fn was_truncated<'s>(&self, last_update_ms: u64, set: impl FnOnce() -> &'s str) -> bool {
        last_update_ms < self.truncate_lut_ms()
            || last_update_ms < self.set_lut_ms.load(Ordering::Acquire)
                && self
                    .sets
                    .get(set())
                    .is_some_and(|set| last_update_ms < set.truncate_lut_ms())
    }

    /// The set of this name, made if it is new; none for `""`.
    ///
    /// # Errors
    /// There are too many sets.
    pub fn set(&self, name: &str) -> Result<Option<&Set>, StoreError> {
        if name.is_empty() {
            return Ok(None);
        }
        let set = self.sets.get_or_create(name);
        set.map(Some).ok_or(StoreError::TooManySets)
    }

    /// A token that no version of this record has had. In files it tells how old a version is among those of all records;
    /// in memory it is counted where little is shared.
    fn next_token(&self, digest: &Digest) -> u64 {
        let of_partition = match self.keeps().persisted {
            true => None,
            false => self.locks.number(digest.partition_id()),
        };
        of_partition.unwrap_or_else(|| self.tokens.0.fetch_add(1, Ordering::AcqRel) + 1)
    }

    /// Makes a version that may be stored. `before` is the one that it follows, if that is at hand, or another one whose set
    /// is there.
    ///
    /// # Errors
    /// The version is above a limit.
    pub fn prepare<'n, 'b>(
        &'n self,
        digest: &Digest,
        version: Version<'_>,
        before: Option<&StoredRecord>,
        bins: impl ExactSizeIterator<Item = (&'b [u8], ParticleRef<'b>)>,
    ) -> Result<Prepared<'n>, StoreError> {
        let set = match before {
            Some(_) => None,
            None => self.set(version.set)?,
        };
        let parts = Parts {
            digest: *digest,
            token: self.next_token(digest),
            generation: version.generation,
            void_time: version.void_time,
            last_update_ms: version.last_update_ms,
            set: version.set,
            key: version.key,
        };
        let limit = self.settings.max_record_size();
        let (record, size) = SCRATCH.with_borrow_mut(|scratch| {
            let record = StoredRecord::within(limit, before, &parts, bins, scratch);
            if scratch.capacity() > SCRATCH_KEPT {
                *scratch = Vec::new();
            }
            record
        })?;
        if self.was_truncated(version.last_update_ms, || parts.set) {
            return Err(StoreError::TruncatedInFuture);
        }
        let follows = before.zip(version.size_before);
        Ok(Prepared {
            record,
            size,
            set,
            follows: follows.map(|(before, size)| Follows {
                token: before.token(),
                size,
            }),
        })
    }

    /// Stores a version that was prepared. The caller holds the record's lock.
    ///
    /// # Errors
    /// The engine cannot store it: what was stored before is stored still.
    pub async fn store_prepared(&self, prepared: Prepared<'_>) -> Result<StoredRecord, StoreError> {
        let Prepared {
            record,
            size,
            set,
            follows,
        } = prepared;
        let accounted = Accounted {
            record: &record,
            size,
            set,
            follows,
        };
        self.commit(Step::Put(&record), Expected::Any, Some(accounted))
            .await?;
        Ok(record)
    }

    /// Stores a version. The caller holds the record's lock.
    ///
    /// # Errors
    /// Nothing is changed when the version is above a limit, or the engine cannot store it.
    pub async fn store(
        &self,
        digest: &Digest,
        record: Record<'_>,
    ) -> Result<StoredRecord, StoreError> {
        let bins = record.bins.iter();
        let bins = bins.map(|bin| (bin.name.as_bytes(), bin.particle.as_ref()));
        let version = Version {
            generation: record.generation,
            void_time: record.void_time,
            last_update_ms: record.last_update_ms,
            set: record.set.map_or("", Set::name),
            key: record.key.as_ref().map(Particle::as_ref),
            size_before: None,
        };
        let prepared = self.prepare(digest, version, None, bins)?;
        self.store_prepared(prepared).await
    }

    /// Removes the record. The caller holds its lock. False when there was none.
    ///
    /// # Errors
    /// The engine cannot: the record is still there.
    pub async fn remove(&self, digest: &Digest) -> Result<bool, StorageError> {
        let step = Step::Remove(digest, Removal::Asked);
        self.commit(step, Expected::Any, None).await
    }

    /// Removes the record if this version of it is stored. The caller holds its lock. False when it is not.
    ///
    /// # Errors
    /// The engine cannot: the record is still there.
    pub async fn remove_version(
        &self,
        seen: &StoredRecord,
        why: Removal,
    ) -> Result<bool, StorageError> {
        let step = Step::Remove(&seen.digest(), why);
        self.commit(step, Expected::Version(seen.token()), None)
            .await
    }

    /// The one place where what is stored changes: written, removed, expired, truncated, moved in from another node or
    /// out to one. What is derived from records follows here. False when nothing has changed.
    async fn commit(
        &self,
        step: Step<'_>,
        expected: Expected,
        after: Option<Accounted<'_>>,
    ) -> Result<bool, StorageError> {
        let digest = match step {
            Step::Put(record) => &record.digest(),
            Step::Remove(digest, _) => digest,
        };
        let seen = self.seen_by_indexes(digest).await?;
        let changed = match step {
            Step::Put(record) => self.engine.put(record.clone(), expected).await?,
            Step::Remove(digest, why) => self.engine.remove(digest, expected, why).await?,
        };
        // No wait from here on: who changes a record and goes away has changed all or nothing.
        match changed {
            Changed::Done(None) if after.is_none() => Ok(false),
            Changed::Done(before) => {
                self.account(before.as_ref(), after);
                if !self.indexes.any() {
                    return Ok(true);
                }
                let whole = seen.or(before.filter(|before| !before.is_outline()));
                let after = after.map(|after| after.record);
                let update = || self.indexes.update(whole.as_ref(), after);
                match self.indexes.take_long(whole.as_ref(), after) {
                    true => off_the_worker(update),
                    false => update(),
                }
                Ok(true)
            }
            Changed::Mismatch => Ok(false),
        }
    }

    /// The version that a change ends, where indexes need all of it and the engine gives back its outline only.
    async fn seen_by_indexes(&self, digest: &Digest) -> Result<Option<StoredRecord>, StorageError> {
        if self.engine.keeps().in_memory || !self.indexes.any() {
            return Ok(None);
        }
        self.stored(digest).await
    }

    /// Counts a change.
    fn account(&self, before: Option<&StoredRecord>, after: Option<Accounted<'_>>) {
        let lives_for_ever = |record: &StoredRecord| record.void_time() == 0;
        let were = before.is_some_and(lives_for_ever);
        let are = after.is_some_and(|after| lives_for_ever(after.record));
        match (were, are) {
            (false, true) => self.non_expirable.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.non_expirable.fetch_sub(1, Ordering::Relaxed),
            (true, true) | (false, false) => 0,
        };
        match (before, after) {
            (Some(old), Some(new)) if old.set_bytes() == new.record.set_bytes() => {
                let known = new.follows.filter(|follows| follows.token == old.token());
                let from = known.map_or_else(|| old.size(), |follows| follows.size);
                debug_assert_eq!(from, old.size());
                // Most updates change no size: they need not look for the set.
                if from != new.size {
                    self.count(self.set_of(new), |usage| usage.resize(from, new.size));
                }
            }
            (old, new) => {
                if let Some(old) = old {
                    let (size, set) = (old.size(), self.sets.get(old.set_name()));
                    self.count(set, |usage| usage.shrink(size));
                }
                if let Some(new) = new {
                    self.count(self.set_of(new), |usage| usage.grow(new.size));
                }
            }
        }
    }

    fn set_of<'n>(&'n self, version: Accounted<'n>) -> Option<&'n Set> {
        version
            .set
            .or_else(|| self.sets.get(version.record.set_name()))
    }

    fn count(&self, set: Option<&Set>, how: impl Fn(&Usage)) {
        how(&self.usage);
        if let Some(set) = set {
            how(set.usage());
        }
    }
}
