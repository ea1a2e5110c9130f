//! When the registry's file is brought up to its log.

use std::time::{Duration, Instant};

/// So long after the last change.
const QUIET: Duration = Duration::from_secs(1);
/// At once when the log has so many bytes.
const LONG_LOG: u64 = 4 << 20;
/// So many times what it took passes before it is done again, as it costs what all modules are and not what changed.
const PAUSE: u32 = 100;

/// What is known about the log.
#[derive(Debug, Default)]
pub(crate) struct Tidying {
    /// Bytes of the log; none when the file has all.
    behind: Option<u64>,
    last_change: Option<Instant>,
    not_before: Option<Instant>,
}

impl Tidying {
    /// The file is so much behind now.
    pub(crate) fn changed(&mut self, behind: Option<u64>) {
        self.behind = behind;
        self.last_change = Some(Instant::now());
    }

    /// It was done, took so long, and left the file so much behind.
    pub(crate) fn ended(&mut self, took: Duration, behind: Option<u64>) {
        self.behind = behind;
        self.not_before = Some(Instant::now() + took.saturating_mul(PAUSE));
    }

    /// It is time.
    pub(crate) fn is_due(&self) -> bool {
        let now = Instant::now();
        let rested = self.not_before.is_none_or(|at| now >= at);
        let quiet = self.last_change.is_none_or(|at| now - at >= QUIET);
        self.behind
            .is_some_and(|bytes| rested && (quiet || bytes >= LONG_LOG))
    }
}
