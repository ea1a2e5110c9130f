//! Clearing, asked for by many and often.
//!
//! Who clears the contexts of a node has everybody's next calls build theirs, which takes a hundred times as long as a call. So
//! that who does it without pause is not a burden to others, contexts are renewed before the old ones are given up: a clearing
//! first builds some to take their place, on a thread that stands back, then all are replaced at one moment. All who ask
//! meanwhile share one clearing, and the next one begins a while later: who asks again at once waits for that.
//!
//! What is promised: no call that begins after the answer runs in a context that served a call before. Contexts that served
//! none are as good as new.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Time between the end of a clearing and the beginning of the next.
const PAUSE: Duration = Duration::from_millis(50);

/// The clearings of a node, one after the other.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    /// Clearings that have ended.
    ended: u64,
    not_before: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Idle,
    /// Who asks now is served by this one.
    Preparing,
    /// Contexts may be used again already: who asks now waits for the next one.
    Replacing,
}

/// A clearing that is under way; it ends however it ends.
struct Round<'r>(&'r Renewal);

impl Renewal {
    /// Clears, or waits for a clearing that does so for all who ask. Blocks. Nothing is done when none `is_needed`.
    ///
    /// `prepare` gives what takes the place of the old contexts, `replace` puts it there.
    pub(super) fn join<P>(
        &self,
        is_needed: impl Fn() -> bool,
        prepare: impl FnOnce() -> P,
        replace: impl FnOnce(P),
    ) {
        let mut state = self.state.lock();
        loop {
            match state.phase {
                Phase::Preparing => {
                    let ended = state.ended;
                    while state.ended == ended {
                        self.changed.wait(&mut state);
                    }
                    return;
                }
                Phase::Replacing => self.changed.wait(&mut state),
                Phase::Idle if !is_needed() => return,
                Phase::Idle => match state.not_before {
                    Some(moment) if Instant::now() < moment => {
                        self.changed.wait_until(&mut state, moment);
                    }
                    _ => break,
                },
            }
        }
        state.phase = Phase::Preparing;
        drop(state);
        let round = Round(self);
        let prepared = prepare();
        self.state.lock().phase = Phase::Replacing;
        replace(prepared);
        drop(round);
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.phase = Phase::Idle;
        state.ended += 1;
        state.not_before = Some(Instant::now() + PAUSE);
        drop(state);
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, mpsc};
    use std::thread;

    use super::*;

    /// How many threads wait in a clearing cannot be seen: they say when they are about to.
    #[test]
    fn who_asks_while_contexts_are_prepared_shares_the_clearing() {
        let renewal = Renewal::default();
        let (begun, go_on) = (mpsc::channel(), mpsc::channel::<()>());
        let replaced = AtomicU64::new(0);
        let asked = AtomicU64::new(0);
        thread::scope(|scope| {
            let (renewal, replaced, asked) = (&renewal, &replaced, &asked);
            scope.spawn(move || {
                renewal.join(
                    || true,
                    || {
                        begun.0.send(()).unwrap();
                        go_on.1.recv().unwrap();
                    },
                    |()| {
                        replaced.fetch_add(1, Ordering::SeqCst);
                    },
                );
            });
            begun.1.recv().unwrap();
            let others: Vec<_> = (0..20)
                .map(|_| {
                    scope.spawn(move || {
                        renewal.join(
                            || replaced.load(Ordering::SeqCst) == 0,
                            || panic!("there is one"),
                            |()| (),
                        );
                        asked.fetch_add(1, Ordering::SeqCst);
                        assert_eq!(replaced.load(Ordering::SeqCst), 1, "it has ended");
                    })
                })
                .collect();
            assert_eq!(asked.load(Ordering::SeqCst), 0);
            go_on.0.send(()).unwrap();
            for other in others {
                other.join().unwrap();
            }
        });
        assert_eq!(replaced.into_inner(), 1);
    }

    #[test]
    fn who_asks_while_contexts_are_replaced_waits_for_the_next() {
        let renewal = Renewal::default();
        let (begun, go_on) = (mpsc::channel(), mpsc::channel::<()>());
        let replaced = Arc::new(Mutex::new(Vec::new()));
        thread::scope(|scope| {
            let renewal = &renewal;
            let (first, second) = (Arc::clone(&replaced), Arc::clone(&replaced));
            scope.spawn(move || {
                renewal.join(
                    || true,
                    || (),
                    |()| {
                        begun.0.send(()).unwrap();
                        go_on.1.recv().unwrap();
                        first.lock().push("first");
                    },
                );
            });
            begun.1.recv().unwrap();
            let other = scope.spawn(move || {
                renewal.join(|| true, || (), |()| second.lock().push("second"));
            });
            go_on.0.send(()).unwrap();
            other.join().unwrap();
        });
        assert_eq!(*replaced.lock(), ["first", "second"]);
    }

    #[test]
    fn one_that_fails_ends_too() {
        let renewal = Renewal::default();
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            renewal.join(|| true, || panic!("as it is meant"), |()| ());
        }));
        assert!(failed.is_err());
        let mut done = false;
        renewal.join(|| true, || (), |()| done = true);
        assert!(done);
        renewal.join(|| false, || panic!("not needed"), |()| ());
    }
}
