use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::key::Digest;

use super::Namespace;
use crate::clock::EPOCH_UNIX_SECONDS;
use crate::storage::engine::PARTITIONS;
use data::record::seconds;
use data::record::{Record, policy};

/// Records looked at under one hold of a partition.
const PAGE: usize = 256;

/// Partitions between two chances for other tasks.
const PARTITIONS_PER_TURN: u16 = 64;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TruncateError {
    /// The time lies in the future.
    #[error("`lut` is in the future")]
    Future,
}

impl Namespace {
    /// Makes every record that was last written before `lut` vanish: those of one set, or all. Blocks while it removes
    /// them; from the first moment on no reader sees one.
    ///
    /// `lut` is in nanoseconds since 1970, as info commands give it. `None` means everything written so far, and waits
    /// for the end of the current millisecond, because writes within it cannot be told apart by time. An unknown set is
    /// no error: it has no records.
    ///
    /// # Errors
    /// `lut` lies in the future.
    pub fn truncate(&self, set: Option<&str>, lut: Option<u64>) -> Result<Swept, TruncateError> {
        let lut_ms = match lut {
            Some(lut) => (lut / 1_000_000).saturating_sub(EPOCH_UNIX_SECONDS * 1000),
            None => self.next_millisecond(),
        };
        if lut_ms > self.now_ms() {
            return Err(TruncateError::Future);
        }
        match set {
            None => self.raise_truncate_lut(lut_ms),
            Some(name) => match self.sets().get(name) {
                Some(set) => set.raise_truncate_lut(lut_ms),
                None => return Ok(Swept::default()),
            },
        }
        let mut swept = Swept::default();
        for partition in 0..PARTITIONS {
            self.sweep_partition(partition, self.now_ms(), &mut swept);
        }
        Ok(swept)
    }

