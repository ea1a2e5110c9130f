//! What goes into one call of a record UDF and what comes out: pure data, so that scripts can be run without a server.

pub mod commit;
pub mod stream;

use std::sync::Arc;
use std::time::Instant;

use protocol::key::Digest;
use protocol::particle::Particle;
use protocol::result_code::ResultCode;

use data::record::{Bin, StoredRecord};

/// The first line of every failure to find or load a module, and the text of a result that cannot be sent.
pub const EXECUTION_ERROR: &str = "UDF: Execution Error 1";

/// Most bins that a UDF leaves in a record.
pub const MAX_UDF_BINS: usize = 512;

/// Most distinct bin names that one call may touch.
pub const MAX_TOUCHED_BINS: usize = 1024;

/// The record that a call works on, as it was when it was locked.
#[derive(Clone, Debug)]
pub struct RecordView {
    /// Its digest.
    pub digest: Digest,
    /// Name of the set that the request names; none for a record in no set, and not asked for where one is stored: that
    /// has its own.
    pub set: Option<Arc<str>>,
    /// The key that is stored or, failing that, was sent with this request.
    pub key: Option<Particle>,
    /// The stored version. None when there is none: never written, deleted, expired or truncated.
    pub stored: Option<StoredRecord>,
    /// The namespace keeps its records in memory.
    pub in_memory: bool,
    /// The namespace keeps its records on a device.
    pub persisted: bool,
    /// Why nothing may be written at present, stop-writes say: create, update and remove answer -1, and the call ends
    /// with this code.
    pub write_refusal: Option<ResultCode>,
}

/// One call.
#[derive(Debug)]
pub struct Call<'a> {
    /// Name of a global function of the module.
    pub function: &'a [u8],
    /// The argument list, msgpack. Empty: no arguments.
    pub arguments: &'a [u8],
    /// The record.
    pub record: RecordView,
    /// When the call is ended with `UDF Execution Timeout`.
    pub deadline: Instant,
    /// Seconds since 2010-01-01 UTC when the call began; a record's remaining life is counted from it.
    pub now: u32,
}

/// What a call wants done to its record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RecordChange {
    /// Nothing.
    #[default]
    None,
    /// These are the bins from now on; one write, however often the script called create or update.
    Write {
        /// All bins, in storage order; not empty.
        bins: Vec<Bin>,
        /// What the script gave to `record.set_ttl`, as on the wire: 0 default, `u32::MAX` never, `u32::MAX - 1` keep.
        /// None: that of the request holds.
        ttl: Option<u32>,
        /// The stored key goes.
        drop_key: bool,
    },
    /// The record goes. When there is no stored version the transaction ends with code 2.
    Delete,
}

/// What the client gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Bin `SUCCESS`.
    Success(Particle),
    /// Bin `FAILURE` with this text, result code 100.
    Failure(Vec<u8>),
}

/// Why and where a call failed, for logs; its reply may say less.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// `file:line` of the module's line that ran last, where one is known.
    pub place: Option<String>,
    /// What the text of the reply does not say.
    pub text: Option<String>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The answer.
    pub reply: Reply,
    /// What to do to the record; none after a failure.
    pub change: RecordChange,
    /// A create, update or remove failed and no later one succeeded: the transaction ends with this code, without a
    /// result bin and without a change.
    pub pending_error: Option<ResultCode>,
}

impl Outcome {
    /// A failure with this text.
    #[must_use]
    pub fn failure(text: impl Into<Vec<u8>>) -> Self {
        Self {
            reply: Reply::Failure(text.into()),
            change: RecordChange::None,
            pending_error: None,
        }
    }
}
