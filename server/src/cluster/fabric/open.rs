//! Connections between nodes, counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many connections there were on the fabric, from this node and to it.
#[derive(Debug, Default)]
pub struct ConnectionCounts {
    opened: AtomicU64,
    closed: AtomicU64,
}

impl ConnectionCounts {
    /// Opened and closed so far, the closed ones counted first: what opens in between may not make the difference negative.
    #[must_use]
    pub fn get(&self) -> (u64, u64) {
        let closed = self.closed.load(Ordering::Acquire);
        (self.opened.load(Ordering::Acquire), closed)
    }
}

/// A connection that counts as open until this is dropped.
#[derive(Debug)]
pub(super) struct Open(Arc<ConnectionCounts>);

impl Open {
    pub(super) fn new(counts: &Arc<ConnectionCounts>) -> Self {
        counts.opened.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(counts))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.closed.fetch_add(1, Ordering::AcqRel);
    }
}
