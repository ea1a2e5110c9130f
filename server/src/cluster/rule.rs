//! The rule of ownership with a clock and a lock, and what commands ask of it without the lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use protocol::bounds::Fit as _;
use tokio::sync::Notify;

use super::ownership::{Ownership, Run, Ticket, Times};
use crate::storage::engine::PARTITIONS;

/// Ownership on a running node.
#[derive(Debug)]
pub struct Rule {
    started: Instant,
    ownership: Mutex<Ownership>,
    gate: Gate,
    /// Wakes who hands over.
    changed: Notify,
}

/// What every command asks: a copy of what the rule says, for readers without a lock.
#[derive(Debug)]
struct Gate {
    revision: AtomicU64,
    key: AtomicU64,
    /// Nanoseconds since the start; 0 when nothing may run.
    until: AtomicU64,
    served: Box<[AtomicU64]>,
}

fn nanoseconds(time: Duration) -> u64 {
    time.as_nanos().at_most::<u64>()
}

impl Rule {
    /// The rule of a node that is joining. `keeps` says that its records outlive the process.
    #[must_use]
    pub fn new(me: Run, times: Times, keeps: bool) -> Self {
        Self {
            started: Instant::now(),
            ownership: Mutex::new(Ownership::new(me, times, PARTITIONS, keeps)),
            gate: Gate {
                revision: AtomicU64::new(u64::MAX),
                key: AtomicU64::new(0),
                until: AtomicU64::new(0),
                served: (0..PARTITIONS.div_ceil(64))
                    .map(|_| AtomicU64::new(0))
                    .collect(),
            },
            changed: Notify::new(),
        }
    }

    /// Time since the start.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Looks at the rule, or changes what it knows.
    pub fn with<R>(&self, act: impl FnOnce(&mut Ownership, Duration) -> R) -> R {
        let mut ownership = self.ownership.lock();
        let done = act(&mut ownership, self.now());
        self.publish(&ownership);
        done
    }

    /// Before the lock is given back, and so before anybody hears of what has changed.
    fn publish(&self, ownership: &Ownership) {
        let gate = &self.gate;
        let lease = ownership.lease().map_or(0, nanoseconds);
        if gate.revision.swap(ownership.revision(), Ordering::Relaxed) != ownership.revision() {
            // Nothing begins while the parts do not belong together.
            gate.until.store(0, Ordering::SeqCst);
            for (word, partitions) in gate.served.iter().zip((0..PARTITIONS).step_by(64)) {
                let served = (0..64)
                    .filter(|bit| ownership.serves(partitions + bit))
                    .fold(0_u64, |word, bit| word | 1 << bit);
                word.store(served, Ordering::SeqCst);
            }
            gate.key.store(ownership.view().key, Ordering::SeqCst);
            self.changed.notify_one();
        }
        gate.until.store(lease, Ordering::SeqCst);
    }

    /// Waits until something may have changed, or this time is over.
    pub async fn changed(&self, longest: Duration) {
        // Whichever it was: who waits looks again.
        let _ = tokio::time::timeout(longest, self.changed.notified()).await;
    }

    /// Has who waits look again.
    pub fn wake(&self) {
        self.changed.notify_one();
    }

    /// Whether this node holds the partition and owns it under the view in force, whatever its lease.
    #[must_use]
    pub fn serves(&self, partition: u16) -> bool {
        let word = self.gate.served.get(usize::from(partition / 64));
        word.is_some_and(|word| word.load(Ordering::SeqCst) >> (partition % 64) & 1 == 1)
    }

    /// The right to run commands on a partition now.
    #[must_use]
    pub fn ticket(&self, partition: u16) -> Option<Ticket> {
        let key = self.gate.key.load(Ordering::SeqCst);
        let until = Duration::from_nanos(self.gate.until.load(Ordering::SeqCst));
        let has_right = self.serves(partition) && self.now() < until;
        has_right.then_some(Ticket { key, until })
    }

    /// The partitions among 64, the `among`th, on which commands may run now, as bits, and the key of the view.
    #[must_use]
    pub fn serving_among(&self, among: u16) -> (u64, u64) {
        let key = self.gate.key.load(Ordering::SeqCst);
        let until = Duration::from_nanos(self.gate.until.load(Ordering::SeqCst));
        let word = self.gate.served.get(usize::from(among));
        let served = word.map_or(0, |word| word.load(Ordering::SeqCst));
        let has_lease = self.now() < until;
        (if has_lease { served } else { 0 }, key)
    }

    /// Whether what a command did may be acknowledged.
    #[must_use]
    pub fn stands(&self, ticket: Ticket) -> bool {
        let now = self.now();
        let renewed = || {
            let until = Duration::from_nanos(self.gate.until.load(Ordering::SeqCst));
            now < until && ticket.key == self.gate.key.load(Ordering::SeqCst)
        };
        now < ticket.until || renewed()
    }
}
