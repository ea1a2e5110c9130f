//! What goes into a run of a stream UDF and what comes out.

use std::time::Duration;

use protocol::particle::Particle;

use crate::call::RecordView;

/// Gives the records of a stream, one after the other; none is the end.
pub type Records = Box<dyn FnMut() -> Option<RecordView> + Send>;

/// Gives the values of a stream, one after the other; none is the end.
pub type Values = Box<dyn FnMut() -> Option<Particle> + Send>;

/// What becomes of a stream whose `map` or `aggregate` gives nil.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamNil {
    /// It ends there, as in the real server.
    #[default]
    End,
    /// It goes on with the next value.
    Skip,
    /// The run fails.
    Error,
}

/// What a run of a stream UDF works on, and which of its operators run.
pub enum StreamSource {
    /// Records: the part that a node runs, up to the first reduce.
    Records(Records),
    /// Values that nodes gave: the part that the client runs, from the first reduce on. Without one they pass through.
    Values(Values),
}

/// One run of a stream UDF.
pub struct StreamCall<'a> {
    /// Name of a global function of the module.
    pub function: &'a [u8],
    /// The argument list, msgpack. Empty: no arguments.
    pub arguments: &'a [u8],
    /// What it works on.
    pub source: StreamSource,
    /// Time that the script may take for each record: it is ended once it has taken so long without asking for another
    /// one and without giving a result.
    pub time_per_record: Duration,
    /// Seconds since 2010-01-01 UTC; a record's remaining life is counted from it.
    pub now: u32,
}

/// What a stream gives next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamStep {
    /// A result.
    Value(Particle),
    /// There are no more.
    End,
    /// The run has failed; the client reads this text.
    Failure(Vec<u8>),
}
