//! The thread that does what a change leaves to do and nobody waits for.

use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::quiet::Quiet;

/// When there is work, for the thread that does it.
#[derive(Debug, Default)]
pub(crate) struct Afterwards {
    state: Mutex<AfterwardsState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct AfterwardsState {
    due: bool,
    quiet: Quiet,
    /// The thread waits until something changes; otherwise it looks by itself.
    sleeps: bool,
    stopped: bool,
}

impl Afterwards {
    /// Something has changed.
    pub(crate) fn changed(&self) {
        let mut state = self.state.lock();
        state.due = true;
        state.quiet.disturbed(Instant::now());
        if std::mem::take(&mut state.sleeps) {
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Works after changes, when it is quiet, until stopped.
    pub(crate) fn run(&self, work: impl Fn()) {
        while self.next() {
            work();
        }
    }

    /// Waits for the next moment to work; false once stopped.
    fn next(&self) -> bool {
        let mut state = self.state.lock();
        loop {
            if state.stopped {
                return false;
            }
            if !state.due {
                state.sleeps = true;
                self.changed.wait(&mut state);
                continue;
            }
            match state.quiet.wait(Instant::now()) {
                Some(moment) => {
                    self.changed.wait_until(&mut state, moment);
                }
                None => {
                    state.due = false;
                    return true;
                }
            }
        }
    }

    /// Ends [`run`](Self::run) after the work that is going on.
    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_one();
    }
}
