//! One client connection: bytes in, frames handled in order, replies out.
//!
//! ```text
//! read ─→ input buffer ─→ frame ─→ info | message | security ─→ output buffer ─→ write
//! ```
//!
//! A connection is strictly request and response. All complete frames of one read are answered into one output
//! buffer, so requests that a client pipelines cost one write. Nothing here knows what a request means.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use protocol::header::{HeaderError, MessageType};
use protocol::result_code::ResultCode;
use protocol::security;
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::TcpStream;

use super::inflate::{Inflated, inflate};
use super::input::{INITIAL_BYTES, Input, KEEP_BYTES, TURN_BYTES};
use crate::access::Session;
use crate::dispatch;
use crate::info::{self, ConnectionState};
use crate::net::running::Running;
use crate::net::shutdown::{PortKind, Shutdown};
use crate::node::buffers::{NoRoom, Share};
use crate::transaction::ReplyStream;

/// Replies waiting beyond this are written before the next frame is handled.
const OUTPUT_FLUSH_BYTES: usize = 256 * 1024;

/// Frames that are handled before other tasks get a chance.
const FRAMES_PER_TURN: u32 = 32;

/// Bytes of an unfinished info request in which it is looked whether it is refused.
const LOOKED_AT_BYTES: usize = 256 * 1024;

/// Buffers beyond this are given back on a thread of their own.
const LARGE_BUFFER: usize = 1 << 20;

/// How often it is looked whether a client has gone that has sent more than is handled.
const GONE_INTERVAL: Duration = Duration::from_millis(50);

/// How long a client may leave replies unread when `proto-fd-idle-ms` sets no limit. Longer than the thirty seconds after
/// which clients give up; one that reads now and then is served however slow it is.
const UNREAD_LIMIT: Duration = Duration::from_secs(60);

/// How long a client may leave replies unread once the server is stopping.
const UNREAD_LIMIT_WHEN_STOPPING: Duration = Duration::from_secs(1);

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
    /// An info command that ran on another thread has died there.
    #[error("an info command has failed: {0}")]
    Info(#[from] tokio::task::JoinError),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// Where replies go: collected, and written when there is nothing more to handle or when they become long.
struct Replies<'s> {
    stream: &'s mut TcpStream,
    buffer: BytesMut,
    /// The connection's part of the memory of all buffers.
    share: Share,
    /// What its input holds.
    input_bytes: usize,
    running: &'s Running,
    shutdown: Shutdown,
}

impl Replies<'_> {
    /// Says what the buffers hold now.
    fn hold(&mut self) -> Result<(), NoRoom> {
        self.share.hold(self.input_bytes + self.buffer.capacity())
    }

    /// Returns once the peer has closed its side, whatever it has sent before.
    async fn gone(&self) {
        loop {
            match self.stream.ready(Interest::READABLE).await {
                Ok(ready) if !ready.is_read_closed() => tokio::time::sleep(GONE_INTERVAL).await,
                _ => return,
            }
        }
    }

    /// Waits until the peer has read something, but not for ever.
    async fn writable(&mut self) -> io::Result<()> {
        let service = &self.running.node.config.service;
        let limit = match service.proto_fd_idle_ms() {
            0 => UNREAD_LIMIT,
            idle => Duration::from_millis(idle.into()),
        };
        let stopping = async {
            self.shutdown.wait().await;
            tokio::time::sleep(UNREAD_LIMIT_WHEN_STOPPING).await;
        };
        tokio::select! {
            biased;
            ready = self.stream.writable() => ready,
            () = stopping => Err(unread("and the server is stopping")),
            () = tokio::time::sleep(limit) => {
                self.running.node.stats.reaped_fds.inc();
                Err(unread(&format!("for {} ms", limit.as_millis())))
            }
        }
    }
}

fn unread(more: &str) -> io::Error {
    let text = format!("the peer has not read its replies, {more}");
    io::Error::new(io::ErrorKind::TimedOut, text)
}

impl ReplyStream for Replies<'_> {
    fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer_addr().ok()
    }

    fn is_abandoned(&self) -> bool {
        let mut byte = [0];
        let look = std::pin::pin!(self.stream.peek(&mut byte));
        // A request that was sent ahead is no end: the byte stays where it is.
        match look.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(count)) => count == 0,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.hold().map_err(io::Error::other)?;
        let (mut written, mut in_turn) = (0, 0);
        while let Some(rest) = self.buffer.get(written..).filter(|rest| !rest.is_empty()) {
            // A client that reads as fast as it is written to would have the worker for itself.
            if in_turn >= TURN_BYTES {
                in_turn = 0;
                tokio::task::yield_now().await;
            }
            match self
                .stream
                .try_write(rest.get(..TURN_BYTES).unwrap_or(rest))
            {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    written += count;
                    in_turn += count;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.buffer.capacity() > KEEP_BYTES {
            self.buffer = BytesMut::with_capacity(INITIAL_BYTES);
        } else {
            self.buffer.clear();
        }
        self.hold().map_err(io::Error::other)
    }
}

