//! The thread that builds contexts ahead of need.
//!
//! After every change it visits the pools in turn, closes old contexts and builds one new one at a visit, so a module
//! that is slow to load does not keep the others waiting for all of its contexts. It begins when no further change has come
//! for a moment: what a change makes old again need not be built, and other nodes may have the change still before them.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::modules::quiet::Quiet;

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
    quiet: Quiet,
    stopped: bool,
}

impl Visits {
    /// Asks for a visit.
    pub(crate) fn ask(&self, name: &Arc<str>) {
        let mut state = self.state.lock();
        if state.ask(name) {
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Asks for visits because something has changed: they begin when nothing more does, and when somebody
    /// [says so](Self::begin). Who makes the change wakes nobody.
    pub(crate) fn ask_after_change<'n>(&self, names: impl IntoIterator<Item = &'n Arc<str>>) {
        let mut state = self.state.lock();
        state.quiet.disturbed(Instant::now());
        for name in names {
            state.ask(name);
        }
    }

    /// Has visits begin that were asked for after a change, once it is quiet.
    pub(crate) fn begin(&self) {
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
            if state.queue.is_empty() {
                self.changed.notify_all();
                self.changed.wait(&mut state);
                continue;
            }
            if let Some(moment) = state.quiet.wait(Instant::now()) {
                self.changed.wait_until(&mut state, moment);
                continue;
            }
            if let Some(name) = state.queue.pop_front() {
                state.queued.remove(&name);
                state.visiting = true;
                return Some(name);
            }
        }
    }

    /// Visits until stopped. `visit` says whether the pool wants another visit. `rest` is called when no more visits are due.
    pub(crate) fn run(&self, mut visit: impl FnMut(&Arc<str>) -> bool, mut rest: impl FnMut()) {
        while let Some(name) = self.next() {
            if visit(&name) {
                self.ask(&name);
            } else if self.state.lock().queue.is_empty() {
                rest();
            }
        }
    }

    /// Ends [`run`](Self::run) after the visit that is going on.
    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_all();
    }

    /// Waits until no visit is due or going on. False if that takes longer than `timeout`.
    pub(crate) fn wait_until_idle(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.state.lock();
        while !state.stopped && (state.visiting || !state.queue.is_empty()) {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return false;
            }
        }
        true
    }
}

impl WarmerState {
    /// Whether the visit is new.
    fn ask(&mut self, name: &Arc<str>) -> bool {
        if self.stopped || !self.queued.insert(Arc::clone(name)) {
            return false;
        }
        self.queue.push_back(Arc::clone(name));
        true
    }
}
