//! Who is let in by a node, how many, and what all who are share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{debug, info};

use super::super::ownership::Run;
use super::super::secret::Secret;
use super::open::{ConnectionCounts, Open};
use super::{MAX_FRAME, NodeId, QuestionKind};

/// Connections that have not said yet who they are, most.
const MAX_STRANGERS: usize = 64;

/// Connections, most.
const MAX_CONNECTIONS: usize = 4_096;

/// A connection without a question for so long is closed. Askers use none that waited for a fifth of that.
pub(super) const IDLE: Duration = Duration::from_secs(300);

/// Time for a frame to arrive once it has begun, and for an answer to be taken.
pub(super) const FRAME_TIMEOUT: Duration = Duration::from_secs(60);

/// Questions above this size take from the budget of all.
pub(super) const SMALL: usize = 64 << 10;

/// Kibibytes that large questions hold at the same time, most.
const BUDGET_KIB: usize = (2 * MAX_FRAME) >> 10;

/// Time between two lines of the log about refused connections.
const LOG_AGAIN: Duration = Duration::from_secs(10);

/// What a node does with the questions of its peers.
pub trait FabricHandler: Send + Sync + 'static {
    /// The answer, or words that say why there is none. `from` is the node that asks.
    fn answer(
        &self,
        from: NodeId,
        kind: QuestionKind,
        body: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, String>> + Send;
}

/// Who is let in.
pub trait Gatekeeper: Send + Sync + 'static {
    /// This run.
    fn run(&self) -> Run;

    /// Nodes of another name are refused.
    fn cluster_name(&self) -> &str;

    /// What both ends have to know, if anything.
    fn secret(&self) -> Option<&Secret>;

    /// Where connections are counted.
    fn connections(&self) -> &Arc<ConnectionCounts>;

    /// Whether a live member is asking: it shows the word that this node has sent to the member's heartbeat address.
    fn is_member(&self, run: Run, word: u64) -> bool;
}

/// What all connections to a node share.
pub(super) struct Door<G> {
    pub(super) gatekeeper: Arc<G>,
    /// For connections that have not said yet who they are.
    pub(super) strangers: Semaphore,
    pub(super) connections: Arc<Semaphore>,
    pub(super) budget: Semaphore,
    logged: Mutex<Option<Instant>>,
}

/// What a connection takes while it is open.
pub(super) struct Place {
    pub(super) _counted: Open,
    pub(super) _connection: OwnedSemaphorePermit,
}

impl<G> Door<G> {
    pub(super) fn new(gatekeeper: Arc<G>) -> Self {
        Self {
            gatekeeper,
            strangers: Semaphore::new(MAX_STRANGERS),
            connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            budget: Semaphore::new(BUDGET_KIB),
            logged: Mutex::new(None),
        }
    }

    pub(super) fn refused(&self, peer: SocketAddr, reason: &str) {
        let mut logged = self.logged.lock();
        if logged.is_none_or(|at| at.elapsed() > LOG_AGAIN) {
            *logged = Some(Instant::now());
            info!(target: "fabric", "refused {peer}: {reason}");
        } else {
            debug!(target: "fabric", "refused {peer}: {reason}");
        }
    }
}

/// A peer that said who it is.
pub(super) struct Asker {
    pub(super) run: Run,
    pub(super) word: u64,
}

/// What is written to a peer that is no member any more.
pub(super) const NO_MEMBER: &[u8] = b"it is no live member any more";

/// Status and body of the answer to a question.
pub(super) async fn answer<H: FabricHandler>(
    handler: &H,
    asker: &Asker,
    number: u8,
    body: Vec<u8>,
) -> (u8, Vec<u8>) {
    let answer = match QuestionKind::from_number(number) {
        Some(kind) => handler.answer(asker.run.0, kind, body).await,
        None => Err(format!("unknown kind of question {number}")),
    };
    match answer {
        Ok(answer) => (0, answer),
        Err(reason) => (1, reason.into_bytes()),
    }
}
