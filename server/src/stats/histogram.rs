//! Latency histograms with a bucket for each power of two.
//!
//! Two scales are kept side by side, milliseconds and microseconds, because `microsecond-histograms` decides at the time
//! of the answer. A threshold `2^n` counts what took longer than `2^n` units, `n` = 0..=16, as `latencies:` prints them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use protocol::bounds::Fit as _;

use crate::processor::PerProcessor;

/// Thresholds in an answer: 1, 2, 4 … 65536 units.
pub const THRESHOLDS: usize = 17;
/// A bucket for "within one unit" and one above each threshold.
const BUCKETS: usize = THRESHOLDS + 1;

/// Unit of the thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Thresholds in milliseconds, printed as `msec`.
    Milliseconds,
    /// Thresholds in microseconds, printed as `usec`.
    Microseconds,
}

type Buckets = [u64; BUCKETS];

/// What happened between two ticks.
#[derive(Debug, Clone, Default)]
struct Slice {
    seconds: f64,
    milliseconds: Buckets,
    microseconds: Buckets,
}

#[derive(Debug, Default)]
struct Ticked {
    /// Counts at the last tick.
    milliseconds: Buckets,
    microseconds: Buckets,
    /// The last complete slice; none before the first tick after the first record.
    slice: Option<Slice>,
}

/// What one processor has counted.
#[derive(Debug, Default)]
struct Counted {
    /// The bucket within one unit stays empty: nearly everything would be counted in it a second time. It has what is in
    /// no other one, see [`Histogram::milliseconds`].
    milliseconds: [AtomicU64; BUCKETS],
    microseconds: [AtomicU64; BUCKETS],
}

/// Distribution of durations of one kind of work.
#[derive(Debug, Default)]
pub struct Histogram {
    counted: PerProcessor<Counted>,
    ticked: Mutex<Ticked>,
}

