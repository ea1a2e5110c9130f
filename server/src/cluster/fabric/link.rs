//! A connection to another node, for the runtime or for a thread that waits for it.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::open::Open;

/// How long a thread waits for an answer. What takes longer is left to the runtime.
const PATIENCE: Duration = Duration::from_millis(50);

/// A connection to another node.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) stream: tokio::net::TcpStream,
    pub(super) open: Open,
}

/// A connection that blocks.
#[derive(Debug)]
pub(super) struct Direct {
    pub(super) stream: TcpStream,
    address: SocketAddr,
    open: Open,
}

impl Direct {
    pub(super) fn new(link: Link) -> io::Result<Self> {
        let stream = link.stream.into_std()?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            address: stream.peer_addr()?,
            stream,
            open: link.open,
        })
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        Some(self.address)
    }

    /// For the runtime; to be called on it.
    pub(super) fn into_link(self) -> io::Result<Link> {
        self.stream.set_nonblocking(true)?;
        Ok(Link {
            stream: tokio::net::TcpStream::from_std(self.stream)?,
            open: self.open,
        })
    }
}
