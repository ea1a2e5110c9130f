//! Turns of commands that take long: the validation of a module, above all.
//!
//! A few run at a time, each on a thread of its own. Of those who wait, the connection goes first that has had the least of
//! this time so far, so that one that asks for much delays those who ask for little by no more than a few turns. Waiting
//! takes no thread, and who goes away does not get his turn.
//!
//! Those threads stand back for those that answer: to compile a module of 700 KB takes twenty milliseconds, and the system
//! lets a thread that others wait for have the processor at once only if the one that runs there has a lower priority. They
//! do not stand back far: what a body may take of a clock is three times what it may take of a processor. Those of busy
//! connections stand back as far as the threads that begin them, whose priority they have.
//!
//! Short commands run at once, if they are few, on threads that are there already and do not stand back, which who waits for a
//! disk need not.
//!
//! A command that nobody waits for any more, as its time is over, goes on without its turn: a disk that hangs would keep all of
//! them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use protocol::bounds::Fit as _;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::priority;
use crate::processor::processors;

/// Commands that run at a time at least. More wait for disks and other nodes than for processors.
const TURNS_MIN: usize = 4;

/// How much a command stands back, see nice(2): where all want the processor it gets a quarter of what others get.
const NICE: i32 = 5;

/// So many commands at a time that nobody waits for any more leave their turns to others. What hangs longer than that, a disk
/// say, has commands wait.
const LATE_MOST: usize = 64;

