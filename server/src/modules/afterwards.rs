//! The thread that does what a change leaves to do and nobody waits for.
//!
//! It waits for a timer of the system, which who makes a change sets: to wake a thread that then waits for its time would
//! cost as much as half of what is done before the answer.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use super::quiet::Quiet;

/// The shortest time of a timer: none would switch it off.
const AT_ONCE: Duration = Duration::from_nanos(1);

/// When there is work, for the thread that does it.
#[derive(Debug)]
pub(crate) struct Afterwards {
    state: Mutex<AfterwardsState>,
    timer: OwnedFd,
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
    /// # Errors
    /// The system gives no timer.
    pub(crate) fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
        Ok(Self {
            state: Mutex::default(),
            timer,
        })
    }

    /// Something has changed.
    pub(crate) fn changed(&self) {
        let now = Instant::now();
        let mut state = self.state.lock();
        state.due = true;
        state.quiet.disturbed(now);
        if std::mem::take(&mut state.sleeps) {
            let wait = state.quiet.until();
            let wait = wait.map(|moment| moment.saturating_duration_since(now));
            self.set(wait.unwrap_or(AT_ONCE));
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
        loop {
            let mut state = self.state.lock();
            if state.stopped {
                return false;
            }
            if state.due {
                let now = Instant::now();
                match state.quiet.wait(now) {
                    Some(moment) => self.set(moment.saturating_duration_since(now)),
                    None => {
                        state.due = false;
                        return true;
                    }
                }
            } else {
                state.sleeps = true;
            }
            drop(state);
            self.sleep();
        }
    }

    /// Has the thread look once more after so long.
    fn set(&self, wait: Duration) {
        let wait = wait.max(AT_ONCE);
        // What is waited for takes milliseconds.
        let seconds = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
        let once = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: Timespec {
                tv_sec: seconds,
                tv_nsec: wait.subsec_nanos().into(),
            },
        };
        if let Err(error) = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once) {
            tracing::error!(target: "udf", "contexts and copies have to wait for the next change: {error}");
        }
    }

    /// Until the timer has run down, at most.
    fn sleep(&self) {
        if let Err(error) = rustix::io::read(&self.timer, &mut [0_u8; 8])
            && error != rustix::io::Errno::INTR
        {
            tracing::error!(target: "udf", "a timer cannot be waited for: {error}");
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// Ends [`run`](Self::run) after the work that is going on.
    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
        self.set(AT_ONCE);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// Only a wait that never ends fails: then the test does not end.
    #[test]
    fn each_change_is_followed_by_work_and_the_end_by_none() {
        let afterwards = Afterwards::new().unwrap();
        let (worked, works) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                afterwards.run(|| worked.send(()).unwrap());
                drop(worked);
            });
            for _ in 0..3 {
                afterwards.changed();
                works.recv().unwrap();
            }
            // Those that come together may be followed once.
            for _ in 0..100 {
                afterwards.changed();
            }
            works.recv().unwrap();
            afterwards.stop();
            assert!(works.iter().count() <= 1);
        });
    }
}
