//! When a change that goes to all nodes is to be answered, whatever became of it.
//!
//! A disk that hangs holds on to the thread that writes, and nothing gets that back. So who has asked is answered by another
//! one when the time is over; the change goes on by itself. The time counts from when the change begins, which is behind the
//! wait for a turn and behind the validation: who does the work says when that is, and what is between the two need not know.
//! Where it goes to no other node it has no such limit.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::rollout::TIMEOUT;

thread_local! {
    static OF_THIS_THREAD: RefCell<Option<Arc<AnswerBy>>> = const { RefCell::new(None) };
}

/// The moment by which one change is to be answered.
#[derive(Debug, Default)]
pub struct AnswerBy(OnceLock<Instant>);

impl AnswerBy {
    /// Does work on this thread that is answered by then.
    pub fn with<R>(this: &Arc<Self>, work: impl FnOnce() -> R) -> R {
        OF_THIS_THREAD.set(Some(Arc::clone(this)));
        let result = work();
        OF_THIS_THREAD.take();
        result
    }

    /// Ends when the change has begun, and was not answered in time.
    pub async fn is_over(&self) {
        loop {
            let now = Instant::now();
            let until = match self.0.get() {
                Some(until) if *until <= now => return,
                Some(until) => *until,
                // If it begins from now on, it is not over before.
                None => now + TIMEOUT,
            };
            tokio::time::sleep_until(until.into()).await;
        }
    }
}

/// The change that this thread makes begins now.
pub(crate) fn begins() {
    OF_THIS_THREAD.with_borrow(|of_this_thread| {
        if let Some(answer_by) = of_this_thread {
            answer_by.0.get_or_init(|| Instant::now() + TIMEOUT);
        }
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn the_time_counts_from_the_beginning_of_the_change() {
        let answer_by = Arc::new(AnswerBy::default());
        begins();
        // Of another command.
        AnswerBy::with(&Arc::default(), begins);
        assert!(answer_by.0.get().is_none());
        let at_once = tokio::time::timeout(Duration::ZERO, answer_by.is_over());
        assert!(at_once.await.is_err(), "nothing has begun");
        let before = Instant::now();
        AnswerBy::with(&answer_by, || {
            begins();
            begins();
        });
        let until = *answer_by.0.get().unwrap();
        assert!((before + TIMEOUT..=Instant::now() + TIMEOUT).contains(&until));
        begins();
        assert_eq!(answer_by.0.get(), Some(&until));
        // Ends, however long that takes.
        AnswerBy(OnceLock::from(before)).is_over().await;
    }
}
