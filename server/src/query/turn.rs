//! The turns of a query on its worker.

use std::io;
use std::time::{Duration, Instant};

use crate::transaction::reply::ReplyStream;

/// How long a query has run without giving way.
#[derive(Debug)]
pub(super) struct Turn {
    length: Duration,
    end: Instant,
}

impl Turn {
    /// A turn that begins now.
    pub(super) fn of(length: Duration) -> Self {
        Self {
            length,
            end: Instant::now() + length,
        }
    }

    /// Whether it is time to give way.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    /// Gives other tasks of the thread a chance once the turn is over, and looks after the client.
    ///
    /// # Errors
    /// The client is gone.
    pub(super) async fn pause(&mut self, output: &mut impl ReplyStream) -> io::Result<()> {
        if self.is_over() && output.is_abandoned() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        self.give_way().await;
        Ok(())
    }

    /// Gives other tasks of the thread a chance once the turn is over.
    pub(super) async fn give_way(&mut self) {
        if self.is_over() {
            tokio::task::yield_now().await;
            self.end = Instant::now() + self.length;
        }
    }
}
