//! The seam to engines, and what they are held to.

use std::collections::BTreeMap;
use std::fmt::Debug;

use data::record::{Handle, StoredRecord};
use protocol::key::Digest;

use super::Answer;

/// Number of partitions of every namespace.
pub const PARTITIONS: u16 = protocol::limits::PARTITIONS;

/// Which version a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever is stored, if anything is.
    Any,
    /// The version of this token, see [`StoredRecord::token`].
    Version(u64),
}

impl Expected {
    /// Whether a change that expects this may be made to what is stored.
    #[must_use]
    pub fn permits(self, stored: Option<&StoredRecord>) -> bool {
        match self {
            Self::Any => true,
            Self::Version(token) => stored.is_some_and(|stored| stored.token() == token),
        }
    }
}

/// How a change ended.
#[derive(Clone, Debug)]
pub enum Changed {
    /// It was made; this is the version that it ended, if there was one, perhaps only its outline unless records
    /// are read from memory ([`Keeps::in_memory`]).
    Done(Option<StoredRecord>),
    /// Another version is stored than the expected one, or none. Nothing was done.
    Mismatch,
}

/// Why a record goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// A client or a script wants it, its life has ended, or it is another node's now: an engine that keeps records
    /// remembers it.
    Asked,
    /// It was truncated: the truncation is remembered, see [`Truncation`].
    Truncated,
}

/// How much of a record is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// Its metadata: the engine may leave out key and bins, and gives what it has at hand.
    Outline,
}

/// Records last written before a time are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// The set; empty for the whole namespace.
    pub set: String,
    /// Milliseconds since 2010-01-01 UTC.
    pub before_ms: u64,
}

/// What a handle names.
#[derive(Clone, Debug)]
pub enum Named {
    /// No record that is stored.
    None,
    /// The stored version of the one record that has this name.
    One(StoredRecord),
    /// The records of these digests, in order.
    Several(Vec<Digest>),
}

/// What an engine does with records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeps {
    /// Records are read from memory.
    pub in_memory: bool,
    /// Records outlive the process.
    pub persisted: bool,
}

/// Room on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that the engine may take.
    pub total: u64,
    /// Bytes that records and what is remembered of removed ones take.
    pub used: u64,
    /// Bytes that can be written before room has to be made.
    pub available: u64,
}

/// Where the records of a namespace are kept.
///
/// An engine keeps versions and knows nothing of time, sets, limits or statistics: [`crate::record::Namespace`] does.
/// Each call is atomic by itself and may fail, and may wait: memory does neither. That nobody else changes the digest
/// between two calls is what [`crate::record::RecordLocks`] are for. Of a change whose caller goes away, or that fails,
/// either all is done or nothing.
pub trait StorageEngine: Send + Sync + Debug {
    /// The stored version.
    fn get(&self, digest: &Digest, extent: Extent) -> Answer<'_, Option<StoredRecord>>;

    /// What an index calls by this name.
    fn named(&self, handle: Handle) -> Answer<'_, Named>;

    /// Stores a version in place of the expected one.
    fn put(&self, record: StoredRecord, expected: Expected) -> Answer<'_, Changed>;

    /// Forgets the record if it is the expected version.
    fn remove(&self, digest: &Digest, expected: Expected, why: Removal) -> Answer<'_, Changed>;

    /// At most `limit` records of one partition, in ascending order of digest, from the first after `after`. Fewer than
    /// that are the last.
    ///
    /// A record that is written while a caller goes from page to page is seen once or not at all.
    fn page(
        &self,
        partition: u16,
        after: Option<Digest>,
        limit: usize,
        extent: Extent,
    ) -> Answer<'_, Vec<StoredRecord>>;

    /// Records stored in one partition. Never waits: an engine counts them.
    fn partition_objects(&self, partition: u16) -> usize;

    /// Remembers a truncation for as long as it remembers records.
    fn truncated(&self, _truncation: &Truncation) -> Answer<'_, ()> {
        Answer::ready(())
    }

    /// What was remembered when the engine was opened: truncations, and the highest token that was ever given.
    fn opened_with(&self) -> (Vec<Truncation>, u64) {
        (Vec::new(), 0)
    }

    /// Remembers a note of this number, in place of the one before, for as long as it remembers records. It outlives a
    /// crash once [`StorageEngine::flush`] has returned, and never without all that was stored before it.
    fn note(&self, _number: u16, _note: Vec<u8>) -> Answer<'_, ()> {
        Answer::ready(())
    }

    /// The notes that were remembered when the engine was opened, by number. They are given once.
    fn take_notes(&self) -> BTreeMap<u16, Vec<u8>> {
        BTreeMap::new()
    }

    /// Has everything that is stored outlive the process from now on.
    fn flush(&self) -> Answer<'_, ()> {
        Answer::ready(())
    }

    /// The last call: flushes, and leaves a mark that nothing has to be repaired.
    fn close(&self) -> Answer<'_, ()> {
        Answer::ready(())
    }

    /// What it does with records.
    fn keeps(&self) -> Keeps;

    /// Room on its device; none for memory.
    fn space(&self) -> Option<Space> {
        None
    }

    /// Moves some of what a partition keeps in memory into new memory, beginning where the call before ended, so that what
    /// is between records that stayed can be given back. What is stored does not change. Where to go on, or none at the
    /// end; never waits for a disk.
    fn repack(&self, _partition: u16, _from: usize) -> Option<usize> {
        None
    }
}
