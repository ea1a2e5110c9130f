use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};
use protocol::bounds::Fit as _;
use protocol::key::Digest;
use protocol::result_code::ResultCode;
use smallvec::SmallVec;
use tokio::sync::oneshot;

/// As many mutexes: far more than there are processors, and few enough to stay in their caches.
const STRIPES: usize = 512;

/// Who may change a record now.
///
/// Who holds a record has its digest marked as busy, whether a UDF runs or an engine is waited for. Others who want that
/// digest wait in order of arrival, without blocking a thread.
///
/// Readers take none. Nothing is allocated for one digest that is held, or none, in each part.
pub struct RecordLocks {
    stripes: Box<[Stripe]>,
}

/// The digests of some partitions. One line of a cache each: whoever takes a lock has all that belongs to it, and does not
/// take from others what they need.
#[derive(Default)]
#[repr(align(64))]
struct Stripe {
    held: Mutex<Held>,
    /// The last number that [`RecordLocks::number`] gave.
    number: AtomicU64,
}

const _: () = assert!(size_of::<Stripe>() == 64, "a line of a cache");

/// Says nothing of those that are held: that would take every lock.
impl fmt::Debug for RecordLocks {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("RecordLocks").finish_non_exhaustive()
    }
}

/// The digests that are held.
type Held = SmallVec<[Busy; 1]>;

/// A digest that is held, and who waits for it.
#[derive(Debug)]
struct Busy {
    digest: Digest,
    /// `None` as long as nobody has waited.
    #[expect(clippy::box_collection, reason = "hardly ever there, and then small")]
    waiters: Option<Box<VecDeque<oneshot::Sender<Passed>>>>,
}

/// Why a record could not be locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// The deadline passed while waiting.
    #[error("the record stayed busy until the request timed out")]
    Timeout,
    /// As many as may wait are waiting already (`transaction-pending-limit`).
    #[error("too many requests wait for this record")]
    TooManyWaiters,
}

impl LockError {
    /// The code with which a request is answered.
    #[must_use]
    pub fn result_code(self) -> ResultCode {
        match self {
            Self::Timeout => ResultCode::TIMEOUT,
            Self::TooManyWaiters => ResultCode::KEY_BUSY,
        }
    }
}

/// Holds one digest until dropped, then passes it on to who has waited longest; see [`RecordLocks`].
#[derive(Debug)]
pub struct RecordLock<'a> {
    locks: &'a Arc<RecordLocks>,
    digest: Digest,
}

/// A digest on its way to who has waited for it. Passed on when that one has gone.
#[derive(Debug)]
struct Passed {
    /// `None` once it has arrived, or when it could not be sent.
    locks: Option<Arc<RecordLocks>>,
    digest: Digest,
}

impl Default for RecordLocks {
    fn default() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Stripe::default()).collect(),
        }
    }
}

impl RecordLocks {
    fn stripe(&self, partition: u16) -> Option<&Stripe> {
        let stripe = self.stripes.get(usize::from(partition) % STRIPES);
        debug_assert!(stripe.is_some(), "there are as many");
        stripe
    }

