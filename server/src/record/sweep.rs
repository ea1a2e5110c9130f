use std::sync::Arc;
use std::time::{Duration, Instant};

use data::record::{StoredRecord, policy, seconds};

use super::{Namespace, StoreError};
use crate::clock::EPOCH_UNIX_SECONDS;
use crate::storage::answer::can_leave_the_worker;
use crate::storage::{PARTITIONS, Removal, StorageError, Truncation};

/// Partitions between two chances for other tasks.
const PARTITIONS_PER_TURN: u16 = 64;

/// A clock that has not moved after this stands still.
const CLOCK_STANDS: Duration = Duration::from_millis(5);

/// How often the background task looks whether a sweep is due; `nsup-period` may change at any time.
const TICK: Duration = Duration::from_secs(1);

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Records whose life had ended.
    pub expired: u64,
    /// Records last written before a truncation time.
    pub truncated: u64,
}

/// Why a truncation is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TruncateError {
    /// The time lies in the future.
    #[error("`lut` is in the future")]
    Future,
    /// The engine cannot remember it, or cannot remove records.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Namespace {
    /// Makes every record that was last written before `lut` vanish: those of one set, or all. From the first moment on
    /// no reader sees one; on return they are removed, and the engine remembers the truncation.
    ///
    /// `lut` is in nanoseconds since 1970, as info commands give it. `None` means everything written so far, and waits
    /// for the end of the current millisecond, because writes within it cannot be told apart by time. An unknown set is
    /// no error: it has no records.
    ///
    /// # Errors
    /// `lut` lies in the future, or the engine cannot remember the truncation.
    pub async fn truncate(
        &self,
        set: Option<&str>,
        lut: Option<u64>,
    ) -> Result<Swept, TruncateError> {
        let lut_ms = lut.map(|lut| (lut / 1_000_000).saturating_sub(EPOCH_UNIX_SECONDS * 1000));
        if lut_ms.is_some_and(|lut_ms| lut_ms > self.now_ms()) {
            return Err(TruncateError::Future);
        }
        // One that comes back may have records of a set that is unknown here.
        let nobody_else_has_it = !self.is_clustered() || !self.keeps().persisted;
        if nobody_else_has_it && set.is_some_and(|name| self.sets().get(name).is_none()) {
            return Ok(Swept::default());
        }
        let lut_ms = match lut_ms {
            Some(lut_ms) => lut_ms,
            None => self.next_millisecond().await,
        };
        let truncation = Truncation {
            set: set.unwrap_or("").to_owned(),
            before_ms: lut_ms,
        };
        self.engine().truncated(&truncation).await?;
        self.raise_lut(&truncation).map_err(|error| match error {
            StoreError::Storage(error) => TruncateError::Storage(error),
            error => TruncateError::Storage(StorageError::Failed(error.to_string())),
        })?;
        let mut swept = Swept::default();
        for partition in 0..PARTITIONS {
            self.sweep_partition(partition, self.now_ms(), &mut swept)
                .await?;
        }
        self.repacking.removed(swept.truncated + swept.expired);
        Ok(swept)
    }

    /// Waits until the clock shows another millisecond; gives up after a few, for clocks that stand.
    async fn next_millisecond(&self) -> u64 {
        let (begun, since) = (self.now_ms(), Instant::now());
        while since.elapsed() < CLOCK_STANDS {
            let now = self.now_ms();
            if now != begun {
                return now;
            }
            a_moment().await;
        }
        begun
    }

    /// Removes the expired and truncated records of one partition. Records that a UDF holds stay for the next time.
    async fn sweep_partition(
        &self,
        partition: u16,
        now_ms: u64,
        swept: &mut Swept,
    ) -> Result<(), StorageError> {
        let mut scan = self.scan(partition, None).outlines();
        loop {
            let page = scan.page().await?;
            if page.is_empty() {
                return Ok(());
            }
            for record in &page {
                if !self.is_live(record, now_ms) {
                    self.sweep_record(record, now_ms, swept).await?;
                }
            }
        }
    }

    async fn sweep_record(
        &self,
        seen: &StoredRecord,
        now_ms: u64,
        swept: &mut Swept,
    ) -> Result<(), StorageError> {
        let Some(_lock) = self.locks().try_lock(&seen.digest()) else {
            return Ok(());
        };
        let truncated = self.is_truncated(seen);
        let why = if truncated {
            Removal::Truncated
        } else {
            Removal::Asked
        };
        if !self.remove_version(seen, why).await? {
            return Ok(());
        }
        if policy::is_expired(seen.void_time(), seconds(now_ms)) {
            self.removals.expired_objects.inc();
            swept.expired += 1;
        } else {
            swept.truncated += 1;
        }
        Ok(())
    }

    /// Removes all expired and truncated records, letting other tasks run in between.
    ///
    /// # Errors
    /// The engine cannot read or remove one; the rest is for the next sweep.
    pub async fn sweep(&self) -> Result<Swept, StorageError> {
        let mut swept = Swept::default();
        if self.usage().objects() == 0 {
            return Ok(swept);
        }
        let now_ms = self.now_ms();
        for partition in 0..PARTITIONS {
            self.sweep_partition(partition, now_ms, &mut swept).await?;
            if partition % PARTITIONS_PER_TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
        self.repacking.removed(swept.truncated + swept.expired);
        Ok(swept)
    }
}

