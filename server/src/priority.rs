//! How soon a thread gets a processor that others have.
//!
//! A thread that is to run while others use all processors waits until the one before has run for its slice, some
//! milliseconds, and longer where the system looks at that only a few hundred times a second. Who has a shorter slice
//! than the one that runs has the processor at once, as long as he has not had more of it than his share. So threads that
//! answer those who ask now and then have a short slice, and those that run for long a longer one than other programs:
//! that takes nothing from their share, it is only had in fewer and longer pieces. A share is made smaller by `nice`, which
//! no thread gets back without privileges: only threads that never answer those who ask now and then stand back so.
//!
//! Work that runs long also sleeps for a moment now and then, which has the system look who else wants the processor.
//!
//! Systems that know no slices of threads (Linux before 6.12) do as they always did.

use std::cell::Cell;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Once, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use protocol::bounds::Fit as _;
use rustix::io::Errno;
use rustix::process::{getpriority_process, setpriority_process};
use rustix::thread::{gettid, set_current_timer_slack};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Handle, Runtime};

use crate::allocator;
use crate::processor::processors;

/// The slice of those that answer while somebody asks now and then; the shortest that the system takes. Where nobody does,
/// it would only have the system switch more often between them and their clients.
const SHORT: Duration = Duration::from_micros(100);

/// The slice of those that run long: longer than that of any program that does not ask for one, which is 2.8 ms at most.
const LONG: Duration = Duration::from_millis(5);

/// How much the threads of busy connections stand back, see nice(2).
const BUSY_NICE: i32 = 10;

/// The slice of all others, whatever that is.
const USUAL: Duration = Duration::ZERO;

/// How long work that runs long lets others run first. With less the thread would be awake again before the system has
/// looked for others.
const BREATH: Duration = Duration::from_micros(20);

/// How often it does so while somebody asks now and then.
const BREATHES: Duration = Duration::from_micros(500);

/// The same once one of those was answered, who is to have a processor to read that, and to ask the next thing.
const BREATHES_SOON: Duration = Duration::from_micros(200);

/// Answers to those who ask now and then.
static ANSWERED: AtomicU64 = AtomicU64::new(0);

/// Somebody asks now and then.
static SOMEBODY_ASKS: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The slice that the thread has when nothing on it runs long, if it answers.
    static ANSWERS: Cell<Option<Duration>> = const { Cell::new(None) };
    /// What runs long on the thread has begun when it had had so much of a processor.
    static LONG_SINCE: Cell<Option<Duration>> = const { Cell::new(None) };
    /// What has run long on it has had so much of a processor.
    static RAN_LONG: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    /// Other threads have had so much of a processor for what is done here.
    static RAN_ELSEWHERE: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    /// The thread is one of the busy runtime.
    static IS_BUSY: Cell<bool> = const { Cell::new(false) };
    /// When what runs long on the thread has let others run first, and how many were answered then.
    static BREATHED: Cell<Option<(Instant, u64)>> = const { Cell::new(None) };
}

/// The thread answers, and has nothing to do but that: it is to have a processor at once whenever there is something.
pub(crate) fn answers() {
    ANSWERS.set(Some(SHORT));
    take_slice(SHORT);
}

/// To be called by a thread that answers all kinds of clients when it has nothing to do: it has a processor at once from then
/// on while there are some who ask now and then.
pub(crate) fn answers_all() {
    answers_if(does_somebody_ask());
}

fn answers_if(somebody_asks: bool) {
    let wanted = if somebody_asks { SHORT } else { USUAL };
    let had = ANSWERS.replace(Some(wanted));
    if had.unwrap_or(USUAL) != wanted {
        take_slice(wanted);
    }
}

/// Whether there is somebody who asks now and then, as was said last.
pub(crate) fn does_somebody_ask() -> bool {
    SOMEBODY_ASKS.load(Ordering::Relaxed)
}

/// Says whether there is somebody who asks now and then.
pub(crate) fn somebody_asks(is_there: bool) {
    // Hardly ever does it change: others are not to fetch it anew.
    if does_somebody_ask() != is_there {
        SOMEBODY_ASKS.store(is_there, Ordering::Relaxed);
    }
}

