//! One client connection: bytes in, frames handled in order, replies out.
//!
//! ```text
//! read ─→ input buffer ─→ frame ─→ info | message | security ─→ output buffer ─→ write
//! ```
//!
//! A connection is strictly request and response. All complete frames of one read are answered into one output
//! buffer, so requests that a client pipelines cost one write. Nothing here knows what a request means.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use protocol::header::{HeaderError, MessageType};
use protocol::result_code::ResultCode;
use protocol::security;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};

use super::inflate::{Inflated, inflate};
use super::input::{Input, TURN_BYTES};
use super::load::{Counted, Load};
use super::replies::Replies;
use crate::access::Session;
use crate::dispatch;
use crate::info::{self, ConnectionState};
use crate::net::running::Running;
use crate::net::shutdown::{PortKind, Shutdown};
use crate::node::buffers::NoRoom;
use crate::priority;
use crate::transaction::ReplyStream;

/// Replies waiting beyond this are written before the next frame is handled.
const OUTPUT_FLUSH_BYTES: usize = 256 * 1024;

/// Bytes of a refused frame that are passed over before the connection rests.
const PASSED_OVER_BYTES: usize = 256 * 1024;

/// How long it rests: passing over costs a peer more than this node.
const PASSED_OVER_REST: Duration = Duration::from_millis(1);

/// Bytes of an unfinished info request in which it is looked whether it is refused.
const LOOKED_AT_BYTES: usize = 256 * 1024;

/// Buffers beyond this are given back on a thread of their own.
const LARGE_BUFFER: usize = 1 << 20;

