//! How often one place in the code may log.
//!
//! Many lines are caused by what peers send, and a peer may send much. Each place may write so many lines at once and so
//! many a second; what is beyond that is left out, counted, and told in one line.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::Metadata;
use tracing::callsite::Identifier;

/// Lines that a place may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// At once.
    burst: u32,
    /// A second, from then on.
    per_second: u32,
}

/// Lines of the server itself.
pub(super) const OWN: Rate = Rate {
    burst: 1_000,
    per_second: 100,
};

/// Lines of scripts: all of one level come from one place.
pub(super) const SCRIPT: Rate = Rate {
    burst: 10_000,
    per_second: 1_000,
};

/// What one place may still write.
#[derive(Debug)]
struct Place {
    metadata: &'static Metadata<'static>,
    left: f64,
    since: Instant,
    left_out: u64,
}

/// All places that have logged.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<HashMap<Identifier, Place>>);

/// Lines of a place that were left out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// `file.rs:12`
    pub(super) place: String,
    /// Number of lines.
    pub(super) lines: u64,
}

impl Rates {
    /// Whether a place may write a line now; if not, it is counted.
    pub(super) fn admit(
        &self,
        metadata: &'static Metadata<'static>,
        rate: Rate,
        now: Instant,
    ) -> bool {
        let mut places = self.0.lock();
        let place = places.entry(metadata.callsite()).or_insert_with(|| Place {
            metadata,
            left: rate.burst.into(),
            since: now,
            left_out: 0,
        });
        let earned =
            now.saturating_duration_since(place.since).as_secs_f64() * f64::from(rate.per_second);
        place.left = (place.left + earned).min(rate.burst.into());
        place.since = now;
        if place.left < 1.0 {
            place.left_out += 1;
            return false;
        }
        place.left -= 1.0;
        true
    }

    /// What was left out since this was last asked.
    pub(super) fn take_left_out(&self) -> Vec<LeftOut> {
        let mut places = self.0.lock();
        let silenced = places.values_mut().filter(|place| place.left_out > 0);
        let mut all: Vec<_> = silenced
            .map(|place| LeftOut {
                place: position(place.metadata),
                lines: std::mem::take(&mut place.left_out),
            })
            .collect();
        all.sort_by(|one, other| one.place.cmp(&other.place));
        all
    }
}

fn position(metadata: &Metadata<'_>) -> String {
    let file = metadata.file().unwrap_or_else(|| metadata.target());
    let file = file.rsplit('/').next().unwrap_or(file);
    match metadata.line() {
        Some(line) => format!("{file}:{line}"),
        None => file.to_owned(),
    }
}

/// How often what was left out is told.
pub(super) const REPORT_INTERVAL: Duration = Duration::from_secs(1);
