//! What goes out to a client: replies that wait to be written, and a client that does not read them.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::input::{INITIAL_BYTES, KEEP_BYTES, TURN_BYTES};
use crate::net::running::Running;
use crate::net::shutdown::Shutdown;
use crate::node::buffers::{NoRoom, Share};
use crate::transaction::ReplyStream;

/// How often it is looked whether a client has gone that has sent more than is handled.
const GONE_INTERVAL: Duration = Duration::from_millis(50);

/// How long a client may leave replies unread when `proto-fd-idle-ms` sets no limit. Longer than the thirty seconds after
/// which clients give up; one that reads now and then is served however slow it is.
const UNREAD_LIMIT: Duration = Duration::from_secs(60);

/// How long a client may leave replies unread once the server is stopping.
const UNREAD_LIMIT_WHEN_STOPPING: Duration = Duration::from_secs(1);

/// Where replies go: collected, and written when there is nothing more to handle or when they become long.
pub(super) struct Replies {
    pub(super) stream: TcpStream,
    pub(super) buffer: BytesMut,
    /// The connection's part of the memory of all buffers.
    pub(super) share: Share,
    /// What its input holds.
    pub(super) input_bytes: usize,
    running: Arc<Running>,
    shutdown: Shutdown,
}

impl Replies {
    /// None yet.
    pub(super) fn new(
        running: Arc<Running>,
        stream: TcpStream,
        input_bytes: usize,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            stream,
            buffer: BytesMut::with_capacity(INITIAL_BYTES),
            share: running.node.buffers.share(),
            input_bytes,
            running,
            shutdown,
        }
    }

    /// Says what the buffers hold now.
    pub(super) fn hold(&mut self) -> Result<(), NoRoom> {
        self.share.hold(self.input_bytes + self.buffer.capacity())
    }

    /// Returns once the peer has closed its side, whatever it has sent before.
    pub(super) async fn gone(&self) {
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

impl ReplyStream for Replies {
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