/// Time between two short commands that run at once, on average.
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
    /// Commands that go on without a turn, as nobody waits for them any more.
    late: usize,
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
    is_short: bool,
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
                late: 0,
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
            is_short: false,
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

    /// A turn for a short command that is asked `now`; none when turns are waited for, or there were many of these, or some take
    /// longer than anybody waits.
    #[must_use]
    pub fn short_turn(self: &Arc<Self>, now: Instant) -> Option<Turn> {
        let mut state = self.state.lock();
        let begins = state.short_until.map_or(now, |until| until.max(now));
        if state.free == 0 || state.late > 0 || begins - now > SHORT_EACH * (SHORT_MOST - 1) {
            return None;
        }
        state.free -= 1;
        state.short_until = Some(begins + SHORT_EACH);
        Some(Turn {
            lane: Some(Arc::clone(self)),
            is_short: true,
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
    /// Runs a command with the runtime of the caller: a short one on a thread that is there already, any other on one of its
    /// own that stands back. If it is not done when `is_over` ends it goes on, as it does when this is dropped, and others have
    /// its turn.
    ///
    /// # Errors
    /// The system gives no thread; the command has panicked.
    pub async fn run<R: Send + 'static, O>(
        self,
        command: impl FnOnce() -> R + Send + 'static,
        is_over: impl Future<Output = O>,
    ) -> io::Result<Ran<R, O>> {
        let runtime = Handle::current();
        let (give, result) = oneshot::channel();
        let (lane, is_short) = (self.lane.clone(), self.is_short);
        let held = Arc::new(Mutex::new(Some(Held::Turn(self))));
        let ends = Ends(Arc::clone(&held));
        if is_short {
            runtime.spawn_blocking(move || {
                let _ends = ends;
                // Who has asked may be gone.
                let _ = give.send(command());
            });
        } else {
            let thread = thread::Builder::new().name("asd-command".to_owned());
            thread.spawn(move || {
                let _ends = ends;
                let _runtime = runtime.enter();
                priority::stands_back(NICE, "runs a command");
                // As above.
                let _ = give.send(command());
            })?;
        }
        tokio::select! {
            biased;
            result = result => result.map(Ran::Ended).map_err(io::Error::other),
            over = is_over => {
                if let Some(lane) = lane {
                    give_up(&lane, &held);
                }
                Ok(Ran::GoesOn(over))
            }
        }
    }
}

/// What became of a command.
#[derive(Debug)]
pub enum Ran<R, O> {
    /// It has ended.
    Ended(R),
    /// Its time was over before.
    GoesOn(O),
}

/// What a command holds while it runs.
#[derive(Debug)]
enum Held {
    Turn(#[expect(dead_code, reason = "it is held, not used")] Turn),
    /// Nobody waits for it any more.
    Late(#[expect(dead_code, reason = "it is held, not used")] Late),
}

/// One of those that nobody waits for any more.
#[derive(Debug)]
struct Late(Arc<CommandLane>);

impl Drop for Late {
    fn drop(&mut self) {
        self.0.state.lock().late -= 1;
    }
}

/// Gives what a command holds back, when it ends or panics.
struct Ends(Arc<Mutex<Option<Held>>>);

impl Drop for Ends {
    fn drop(&mut self) {
        // The lock of the lane is not taken under this one.
        let held = self.0.lock().take();
        drop(held);
    }
}

/// Takes the turn away from a command that nobody waits for any more, unless there are many of these.
fn give_up(lane: &Arc<CommandLane>, held: &Mutex<Option<Held>>) {
    {
        let mut state = lane.state.lock();
        if state.late >= LATE_MOST {
            return;
        }
        state.late += 1;
    }
    let late = Held::Late(Late(Arc::clone(lane)));
    let turn = {
        let mut held = held.lock();
        match held.is_some() {
            true => held.replace(late),
            // It has ended just now.
            false => Some(late),
        }
    };
    drop(turn);
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(lane) = self.lane.take() else { return };
        let mut state = lane.state.lock();
        while let Some((_, give)) = state.waiting.pop_first() {
            let turn = Self {
                lane: Some(Arc::clone(&lane)),
                is_short: false,
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
    use rustix::thread::gettid;
    use std::future::pending;
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_command_runs_on_a_thread_that_stands_back_and_gives_its_turn_back() {
        let lane = Arc::new(CommandLane::new(1));
        let turn = lane.turn(Duration::ZERO).await;
        let ran = turn.run(
            || {
                let stands_back = rustix::process::getpriority_process(Some(gettid()));
                (stands_back, Handle::try_current().is_ok())
            },
            pending::<()>(),
        );
        let Ran::Ended((stands_back, has_runtime)) = ran.await.unwrap() else {
            panic!("it has ended");
        };
        let usual = rustix::process::getpriority_process(Some(gettid())).unwrap();
        assert_eq!(stands_back.unwrap(), usual.max(NICE));
        assert!(has_runtime);
        // One that fails gives its turn back as well.
        let turn = lane.turn(Duration::ZERO).await;
        let failed = turn.run(|| panic!("as it is meant"), pending::<()>());
        assert!(failed.await.is_err());
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

    /// They hang until the sender is dropped.
    async fn hang(lane: &Arc<CommandLane>, count: usize) -> Vec<mpsc::Sender<()>> {
        let mut ends = Vec::new();
        for _ in 0..count {
            let (end, ended) = mpsc::channel();
            let turn = match lane.short_turn(Instant::now()) {
                Some(turn) => turn,
                None => lane.turn(Duration::ZERO).await,
            };
            let ran = turn.run(move || ended.recv().is_ok(), std::future::ready(()));
            assert!(matches!(ran.await.unwrap(), Ran::GoesOn(())));
            ends.push(end);
        }
        ends
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_leaves_its_turn_to_others_unless_there_is_much() {
        let lane = Arc::new(CommandLane::new(2));
        let ends = hang(&lane, LATE_MOST).await;
        assert!(lane.short_turn(Instant::now()).is_none(), "it may hang too");
        let state = |lane: &CommandLane| {
            let state = lane.state.lock();
            (state.free, state.late)
        };
        assert_eq!(state(&lane), (2, LATE_MOST));
        let more = hang(&lane, 2).await;
        assert_eq!(state(&lane), (0, LATE_MOST));
        drop((ends, more));
        let _both = (
            lane.turn(Duration::ZERO).await,
            lane.turn(Duration::ZERO).await,
        );
        let until = Instant::now() + Duration::from_secs(60);
        while state(&lane) != (0, 0) {
            assert!(Instant::now() < until);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
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