/// Serves one connection until it ends; the returned value says why it ended.
pub(crate) async fn serve(
    running: Arc<Running>,
    mut stream: TcpStream,
    port: PortKind,
    mut shutdown: Shutdown,
) -> Closed {
    let session = match port {
        PortKind::Admin => Session::admin(),
        PortKind::Service => Session::client(),
    };
    let state = Arc::new(ConnectionState::new(session));
    let buffers = Arc::clone(&running.node.buffers);
    let mut input = Input::new();
    let mut replies = Replies {
        stream: &mut stream,
        buffer: BytesMut::with_capacity(INITIAL_BYTES),
        share: buffers.share(),
        input_bytes: input.capacity(),
        running: &running,
        shutdown: shutdown.clone(),
    };
    let stopping = shutdown.wait();
    tokio::pin!(stopping);
    let mut taken = 0;
    loop {
        if let Err(reason) = answer_frames(&running, port, &state, &mut input, &mut replies).await {
            // Frames before the bad one have been handled: their answers are owed.
            let _ = replies.flush().await;
            return reason;
        }
        if let Err(error) = replies.flush().await {
            return closed_by(error);
        }
        if let Err(error) = make_room(&mut input, &mut replies, buffers.is_scarce()).await {
            return error.into();
        }
        let service = &running.node.config.service;
        let idle = Duration::from_millis(service.proto_fd_idle_ms().into());
        let unfinished = input.deadline(Instant::now);
        let waiting = input.len();
        let mut target = input.target();
        let arrived = tokio::select! {
            biased;
            arrived = replies.stream.read_buf(&mut target) => arrived,
            () = &mut stopping => return Closed::Stopping,
            () = async { tokio::time::sleep(idle).await }, if !idle.is_zero() => {
                running.node.stats.reaped_fds.inc();
                return Closed::Idle(idle);
            }
            () = until(unfinished), if unfinished.is_some() => {
                running.node.stats.reaped_fds.inc();
                return Closed::Unfinished(waiting);
            }
        };
        match arrived {
            Ok(0) if waiting == 0 => return Closed::ByPeer,
            Ok(0) => return Closed::InsideFrame(waiting),
            Ok(count) => {
                taken += count;
                input.arrived();
            }
            Err(error) => return error.into(),
        }
        // A client that sends as fast as it is read would have the worker for itself.
        if taken >= TURN_BYTES {
            taken = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// Gives the input the room that it needs for the next read.
async fn make_room(
    input: &mut Input,
    replies: &mut Replies<'_>,
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

/// Handles every complete frame at the front of `input`.
async fn answer_frames(
    running: &Running,
    port: PortKind,
    state: &Arc<ConnectionState>,
    input: &mut Input,
    replies: &mut Replies<'_>,
) -> Result<(), Closed> {
    if input.len() == 0 {
        return Ok(());
    }
    let received = Instant::now();
    let mut frames = 0;
    while let Some(frame) = input.first_frame()? {
        let consumed = frame.len();
        match frame.kind {
            MessageType::Info => answer_info(running, state, frame.body, replies).await?,
            MessageType::Security => {
                security::write_reply(&mut replies.buffer, ResultCode::SEC_NOT_SUPPORTED)
            }
            other if port == PortKind::Admin => return Err(Closed::NotServedHere(other)),
            MessageType::Message | MessageType::Internal => {
                answered(
                    dispatch::answer(running, state.session(), frame.body, received, replies).await,
                )?;
            }
            MessageType::Compressed => {
                answer_compressed(running, state.session(), frame.body, received, replies).await?
            }
        }
        input.handled(consumed);
        if replies.buffer.len() > OUTPUT_FLUSH_BYTES {
            answered(replies.flush().await)?;
        }
        frames += 1;
        if frames % FRAMES_PER_TURN == 0 {
            tokio::task::yield_now().await;
        }
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

fn answered(result: io::Result<()>) -> Result<(), Closed> {
    result.map_err(closed_by)
}

/// Commands that may take long run on a thread of their own, the others here. Those that have not begun when the client
/// has gone do not.
async fn answer_info(
    running: &Running,
    state: &Arc<ConnectionState>,
    body: &[u8],
    replies: &mut Replies<'_>,
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
    replies: &mut Replies<'_>,
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
