//! The log, in the layout of Aerospike's log files, so that the same eyes and the same tools read it.
//!
//! ```text
//! Nov 25 2026 03:00:00 GMT: INFO (udf): (registry.rs:120) module `a.lua` registered
//! ```
//!
//! Whoever logs never waits: a thread of its own writes to each sink, from a queue that has a limit, and each place in the
//! code may log so often. What is dropped or left out is counted and told; see `queue` and `rate`.
//!
//! Code logs through `tracing`; the target of an event is one of [`CONTEXTS`]. An event without a target of its own gets
//! the context of its module. Lines of scripts carry their own position: see [`SCRIPT_UDF`].

mod context;
mod level;
mod line;
pub mod peer;
mod queue;
mod rate;
mod sink;
pub mod target;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata, Subscriber, subscriber::Interest};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

pub use context::{SCRIPT_STREAM, SCRIPT_UDF};
pub use level::{CONTEXTS, Level, Levels, context_position};

use crate::log::target::{LogSink, LogTarget};
use rate::{REPORT_INTERVAL, Rates};
use sink::Sink;

/// Why the log cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A log file cannot be opened.
    #[error("cannot open the log file {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The standard error stream cannot be used.
    #[error("cannot write the log to stderr: {0}")]
    Console(io::Error),
    /// The system gave no thread.
    #[error("cannot start the thread that writes the log: {0}")]
    Thread(io::Error),
    /// Another log is already in place in this process.
    #[error("a log is already in place in this process")]
    InPlace,
}

/// The sinks of a process. A clone shares them.
#[derive(Debug, Clone, Default)]
pub struct Log {
    sinks: Arc<[Sink]>,
    limits: Arc<Limits>,
    millis: bool,
}

/// How often lines are logged.
#[derive(Debug)]
struct Limits {
    rates: Rates,
    left_out: AtomicU64,
    /// When it was last told what is left out.
    told: Mutex<Instant>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rates: Rates::default(),
            left_out: AtomicU64::new(0),
            told: Mutex::new(Instant::now()),
        }
    }
}

impl Log {
    /// Opens the sinks that a configuration asks for; `millis` adds milliseconds to the time of each line.
    ///
    /// # Errors
    /// [`LogError::Open`] for a file that cannot be opened.
    pub fn open(sinks: &[LogSink], millis: bool) -> Result<Self, LogError> {
        let sinks = sinks
            .iter()
            .map(|sink| Sink::open(sink, millis))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            sinks: sinks.into(),
            limits: Arc::default(),
            millis,
        })
    }

    /// Waits until all that was logged is written, but no longer than `limit`; false if it is not.
    pub fn flush(&self, limit: Duration) -> bool {
        self.tell_left_out();
        let until = Instant::now() + limit;
        self.sinks
            .iter()
            .all(|sink| sink.flush(until.saturating_duration_since(Instant::now())))
    }

    /// Lines that were dropped since the start because a sink took them too slowly.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.sinks.iter().map(Sink::dropped).sum()
    }

    /// Lines that were left out since the start because their place in the code logged too often.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.limits.left_out.load(Ordering::Relaxed)
    }

    /// Says once an interval what was left out. To be called every second.
    pub fn tell(&self) {
        let now = Instant::now();
        let mut told = self.limits.told.lock();
        if now.saturating_duration_since(*told) >= REPORT_INTERVAL {
            *told = now;
            drop(told);
            self.tell_left_out();
        }
    }

    fn tell_left_out(&self) {
        for left_out in self.limits.rates.take_left_out() {
            let text = format!(
                "{} lines of {} were left out: too many at once",
                left_out.lines, left_out.place
            );
            let text = line::plain(Level::Warning, &text, crate::clock::unix_ms(), self.millis);
            for sink in &*self.sinks {
                sink.write(text.as_bytes());
            }
        }
    }

    /// Makes this the log of the process.
    ///
    /// # Errors
    /// [`LogError::InPlace`] when there is one already.
    pub fn install(&self) -> Result<(), LogError> {
        let subscriber = tracing_subscriber::registry().with(self.clone());
        tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::InPlace)
    }

    /// Opens all files anew, for a program that has moved them away. The old file stays in use where that fails.
    ///
    /// # Errors
    /// [`LogError::Open`] for the first file that cannot be opened; the others are opened all the same.
    pub fn reopen(&self) -> Result<(), LogError> {
        let results: Vec<_> = self.sinks.iter().map(Sink::reopen).collect();
        results.into_iter().collect()
    }

    /// Names of the sinks by id: the path of a file, or `stderr`.
    pub fn names(&self) -> impl Iterator<Item = String> + '_ {
        self.sinks.iter().map(|sink| match &sink.target {
            LogTarget::Console => "stderr".to_owned(),
            LogTarget::File(path) => path.display().to_string(),
        })
    }

    /// The levels of the sink with an id, to read or to change.
    #[must_use]
    pub fn levels(&self, id: usize) -> Option<&Levels> {
        self.sinks.get(id).map(|sink| &sink.levels)
    }

    fn wants(&self, context: usize, level: Level) -> bool {
        self.sinks
            .iter()
            .any(|sink| level <= sink.levels.get(context))
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // Levels change at any time.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let level = line::level_of(*metadata.level());
        // Most events are quieter than every sink: no need to find their context.
        self.sinks.iter().any(|sink| level <= sink.levels.most())
            && self.wants(context::of(metadata).position, level)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        None
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let context = context::of(metadata);
        let level = line::level_of(*metadata.level());
        let rate = if context.is_script {
            rate::SCRIPT
        } else {
            rate::OWN
        };
        let now = Instant::now();
        if !self.limits.rates.admit(metadata, rate, now) {
            self.limits.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let text = line::write(event, &context, level, crate::clock::unix_ms(), self.millis);
        for sink in &*self.sinks {
            if level <= sink.levels.get(context.position) {
                sink.write(text.as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests;