/// The runtime of what takes much of a thread: busy connections, and work for which no client waits. None when the system
/// gives no threads for it.
pub(crate) fn busy_runtime() -> Option<&'static Handle> {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    let started = RUNTIME.get_or_init(|| {
        let built = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(processors())
            .enable_all()
            .thread_name("asd-busy")
            .on_thread_start(|| {
                IS_BUSY.set(true);
                stands_back(BUSY_NICE, "answers busy connections");
            })
            .on_thread_park(allocator::part)
            .build();
        built
            .inspect_err(|error| {
                tracing::warn!(target: "service", "busy connections stay among the others: {error}");
            })
            .ok()
    });
    started.as_ref().map(Runtime::handle)
}

/// The thread stands back by so much, see nice(2), for as long as it lives; `what` it does is for the log.
pub(crate) fn stands_back(nice: i32, what: &str) {
    // A program that stands back itself further than that is not to have some of its threads in front of the others.
    let set = match getpriority_process(Some(gettid())) {
        Ok(usual) if usual >= nice => Ok(()),
        Ok(_) => setpriority_process(Some(gettid()), nice),
        Err(error) => Err(error),
    };
    if let Err(error) = set {
        tracing::debug!("a thread that {what} has the priority of others: {error}");
    }
    take_slice(LONG);
}

/// What runs on this thread has turned out to run long; until [`ends_long`].
pub(crate) fn begins_long() {
    if LONG_SINCE.get().is_none() {
        LONG_SINCE.set(Some(processor_time()));
        if ANSWERS.get().is_some() {
            take_slice(LONG);
        }
    }
}

/// What ran long on this thread, if anything did, is over.
pub(crate) fn ends_long() {
    if let Some(since) = LONG_SINCE.take() {
        let had = processor_time().saturating_sub(since);
        RAN_LONG.set(RAN_LONG.get() + had);
        if let Some(slice) = ANSWERS.get() {
            take_slice(slice);
        }
    }
}

/// Processor time of what ran long on this thread since this was asked last.
pub(crate) fn taken_long() -> Duration {
    RAN_LONG.take()
}

/// One who asks now and then was answered.
pub(crate) fn answered_one() {
    ANSWERED.fetch_add(1, Ordering::Relaxed);
}

/// Lets others have the processor of this thread first, if somebody asks now and then and it is time for that.
///
/// A thread that has just run is owed nothing, and so waits for the end of the slice of one that runs long, or for the next
/// look of the system, which may be milliseconds away. There is a look whenever a thread sleeps, however shortly. Only the
/// threads of busy connections do so, of which few run long at a time: among many, whose turn it is next would be another
/// of them.
pub(crate) fn breathe(now: Instant) {
    if !IS_BUSY.get() || !does_somebody_ask() {
        return;
    }
    let (breathed, answered) = (BREATHED.get(), ANSWERED.load(Ordering::Relaxed));
    if !is_breath_due(breathed, now, answered) {
        return;
    }
    if breathed.is_none() {
        // Else sleeps are some fifty microseconds longer, for the system to wake several at a time.
        if let Err(error) = set_current_timer_slack(NonZeroU64::new(1)) {
            tracing::debug!("threads sleep longer than they are to: {error}");
        }
    }
    thread::sleep(BREATH);
    BREATHED.set(Some((Instant::now(), answered)));
}

/// Whether it is time: when others were let first last, and how many had been answered by then, and both now.
fn is_breath_due(breathed: Option<(Instant, u64)>, now: Instant, answered: u64) -> bool {
    breathed.is_none_or(|(last, before)| {
        let wanted = match answered == before {
            true => BREATHES,
            false => BREATHES_SOON,
        };
        now.saturating_duration_since(last) >= wanted
    })
}

/// Another thread has had so much of a processor for what is done here.
pub(crate) fn ran_elsewhere(had: Duration) {
    RAN_ELSEWHERE.set(RAN_ELSEWHERE.get() + had);
}

/// What was so had since this was asked last.
pub(crate) fn taken_elsewhere() -> Duration {
    RAN_ELSEWHERE.take()
}

