use std::sync::Arc;
use std::time::Duration;

use super::placement::Placement;
use super::{Call, CallOutcome, Cause, StreamCall, StreamStep};
use crate::record::Namespace;
use crate::stats::ServerStats;

/// What commands need from the node that they run on.
pub trait Services: Send + Sync {
    /// Where functions of registered modules are found.
    type Functions: Functions + Clone + 'static;

    /// Where commands run.
    type Placement: Placement;

    /// The namespace of this name.
    fn namespace(&self, name: &str) -> Option<&Arc<Namespace>>;

    /// Time limit of requests that state none (`transaction-max-ms`).
    fn transaction_max(&self) -> Duration;

    /// Most rows of a batch, 0 unlimited (`batch-max-requests`).
    fn batch_max_requests(&self) -> u32;

    /// UDFs are refused (`disable-udf-execution`).
    fn udf_execution_disabled(&self) -> bool;

    /// The registered modules.
    fn functions(&self) -> &Self::Functions;

    /// Where commands run.
    fn placement(&self) -> &Self::Placement;

    /// Counters of the whole server.
    fn stats(&self) -> &ServerStats;
}

/// Registered modules, ready to be called.
pub trait Functions: Send + Sync {
    /// A context, held for one call.
    type Context<'s>: FunctionContext
    where
        Self: 's;

    /// Takes a context of a module, which is named without its extension; blocks at most while one is built, which others
    /// of the thread do not wait for. The context may be held while a record is waited for.
    ///
    /// # Errors
    /// There is no such module, or it cannot be loaded; the text is what the caller gets to read.
    fn acquire(&self, package: &[u8]) -> Result<Self::Context<'_>, Vec<u8>>;

    /// Why there is no context of this module where the error does not say, for who looks for it.
    fn explain_missing(&self, _package: &[u8]) -> Option<String> {
        None
    }

    /// Replies that do not say why a call failed are followed by the cause (`error-detail`).
    fn error_detail(&self) -> bool {
        false
    }
}

/// A context that is ready for one call, or one run of a stream UDF. Dropping it gives it back.
pub trait FunctionContext: Send {
    /// Runs a function to its end, which comes before the call's deadline.
    fn run(&mut self, call: Call<'_>) -> CallOutcome;

    /// Why and where the call or the stream failed last, or what the log should tell of it although it did not.
    fn take_cause(&mut self) -> Cause {
        Cause::default()
    }

    /// Place of the operator whose nil has ended the stream before its end.
    fn take_ended_early(&mut self) -> Option<String> {
        None
    }

    /// Begins a run of a stream UDF, to be followed by [`end_stream`](Self::end_stream) whatever the answer.
    ///
    /// # Errors
    /// The function failed; the text is what the caller gets to read.
    fn begin_stream(&mut self, call: StreamCall<'_>) -> Result<(), Vec<u8>>;

    /// Runs the stream until it gives a result. To be called until that is none, or a failure.
    fn next_value(&mut self) -> StreamStep;

    /// Ends a run of a stream UDF, wherever it stands.
    fn end_stream(&mut self);
}
