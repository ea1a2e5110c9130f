//! Time that a script may take, and how a long one steps aside for others.
//!
//! The interpreter asks at every [`Budget::checkpoint`] (about every thousand instructions) whether to go on. A script
//! that has run for `FIRST_SLICE` needs a permit of the `Lane`; long scripts take turns of `TURN`. So scripts that
//! spin delay neither other work nor each other's first slice. Whoever runs breathes where the lane wants that: others who
//! want the processor have it for a moment.

use std::time::{Duration, Instant};

use crate::host::Lane;

/// Run time up to which a script needs no permit.
const FIRST_SLICE: Duration = Duration::from_millis(1);
/// How long a long script runs before it lets a waiting one go first.
const TURN: Duration = Duration::from_millis(5);
/// How often a long script asks whether others are served meanwhile, until they are.
const SERVED_LOOK: Duration = Duration::from_millis(1);

/// How often a limit of processor time is looked at: that costs more than a look at the clock.
const PROCESSOR_LOOK: Duration = Duration::from_millis(1);

/// Processor time that work may have.
#[derive(Clone, Copy, Debug)]
struct ProcessorLimit {
    /// What the thread had when the work began.
    begun: Duration,
    limit: Duration,
    next_look: Instant,
    is_spent: bool,
}

/// The time budget of one call.
#[derive(Debug)]
pub struct Budget {
    deadline: Option<Instant>,
    /// When the clock was first looked at: a short script never does.
    started: Option<Instant>,
    /// End of the current turn, once the script counts as long.
    turn_end: Option<Instant>,
    /// When to ask whether others are served; none once they are, and before the script counts as long.
    served_look: Option<Instant>,
    holds_permit: bool,
    processor: Option<ProcessorLimit>,
    lane: &'static dyn Lane,
}

impl Budget {
    /// A budget that never ends.
    #[must_use]
    pub fn unlimited(lane: &'static dyn Lane) -> Self {
        Self {
            deadline: None,
            started: None,
            turn_end: None,
            served_look: None,
            holds_permit: false,
            processor: None,
            lane,
        }
    }

    /// A budget that ends at `deadline`; the script starts now.
    #[must_use]
    pub fn until(deadline: Instant, lane: &'static dyn Lane) -> Self {
        Self {
            deadline: Some(deadline),
            ..Self::unlimited(lane)
        }
    }

    /// A budget that ends once the calling thread has had `limit` of a processor, or at `deadline`. The work stays on this
    /// thread.
    #[must_use]
    pub fn of_processor(limit: Duration, deadline: Instant, lane: &'static dyn Lane) -> Self {
        let processor = ProcessorLimit {
            begun: lane.processor_time(),
            limit,
            next_look: Instant::now() + limit.min(PROCESSOR_LOOK),
            is_spent: false,
        };
        Self {
            processor: Some(processor),
            ..Self::until(deadline, lane)
        }
    }

    /// Whether it is one of processor time; if so, whether that is what ended it.
    #[must_use]
    pub fn processor_spent(&self) -> Option<bool> {
        self.processor.map(|processor| processor.is_spent)
    }

    /// Moves the end; what the script has taken so far counts on towards being long.
    pub fn extend(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// Whether there is time left. May block while other work goes first.
    pub fn checkpoint(&mut self) -> bool {
        let now = Instant::now();
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            return false;
        }
        if let Some(processor) = &mut self.processor
            && now >= processor.next_look
        {
            processor.next_look = now + PROCESSOR_LOOK;
            let had = self.lane.processor_time().saturating_sub(processor.begun);
            if had >= processor.limit {
                processor.is_spent = true;
                return false;
            }
        }
        match self.turn_end {
            None if now.duration_since(*self.started.get_or_insert(now)) < FIRST_SLICE => {
                self.lane.breathe(now);
                true
            }
            Some(end) if now < end => {
                self.look_at_others(now);
                self.lane.breathe(now);
                true
            }
            _ => self.step_aside(),
        }
    }

    /// Steps aside before work that is known to be long, instead of in the middle of it: nothing of it runs where others
    /// wait. False when there is no time left.
    pub fn leave(&mut self) -> bool {
        self.holds_permit || self.step_aside()
    }

    fn look_at_others(&mut self, now: Instant) {
        if self.served_look.is_some_and(|look| now >= look) {
            let are_served = self.lane.others_are_served();
            self.served_look = (!are_served).then(|| Instant::now() + SERVED_LOOK);
        }
    }

    fn step_aside(&mut self) -> bool {
        if self.holds_permit && !self.lane.has_waiters() {
            let now = Instant::now();
            self.look_at_others(now);
            self.turn_end = Some(now + TURN);
            return true;
        }
        let is_first = self.turn_end.is_none();
        let holds_one = std::mem::take(&mut self.holds_permit);
        let got = self.lane.take_turn(is_first, holds_one, self.deadline);
        self.holds_permit = got;
        let now = Instant::now();
        self.turn_end = Some(now + TURN);
        if is_first {
            self.served_look = Some(now + SERVED_LOOK);
        }
        got
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        if self.holds_permit {
            self.lane.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::host::Alone;

    /// A lane whose others are served once that was asked so often.
    #[derive(Debug, Default)]
    struct Unserved {
        asked: AtomicU32,
        breathed: AtomicU32,
        served_from: u32,
    }

    impl Lane for Unserved {
        fn has_waiters(&self) -> bool {
            false
        }

        fn take_turn(&self, _: bool, _: bool, _: Option<Instant>) -> bool {
            true
        }

        fn release(&self) {}

        fn breathe(&self, _: Instant) {
            self.breathed.fetch_add(1, Ordering::Relaxed);
        }

        fn others_are_served(&self) -> bool {
            self.asked.fetch_add(1, Ordering::Relaxed) + 1 >= self.served_from
        }

        fn processor_time(&self) -> Duration {
            Duration::ZERO
        }
    }

    #[test]
    fn work_that_is_long_asks_until_others_are_served() {
        let lane: &'static Unserved = Box::leak(Box::new(Unserved {
            served_from: 3,
            ..Unserved::default()
        }));
        let mut budget = Budget::unlimited(lane);
        assert!(budget.leave());
        let mut checks = 0_u64;
        while budget.served_look.is_some() {
            assert!(budget.checkpoint());
            checks += 1;
        }
        assert_eq!(lane.asked.load(Ordering::Relaxed), 3);
        assert!(checks >= 3);
        for _ in 0..1_000 {
            assert!(budget.checkpoint());
        }
        assert_eq!(lane.asked.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn work_may_breathe_at_every_checkpoint_of_a_slice_and_of_a_turn() {
        let lane: &'static Unserved = Box::leak(Box::default());
        let mut budget = Budget::unlimited(lane);
        let mut checks = 0_u64;
        while budget.turn_end.is_none() {
            assert!(budget.checkpoint());
            checks += 1;
        }
        // The last had it step aside instead.
        let breathed = |lane: &Unserved| u64::from(lane.breathed.load(Ordering::Relaxed));
        assert_eq!(breathed(lane), checks - 1);
        budget.turn_end = Some(Instant::now() + Duration::from_secs(60));
        assert!(budget.checkpoint());
        assert_eq!(breathed(lane), checks);
    }

    #[test]
    fn a_budget_ends_at_its_deadline() {
        let mut spent = Budget::until(Instant::now(), &Alone);
        assert!(!spent.checkpoint());
        assert!(Budget::unlimited(&Alone).checkpoint());
    }
}
