//! What becomes of a record after a call: the rules of the commit, as a function of what is given. The server stores by it,
//! and so does who runs scripts without one.

use protocol::result_code::ResultCode;

use data::record::policy::{self, TtlRules};
use data::record::{Bin, StoredRecord};

use super::{MAX_UDF_BINS, RecordChange};

/// What the request and the namespace say about a commit.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// What the namespace, or the set, says about expiration.
    pub ttl_rules: TtlRules,
    /// The request's ttl, as on the wire; that of the script wins.
    pub request_ttl: u32,
    /// The request asks for a durable delete.
    pub durable_delete: bool,
    /// Seconds since 2010-01-01 UTC.
    pub now: u32,
}

/// What is to be done to what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commit {
    /// Nothing.
    Nothing,
    /// The record goes. The reply says what would have been stored.
    Remove {
        /// Its generation.
        generation: u16,
        /// Its void-time, seconds since 2010-01-01 UTC.
        void_time: u32,
    },
    /// A version is stored.
    Store {
        /// All its bins.
        bins: Vec<Bin>,
        /// It has no key from now on.
        drop_key: bool,
        /// Its generation.
        generation: u16,
        /// Its void-time, seconds since 2010-01-01 UTC; 0 never.
        void_time: u32,
    },
}

/// Why nothing is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The ttl cannot be had.
    Ttl {
        /// The code that the client gets.
        code: ResultCode,
        /// The ttl.
        ttl: u32,
    },
    /// Something else; the code says it.
    Code(ResultCode),
}

impl Refused {
    /// The code that the client gets.
    #[must_use]
    pub fn code(self) -> ResultCode {
        match self {
            Self::Ttl { code, .. } | Self::Code(code) => code,
        }
    }
}

/// Whether a call may be made on an existing record. As the real server has it: one with more bins than a UDF may change can
/// be called on, but its key cannot be looked at.
///
/// # Errors
/// 21.
pub fn admit(existing: &StoredRecord, sends_key: bool) -> Result<(), ResultCode> {
    if sends_key && existing.bin_count() > MAX_UDF_BINS {
        return Err(ResultCode::BIN_NAME);
    }
    Ok(())
}

/// What is to be done for a change, over the version that is stored.
///
/// # Errors
/// A ttl that cannot be had, also where the record goes; a record to remove that is not there; a durable delete.
pub fn commit(
    change: RecordChange,
    existing: Option<&StoredRecord>,
    terms: &Terms,
) -> Result<Commit, Refused> {
    let (bins, ttl, drop_key) = match change {
        RecordChange::None => return Ok(Commit::Nothing),
        RecordChange::Write {
            bins,
            ttl,
            drop_key,
        } => (bins, ttl, drop_key),
        RecordChange::Delete => (Vec::new(), None, false),
    };
    let ttl = ttl.unwrap_or(terms.request_ttl);
    let current = existing.map(StoredRecord::void_time);
    let void_time = terms.ttl_rules.void_time(ttl, current, terms.now);
    let void_time = void_time.map_err(|code| Refused::Ttl { code, ttl })?;
    let generation = policy::next_generation(existing.map(StoredRecord::generation));
    if !bins.is_empty() {
        return Ok(Commit::Store {
            bins,
            drop_key,
            generation,
            void_time,
        });
    }
    if existing.is_none() {
        return Err(Refused::Code(ResultCode::NOT_FOUND));
    }
    if terms.durable_delete {
        return Err(Refused::Code(ResultCode::ENTERPRISE_ONLY));
    }
    Ok(Commit::Remove {
        generation,
        void_time,
    })
}
