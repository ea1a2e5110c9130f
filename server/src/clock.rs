//! The one reader of wall-clock time.
//!
//! Aerospike counts record times from 2010-01-01 00:00:00 UTC, not from 1970.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

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

/// Where a namespace takes its time from: the time of day, which does not go back while the process runs.
///
/// What was written, truncated or expired stays so only as long as time does not go back. So a system clock that is set back
/// by up to a day is not followed: time goes on at half its speed until that clock has caught up. What is further
/// ahead is no time, but a clock that was wrong before.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    source: Source,
    /// What it showed last, ms.
    shown: Arc<AtomicU64>,
    /// How long the process had run then, ms.
    run: Arc<AtomicU64>,
}

/// By how much a clock may be set back without being followed, ms: a day.
const BRIDGED_MS: u64 = 24 * 60 * 60 * 1_000;

/// The clocks of the machine, or hands that a test turns.
#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    /// Shown as it is.
    Hand(Arc<AtomicU64>),
    /// In the places of the time of day and of the time that the process has run.
    Hands(Arc<AtomicU64>, Arc<AtomicU64>),
}

impl Source {
    /// Time of day, ms since 2010.
    fn wall_ms(&self) -> u64 {
        match self {
            Self::System => epoch_ms(),
            Self::Hand(hand) | Self::Hands(hand, _) => hand.load(Ordering::SeqCst),
        }
    }

    /// Time that never goes back, ms.
    fn run_ms(&self) -> u64 {
        static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
        match self {
            Self::System => STARTED.elapsed().as_millis().fit::<u64>(),
            Self::Hand(hand) | Self::Hands(_, hand) => hand.load(Ordering::SeqCst),
        }
    }
}

impl Clock {
    /// A clock that stands still until the test moves it, also backwards; its hand counts milliseconds since 2010-01-01 UTC.
    #[must_use]
    pub fn manual(start_ms: u64) -> (Self, Arc<AtomicU64>) {
        let hand = Arc::new(AtomicU64::new(start_ms));
        let source = Source::Hand(Arc::clone(&hand));
        let clock = Self {
            source,
            ..Self::default()
        };
        (clock, hand)
    }

    /// A clock over two hands: the time of day, in milliseconds since 2010-01-01 UTC, and the time that the process has run.
    #[must_use]
    pub fn over(wall: &Arc<AtomicU64>, run: &Arc<AtomicU64>) -> Self {
        Self {
            source: Source::Hands(Arc::clone(wall), Arc::clone(run)),
            ..Self::default()
        }
    }

    /// Milliseconds since 2010-01-01 UTC.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        let wall = self.source.wall_ms();
        let shown = self.shown.load(Ordering::Relaxed);
        if wall == shown || matches!(self.source, Source::Hand(_)) {
            return wall;
        }
        let run = self.source.run_ms();
        if wall > shown {
            self.run.store(run, Ordering::Relaxed);
            return wall.max(self.shown.fetch_max(wall, Ordering::Relaxed));
        }
        if shown - wall > BRIDGED_MS {
            self.run.store(run, Ordering::Relaxed);
            self.shown.store(wall, Ordering::Relaxed);
            return wall;
        }
        let passed = run.saturating_sub(self.run.load(Ordering::Relaxed)) / 2;
        if passed == 0 {
            return shown;
        }
        self.run.store(run, Ordering::Relaxed);
        let now = shown + passed;
        now.max(self.shown.fetch_max(now, Ordering::Relaxed))
    }

    /// Something was written at that time, before this process or on another node: time is not before that, unless that is
    /// more than a day ahead.
    pub fn not_before(&self, time_ms: u64) {
        if matches!(self.source, Source::Hand(_)) {
            return;
        }
        let now = self.now_ms();
        if time_ms > now && time_ms - now <= BRIDGED_MS {
            self.run.store(self.source.run_ms(), Ordering::Relaxed);
            self.shown.fetch_max(time_ms, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 60 * 60 * 1_000;
    const START: u64 = 500_000_000_000;

    #[test]
    fn time_goes_on_where_the_time_of_day_is_set_back_until_that_has_caught_up() {
        let (wall, run) = (Arc::new(AtomicU64::new(START)), Arc::default());
        let clock = Clock::over(&wall, &run);
        // By what the time of day is set, how much time passes, and what is shown then, since the start.
        let steps: &[(i64, u64, u64)] = &[
            (0, 0, 0),
            (0, 5, 5),
            (-3_600_000, 0, 5),
            (0, 7, 8),
            (0, 1_000, 508),
            (3_600_000, 1, 1_013),
            (0, 1, 1_014),
            // Again, and nobody sets it right.
            (-3_600_000, 1, 1_014),
            (0, HOUR / 2, HOUR / 4 + 1_014),
            (0, HOUR / 2, HOUR / 2 + 1_014),
            (0, HOUR, HOUR + 1_015),
            (0, HOUR, 2 * HOUR + 1_015),
        ];
        let mut day = START;
        for (step, (set, passes, shown)) in steps.iter().enumerate() {
            day = day.checked_add_signed(*set).unwrap() + passes;
            wall.store(day, Ordering::SeqCst);
            run.fetch_add(*passes, Ordering::SeqCst);
            assert_eq!(clock.now_ms() - START, *shown, "step {step}");
            assert_eq!(clock.now_ms() - START, *shown, "step {step}, again");
        }
    }

    #[test]
    fn a_clock_that_was_wrong_by_more_than_a_day_is_followed_back() {
        let (wall, run) = (Arc::new(AtomicU64::new(START)), Arc::default());
        let clock = Clock::over(&wall, &run);
        assert_eq!(clock.now_ms(), START);
        wall.store(START + 365 * BRIDGED_MS, Ordering::SeqCst);
        assert_eq!(clock.now_ms(), START + 365 * BRIDGED_MS);
        wall.store(START + 3, Ordering::SeqCst);
        assert_eq!(clock.now_ms(), START + 3);
        clock.not_before(START + 2 * BRIDGED_MS);
        assert_eq!(clock.now_ms(), START + 3, "that is no time");
        clock.not_before(START + HOUR);
        assert_eq!(clock.now_ms(), START + HOUR);
        run.store(10, Ordering::SeqCst);
        wall.store(START + 13, Ordering::SeqCst);
        assert_eq!(clock.now_ms(), START + HOUR + 5);
    }
}
