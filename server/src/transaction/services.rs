use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::key::Digest;

use super::{Call, CallOutcome, StreamCall, StreamStep};
use crate::cluster::NodeId;
use crate::cluster::fabric::FabricError;
use crate::cluster::records::Passage;
use crate::query::jobs::Jobs;
use crate::record::Namespace;
use crate::stats::ServerStats;

/// What commands need from the node that they run on.
pub trait Services: Send + Sync {
    /// Where functions of registered modules are found.
    type Functions: Functions + Clone + 'static;

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

    /// The queries that run or ran.
    fn jobs(&self) -> &Arc<Jobs>;

    /// Queries that may run at a time (`query-threads-limit`), and those that ended and are still listed
    /// (`query-max-done`).
    fn query_limits(&self) -> (usize, usize);

    /// Whether commands on this record just run here: the quick question.
    fn is_here(&self, _digest: &Digest) -> bool {
        true
    }

    /// Whether this node owns a partition.
    fn owns(&self, _partition: u16) -> bool {
        true
    }

    /// The owner of a record's partition, if it is another node.
    fn elsewhere(&self, _digest: &Digest) -> Option<NodeId> {
        None
    }

    /// Brings a command that does not just run here to where it runs. `body` is the client's message; `repeatable` says
    /// that it may be run twice.
    fn pass(
        &self,
        _namespace: &str,
        _digest: &Digest,
        _body: &[u8],
        _repeatable: bool,
        _deadline: Instant,
    ) -> impl Future<Output = Passage> + Send {
        async { Passage::Here }
    }

    /// Has another node run commands; gives back frames for the client.
    fn forward(
        &self,
        owner: NodeId,
        _body: &[u8],
        _deadline: Instant,
    ) -> impl Future<Output = Result<Vec<u8>, FabricError>> + Send {
        async move { Err(FabricError::Unknown(owner)) }
    }

    /// A command on a record that does not just run here has run here.
    fn ran(&self, _namespace: &str, _digest: &Digest) {}

    /// Waits until no record is on its way to this node; false when that takes too long.
    fn quiet(&self, _deadline: Instant) -> impl Future<Output = bool> + Send {
        async { true }
    }

    /// Counters of the whole server.
    fn stats(&self) -> &ServerStats;
}

/// Registered modules, ready to be called.
pub trait Functions: Send + Sync {
    /// A context, held for one call.
    type Context: FunctionContext;

    /// Takes a context of a module, which is named without its extension; waits at most while one is built. The context
    /// may be held while a record is waited for.
    ///
    /// # Errors
    /// There is no such module, or it cannot be loaded; the text is what the caller gets to read.
    fn acquire(
        &self,
        package: &[u8],
    ) -> impl Future<Output = Result<Self::Context, Vec<u8>>> + Send;
}

/// A context that is ready for one call, or one run of a stream UDF. Dropping it gives it back.
pub trait FunctionContext: Send {
    /// Runs a function to its end, which comes before the call's deadline.
    fn run(&mut self, call: Call<'_>) -> impl Future<Output = CallOutcome> + Send;

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
