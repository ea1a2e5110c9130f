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

use bytes::{Buf, Bytes, BytesMut};
use protocol::codec::first_frame;
use protocol::compress;
use protocol::header::{HeaderError, MessageType};
use protocol::result_code::ResultCode;
use protocol::security;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::info::{self, Session};
use crate::net::server::{PortKind, Shutdown};
use crate::node::running::Running;
use crate::transaction::{self, ReplyStream};

/// Bytes that a fresh connection can take in without growing; what most requests fit into.
const INPUT_INITIAL_BYTES: usize = 4 * 1024;

/// Most that one read asks for. The buffer grows with what has arrived, never with what a header claims.
const INPUT_STEP_BYTES: usize = 64 * 1024;

/// A buffer that has grown past this is given back once it is empty, so one large request does not stay resident.
const BUFFER_KEEP_BYTES: usize = 256 * 1024;

/// Replies waiting beyond this are written before the next frame is handled.
const OUTPUT_FLUSH_BYTES: usize = 256 * 1024;

/// How long a client may leave replies unread when `proto-fd-idle-ms` sets no limit.
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
    running: &'s Running,
    shutdown: Shutdown,
}

impl Replies<'_> {
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
        let mut written = 0;
        while let Some(rest) = self.buffer.get(written..).filter(|rest| !rest.is_empty()) {
            match self.stream.try_write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.buffer.capacity() > BUFFER_KEEP_BYTES {
            self.buffer = BytesMut::with_capacity(INPUT_INITIAL_BYTES);
        } else {
            self.buffer.clear();
        }
        Ok(())
    }
}

/// Serves one connection until it ends; the returned value says why it ended.
pub(crate) async fn serve(
    running: Arc<Running>,
    mut stream: TcpStream,
    port: PortKind,
    mut shutdown: Shutdown,
) -> Closed {
    let session = Arc::new(Session::new(port == PortKind::Admin));
    let mut input = BytesMut::with_capacity(INPUT_INITIAL_BYTES);
    let mut replies = Replies {
        stream: &mut stream,
        buffer: BytesMut::with_capacity(INPUT_INITIAL_BYTES),
        running: &running,
        shutdown: shutdown.clone(),
    };
    let stopping = shutdown.wait();
    tokio::pin!(stopping);
    loop {
        if let Err(reason) = answer_frames(&running, port, &session, &mut input, &mut replies).await
        {
            // Frames before the bad one have been handled: their answers are owed.
            let _ = replies.flush().await;
            return reason;
        }
        if let Err(error) = replies.flush().await {
            return error.into();
        }
        make_room(&mut input);
        let service = &running.node.config.service;
        let idle = Duration::from_millis(service.proto_fd_idle_ms().into());
        let arrived = tokio::select! {
            biased;
            arrived = replies.stream.read_buf(&mut input) => arrived,
            () = &mut stopping => return Closed::Stopping,
            () = async { tokio::time::sleep(idle).await }, if !idle.is_zero() => {
                running.node.stats.reaped_fds.inc();
                return Closed::Idle(idle);
            }
        };
        match arrived {
            Ok(0) if input.is_empty() => return Closed::ByPeer,
            Ok(0) => return Closed::InsideFrame(input.len()),
            Ok(_) => {}
            Err(error) => return error.into(),
        }
    }
}

/// Handles every complete frame at the front of `input`.
async fn answer_frames(
    running: &Running,
    port: PortKind,
    session: &Arc<Session>,
    input: &mut BytesMut,
    replies: &mut Replies<'_>,
) -> Result<(), Closed> {
    if input.is_empty() {
        return Ok(());
    }
    let received = Instant::now();
    while let Some(frame) = first_frame(input)? {
        let consumed = frame.len();
        match frame.kind {
            MessageType::Info => answer_info(running, session, frame.body, replies).await?,
            MessageType::Security => {
                security::write_reply(&mut replies.buffer, ResultCode::SEC_NOT_SUPPORTED)
            }
            other if port == PortKind::Admin => return Err(Closed::NotServedHere(other)),
            MessageType::Message | MessageType::Internal => {
                transaction::answer(running, frame.body, received, replies).await?;
            }
            MessageType::Compressed => {
                answer_compressed(running, frame.body, received, replies).await?
            }
        }
        input.advance(consumed);
        if replies.buffer.len() > OUTPUT_FLUSH_BYTES {
            replies.flush().await?;
        }
    }
    Ok(())
}

/// Commands that may take long run on a thread of their own, the others here.
async fn answer_info(
    running: &Running,
    session: &Arc<Session>,
    body: &[u8],
    replies: &mut Replies<'_>,
) -> Result<(), Closed> {
    if info::blocks(body) {
        let body = Bytes::copy_from_slice(body);
        let answer = info::serve(Arc::clone(&running.node), Arc::clone(session), body).await?;
        replies.buffer.extend_from_slice(&answer);
    } else {
        info::answer(&running.node, session, body, &mut replies.buffer);
    }
    Ok(())
}

/// A compressed message is answered like the message inside, uncompressed. (The real community server refuses it.)
async fn answer_compressed(
    running: &Running,
    body: &[u8],
    received: Instant,
    replies: &mut Replies<'_>,
) -> Result<(), Closed> {
    match compress::decode(body) {
        Ok(message) => Ok(transaction::answer(running, &message, received, replies).await?),
        // Whatever is wrong with it, an empty message is refused in the same way.
        Err(_) => Ok(transaction::answer(running, &[], received, replies).await?),
    }
}

/// Makes sure that the next read has somewhere to put bytes, and gives back an over-grown empty buffer.
fn make_room(input: &mut BytesMut) {
    if input.is_empty() && input.capacity() > BUFFER_KEEP_BYTES {
        *input = BytesMut::with_capacity(INPUT_INITIAL_BYTES);
    }
    let step = if input.len() < INPUT_INITIAL_BYTES / 2 {
        INPUT_INITIAL_BYTES
    } else {
        INPUT_STEP_BYTES
    };
    if input.capacity() - input.len() < INPUT_INITIAL_BYTES / 2 {
        input.reserve(step);
    }
}
