use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
            .map_or_else(crate::clock::epoch_ms, |hand| hand.load(Ordering::SeqCst))
    }
}

/// Whole seconds of a time in milliseconds.
#[must_use]
pub fn seconds(ms: u64) -> u32 {
    u32::try_from(ms / 1000).unwrap_or(u32::MAX)
}