/// Why a connection ended. All of these are ordinary; they are logged at debug level.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Closed {
    /// The peer closed its side.
    #[error("closed by the peer")]
    ByPeer,
    /// The peer closed its side in the middle of a frame.
    #[error("closed by the peer inside a frame, after {0} bytes of it")]
    InsideFrame(usize),
    /// The stream cannot be followed any more.
    #[error("not a frame: {0}")]
    NotAFrame(#[from] HeaderError),
    /// A message type that this port does not take.
    #[error("message type {0:?} is not served on the admin port")]
    NotServedHere(MessageType),
    /// Nothing came for as long as `proto-fd-idle-ms` allows.
    #[error("idle for {} ms", .0.as_millis())]
    Idle(Duration),
    /// A frame that has begun did not come on.
    #[error("a frame was not finished in time, {0} bytes of it have come")]
    Unfinished(usize),
    /// The buffers of all clients together hold as much as they may.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What ran on another thread has died there.
    #[error("an info command, or all that it asked for, has failed: {0}")]
    Died(#[from] JoinError),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// A connection, between two requests or in the middle of a frame.
pub(crate) struct Connection {
    running: Arc<Running>,
    peer: SocketAddr,
    port: PortKind,
    state: Arc<ConnectionState>,
    input: Input,
    replies: Replies,
    shutdown: Shutdown,
    load: Arc<Load>,
    /// Bytes that were read since others had their turn, or since it rested.
    taken: usize,
    /// It is served among the busy ones.
    is_busy: bool,
}

/// What becomes of a connection that is no longer served where it was.
enum Leaves {
    /// It has ended.
    Ended(Closed),
    /// It goes on in the other runtime.
    Moves(Box<Connection>),
}

/// A task of another runtime, which ends when nobody waits for it any more.
struct Elsewhere<T>(JoinHandle<T>);

impl<T> Future for Elsewhere<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for Elsewhere<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    /// `is_busy`: it begins among the busy ones, whose runtime the caller is then in.
    pub(crate) fn new(
        running: Arc<Running>,
        stream: TcpStream,
        (peer, port): (SocketAddr, PortKind),
        is_busy: bool,
        shutdown: Shutdown,
    ) -> Self {
        let session = match port {
            PortKind::Admin => Session::admin(),
            PortKind::Service => Session::client(),
        };
        let input = Input::new();
        Self {
            port,
            peer,
            state: Arc::new(ConnectionState::new(session).from(peer)),
            replies: Replies::new(
                Arc::clone(&running),
                stream,
                input.capacity(),
                shutdown.clone(),
            ),
            running,
            input,
            shutdown,
            load: Load::new(),
            taken: 0,
            is_busy,
        }
    }

    /// Serves it until it ends; the returned value says why it ended. It begins where it is called, and goes on in the
    /// runtime `home` while it is quiet.
    pub(crate) async fn serve(self, home: &Handle) -> Closed {
        let mut leaves = self.serve_in_turn().await;
        loop {
            leaves = match leaves {
                Leaves::Ended(reason) => return reason,
                Leaves::Moves(connection) => {
                    let runtime = match connection.is_busy {
                        true => home,
                        false => priority::busy_runtime().unwrap_or(home),
                    };
                    match Elsewhere(runtime.spawn(connection.enter_and_serve())).await {
                        Ok(leaves) => leaves,
                        Err(error) => return error.into(),
                    }
                }
            }
        }
    }

    /// Goes on in the runtime of the caller, which is not the one that it comes from.
    async fn enter_and_serve(mut self) -> Leaves {
        self.is_busy = !self.is_busy;
        let entered = self.replies.stream.into_std().and_then(TcpStream::from_std);
        match entered {
            Ok(stream) => self.replies.stream = stream,
            Err(error) => return Leaves::Ended(error.into()),
        }
        self.serve_in_turn().await
    }

    async fn serve_in_turn(self) -> Leaves {
        let (load, peer) = (Arc::clone(&self.load), self.peer);
        Counted::new(load, peer, self.serve_here()).await
    }

    async fn serve_here(mut self) -> Leaves {
        match self.until_it_leaves().await {
            Some(reason) => Leaves::Ended(reason),
            None => Leaves::Moves(Box::new(self)),
        }
    }

    /// Serves until it ends, and says why; none when it is to go on in the other runtime.
    async fn until_it_leaves(&mut self) -> Option<Closed> {
        let running = Arc::clone(&self.running);
        let service = &running.node.config.service;
        let (watched, mut shutdown) = (self.shutdown.clone(), self.shutdown.clone());
        let mut stopping = std::pin::pin!(shutdown.wait());
        let mut is_told = false;
        // Once it is to wake this task it is not polled for every request, which costs a lock that all connections share.
        let mut stopping = std::pin::pin!(poll_fn(|context| {
            if is_told && !watched.has_news() {
                return Poll::Pending;
            }
            is_told = true;
            stopping.as_mut().poll(context)
        }));
        loop {
            if let Err(reason) = self.answer_frames().await {
                // Frames before the bad one have been handled: their answers are owed.
                let _ = self.replies.flush().await;
                return Some(reason);
            }
            if let Err(error) = self.replies.flush().await {
                return Some(closed_by(error));
            }
            let (input, replies) = (&mut self.input, &mut self.replies);
            if let Err(error) = make_room(input, replies, running.node.buffers.is_scarce()).await {
                return Some(error.into());
            }
            if self.load.is_busy(self.is_busy) != self.is_busy {
                return None;
            }
            self.load.answered();
            let idle = Duration::from_millis(service.proto_fd_idle_ms().into());
            let unfinished = input.deadline(Instant::now);
            let waiting = input.len();
            let mut target = input.target();
            let arrived = tokio::select! {
                biased;
                arrived = replies.stream.read_buf(&mut target) => arrived,
                () = &mut stopping => return Some(Closed::Stopping),
                () = async { tokio::time::sleep(idle).await }, if !idle.is_zero() => {
                    running.node.stats.reaped_fds.inc();
                    return Some(Closed::Idle(idle));
                }
                () = until(unfinished), if unfinished.is_some() => {
                    running.node.stats.reaped_fds.inc();
                    return Some(Closed::Unfinished(waiting));
                }
            };
            match arrived {
                Ok(0) if waiting == 0 => return Some(Closed::ByPeer),
                Ok(0) => return Some(Closed::InsideFrame(waiting)),
                Ok(count) => {
                    self.taken += count;
                    input.arrived();
                }
                Err(error) => return Some(error.into()),
            }
            self.rest().await;
        }
    }

    /// Lets others have their turn. A client that sends as fast as it is read would have the worker for itself.
    async fn rest(&mut self) {
        if self.input.is_passing_over() {
            if self.taken >= PASSED_OVER_BYTES {
                self.taken = 0;
                tokio::time::sleep(PASSED_OVER_REST).await;
            }
        } else if self.taken >= TURN_BYTES {
            self.taken = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// Gives the input the room that it needs for the next read.
async fn make_room(
    input: &mut Input,
    replies: &mut Replies,
    is_scarce: bool,
) -> Result<(), NoRoom> {
    let wanted = input.wanted_capacity(is_scarce);
    if !input.is_moved_by(wanted) {
        replies.input_bytes = wanted;
        replies.hold()?;
        input.use_again();
        return Ok(());
    }
    // Both buffers are there while bytes go from one to the other.
    replies.input_bytes = input.capacity() + wanted;
    replies.hold()?;
    let before = input.move_to(wanted).await;
    replies.input_bytes = input.capacity();
    replies.hold()?;
    give_back(before);
    Ok(())
}

/// Gives a large buffer back where nobody waits: the system takes a millisecond for some megabytes.
fn give_back(buffer: Vec<u8>) {
    if buffer.capacity() > LARGE_BUFFER {
        tokio::task::spawn_blocking(move || drop(buffer));
    }
}

async fn until(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when.into()).await,
        None => std::future::pending().await,
    }
}

/// Why a flush failed: it tells of the memory of all buffers too.
fn closed_by(error: io::Error) -> Closed {
    match error.downcast::<NoRoom>() {
        Ok(no_room) => no_room.into(),
        Err(error) => error.into(),
    }
}

impl Connection {
    /// Handles every complete frame at the front of the input.
    async fn answer_frames(&mut self) -> Result<(), Closed> {
        let Self {
            running,
            port,
            state,
            input,
            replies,
            load,
            ..
        } = self;
        if input.len() == 0 {
            return Ok(());
        }
        let running = &**running;
        let received = Instant::now();
        let mut is_turn_over = load.asked(received);
        while let Some(frame) = input.first_frame()? {
            if is_turn_over {
                tokio::task::yield_now().await;
            }
            let consumed = frame.len();
            match frame.kind {
                MessageType::Info => answer_info(running, state, frame.body, replies).await?,
                MessageType::Security => {
                    security::write_reply(&mut replies.buffer, ResultCode::SEC_NOT_SUPPORTED)
                }
                other if *port == PortKind::Admin => return Err(Closed::NotServedHere(other)),
                MessageType::Message | MessageType::Internal => {
                    answered(
                        dispatch::answer(running, state.session(), frame.body, received, replies)
                            .await,
                    )?;
                }
                MessageType::Compressed => {
                    answer_compressed(running, state.session(), frame.body, received, replies)
                        .await?
                }
            }
            input.handled(consumed);
            if replies.buffer.len() > OUTPUT_FLUSH_BYTES {
                answered(replies.flush().await)?;
            }
            is_turn_over = input.len() > 0 && load.is_turn_over(Instant::now());
        }
        // What is refused in any case is not kept until it is whole.
        if let Some((header, begun)) = input.begun_frame()
            && header.kind == MessageType::Info
            && begun.len() <= LOOKED_AT_BYTES
            && info::refuse_begun(header.size, begun, &mut replies.buffer)
        {
            input.skip_begun_frame();
        }
        Ok(())
    }
}

fn answered(result: io::Result<()>) -> Result<(), Closed> {
    result.map_err(closed_by)
}

/// Commands that may take long run on a thread of their own, the others here. Those that have not begun when the client
/// has gone do not.
async fn answer_info(
    running: &Running,
    state: &Arc<ConnectionState>,
    body: &[u8],
    replies: &mut Replies,
) -> Result<(), Closed> {
    let mut answer = std::mem::take(&mut replies.buffer);
    let result = {
        let gone = replies.gone();
        info::serve(&running.node, state, body, &mut answer, gone).await
    };
    replies.buffer = answer;
    match result? {
        info::Served::Answered => Ok(()),
        info::Served::ClientGone => Err(Closed::ByPeer),
    }
}

/// A compressed message is answered like the message inside, uncompressed. (The real community server refuses it.)
async fn answer_compressed(
    running: &Running,
    session: &Session,
    body: &[u8],
    received: Instant,
    replies: &mut Replies,
) -> Result<(), Closed> {
    let others = replies.input_bytes + replies.buffer.capacity();
    let result = match inflate(body, others, &mut replies.share)? {
        Inflated::Body(message) => {
            // It is there until the answer is.
            let input_bytes = replies.input_bytes;
            replies.input_bytes += message.len();
            let result = dispatch::answer(running, session, &message, received, replies).await;
            replies.input_bytes = input_bytes;
            result
        }
        Inflated::Refused => dispatch::answer(running, session, &[], received, replies).await,
    };
    answered(result)
}
