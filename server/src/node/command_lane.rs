//! Turns of commands that take long: the validation of a module, above all.
//!
//! A few run at a time, each on a thread of its own. Of those who wait, the connection goes first that has had the least of
//! this time so far, so that one that asks for much delays those who ask for little by no more than a few turns. Waiting
//! takes no thread, and who goes away does not get his turn.
//!
//! Those threads stand back for those that answer: to compile a module of 700 KB takes twenty milliseconds, and the system
//! lets a thread that others wait for have the processor at once only if the one that runs there has a lower priority. They
//! do not stand back far: what a body may take of a clock is three times what it may take of a processor.
//!
//! Short commands may run where they were asked, if they are few: there nothing stands back, which who waits for a disk need
//! not, and no other thread has to get a processor first.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use protocol::bounds::Fit as _;
use rustix::process::setpriority_process;
use rustix::thread::gettid;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::processor::processors;

/// Commands that run at a time at least. More wait for disks and other nodes than for processors.
const TURNS_MIN: usize = 4;

/// How much a command stands back, see nice(2): where all want the processor it gets a quarter of what others get.
const NICE: i32 = 5;

/// Time between two short commands that run where they were asked, on average.
const SHORT_EACH: Duration = Duration::from_millis(8);

/// So many of them may follow each other at once.
const SHORT_MOST: u32 = 16;

/// Who waits: by time had so far, µs, then in order of arrival.
type Place = (u64, u64);

/// The turns of a node.
#[derive(Debug)]
pub struct CommandLane {
    state: Mutex<LaneState>,
}

#[derive(Debug)]
struct LaneState {
    free: usize,
    arrivals: u64,
    /// By when the short commands so far would all have run, one after the other at their pace.
    short_until: Option<Instant>,
    waiting: BTreeMap<Place, oneshot::Sender<Turn>>,
}

/// Leave to run one command; the next in line gets it when it is dropped.
#[derive(Debug)]
pub struct Turn {
    /// None only in one that could not be passed on.
    lane: Option<Arc<CommandLane>>,
}

impl Default for CommandLane {
    fn default() -> Self {
        Self::new(processors().max(TURNS_MIN))
    }
}

impl CommandLane {
    /// A lane in which so many run at a time.
    #[must_use]
    pub fn new(turns: usize) -> Self {
        Self {
            state: Mutex::new(LaneState {
                free: turns,
                arrivals: 0,
                short_until: None,
                waiting: BTreeMap::new(),
            }),
        }
    }

    /// Waits for a turn; `had` is the time that the connection has had so far. Dropped, the wait is over.
    pub async fn turn(self: &Arc<Self>, had: Duration) -> Turn {
        let own = || Turn {
            lane: Some(Arc::clone(self)),
        };
        let wait = {
            let mut state = self.state.lock();
            if state.free > 0 {
                state.free -= 1;
                return own();
            }
            state.arrivals += 1;
            let place = (had.as_micros().fit::<u64>(), state.arrivals);
            let (give, wait) = oneshot::channel();
            state.waiting.insert(place, give);
            wait
        };
        match wait.await {
            Ok(turn) => turn,
            // The lane lives as long as those who wait in it.
            Err(_) => own(),
        }
    }

    /// A turn for a short command, which runs where it was asked `now`; none when turns are waited for, or there were many
    /// of these.
    #[must_use]
    pub fn short_turn(self: &Arc<Self>, now: Instant) -> Option<Turn> {
        let mut state = self.state.lock();
        let begins = state.short_until.map_or(now, |until| until.max(now));
        if state.free == 0 || begins - now > SHORT_EACH * (SHORT_MOST - 1) {
            return None;
        }
        state.free -= 1;
        state.short_until = Some(begins + SHORT_EACH);
        Some(Turn {
            lane: Some(Arc::clone(self)),
        })
    }

    /// Whether somebody waits.
    #[must_use]
    pub fn has_waiters(&self) -> bool {
        self.state
            .lock()
            .waiting
            .values()
            .any(|give| !give.is_closed())
    }
}

