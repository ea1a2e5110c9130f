//! What goes into a record UDF and what comes out: data only, so that functions can be tried without a server.

use std::sync::Arc;
use std::time::Instant;

use protocol::key::Digest;
use protocol::particle::Particle;
use protocol::result_code::ResultCode;

use crate::record::{Bin, Record};

/// The record that a UDF is called on, as it stands when the call begins.
#[derive(Clone, Debug)]
pub struct RecordView {
    /// Its digest.
    pub digest: Digest,
    /// The set that the request names, which is the record's; `None` for none.
    pub set: Option<Arc<str>>,
    /// The stored key, else the one sent with the request.
    pub key: Option<Particle>,
    /// The version in force; `None` when there is no record.
    pub stored: Option<StoredView>,
    /// The namespace keeps records in memory.
    pub in_memory: bool,
    /// The namespace's records outlive the process.
    pub persisted: bool,
    /// Records cannot be written now: `create` and `update` fail, and the call ends with this code.
    pub write_refusal: Option<ResultCode>,
}

/// The stored version of a record.
#[derive(Clone, Debug)]
pub struct StoredView {
    /// Bins, generation, void-time, time of the last update.
    pub record: Arc<Record>,
    /// Size that it counts for, in bytes.
    pub size: u64,
}

/// One call of a record UDF.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Name of the function, 1 to 127 bytes.
    pub function: &'a [u8],
    /// Arguments as they were sent: a msgpack list, or what is to count as no arguments.
    pub arglist: &'a [u8],
    /// The record.
    pub record: RecordView,
    /// When the call has to be over.
    pub deadline: Instant,
    /// Seconds since 2010-01-01 UTC when the call began; a record's remaining life is counted from it.
    pub now: u32,
}

/// What a call wants done to the record.
#[derive(Clone, Debug, Default)]
pub enum RecordChange {
    /// Nothing.
    #[default]
    None,
    /// Store these bins. None at all removes the record.
    Write {
        /// All bins of the new version, in storage order.
        bins: Vec<Bin>,
        /// Life that the script set, as in requests: 0 default, `u32::MAX` never, `u32::MAX - 1` keep. `None`: that of
        /// the request counts.
        ttl: Option<u32>,
        /// The stored key goes.
        drop_key: bool,
    },
    /// Remove the record.
    Delete,
}

/// What the caller gets to see.
#[derive(Clone, Debug)]
pub enum FunctionReply {
    /// The function returned this.
    Success(Particle),
    /// It could not be called, or failed; the text says why.
    Failure(Vec<u8>),
}

/// How a call ended.
#[derive(Clone, Debug)]
pub struct CallOutcome {
    /// What the caller gets to see.
    pub reply: FunctionReply,
    /// What is to be done to the record; nothing, where the function failed.
    pub change: RecordChange,
    /// The function returned, but an `update` or `create` of it had failed with this code: the call fails with it.
    pub pending_error: Option<ResultCode>,
}