/// A millisecond or two: to look at the clock over and over would take a processor for as long. Where no other thread wakes
/// who sleeps, others run once instead.
async fn a_moment() {
    if can_leave_the_worker() {
        return tokio::time::sleep(Duration::from_micros(100)).await;
    }
    let mut waited = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

/// Sweeps the namespace every `nsup-period` seconds, and gives back what sweeps and truncations left, for ever; the task is aborted when the server stops.
pub async fn run_nsup(namespace: Arc<Namespace>) {
    let mut last = Instant::now();
    loop {
        tokio::time::sleep(TICK).await;
        namespace.repack_if_due().await;
        let period = Duration::from_secs(namespace.settings.nsup_period().into());
        if period.is_zero() || last.elapsed() < period {
            continue;
        }
        last = Instant::now();
        let swept = match namespace.sweep().await {
            Ok(swept) => swept,
            Err(error) => {
                tracing::warn!(target: "nsup", "{{{}}} the sweep ended early: {error}", namespace.name());
                continue;
            }
        };
        if swept.expired + swept.truncated > 0 {
            tracing::info!(
                target: "nsup",
                "{{{}}} removed {} expired and {} truncated records in {} ms",
                namespace.name(),
                swept.expired,
                swept.truncated,
                last.elapsed().as_millis()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use protocol::key::Digest;

    use super::*;
    use crate::clock::Clock;
    use crate::record::NamespaceSettings;
    use crate::record::samples::{found, put};
    use crate::storage::waiting::engine_under_test;

    const START_MS: u64 = 500_000_000_000;

    fn namespace() -> (Namespace, Arc<std::sync::atomic::AtomicU64>) {
        let (clock, hand) = Clock::manual(START_MS);
        let settings = Arc::new(NamespaceSettings::new("test"));
        (
            Namespace::with("test", settings, engine_under_test(), clock),
            hand,
        )
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn expired_records_are_missing_at_once_and_removed_by_the_sweep() {
        let (namespace, hand) = namespace();
        put(&namespace, 1, "", 0).await;
        put(&namespace, 2, "demo", 10).await;
        put(&namespace, 3, "demo", 100).await;
        assert_eq!(found(&namespace).await, [1, 2, 3]);
        assert_eq!(namespace.sweep().await.unwrap(), Swept::default());
        hand.fetch_add(11_000, Ordering::SeqCst);
        assert_eq!(found(&namespace).await, [1, 3]);
        assert_eq!(namespace.usage().objects(), 3);
        assert_eq!(
            namespace.sweep().await.unwrap(),
            Swept {
                expired: 1,
                truncated: 0
            }
        );
        assert_eq!(
            (
                namespace.usage().objects(),
                namespace.removals.expired_objects.get()
            ),
            (2, 1)
        );
        assert_eq!(namespace.sets().get("demo").unwrap().usage().objects(), 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn truncation_removes_what_is_older_from_the_set_or_everywhere() {
        let (namespace, hand) = namespace();
        put(&namespace, 1, "", 0).await;
        put(&namespace, 2, "demo", 0).await;
        put(&namespace, 3, "other", 0).await;
        let lut_ns = |ms: u64| Some((ms + EPOCH_UNIX_SECONDS * 1000) * 1_000_000);
        assert_eq!(
            namespace.truncate(Some("demo"), lut_ns(START_MS + 1)).await,
            Err(TruncateError::Future)
        );
        hand.fetch_add(10, Ordering::SeqCst);
        put(&namespace, 4, "demo", 0).await;
        assert_eq!(
            namespace.truncate(Some("unknown"), None).await,
            Ok(Swept::default())
        );
        assert_eq!(
            namespace.truncate(Some("demo"), None).await,
            Ok(Swept {
                expired: 0,
                truncated: 1
            })
        );
        assert_eq!(found(&namespace).await, [1, 3, 4]);
        assert_eq!(namespace.sets().get("demo").unwrap().usage().objects(), 1);
        hand.fetch_add(10, Ordering::SeqCst);
        assert_eq!(
            namespace.truncate(None, None).await,
            Ok(Swept {
                expired: 0,
                truncated: 3
            })
        );
        assert_eq!(
            (namespace.usage().objects(), namespace.usage().bytes()),
            (0, 0)
        );
        put(&namespace, 5, "demo", 0).await;
        assert_eq!(found(&namespace).await, [5], "later writes stay");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_truncation_sleeps_until_the_clock_shows_another_moment() {
        let (namespace, _hand) = namespace();
        let (mut waiting, mut polls) = (Box::pin(namespace.next_millisecond()), 0_u32);
        let shown = std::future::poll_fn(|context| {
            polls += 1;
            waiting.as_mut().poll(context)
        });
        assert_eq!(shown.await, START_MS, "the clock stands");
        assert!((2..100).contains(&polls), "{polls}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_busy_record_is_left_for_the_next_sweep() {
        let (namespace, hand) = namespace();
        put(&namespace, 1, "", 1).await;
        hand.fetch_add(5_000, Ordering::SeqCst);
        let deadline = Instant::now() + Duration::from_secs(30);
        let held = namespace
            .locks()
            .lock(&Digest([1; 20]), deadline, 0)
            .await
            .unwrap();
        assert_eq!(namespace.sweep().await.unwrap().expired, 0);
        drop(held);
        assert_eq!(namespace.sweep().await.unwrap().expired, 1);
    }
}