    /// Waits until the clock shows another millisecond; gives up after a few, for clocks that stand.
    fn next_millisecond(&self) -> u64 {
        let begun = self.now_ms();
        for _ in 0..20 {
            let now = self.now_ms();
            if now != begun {
                return now;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        begun
    }

    /// Removes the expired and truncated records of one partition. Records that a UDF holds stay for the next time.
    fn sweep_partition(&self, partition: u16, now_ms: u64, swept: &mut Swept) {
        let mut after: Option<Digest> = None;
        loop {
            let page = self.engine().page(partition, after.as_ref(), PAGE);
            for (digest, record) in &page {
                if !self.is_live(record, now_ms) {
                    self.sweep_record(digest, record, now_ms, swept);
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE => after = Some(*last),
                _ => return,
            }
        }
    }

    fn sweep_record(&self, digest: &Digest, seen: &Arc<Record>, now_ms: u64, swept: &mut Swept) {
        let Some(_lock) = self.locks().try_short(digest) else {
            return;
        };
        let unchanged = self
            .engine()
            .get(digest)
            .is_some_and(|record| Arc::ptr_eq(&record, seen));
        if !unchanged || !self.remove(digest) {
            return;
        }
        if policy::is_expired(seen.void_time, seconds(now_ms)) {
            self.removals.expired_objects.inc();
            swept.expired += 1;
        } else {
            swept.truncated += 1;
        }
    }

    /// Removes all expired and truncated records, letting other tasks run in between.
    pub async fn sweep(&self) -> Swept {
        let mut swept = Swept::default();
        if self.usage().objects() == 0 {
            return swept;
        }
        let now_ms = self.now_ms();
        for partition in 0..PARTITIONS {
            self.sweep_partition(partition, now_ms, &mut swept);
            if partition % PARTITIONS_PER_TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
        swept
    }
}

/// Sweeps the namespace every `nsup-period` seconds, for ever; the task is aborted when the server stops.
pub async fn run_nsup(namespace: Arc<Namespace>) {
    let mut last = Instant::now();
    loop {
        tokio::time::sleep(TICK).await;
        let period = Duration::from_secs(namespace.settings.nsup_period().into());
        if period.is_zero() || last.elapsed() < period {
            continue;
        }
        last = Instant::now();
        let swept = namespace.sweep().await;
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

    use protocol::particle::Particle;

    use super::*;
    use crate::clock::Clock;
    use crate::record::NamespaceSettings;
    use crate::storage::memory::MemoryEngine;
    use data::record::{Bin, BinName};

    const START_MS: u64 = 500_000_000_000;

    fn namespace() -> (Namespace, Arc<std::sync::atomic::AtomicU64>) {
        let (clock, hand) = Clock::manual(START_MS);
        let settings = Arc::new(NamespaceSettings::new("test"));
        (
            Namespace::with("test", settings, Box::new(MemoryEngine::default()), clock),
            hand,
        )
    }

    fn put(namespace: &Namespace, number: u8, set: &str, ttl: u32) {
        let now = namespace.now_ms();
        let record = Record {
            bins: vec![Bin {
                name: BinName::new(b"a").unwrap(),
                particle: Particle::integer(1),
            }],
            generation: 1,
            void_time: if ttl == 0 { 0 } else { seconds(now) + ttl },
            last_update_ms: now,
            set: namespace.set_for_write(set, None).unwrap(),
            key: None,
        };
        namespace.store(&Digest([number; 20]), record).unwrap();
    }

    fn found(namespace: &Namespace) -> Vec<u8> {
        (0..10)
            .filter(|number| namespace.find(&Digest([*number; 20])).is_some())
            .collect()
    }

    #[tokio::test]
    async fn expired_records_are_missing_at_once_and_removed_by_the_sweep() {
        let (namespace, hand) = namespace();
        put(&namespace, 1, "", 0);
        put(&namespace, 2, "demo", 10);
        put(&namespace, 3, "demo", 100);
        assert_eq!(found(&namespace), [1, 2, 3]);
        assert_eq!(namespace.sweep().await, Swept::default());
        hand.fetch_add(11_000, Ordering::SeqCst);
        assert_eq!(found(&namespace), [1, 3]);
        assert_eq!(namespace.usage().objects(), 3);
        assert_eq!(
            namespace.sweep().await,
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

    #[test]
    fn truncation_removes_what_is_older_from_the_set_or_everywhere() {
        let (namespace, hand) = namespace();
        put(&namespace, 1, "", 0);
        put(&namespace, 2, "demo", 0);
        put(&namespace, 3, "other", 0);
        let lut_ns = |ms: u64| Some((ms + EPOCH_UNIX_SECONDS * 1000) * 1_000_000);
        assert_eq!(
            namespace.truncate(Some("demo"), lut_ns(START_MS + 1)),
            Err(TruncateError::Future)
        );
        hand.fetch_add(10, Ordering::SeqCst);
        put(&namespace, 4, "demo", 0);
        assert_eq!(
            namespace.truncate(Some("unknown"), None),
            Ok(Swept::default())
        );
        assert_eq!(
            namespace.truncate(Some("demo"), None),
            Ok(Swept {
                expired: 0,
                truncated: 1
            })
        );
        assert_eq!(found(&namespace), [1, 3, 4]);
        assert_eq!(namespace.sets().get("demo").unwrap().usage().objects(), 1);
        hand.fetch_add(10, Ordering::SeqCst);
        assert_eq!(
            namespace.truncate(None, None),
            Ok(Swept {
                expired: 0,
                truncated: 3
            })
        );
        assert_eq!(
            (namespace.usage().objects(), namespace.usage().bytes()),
            (0, 0)
        );
        put(&namespace, 5, "demo", 0);
        assert_eq!(found(&namespace), [5], "later writes stay");
    }

    #[tokio::test]
    async fn a_busy_record_is_left_for_the_next_sweep() {
        let (namespace, hand) = namespace();
        put(&namespace, 1, "", 1);
        hand.fetch_add(5_000, Ordering::SeqCst);
        let deadline = Instant::now() + Duration::from_secs(30);
        let held = namespace
            .locks()
            .lock(&Digest([1; 20]), deadline, 0)
            .await
            .unwrap();
        assert_eq!(namespace.sweep().await.expired, 0);
        drop(held);
        assert_eq!(namespace.sweep().await.expired, 1);
    }
}