    /// Those of a partition, and of others.
    fn held(&self, partition: u16) -> Option<MutexGuard<'_, Held>> {
        self.stripe(partition).map(|stripe| stripe.held.lock())
    }

    /// A number that is higher than all before it for digests of this partition; from 1. It is counted where the lock is:
    /// whoever takes that has it at hand.
    #[must_use]
    pub fn number(&self, partition: u16) -> Option<u64> {
        let stripe = self.stripe(partition)?;
        Some(stripe.number.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Whether nobody holds a record of a partition at this moment: every change that began before is over.
    #[must_use]
    pub fn is_quiet(&self, partition: u16) -> bool {
        self.held(partition).is_none_or(|held| {
            let mut held = held.iter();
            held.all(|busy| busy.digest.partition_id() != partition)
        })
    }

    /// Locks the record if that needs no wait; `None` when it is busy.
    #[must_use]
    pub fn try_lock<'a>(self: &'a Arc<Self>, digest: &Digest) -> Option<RecordLock<'a>> {
        let mut held = self.held(digest.partition_id())?;
        if held.iter().any(|busy| busy.digest == *digest) {
            return None;
        }
        Some(self.hold(&mut held, digest))
    }

    /// Marks a digest that nobody holds.
    fn hold<'a>(self: &'a Arc<Self>, held: &mut Held, digest: &Digest) -> RecordLock<'a> {
        held.push(Busy {
            digest: *digest,
            waiters: None,
        });
        RecordLock {
            locks: self,
            digest: *digest,
        }
    }

    /// Marks the record as busy, waiting for it if need be.
    ///
    /// At most `pending_limit` requests wait for one digest, 0 is no limit. A caller that gives up (drops the future)
    /// leaves the queue; if the lock has just been passed to it, the next one gets it.
    pub async fn lock<'a>(
        self: &'a Arc<Self>,
        digest: &Digest,
        deadline: Instant,
        pending_limit: u32,
    ) -> Result<RecordLock<'a>, LockError> {
        let turn = {
            let held = self.held(digest.partition_id());
            let mut held = held.ok_or(LockError::Timeout)?;
            match held.iter_mut().find(|busy| busy.digest == *digest) {
                None => return Ok(self.hold(&mut held, digest)),
                Some(busy) => {
                    let waiters = busy.waiters.get_or_insert_default();
                    waiters.retain(|waiter| !waiter.is_closed());
                    let waiting = waiters.len().fit::<u32>();
                    if pending_limit != 0 && waiting >= pending_limit {
                        return Err(LockError::TooManyWaiters);
                    }
                    let (pass_on, turn) = oneshot::channel();
                    waiters.push_back(pass_on);
                    turn
                }
            }
        };
        match tokio::time::timeout_at(deadline.into(), turn).await {
            Ok(Ok(mut passed)) => {
                passed.locks = None;
                Ok(RecordLock {
                    locks: self,
                    digest: *digest,
                })
            }
            Ok(Err(_)) | Err(_) => Err(LockError::Timeout),
        }
    }

    fn release(self: &Arc<Self>, digest: &Digest) {
        let Some(mut held) = self.held(digest.partition_id()) else {
            return;
        };
        let Some(position) = held.iter().position(|busy| busy.digest == *digest) else {
            return;
        };
        while let Some(waiter) = held
            .get_mut(position)
            .and_then(|busy| busy.waiters.as_mut()?.pop_front())
        {
            match waiter.send(Passed {
                locks: Some(Arc::clone(self)),
                digest: *digest,
            }) {
                Ok(()) => return,
                // It has given up. What came back must not release what it never held.
                Err(mut refused) => refused.locks = None,
            }
        }
        held.swap_remove(position);
        if held.is_empty() && held.spilled() {
            held.shrink_to_fit();
        }
    }
}

impl Drop for RecordLock<'_> {
    fn drop(&mut self) {
        self.locks.release(&self.digest);
    }
}

impl Drop for Passed {
    fn drop(&mut self) {
        if let Some(locks) = self.locks.take() {
            locks.release(&self.digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DIGEST: Digest = Digest([7; 20]);
    const OTHER: Digest = Digest([7, 7, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8]);

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    /// Runs all other tasks until they wait.
    async fn settle() {
        for _ in 0..32 {
            tokio::task::yield_now().await;
        }
    }

    fn waiting(locks: &RecordLocks) -> usize {
        let held = locks.held(DIGEST.partition_id()).unwrap();
        let waiters = held
            .iter()
            .flat_map(|busy| busy.waiters.iter().flat_map(|all| all.iter()));
        waiters.filter(|waiter| !waiter.is_closed()).count()
    }

    #[tokio::test]
    async fn a_busy_digest_excludes_others_and_no_other_digest() {
        let locks = Arc::new(RecordLocks::default());
        let held = locks.lock(&DIGEST, later(), 20).await.unwrap();
        assert!(locks.try_lock(&DIGEST).is_none());
        assert!(
            locks.try_lock(&OTHER).is_some(),
            "same partition, other record"
        );
        drop(held);
        assert!(locks.try_lock(&DIGEST).is_some());
    }

    #[tokio::test]
    async fn waiters_are_served_in_order_of_arrival() {
        let locks = Arc::new(RecordLocks::default());
        let order = Arc::new(Mutex::new(Vec::new()));
        let held = locks.lock(&DIGEST, later(), 20).await.unwrap();
        let mut tasks = Vec::new();
        for number in 0..10 {
            let (locks, order) = (Arc::clone(&locks), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                let _held = locks.lock(&DIGEST, later(), 20).await.unwrap();
                order.lock().push(number);
                tokio::task::yield_now().await;
            }));
            settle().await;
        }
        drop(held);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock(), (0..10).collect::<Vec<_>>());
        assert!(
            locks.held(DIGEST.partition_id()).unwrap().is_empty(),
            "nothing is left behind"
        );
    }

