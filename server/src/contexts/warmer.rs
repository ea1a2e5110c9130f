//! The thread that builds contexts ahead of need.
//!
//! After every change it visits the pools in turn, closes old contexts and builds one new one at a visit, so a module
//! that is slow to load does not keep the others waiting for all of its contexts.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// Pools to visit, each at most once.
#[derive(Debug, Default)]
pub(crate) struct Visits {
    state: Mutex<WarmerState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct WarmerState {
    queue: VecDeque<Arc<str>>,
    queued: HashSet<Arc<str>>,
    /// A visit is going on.
    visiting: bool,
    stopped: bool,
}

impl Visits {
    /// Asks for a visit.
    pub(crate) fn ask(&self, name: &Arc<str>) {
        let mut state = self.state.lock();
        if state.stopped || !state.queued.insert(Arc::clone(name)) {
            return;
        }
        state.queue.push_back(Arc::clone(name));
        drop(state);
        self.changed.notify_all();
    }

    /// The next pool; waits for one. None once stopped.
    fn next(&self) -> Option<Arc<str>> {
        let mut state = self.state.lock();
        state.visiting = false;
        loop {
            if state.stopped {
                return None;
            }
            if let Some(name) = state.queue.pop_front() {
                state.queued.remove(&name);
                state.visiting = true;
                return Some(name);
            }
            self.changed.notify_all();
            self.changed.wait(&mut state);
        }
    }

    /// Visits until stopped. `visit` says whether the pool wants another visit.
    pub(crate) fn run(&self, mut visit: impl FnMut(&Arc<str>) -> bool) {
        while let Some(name) = self.next() {
            if visit(&name) {
                self.ask(&name);
            }
        }
    }

    /// Ends [`run`](Self::run) after the visit that is going on.
    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_all();
    }

    /// Waits until no visit is due or going on. False if that takes longer than `timeout`.
    pub(crate) fn wait_until_idle(&self, timeout: std::time::Duration) -> bool {
        let deadline = std::time::Instant::now() + timeout;
        let mut state = self.state.lock();
        while !state.stopped && (state.visiting || !state.queue.is_empty()) {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return false;
            }
        }
        true
    }
}
