//! The memory of all clients' buffers together.
//!
//! Each connection says what its buffers hold before they grow. Small buffers are always granted: they are bounded by the
//! number of connections. A large one is granted only below the limit, and the last quarter is kept for those of ordinary
//! size, so that a few who fill the rest with the largest frames do not shut out the others. Who is refused is closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::stats::Counter;

/// Buffers of a connection that are granted whatever others hold, bytes.
const SMALL_BYTES: usize = 16 * 1024;

/// Up to here the last quarter of the limit may be used too, bytes.
const ORDINARY_BYTES: usize = 1 << 20;

/// What the buffers of a node's clients hold.
#[derive(Debug)]
pub struct Buffers {
    limit: usize,
    held: AtomicUsize,
    /// Connections that were refused, and closed.
    pub refused: Counter,
}

impl Buffers {
    /// Buffers of at most `limit` bytes together, beyond `SMALL_BYTES` for each connection.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            held: AtomicUsize::new(0),
            refused: Counter::default(),
        })
    }

    /// Bytes that are held now.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Bytes that may be held.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whether it is time to give back what is only kept for later.
    #[must_use]
    pub fn is_scarce(&self) -> bool {
        self.held() > self.limit / 2
    }

    /// The part of one connection: nothing yet.
    #[must_use]
    pub fn share(self: &Arc<Self>) -> Share {
        Share {
            buffers: Arc::clone(self),
            held: 0,
        }
    }
}

/// What one connection holds; given back when dropped.
#[derive(Debug)]
pub struct Share {
    buffers: Arc<Buffers>,
    held: usize,
}

/// The limit of all connections' buffers is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{wanted} bytes of buffers are wanted while all clients hold {held} of {limit} (`client-memory-limit`)"
)]
pub struct NoRoom {
    /// What the connection would hold, bytes.
    pub wanted: usize,
    /// What all hold, bytes.
    pub held: usize,
    /// What all may hold, bytes.
    pub limit: usize,
}

impl Share {
    /// Says that the connection holds `bytes` from now on, in place of what it said before.
    ///
    /// # Errors
    /// There is no room for more; what was said before stays true.
    pub fn hold(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let buffers = &self.buffers;
        if bytes <= self.held {
            buffers.held.fetch_sub(self.held - bytes, Ordering::Relaxed);
            self.held = bytes;
            return Ok(());
        }
        let more = bytes - self.held;
        let limit = if bytes <= SMALL_BYTES {
            usize::MAX
        } else if bytes <= ORDINARY_BYTES {
            buffers.limit
        } else {
            buffers.limit / 4 * 3
        };
        let grown = |held: usize| held.checked_add(more).filter(|held| *held <= limit);
        match buffers
            .held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown)
        {
            Ok(_) => {
                self.held = bytes;
                Ok(())
            }
            Err(held) => {
                buffers.refused.inc();
                Err(NoRoom {
                    wanted: bytes,
                    held,
                    limit: buffers.limit,
                })
            }
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.buffers.held.fetch_sub(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_buffers_leave_room_for_others_and_small_ones_are_always_granted() {
        const MIB: usize = 1 << 20;
        let buffers = Buffers::new(16 * MIB);
        let mut large = buffers.share();
        assert_eq!(large.hold(12 * MIB), Ok(()));
        let mut other = buffers.share();
        let refused = other.hold(2 * MIB).unwrap_err();
        assert_eq!(
            (refused.wanted, refused.held, refused.limit),
            (2 * MIB, 12 * MIB, 16 * MIB)
        );
        let mut ordinary: Vec<_> = (0..4).map(|_| buffers.share()).collect();
        for share in &mut ordinary {
            assert_eq!(share.hold(MIB), Ok(()));
        }
        assert!(other.hold(SMALL_BYTES + 1).is_err());
        assert_eq!(other.hold(SMALL_BYTES), Ok(()), "whatever others hold");
        assert_eq!(buffers.refused.get(), 2);
        drop(large);
        assert_eq!(buffers.held(), 4 * MIB + SMALL_BYTES);
        assert_eq!(other.hold(2 * MIB), Ok(()));
        assert_eq!(other.hold(0), Ok(()));
        drop((ordinary, other));
        assert_eq!(buffers.held(), 0);
    }
}