    #[tokio::test]
    async fn more_waiters_than_the_limit_are_refused() {
        let locks = Arc::new(RecordLocks::default());
        let _held = locks.lock(&DIGEST, later(), 2).await.unwrap();
        for _ in 0..2 {
            let locks = Arc::clone(&locks);
            tokio::spawn(async move { locks.lock(&DIGEST, later(), 2).await.map(drop) });
        }
        settle().await;
        assert_eq!(
            locks.lock(&DIGEST, later(), 2).await.map(drop),
            Err(LockError::TooManyWaiters)
        );
        let unlimited = tokio::spawn({
            let locks = Arc::clone(&locks);
            async move { locks.lock(&DIGEST, later(), 0).await.map(drop) }
        });
        settle().await;
        assert_eq!(waiting(&locks), 3);
        assert!(!unlimited.is_finished());
    }

    #[tokio::test]
    async fn a_waiter_gives_up_at_its_deadline() {
        let locks = Arc::new(RecordLocks::default());
        let held = locks.lock(&DIGEST, later(), 20).await.unwrap();
        let deadline = Instant::now() + Duration::from_millis(5);
        assert_eq!(
            locks.lock(&DIGEST, deadline, 20).await.map(drop),
            Err(LockError::Timeout)
        );
        drop(held);
        assert!(locks.try_lock(&DIGEST).is_some());
    }

    #[tokio::test]
    async fn a_waiter_that_goes_away_does_not_take_the_lock_with_it() {
        let locks = Arc::new(RecordLocks::default());
        let held = locks.lock(&DIGEST, later(), 20).await.unwrap();
        let spawn = || {
            let locks = Arc::clone(&locks);
            tokio::spawn(async move { locks.lock(&DIGEST, later(), 20).await.map(drop) })
        };
        // One goes away while it waits, one after the lock was passed to it but before it has run.
        let (first, second, third) = (spawn(), spawn(), spawn());
        settle().await;
        first.abort();
        settle().await;
        assert_eq!(waiting(&locks), 2);
        drop(held);
        second.abort();
        assert_eq!(third.await.unwrap(), Ok(()));
        assert!(locks.try_lock(&DIGEST).is_some());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn holders_exclude_each_other_under_load() {
        let locks = Arc::new(RecordLocks::default());
        let inside = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let mut tasks = Vec::new();
        for number in 0..8 {
            let (locks, inside) = (Arc::clone(&locks), Arc::clone(&inside));
            tasks.push(tokio::spawn(async move {
                use std::sync::atomic::Ordering::SeqCst;
                for round in 0..200 {
                    let attempt = locks.lock(&DIGEST, later(), 0);
                    if (number + round) % 3 == 0 {
                        // Gives up at a random moment.
                        let _ = tokio::time::timeout(Duration::from_micros(20), attempt).await;
                        continue;
                    }
                    let held = attempt.await.unwrap();
                    assert_eq!(inside.fetch_add(1, SeqCst), 0);
                    tokio::task::yield_now().await;
                    inside.fetch_sub(1, SeqCst);
                    drop(held);
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert!(locks.try_lock(&DIGEST).is_some());
    }
}
