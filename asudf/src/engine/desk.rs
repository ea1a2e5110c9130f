//! Who runs the scripts: keeps the clock and the lines that they write.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use protocol::bounds::Fit as _;
use runtime::host::{Host, Lane, Level, ScriptLine};
use rustix::time::{ClockId, clock_gettime};

/// Most lines that are kept between two questions.
const LINES_MAX: usize = 10_000;

/// Scripts of this process take no turns; each thread has its time.
#[derive(Debug)]
struct OwnThread;

impl Lane for OwnThread {
    fn has_waiters(&self) -> bool {
        false
    }

    fn take_turn(&self, _is_first: bool, _holds_one: bool, _deadline: Option<Instant>) -> bool {
        true
    }

    fn release(&self) {}

    fn others_are_served(&self) -> bool {
        true
    }

    fn breathe(&self, _now: Instant) {}

    fn processor_time(&self) -> Duration {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        // Neither is negative.
        let seconds = time.tv_sec.fit::<u64>();
        let nanoseconds = time.tv_nsec.fit::<u32>();
        Duration::new(seconds, nanoseconds)
    }
}

/// A clock and a page for lines.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    /// Milliseconds since the Unix epoch; 0 is the time of the machine.
    clock: AtomicU64,
    lines: Mutex<Vec<String>>,
}

impl Desk {
    /// Sets the clock; it stands still from then on. None: it goes with the machine's again.
    pub(crate) fn set_clock(&self, unix_ms: Option<u64>) {
        self.clock.store(unix_ms.unwrap_or(0), Ordering::Relaxed);
    }

    /// The lines since the last question.
    pub(crate) fn take_lines(&self) -> Vec<String> {
        match self.lines.lock() {
            Ok(mut lines) => std::mem::take(&mut *lines),
            // A line was cut short by a panic elsewhere.
            Err(poisoned) => std::mem::take(&mut *poisoned.into_inner()),
        }
    }

    fn write(&self, line: String) {
        if let Ok(mut lines) = self.lines.lock()
            && lines.len() < LINES_MAX
        {
            lines.push(line);
        }
    }
}

/// How a weight is shown, as the real server's log has it.
fn shown(level: Level) -> &'static str {
    match level {
        Level::Error => "CRITICAL",
        Level::Warn => "WARNING",
        Level::Info => "INFO",
        Level::Debug => "DEBUG",
        Level::Trace => "DETAIL",
    }
}

impl Host for Desk {
    fn unix_ms(&self) -> u64 {
        match self.clock.load(Ordering::Relaxed) {
            0 => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_millis().fit::<u64>()),
            set => set,
        }
    }

    fn line(&self, line: &ScriptLine<'_>) {
        self.write(format!(
            "{} ({}:{}) {}",
            shown(line.level),
            line.source,
            line.line,
            line.text
        ));
    }

    fn warn(&self, text: &str) {
        self.write(format!("{} {text}", shown(Level::Warn)));
    }

    fn counts_processor(&self) -> bool {
        true
    }

    fn lane(&self) -> &'static dyn Lane {
        &OwnThread
    }
}
