//! The work of one request: counted, looked at by the clock every so many units, and stepping aside when it is long.
//!
//! A request runs on a worker that serves others too. Work of less than a millisecond stays there; more of it
//! hands the worker's duty to another thread and takes turns with other long work, scripts among it, in the one lane that
//! there is for that (see [`Budget`]). So no request delays another, whatever it asks for, and each ends within a few
//! milliseconds of its deadline.
//!
//! Stepping aside may block for long: it must not happen under a lock that others block on. Who works on a record has it
//! marked as busy, which others wait for without blocking a thread.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use data::operation::{self, Checked, OperationError};
use data::work::{Meter, NoMemory, TimeIsUp};
use protocol::bounds::Fit as _;
use protocol::message::{Op, OpCode};
use protocol::particle::ParticleType;

use runtime::machine::budget::Budget;

use crate::contexts::lane::slow_lane;

/// Units between two looks at the clock: some tens of microseconds.
const UNITS_PER_LOOK: usize = 1 << 16;

/// Work that may be done on a worker without a pause: about a quarter of a millisecond.
pub(crate) const SHORT_UNITS: usize = 1 << 18;

/// Units that a byte of an expression is counted with, which is read before its work can be counted.
pub(crate) const UNITS_PER_READ_BYTE: usize = 128;

/// Units that a byte of a list or map is counted with, whose elements may have to be sorted.
const UNITS_PER_SORTED_BYTE: usize = 4;

/// What a request may hold whatever others do, bytes.
const SMALL_BYTES: usize = 64 * 1024;

/// What all requests hold beyond that.
static MADE: Made = Made {
    held: AtomicUsize::new(0),
    limit: AtomicUsize::new(usize::MAX),
    refused: AtomicU64::new(0),
};

/// What operations of requests have made, bytes: a frame of some kilobytes can have them make megabytes.
#[derive(Debug)]
struct Made {
    held: AtomicUsize,
    limit: AtomicUsize,
    /// How often more was wanted than there was.
    refused: AtomicU64,
}

impl Made {
    fn grant(&self, bytes: usize) -> Result<(), NoMemory> {
        let limit = self.limit.load(Ordering::Relaxed);
        let grown = |held: usize| held.checked_add(bytes).filter(|held| *held <= limit);
        let granted = self
            .held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown);
        granted.map(drop).map_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            NoMemory
        })
    }

    fn told(&self) -> MemoryOfOperations {
        MemoryOfOperations {
            held: self.held.load(Ordering::Relaxed),
            limit: self.limit.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// All requests of this process together hold at most so many bytes of what their operations make.
pub(crate) fn limit_memory(bytes: usize) {
    MADE.limit.store(bytes, Ordering::Relaxed);
}

/// What operations of all requests make, for `statistics`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemoryOfOperations {
    /// Bytes held now, beyond what each request may hold whatever others do.
    pub(crate) held: usize,
    /// Bytes that they may hold.
    pub(crate) limit: usize,
    /// How often more was wanted.
    pub(crate) refused: u64,
}

/// What operations of all requests of this process make now.
pub(crate) fn memory_of_operations() -> MemoryOfOperations {
    MADE.told()
}

/// Checks an op, which counts as work: to read a large value steps aside first.
///
/// # Errors
/// As [`operation::check`].
pub(crate) fn checked<'a>(
    op: &Op<'a>,
    get_all: bool,
    work: &mut dyn Meter,
) -> Result<Checked<'a>, OperationError> {
    let value = op.particle_ref();
    let units_per_byte = match (op.op, value.kind) {
        (OpCode::EXP_READ | OpCode::EXP_MODIFY, _) => UNITS_PER_READ_BYTE,
        (_, ParticleType::LIST | ParticleType::MAP) => UNITS_PER_SORTED_BYTE,
        // Geometries are counted where they are read.
        _ => 0,
    };
    if units_per_byte > 0 {
        work.spend(value.data.len() * units_per_byte)?;
    }
    operation::check(op, get_all, work)
}

/// The work of one request for one record's filter, which has a limit of its own.
pub(crate) struct FilterWork<'w> {
    work: &'w mut Work,
    left: u64,
}

impl<'w> FilterWork<'w> {
    /// A part of `work` that is no more than so many units.
    pub(crate) fn new(work: &'w mut Work, most: u64) -> Self {
        Self { work, left: most }
    }
}

impl Meter for FilterWork<'_> {
    fn spend(&mut self, units: usize) -> Result<(), TimeIsUp> {
        let units_wide = units.fit::<u64>();
        self.left = self.left.checked_sub(units_wide).ok_or(TimeIsUp)?;
        self.work.spend(units)
    }

    fn hold(&mut self, bytes: usize) -> Result<(), NoMemory> {
        self.work.hold(bytes)
    }

    fn let_go(&mut self, bytes: usize) {
        self.work.let_go(bytes);
    }
}

/// The work of one request, its rows included.
#[derive(Debug)]
pub(crate) struct Work {
    deadline: Instant,
    budget: Budget,
    /// Units since the clock was looked at.
    unseen: usize,
    /// Units since others had a chance.
    unrested: usize,
    made: &'static Made,
    /// Bytes that it holds.
    held: usize,
    /// Those that were granted.
    granted: usize,
}

