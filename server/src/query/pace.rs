//! How fast a job goes: no faster than the records a second that its request or its namespace allows.

use std::io;
use std::time::{Duration, Instant};

use super::job::flush;
use super::jobs::Job;
use crate::transaction::reply::ReplyStream;

/// The rate of one job, counted from its beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    begun: Instant,
    /// 0 is no limit.
    records_per_second: u32,
}

impl Pace {
    /// The rate of a job that begins now, or began.
    pub(crate) fn of(job: &Job, begun: Instant) -> Self {
        Self {
            begun,
            records_per_second: job.spec.records_per_second,
        }
    }

    /// When the record may come that has so many before it; none when it may come at any time.
    fn due(self, records: u64) -> Option<Instant> {
        if self.records_per_second == 0 {
            return None;
        }
        let seconds = records as f64 / f64::from(self.records_per_second);
        // One that is due in more than some hundred years never comes; the job is asked to end long before.
        let after = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(1 << 32));
        self.begun.checked_add(after)
    }

    /// Until when the job is to wait, when so many records have come too soon.
    fn ahead(self, records: u64) -> Option<Instant> {
        self.due(records).filter(|due| *due > Instant::now())
    }

    /// Waits for the turn of the record that has so many before it, or until somebody asks for the job's end. Every
    /// record of a limited job counts as throttled.
    pub(crate) async fn turn(self, job: &Job, records: u64) {
        if self.records_per_second == 0 {
            return;
        }
        job.counts.throttled.inc();
        if let Some(due) = self.ahead(records) {
            wait_until(job, due).await;
        }
    }

    /// Waits when so many records have come too soon. The client gets what there is before; every wait counts as
    /// throttled.
    ///
    /// # Errors
    /// The client is gone or does not read.
    pub(crate) async fn hold(
        self,
        job: &Job,
        records: u64,
        output: &mut impl ReplyStream,
    ) -> io::Result<()> {
        if let Some(due) = self.ahead(records) {
            job.counts.throttled.inc();
            flush(job, output).await?;
            wait_until(job, due).await;
        }
        Ok(())
    }
}

/// Waits until a moment, or until somebody asks for the job's end.
async fn wait_until(job: &Job, due: Instant) {
    tokio::select! {
        biased;
        () = job.aborted() => {}
        () = tokio::time::sleep_until(due.into()) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_due_one_after_the_other() {
        let begun = Instant::now();
        let cases: [(u32, u64, Option<u64>); 6] = [
            (0, 0, None),
            (0, 1_000_000, None),
            (1, 0, Some(0)),
            (1, 7, Some(7_000)),
            (1_000, 2_500, Some(2_500)),
            (4, 1, Some(250)),
        ];
        for (records_per_second, records, due_ms) in cases {
            let pace = Pace {
                begun,
                records_per_second,
            };
            let expected = due_ms.map(|ms| begun + Duration::from_millis(ms));
            assert_eq!(
                pace.due(records),
                expected,
                "{records_per_second} {records}"
            );
        }
    }

    #[test]
    fn only_who_is_ahead_waits() {
        let begun = Instant::now();
        let pace = Pace {
            begun,
            records_per_second: 1,
        };
        assert_eq!(pace.ahead(0), None);
        assert_eq!(pace.ahead(3_600), Some(begun + Duration::from_secs(3_600)));
        // Centuries from now, but no failure.
        assert!(pace.ahead(u64::MAX) > Some(begun + Duration::from_secs(1 << 31)));
    }
}