impl Turn {
    /// Runs a command on a thread that stands back, with the runtime of the caller. It goes on when this is dropped.
    ///
    /// # Errors
    /// The system gives no thread; the command has panicked.
    pub async fn run<R: Send + 'static>(
        self,
        command: impl FnOnce() -> R + Send + 'static,
    ) -> io::Result<R> {
        let runtime = Handle::current();
        let (give, result) = oneshot::channel();
        let thread = thread::Builder::new().name("asd-command".to_owned());
        thread.spawn(move || {
            let _turn = self;
            let _runtime = runtime.enter();
            if let Err(error) = setpriority_process(Some(gettid()), NICE) {
                tracing::debug!("a command has the priority of those who answer: {error}");
            }
            // Who has asked may be gone.
            let _ = give.send(command());
        })?;
        result.await.map_err(io::Error::other)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(lane) = self.lane.take() else { return };
        let mut state = lane.state.lock();
        while let Some((_, give)) = state.waiting.pop_first() {
            let turn = Self {
                lane: Some(Arc::clone(&lane)),
            };
            match give.send(turn) {
                Ok(()) => return,
                // It has gone away. What came back must not give what it never had.
                Err(mut refused) => refused.lane = None,
            }
        }
        state.free += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_runs_on_a_thread_that_stands_back_and_gives_its_turn_back() {
        let lane = Arc::new(CommandLane::new(1));
        let turn = lane.turn(Duration::ZERO).await;
        let ran = turn.run(|| {
            let stands_back = rustix::process::getpriority_process(Some(gettid()));
            (stands_back, Handle::try_current().is_ok())
        });
        let (stands_back, has_runtime) = ran.await.unwrap();
        let usual = rustix::process::getpriority_process(Some(gettid())).unwrap();
        assert_eq!(stands_back.unwrap(), usual.max(NICE));
        assert!(has_runtime);
        // One that fails gives its turn back as well.
        let turn = lane.turn(Duration::ZERO).await;
        assert!(turn.run(|| panic!("as it is meant")).await.is_err());
        let _again = lane.turn(Duration::ZERO).await;
    }

    #[test]
    fn short_commands_have_turns_while_they_are_few() {
        let begun = Instant::now();
        let few = usize::try_from(SHORT_MOST).unwrap();
        let lane = Arc::new(CommandLane::new(few + 2));
        let at_once = |at| std::iter::from_fn(|| lane.short_turn(at)).collect::<Vec<_>>();
        let turns = at_once(begun);
        assert_eq!(turns.len(), few);
        assert_eq!(lane.state.lock().free, 2);
        // The next come as fast as the pace is.
        drop(turns);
        assert_eq!(at_once(begun).len(), 0);
        assert_eq!(at_once(begun + 3 * SHORT_EACH).len(), 3);
        assert_eq!(at_once(begun + 100 * SHORT_EACH).len(), few);
        let lane = Arc::new(CommandLane::new(1));
        let turn = lane.short_turn(begun);
        assert!(turn.is_some() && lane.short_turn(begun).is_none());
        drop(turn);
        assert!(lane.short_turn(begun).is_some());
    }

    async fn settle() {
        for _ in 0..16 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_has_had_least_goes_first_and_who_is_gone_not_at_all() {
        let lane = Arc::new(CommandLane::new(1));
        let first = lane.turn(Duration::ZERO).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for (name, had_ms) in [
            ("much", 300),
            ("gone", 0),
            ("little", 2),
            ("also little", 2),
            ("none", 0),
        ] {
            let (lane, order) = (Arc::clone(&lane), Arc::clone(&order));
            tasks.push((
                name,
                tokio::spawn(async move {
                    let _turn = lane.turn(Duration::from_millis(had_ms)).await;
                    order.lock().push(name);
                }),
            ));
            settle().await;
        }
        assert!(lane.has_waiters());
        for (name, task) in &tasks {
            if *name == "gone" {
                task.abort();
            }
        }
        settle().await;
        drop(first);
        for (name, task) in tasks {
            assert_eq!(task.await.is_err(), name == "gone");
        }
        assert_eq!(*order.lock(), ["none", "little", "also little", "much"]);
        assert!(!lane.has_waiters());
        assert_eq!(lane.state.lock().free, 1);
    }
}