impl Work {
    /// Work that ends at `deadline`.
    pub(crate) fn until(deadline: Instant) -> Self {
        Self::among(&MADE, deadline)
    }

    fn among(made: &'static Made, deadline: Instant) -> Self {
        Self {
            made,
            held: 0,
            granted: 0,
            deadline,
            budget: Budget::until(deadline, slow_lane()),
            unseen: 0,
            unrested: 0,
        }
    }

    /// To be called between rows, records or names, and before any other wait: gives back the turn that long work has, and
    /// lets other tasks go first once there was much work.
    ///
    /// # Errors
    /// The time is up.
    pub(crate) async fn rest(&mut self) -> Result<(), TimeIsUp> {
        if self.unrested < SHORT_UNITS {
            return Ok(());
        }
        self.unrested = 0;
        // A turn belongs to a thread; after a wait the request may run on another one.
        self.budget = Budget::until(self.deadline, slow_lane());
        tokio::task::yield_now().await;
        if Instant::now() >= self.deadline {
            return Err(TimeIsUp);
        }
        Ok(())
    }
}

impl Meter for Work {
    fn spend(&mut self, units: usize) -> Result<(), TimeIsUp> {
        self.unrested = self.unrested.saturating_add(units);
        self.unseen = self.unseen.saturating_add(units);
        // What is announced at once is not begun where others wait.
        if units >= SHORT_UNITS && !self.budget.leave() {
            return Err(TimeIsUp);
        }
        if self.unseen < UNITS_PER_LOOK {
            return Ok(());
        }
        self.unseen = 0;
        self.budget.checkpoint().then_some(()).ok_or(TimeIsUp)
    }

    fn hold(&mut self, bytes: usize) -> Result<(), NoMemory> {
        let held = self.held.saturating_add(bytes);
        let wanted = held.saturating_sub(SMALL_BYTES);
        if wanted > self.granted {
            self.made.grant(wanted - self.granted)?;
            self.granted = wanted;
        }
        self.held = held;
        Ok(())
    }

    fn let_go(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(bytes);
        let wanted = self.held.saturating_sub(SMALL_BYTES);
        if wanted < self.granted {
            self.made.give_back(self.granted - wanted);
            self.granted = wanted;
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.let_go(self.held);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_requests_make_is_granted_up_to_the_limit_and_given_back() {
        const MIB: usize = 1 << 20;
        let made: &'static Made = Box::leak(Box::new(Made {
            held: AtomicUsize::new(0),
            limit: AtomicUsize::new(4 * MIB),
            refused: AtomicU64::new(0),
        }));
        let later = Instant::now() + Duration::from_secs(600);
        let mut one = Work::among(made, later);
        let mut other = Work::among(made, later);
        assert_eq!(one.hold(3 * MIB + SMALL_BYTES), Ok(()));
        assert_eq!(made.told().held, 3 * MIB);
        assert_eq!(made.told().refused, 0);
        assert_eq!(other.hold(MIB + SMALL_BYTES + 1), Err(NoMemory));
        assert_eq!(made.told().refused, 1);
        assert_eq!(
            other.hold(SMALL_BYTES),
            Ok(()),
            "small ones are always granted"
        );
        assert_eq!(made.held.load(Ordering::Relaxed), 3 * MIB);
        one.let_go(2 * MIB);
        assert_eq!(other.hold(2 * MIB), Ok(()));
        drop(one);
        assert_eq!(made.told().held, 2 * MIB);
        drop(other);
        assert_eq!(made.told().held, 0);
    }

    #[test]
    fn work_beyond_the_deadline_ends_at_the_next_look() {
        let mut late = Work::until(Instant::now());
        assert_eq!(late.spend(UNITS_PER_LOOK - 1), Ok(()));
        assert_eq!(late.spend(1), Err(TimeIsUp));
        let mut early = Work::until(Instant::now() + Duration::from_secs(600));
        for _ in 0..100 {
            assert_eq!(early.spend(UNITS_PER_LOOK), Ok(()));
        }
    }

    #[tokio::test]
    async fn others_have_a_chance_after_much_work_only() {
        let others = std::sync::Arc::new(AtomicUsize::new(0));
        let count = {
            let others = std::sync::Arc::clone(&others);
            tokio::spawn(async move {
                others.fetch_add(1, Ordering::Relaxed);
            })
        };
        let seen = || others.load(Ordering::Relaxed);
        let mut work = Work::until(Instant::now() + Duration::from_secs(600));
        work.spend(SHORT_UNITS - 1).unwrap();
        work.rest().await.unwrap();
        assert_eq!(seen(), 0, "little work is not interrupted");
        work.spend(1).unwrap();
        work.rest().await.unwrap();
        assert_eq!(seen(), 1);
        count.await.unwrap();
        let mut late = Work::until(Instant::now());
        late.unrested = SHORT_UNITS;
        assert_eq!(late.rest().await, Err(TimeIsUp));
    }
}
