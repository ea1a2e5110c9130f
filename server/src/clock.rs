//! The one reader of wall-clock time.
//!
//! Aerospike counts record times from 2010-01-01 00:00:00 UTC, not from 1970.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::bounds::Fit as _;

/// Seconds between the Unix epoch and 2010-01-01 00:00:00 UTC.
pub const EPOCH_UNIX_SECONDS: u64 = 1_262_304_000;

/// Milliseconds since the Unix epoch; 0 if the system clock stands before it.
#[must_use]
pub fn unix_ms() -> u64 {
    unix_ms_of(SystemTime::now())
}

fn unix_ms_of(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis().fit::<u64>())
}

/// Milliseconds since 2010-01-01 UTC, the unit of a record's last-update time.
#[must_use]
pub fn epoch_ms() -> u64 {
    unix_ms().saturating_sub(EPOCH_UNIX_SECONDS * 1_000)
}

/// Milliseconds from 2010-01-01 UTC to this time, of a file say; 0 if it lies before.
#[must_use]
pub fn epoch_ms_of(time: SystemTime) -> u64 {
    unix_ms_of(time).saturating_sub(EPOCH_UNIX_SECONDS * 1_000)
}

/// Seconds since 2010-01-01 UTC, the unit of a void-time.
#[must_use]
pub fn epoch_seconds() -> u32 {
    (epoch_ms() / 1_000).fit::<u32>()
}

/// Where a namespace takes the time of day from: the system, or a hand that a test turns.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    hand: Option<Arc<AtomicU64>>,
}

impl Clock {
    /// A clock that stands still until the test moves it; its hand counts milliseconds since 2010-01-01 UTC.
    #[must_use]
    pub fn manual(start_ms: u64) -> (Self, Arc<AtomicU64>) {
        let hand = Arc::new(AtomicU64::new(start_ms));
        (
            Self {
                hand: Some(Arc::clone(&hand)),
            },
            hand,
        )
    }

    /// Milliseconds since 2010-01-01 UTC.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.hand
            .as_ref()
            .map_or_else(epoch_ms, |hand| hand.load(Ordering::SeqCst))
    }
}
