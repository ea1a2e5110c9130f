//! Where commands run: what a transaction asks of a cluster.

use std::time::Instant;

use protocol::key::Digest;
use protocol::result_code::ResultCode;

use crate::config::node_id::NodeId;

/// How a command that does not just run here goes on.
#[derive(Debug)]
pub enum Passage {
    /// It runs here.
    Here,
    /// Another node has answered: frames for the client.
    Answered(Vec<u8>),
    /// It cannot be run.
    Refused(ResultCode),
}

/// How a command ended that ran here, or was about to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It was answered with this code.
    Answered(ResultCode),
    /// Another node has got the record's partition since the command came to this one. Nothing was done, and what was
    /// written of a reply is to be taken back.
    Moved,
    /// It was done, but another node may have gone on without it meanwhile: it is not to be acknowledged. What was written
    /// of a reply is to be taken back, and the answer is that nobody knows ([`ResultCode::TIMEOUT`]).
    Doubtful,
}

impl From<ResultCode> for Done {
    fn from(code: ResultCode) -> Self {
        Self::Answered(code)
    }
}

/// Why another node has not answered for this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotForwarded {
    /// The commands were not run.
    #[error("the commands did not reach the other node")]
    NothingHappened,
    /// They may have been run.
    #[error("the other node has not answered")]
    Unknown,
}

/// Where the commands on a record run.
///
/// A command asks [`is_here`](Self::is_here) first, which costs next to nothing; only what that refuses goes through
/// [`pass`](Self::pass). Under the record's lock the partition is asked about once more
/// ([`Namespace::owns`](crate::record::Namespace::owns)): it may have moved while the command waited ([`Done::Moved`]).
/// And before the answer goes out it is asked whether what was done still stands ([`stands`](Self::stands)).
pub trait Placement: Send + Sync {
    /// What a command that begins now has to show before it is acknowledged.
    type Ticket: Copy + Send + Sync;

    /// Whether commands on this record just run here.
    fn is_here(&self, digest: &Digest) -> bool;

    /// The view of the cluster in which this node serves a partition now, as a number; none when it does not. What was read
    /// of a partition is all of it if this was the same before and after.
    fn serving(&self, partition: u16) -> Option<u64>;

    /// The same for 64 partitions, the `among`th: those that this node serves now, as bits, and the view.
    fn serving_among(&self, among: u16) -> (u64, u64);

    /// Whether this node serves a partition now.
    fn owns(&self, partition: u16) -> bool {
        self.serving(partition).is_some()
    }

    /// The owner of a partition, if it is another node.
    fn elsewhere(&self, partition: u16) -> Option<NodeId>;

    /// Brings a command that does not just run here to where it runs. `body` is the client's message; `repeatable` says
    /// that it may be run twice.
    fn pass(
        &self,
        namespace: &str,
        digest: &Digest,
        body: &[u8],
        repeatable: bool,
        deadline: Instant,
    ) -> impl Future<Output = Passage> + Send;

    /// Has another node run commands; gives back frames for the client.
    fn forward(
        &self,
        owner: NodeId,
        body: &[u8],
        deadline: Instant,
    ) -> impl Future<Output = Result<Vec<u8>, NotForwarded>> + Send;

    /// The right to run a command on this record, as of now.
    fn ticket(&self, digest: &Digest) -> Self::Ticket;

    /// Whether what a command did that began with this ticket may be acknowledged: no other node can have gone on without
    /// it.
    fn stands(&self, ticket: Self::Ticket) -> bool;

    /// Waits until no record is on its way to this node; false when that takes too long.
    fn quiet(&self, deadline: Instant) -> impl Future<Output = bool> + Send;
}

/// The placement of a node that is alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Placement for Alone {
    type Ticket = ();

    fn is_here(&self, _digest: &Digest) -> bool {
        true
    }

    fn serving(&self, _partition: u16) -> Option<u64> {
        Some(0)
    }

    fn serving_among(&self, _among: u16) -> (u64, u64) {
        (u64::MAX, 0)
    }

    fn elsewhere(&self, _partition: u16) -> Option<NodeId> {
        None
    }

    async fn pass(
        &self,
        _namespace: &str,
        _digest: &Digest,
        _body: &[u8],
        _repeatable: bool,
        _deadline: Instant,
    ) -> Passage {
        Passage::Here
    }

    async fn forward(
        &self,
        _owner: NodeId,
        _body: &[u8],
        _deadline: Instant,
    ) -> Result<Vec<u8>, NotForwarded> {
        Err(NotForwarded::NothingHappened)
    }

    fn ticket(&self, _digest: &Digest) {}

    fn stands(&self, (): ()) -> bool {
        true
    }

    async fn quiet(&self, _deadline: Instant) -> bool {
        true
    }
}
