use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use super::super::ownership::Run;
use super::super::secret::Secret;
use super::open::{ConnectionCounts, Open};
use super::{Hello, MAX_FRAME, NodeId, PROTOCOL, QuestionKind, Welcome, frame, nonce, tags};

/// Time for a new connection to say who it is.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest frame of one that has not said who it is, bytes.
const MAX_HELLO: usize = 4 << 10;

/// Connections that have not said yet who they are, most.
const MAX_STRANGERS: usize = 64;

/// Connections, most.
const MAX_CONNECTIONS: usize = 4_096;

/// A connection without a question for so long is closed. Askers use none that waited for a fifth of that.
pub(super) const IDLE: Duration = Duration::from_secs(300);

/// Time for a frame to arrive once it has begun, and for an answer to be taken.
const FRAME_TIMEOUT: Duration = Duration::from_secs(60);

/// Questions above this size take from the budget of all.
const SMALL: usize = 64 << 10;

/// Kibibytes that large questions hold at the same time, most.
const BUDGET_KIB: usize = (2 * MAX_FRAME) >> 10;

/// Pause after `accept` failed, for example because descriptors ran out.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

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

struct Door<G> {
    gatekeeper: Arc<G>,
    strangers: Semaphore,
    connections: Semaphore,
    budget: Semaphore,
    logged: Mutex<Option<Instant>>,
}

impl<G> Door<G> {
    fn refused(&self, peer: SocketAddr, reason: &str) {
        let mut logged = self.logged.lock();
        if logged.is_none_or(|at| at.elapsed() > LOG_AGAIN) {
            *logged = Some(Instant::now());
            info!(target: "fabric", "refused {peer}: {reason}");
        } else {
            debug!(target: "fabric", "refused {peer}: {reason}");
        }
    }
}

/// Answers peers until it is dropped.
pub async fn serve<H: FabricHandler, G: Gatekeeper>(
    listener: TcpListener,
    gatekeeper: Arc<G>,
    handler: Arc<H>,
) {
    let door = Arc::new(Door {
        gatekeeper,
        strangers: Semaphore::new(MAX_STRANGERS),
        connections: Semaphore::new(MAX_CONNECTIONS),
        budget: Semaphore::new(BUDGET_KIB),
        logged: Mutex::new(None),
    });
    let mut open = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (door, handler) = (Arc::clone(&door), Arc::clone(&handler));
                let counted = Open::new(door.gatekeeper.connections());
                open.spawn(async move {
                    let _counted = counted;
                    if let Err(error) = connection(stream, peer, &door, &*handler).await {
                        debug!(target: "fabric", "connection {peer}: {error}");
                    }
                });
            }
            Err(error) => {
                warn!(target: "fabric", "accept failed: {error}");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
        while open.try_join_next().is_some() {}
    }
}

/// A peer that said who it is.
struct Asker {
    run: Run,
    word: u64,
}

/// Who asks, unless it does not belong here, and what it is told.
fn check<G: Gatekeeper>(
    gatekeeper: &G,
    kind: u8,
    body: &[u8],
) -> Result<(Asker, Hello, Welcome), String> {
    let hello: Hello = match QuestionKind::from_number(kind) {
        Some(QuestionKind::Hello) => serde_json::from_slice(body)
            .map_err(|error| format!("the greeting cannot be read: {error}"))?,
        _ => return Err("the first question must be a greeting".to_owned()),
    };
    if hello.protocol != PROTOCOL {
        return Err(format!(
            "this node speaks `{PROTOCOL}`, not `{}`",
            hello.protocol.escape_default()
        ));
    }
    if hello.cluster_name != gatekeeper.cluster_name() {
        return Err(format!(
            "this node belongs to cluster `{}`, not `{}`",
            gatekeeper.cluster_name(),
            hello.cluster_name.escape_default()
        ));
    }
    let asker = Asker {
        run: (hello.node, hello.incarnation),
        word: hello.word,
    };
    if !gatekeeper.is_member(asker.run, asker.word) {
        return Err(format!("it is not the member {}", hello.node));
    }
    let (me, _) = gatekeeper.run();
    let nonce = nonce();
    let tag = gatekeeper
        .secret()
        .map(|secret| tags::of_server(secret, &hello, me, nonce).to_vec());
    let welcome = Welcome {
        node: me,
        nonce,
        tag,
    };
    Ok((asker, hello, welcome))
}

async fn greet<G: Gatekeeper>(
    stream: &mut TcpStream,
    peer: SocketAddr,
    door: &Door<G>,
) -> io::Result<Option<Asker>> {
    let Some((kind, body)) = frame::read(stream, MAX_HELLO).await? else {
        return Ok(None);
    };
    let gatekeeper = &*door.gatekeeper;
    let (asker, hello, welcome) = match check(gatekeeper, kind, &body) {
        Ok(checked) => checked,
        Err(reason) => {
            door.refused(peer, &reason);
            frame::write(stream, 1, reason.as_bytes()).await?;
            return Ok(None);
        }
    };
    frame::write(stream, 0, &serde_json::to_vec(&welcome)?).await?;
    if let Some(secret) = gatekeeper.secret() {
        let proof = frame::read(stream, MAX_HELLO).await?;
        let is_proved = proof.is_some_and(|(kind, tag)| {
            QuestionKind::from_number(kind) == Some(QuestionKind::Proof)
                && tags::is_of_client(secret, &hello, welcome.nonce, &tag)
        });
        if !is_proved {
            let reason = "it does not know the secret of the cluster";
            door.refused(peer, reason);
            frame::write(stream, 1, reason.as_bytes()).await?;
            return Ok(None);
        }
        frame::write(stream, 0, &[]).await?;
    }
    Ok(Some(asker))
}

async fn connection<H: FabricHandler, G: Gatekeeper>(
    mut stream: TcpStream,
    peer: SocketAddr,
    door: &Door<G>,
    handler: &H,
) -> io::Result<()> {
    let (Ok(_connection), Ok(stranger)) =
        (door.connections.try_acquire(), door.strangers.try_acquire())
    else {
        door.refused(peer, "there are too many connections");
        return Ok(());
    };
    stream.set_nodelay(true)?;
    let greeting = tokio::time::timeout(HELLO_TIMEOUT, greet(&mut stream, peer, door));
    let Some(asker) = greeting.await?? else {
        return Ok(());
    };
    drop(stranger);
    loop {
        let begun = tokio::time::timeout(IDLE, stream.readable()).await;
        if begun.is_err() {
            return Ok(());
        }
        let reading = frame::read_within(&mut stream, MAX_FRAME, SMALL, &door.budget);
        let question = tokio::time::timeout(FRAME_TIMEOUT, reading).await??;
        let Some((number, body, permit)) = question else {
            return Ok(());
        };
        if !door.gatekeeper.is_member(asker.run, asker.word) {
            let reason = "it is no live member any more";
            return frame::write(&mut stream, 1, reason.as_bytes()).await;
        }
        let answer = match QuestionKind::from_number(number) {
            Some(kind) => handler.answer(asker.run.0, kind, body).await,
            None => Err(format!("unknown kind of question {number}")),
        };
        drop(permit);
        let (status, answer) = match answer {
            Ok(answer) => (0, answer),
            Err(reason) => (1, reason.into_bytes()),
        };
        let writing = frame::write(&mut stream, status, &answer);
        tokio::time::timeout(FRAME_TIMEOUT, writing).await??;
    }
}