/// Processor time that this thread has had.
pub(crate) fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.fit(), time.tv_nsec.fit())
}

/// Gives this thread a slice of its own.
fn take_slice(slice: Duration) {
    if let Err(error) = set_slice(slice) {
        static TOLD: Once = Once::new();
        TOLD.call_once(|| tracing::debug!("threads have the slices of all others: {error}"));
    }
}

fn set_slice(slice: Duration) -> Result<(), Errno> {
    // What is not to change has to be named again.
    let nice = getpriority_process(Some(gettid()))?;
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>().fit(),
        sched_policy: libc::SCHED_OTHER.fit(),
        sched_flags: 0,
        sched_nice: nice,
        sched_priority: 0,
        sched_runtime: slice.as_nanos().fit(),
        sched_deadline: 0,
        sched_period: 0,
    };
    #[expect(
        unsafe_code,
        reason = "sched_setattr has no safe wrapper among our dependencies"
    )]
    // SAFETY: it reads the attributes, of the size that they tell, and keeps nothing of them; 0 is the calling thread.
    let set = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    match set {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()
            .raw_os_error()
            .map_or(Errno::NOSYS, Errno::from_raw_os_error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The slice of this thread; zero where the system knows none.
    fn slice() -> Duration {
        let size = size_of::<libc::sched_attr>();
        let mut attributes = std::mem::MaybeUninit::<libc::sched_attr>::zeroed();
        #[expect(unsafe_code, reason = "as above")]
        // SAFETY: it writes no more than the size that it is told; zeros are valid in every member.
        let attributes = unsafe {
            let into = attributes.as_mut_ptr();
            assert_eq!(libc::syscall(libc::SYS_sched_getattr, 0, into, size, 0), 0);
            attributes.assume_init()
        };
        Duration::from_nanos(attributes.sched_runtime)
    }

    fn spin(time: Duration) {
        let begun = processor_time();
        let mut sum = 0_u64;
        while processor_time() < begun + time {
            sum = std::hint::black_box(sum + 1);
        }
    }

    #[test]
    fn a_thread_has_the_slice_of_what_it_does() {
        let is = |slice_of: Duration| [slice_of, Duration::ZERO].contains(&slice());
        let answering = thread::spawn(move || {
            let usual = slice();
            for (somebody_asks, expected) in [(false, usual), (true, SHORT), (false, usual)] {
                answers_if(somebody_asks);
                assert!(is(expected));
            }
            answers();
            assert!(is(SHORT));
            begins_long();
            assert!(is(LONG));
            ends_long();
            assert!(is(SHORT));
            let nice = || getpriority_process(Some(gettid())).unwrap();
            let before = nice();
            // Those that it starts are not all to answer.
            let other = thread::spawn(move || {
                stands_back(BUSY_NICE, "is tested");
                assert!(is(LONG));
                assert_eq!(nice(), before.max(BUSY_NICE));
                begins_long();
                ends_long();
                assert!(is(LONG));
            });
            other.join().unwrap();
            assert_eq!(nice(), before);
        });
        answering.join().unwrap();
    }

    #[test]
    fn long_work_breathes_now_and_then_and_sooner_after_an_answer() {
        let last = Instant::now();
        for (since_us, answered, is_due) in [
            (0, 7, false),
            (499, 7, false),
            (500, 7, true),
            (199, 8, false),
            (200, 8, true),
        ] {
            let now = last + Duration::from_micros(since_us);
            assert_eq!(
                is_breath_due(Some((last, 7)), now, answered),
                is_due,
                "{since_us} {answered}"
            );
        }
        assert!(is_breath_due(None, last, 0), "before it did once");
    }

    #[test]
    fn what_ran_long_is_counted_once_and_nothing_else() {
        let (short, long) = (Duration::from_millis(1), Duration::from_millis(3));
        spin(short);
        assert_eq!(taken_long(), Duration::ZERO);
        begins_long();
        spin(long);
        // It goes on.
        begins_long();
        spin(long);
        assert_eq!(taken_long(), Duration::ZERO);
        ends_long();
        ends_long();
        assert!(taken_long() >= 2 * long);
        assert_eq!(taken_long(), Duration::ZERO);
    }
}