/// Index of the bucket of `units`: 0 up to one unit, then 1 above each threshold.
fn bucket(units: u64, exact: bool) -> usize {
    // `exact`: the duration has no remainder below one unit. 2 ms sharp is not longer than 2 ms, 2.1 ms is.
    let over = if exact {
        units.saturating_sub(1)
    } else {
        units
    };
    let bits = u64::BITS - over.leading_zeros();
    usize::try_from(bits).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

fn raise(buckets: &[AtomicU64; BUCKETS], index: usize) {
    if let Some(count) = buckets.get(index) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

fn since(now: &Buckets, before: &Buckets) -> Buckets {
    std::array::from_fn(|index| {
        let at = |buckets: &Buckets| buckets.get(index).copied().unwrap_or(0);
        at(now).saturating_sub(at(before))
    })
}

impl Histogram {
    /// Adds one piece of work.
    pub fn record(&self, took: Duration) {
        let milliseconds = took.as_millis().fit::<u64>();
        let microseconds = took.as_micros().fit::<u64>();
        let sharp_ms = took.subsec_nanos().is_multiple_of(1_000_000);
        let sharp_us = took.subsec_nanos().is_multiple_of(1_000);
        let over_one = bucket(milliseconds, sharp_ms);
        let Some(here) = self.counted.here() else {
            return;
        };
        if over_one > 0 {
            raise(&here.milliseconds, over_one);
        }
        raise(&here.microseconds, bucket(microseconds, sharp_us));
    }

    /// The sum over all processors.
    fn load(&self, scale: Scale) -> Buckets {
        let mut sum = Buckets::default();
        for counted in self.counted.each() {
            let buckets = match scale {
                Scale::Milliseconds => &counted.milliseconds,
                Scale::Microseconds => &counted.microseconds,
            };
            for (sum, count) in sum.iter_mut().zip(buckets) {
                *sum += count.load(Ordering::Relaxed);
            }
        }
        sum
    }

    /// Pieces of work since the start.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.load(Scale::Microseconds).iter().sum()
    }

    /// What was counted, by milliseconds.
    fn milliseconds(&self) -> Buckets {
        let mut buckets = self.load(Scale::Milliseconds);
        let longer: u64 = buckets.iter().sum();
        if let Some(within_one) = buckets.first_mut() {
            *within_one = self.count().saturating_sub(longer);
        }
        buckets
    }

    /// Ends a slice of `elapsed`: answers cover the last complete slice. Called each `ticker-interval`.
    pub fn tick(&self, elapsed: Duration) {
        let milliseconds = self.milliseconds();
        let microseconds = self.load(Scale::Microseconds);
        let mut ticked = self.ticked.lock();
        ticked.slice = Some(Slice {
            seconds: elapsed.as_secs_f64(),
            milliseconds: since(&milliseconds, &ticked.milliseconds),
            microseconds: since(&microseconds, &ticked.microseconds),
        });
        ticked.milliseconds = milliseconds;
        ticked.microseconds = microseconds;
    }

    /// The value after `name:` in an answer to `latencies:`: unit, work per second, then the percentage above each
    /// threshold. Empty before the first piece of work.
    #[must_use]
    pub fn row(&self, scale: Scale) -> String {
        if self.count() == 0 {
            return String::new();
        }
        let slice = self.ticked.lock().slice.clone().unwrap_or_default();
        let (unit, buckets) = match scale {
            Scale::Milliseconds => ("msec", slice.milliseconds),
            Scale::Microseconds => ("usec", slice.microseconds),
        };
        let total: u64 = buckets.iter().sum();
        let rate = if slice.seconds > 0.0 {
            total as f64 / slice.seconds
        } else {
            0.0
        };
        let mut row = format!("{unit},{rate:.1}");
        let mut over = total;
        for count in buckets.iter().take(THRESHOLDS) {
            over = over.saturating_sub(*count);
            let percent = if total == 0 {
                0.0
            } else {
                over as f64 * 100.0 / total as f64
            };
            row.push_str(&format!(",{percent:.2}"));
        }
        row
    }
}

/// The histograms of one namespace that are always on.
#[derive(Debug, Default)]
pub struct NamespaceLatency {
    /// Single reads: `{ns}-read`.
    pub read: Histogram,
    /// Single writes: `{ns}-write`.
    pub write: Histogram,
    /// Record UDF calls: `{ns}-udf`.
    pub udf: Histogram,
    /// Reads in batches: `{ns}-batch-sub-read`.
    pub batch_sub_read: Histogram,
    /// Writes in batches: `{ns}-batch-sub-write`.
    pub batch_sub_write: Histogram,
    /// Record UDF calls in batches: `{ns}-batch-sub-udf`.
    pub batch_sub_udf: Histogram,
    /// Primary index queries: `{ns}-pi-query`.
    pub pi_query: Histogram,
    /// Secondary index queries: `{ns}-si-query`.
    pub si_query: Histogram,
}

impl NamespaceLatency {
    /// The histograms with the part of their names after `{ns}-`, in the order of an answer to `latencies:`.
    #[must_use]
    pub fn table(&self) -> [(&'static str, &Histogram); 8] {
        [
            ("read", &self.read),
            ("write", &self.write),
            ("udf", &self.udf),
            ("batch-sub-read", &self.batch_sub_read),
            ("batch-sub-write", &self.batch_sub_write),
            ("batch-sub-udf", &self.batch_sub_udf),
            ("pi-query", &self.pi_query),
            ("si-query", &self.si_query),
        ]
    }

    /// Ends a slice of `elapsed` in each histogram.
    pub fn tick(&self, elapsed: Duration) {
        for (_, histogram) in self.table() {
            histogram.tick(elapsed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Histogram, Scale};

    #[test]
    fn is_empty_before_the_first_record() {
        assert_eq!(Histogram::default().row(Scale::Milliseconds), "");
    }

    #[test]
    fn counts_what_took_longer_than_each_threshold() {
        let histogram = Histogram::default();
        for micros in [10, 1_000, 1_001, 2_000, 2_001, 70_000_000] {
            histogram.record(Duration::from_micros(micros));
        }
        histogram.tick(Duration::from_secs(10));
        let row = histogram.row(Scale::Milliseconds);
        assert!(
            row.starts_with("msec,0.6,66.67,33.33,16.67,16.67,"),
            "{row}"
        );
        assert!(row.ends_with(",16.67"), "{row}");
        assert_eq!(row.split(',').count(), 2 + super::THRESHOLDS);
        assert!(
            histogram
                .row(Scale::Microseconds)
                .starts_with("usec,0.6,100.00,100.00,100.00,100.00,83.33")
        );
    }

    #[test]
    fn reports_the_last_slice_only() {
        let histogram = Histogram::default();
        histogram.record(Duration::from_millis(5));
        histogram.tick(Duration::from_secs(10));
        histogram.tick(Duration::from_secs(10));
        assert!(
            histogram
                .row(Scale::Milliseconds)
                .starts_with("msec,0.0,0.00,")
        );
        assert_eq!(histogram.count(), 1);
    }
}
