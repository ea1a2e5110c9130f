//! What all coroutines of one Lua state share: memory, budget, classes, the call under way.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_void};
use std::rc::Rc;
use std::sync::Arc;

use super::common::ScriptMemory;
use super::memory::Memory;
use super::object::Classes;
use super::weak::WeakKeys;
use crate::call::Cause;
use crate::call::stream::{StreamNil, StreamSource};
use crate::host::{Host, Observer, Oracle};
use crate::machine::budget::Budget;
use crate::machine::record_call::{PendingBins, RecordCall};
use crate::module::Modules;

/// Why a call was ended over a script's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Abort {
    /// Its time is spent.
    Time,
    /// A module's body has had the processor for longer than it may.
    BodyTime,
    /// The time for a module's body is over, most of which others had.
    BodyWall,
    /// It wants more memory than it may have.
    Memory,
    /// Its tables with weak keys have too many entries.
    WeakKeys,
}

impl Abort {
    /// What the client reads.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Time => "UDF Execution Timeout",
            Self::BodyTime => {
                "UDF Execution Timeout: the module's body takes too long (body-time-limit-ms)"
            }
            Self::BodyWall => {
                "UDF Execution Timeout: the machine was too busy to run the module's body, try again"
            }
            Self::Memory => "not enough memory",
            Self::WeakKeys => "too many entries in tables with weak keys",
        }
    }

    /// The same for C.
    pub(crate) fn c_text(self) -> &'static CStr {
        match self {
            Self::Time => c"UDF Execution Timeout",
            Self::BodyTime => {
                c"UDF Execution Timeout: the module's body takes too long (body-time-limit-ms)"
            }
            Self::BodyWall => {
                c"UDF Execution Timeout: the machine was too busy to run the module's body, try again"
            }
            Self::Memory => c"not enough memory",
            Self::WeakKeys => c"too many entries in tables with weak keys",
        }
    }

    /// Whether time ran out.
    pub(crate) fn is_time(self) -> bool {
        !matches!(self, Self::Memory | Self::WeakKeys)
    }
}

/// Path of a module file, as error texts show it; its name alone where the directory has none.
pub(crate) fn shown_path(user_path: &str, file_name: &str) -> String {
    match user_path {
        "" => file_name.to_owned(),
        user_path => format!("{user_path}/{file_name}"),
    }
}

/// How much longer than its processor time a call may take in all, where the host counts that.
const WALL_PER_PROCESSOR: u32 = 10;

/// Steps of [`Shared::spend`] between two looks at the clock: some tens of microseconds.
const STEPS_PER_CHECK: usize = 1 << 16;

/// Steps that step aside before they are taken, where they are known at once: about half a millisecond.
const LONG_STEPS: usize = 1 << 19;

/// Steps that a record of a stream is counted with: about a microsecond.
const STEPS_PER_PULL: usize = 1 << 10;

/// What a running stream takes its records from.
pub(crate) struct StreamInput {
    pub(crate) source: StreamSource,
    pub(crate) time_per_record: std::time::Duration,
    pub(crate) now: u32,
}

/// The part of a state that its native functions reach.
pub(crate) struct Shared {
    pub(crate) memory: Rc<Memory>,
    pub(crate) classes: Classes,
    /// What `require` finds.
    pub(crate) modules: RefCell<Arc<dyn Modules>>,
    /// Who runs the script.
    pub(crate) host: Arc<dyn Host>,
    /// Who sees what the scripts of a program do.
    pub(crate) observer: RefCell<Option<Arc<dyn Observer>>>,
    /// Who answers the scripts of a program.
    pub(crate) oracle: RefCell<Option<Arc<dyn Oracle>>>,
    /// Directory of the modules, as error texts show it.
    pub(crate) user_path: Box<str>,
    /// Names of the modules whose bodies are running, innermost last.
    pub(crate) loading: RefCell<Vec<Box<[u8]>>>,
    pub(crate) budget: RefCell<Budget>,
    pub(crate) abort: Cell<Option<Abort>>,
    /// Work of C and native functions since the last look at the clock; see [`Shared::spend`].
    steps: Cell<usize>,
    /// Tables with weak keys.
    pub(crate) weak: WeakKeys,
    /// The module is loaded, and its globals are the ground of calls.
    pub(crate) sealed: Cell<bool>,
    /// A call has assigned to globals, which is taken away when it ends.
    pub(crate) globals_changed: Cell<bool>,
    /// A call has written to a library: the next one must not find that.
    pub(crate) libraries_changed: Cell<bool>,
    /// The record of the call under way.
    pub(crate) record: RefCell<Option<RecordCall>>,
    /// Where the stream under way takes its records from; none in a call of a record UDF.
    pub(crate) stream: RefCell<Option<StreamInput>>,
    /// Room for the bins that the next call touches.
    pub(crate) spare: Cell<PendingBins>,
    /// Why and where the call under way failed.
    pub(crate) cause: RefCell<Cause>,
    /// What becomes of a stream whose operator gives nil.
    pub(crate) stream_nil: Cell<StreamNil>,
    /// Place of the operator whose nil has ended the stream under way.
    pub(crate) ended_early: RefCell<Option<String>>,
    /// Name of the module, without extension; empty while a chunk is validated.
    pub(crate) module: RefCell<Box<str>>,
    /// Name of the function under way.
    pub(crate) function: RefCell<Vec<u8>>,
    /// Number of the call under way; handles to records carry it and are void in other calls.
    pub(crate) call_number: Cell<u64>,
}

/// Time that a module's body may take, compilation included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyTime {
    /// Of a processor.
    pub processor: std::time::Duration,
    /// In all, however busy the machine is.
    pub wall: std::time::Duration,
}

impl BodyTime {
    /// So much of a processor, and three times that in all.
    #[must_use]
    pub fn of_processor(processor: std::time::Duration) -> Self {
        Self {
            processor,
            wall: processor.saturating_mul(3),
        }
    }
}

impl Shared {
    pub(crate) fn new(
        modules: Arc<dyn Modules>,
        host: Arc<dyn Host>,
        user_path: &str,
        all: Arc<ScriptMemory>,
    ) -> Self {
        Self {
            modules: RefCell::new(modules),
            observer: RefCell::default(),
            oracle: RefCell::default(),
            user_path: user_path.into(),
            loading: RefCell::default(),
            memory: Rc::new(Memory::new(all)),
            classes: Classes::default(),
            budget: RefCell::new(Budget::unlimited(host.lane())),
            host,
            abort: Cell::new(None),
            steps: Cell::new(0),
            weak: WeakKeys::default(),
            sealed: Cell::new(false),
            globals_changed: Cell::new(false),
            libraries_changed: Cell::new(false),
            record: RefCell::new(None),
            stream: RefCell::new(None),
            spare: Cell::default(),
            cause: RefCell::default(),
            stream_nil: Cell::default(),
            ended_early: RefCell::default(),
            module: RefCell::default(),
            function: RefCell::default(),
            call_number: Cell::new(0),
        }
    }

    /// Gives the script time until `deadline`, from now on; for ever without one. A permit to run long is given back.
    pub(crate) fn set_budget(&self, deadline: Option<std::time::Instant>) {
        let lane = self.host.lane();
        let budget = match deadline {
            Some(deadline) if self.host.counts_processor() => {
                let now = std::time::Instant::now();
                let limit = deadline.saturating_duration_since(now);
                let wall = limit.saturating_mul(WALL_PER_PROCESSOR);
                Budget::of_processor(limit, now + wall, lane)
            }
            Some(deadline) => Budget::until(deadline, lane),
            None => Budget::unlimited(lane),
        };
        self.budget.replace(budget);
    }

    /// Gives a module's body its time.
    pub(crate) fn set_body_budget(&self, time: BodyTime) {
        let deadline = std::time::Instant::now() + time.wall;
        let budget = Budget::of_processor(time.processor, deadline, self.host.lane());
        self.budget.replace(budget);
    }

    /// Path of a module file, as error texts show it.
    pub(crate) fn path_of(&self, file_name: &str) -> String {
        shown_path(&self.user_path, file_name)
    }

    /// Marks the call as ended; from here on no protected call of the script catches anything.
    pub(crate) fn abort(&self, why: Abort) {
        if self.abort.get().is_none() {
            self.abort.set(Some(why));
            self.memory.pace.stop();
            if why == Abort::Memory {
                // Lua raises that without asking a handler of errors, who would see the line.
                self.memory.note_refusal();
            }
        }
    }

    /// Counts work that no hook sees, in steps of about a nanosecond; looks at the clock once they are many. False when
    /// the script has to stop.
    pub(crate) fn spend(&self, steps: usize) -> bool {
        let spent = self.steps.get().saturating_add(steps);
        if steps >= LONG_STEPS && !self.leave() {
            return false;
        }
        if spent < STEPS_PER_CHECK {
            self.steps.set(spent);
            return true;
        }
        self.steps.set(0);
        self.checkpoint()
    }

    /// Steps aside before work that is known to be long; false when the script has to stop.
    pub(crate) fn leave(&self) -> bool {
        let in_time = self
            .budget
            .try_borrow_mut()
            .is_ok_and(|mut budget| budget.leave());
        // Why it has to stop is found by looking.
        in_time || self.checkpoint()
    }

    /// Looks at the clock; false when the script has to stop. May let other work go first.
    pub(crate) fn checkpoint(&self) -> bool {
        if self.abort.get().is_some() {
            return false;
        }
        let mut why = Abort::Time;
        let in_time = self.budget.try_borrow_mut().is_ok_and(|mut budget| {
            let in_time = budget.checkpoint();
            why = match budget.processor_spent() {
                _ if self.call_number.get() != 0 => Abort::Time,
                None => Abort::Time,
                Some(true) => Abort::BodyTime,
                Some(false) => Abort::BodyWall,
            };
            in_time
        });
        if !in_time {
            self.abort(why);
        }
        in_time
    }

    /// Notes where something went wrong, and what, for the log. Nothing is noted while it is being looked at.
    pub(crate) fn note(&self, place: Option<String>, text: Option<String>) {
        if let Ok(mut cause) = self.cause.try_borrow_mut() {
            *cause = Cause { place, text };
        }
    }

    /// Tells the observer, if there is one, of a call on the record.
    pub(crate) fn operated(&self, name: &str, status: i64) {
        if let Ok(observer) = self.observer.try_borrow()
            && let Some(observer) = &*observer
        {
            observer.operation(name, status);
        }
    }

    /// Whether a stream UDF runs, rather than a record UDF.
    pub(crate) fn is_in_stream(&self) -> bool {
        // It is borrowed while a record is pulled.
        self.stream
            .try_borrow()
            .map_or(true, |stream| stream.is_some())
    }

    /// Gives the script time anew. False when it has none left and has to stop.
    pub(crate) fn restart_budget(&self, time: std::time::Duration) -> bool {
        self.spend(STEPS_PER_PULL) && {
            if self.host.counts_processor() {
                self.set_budget(Some(std::time::Instant::now() + time));
            } else if let Ok(mut budget) = self.budget.try_borrow_mut() {
                budget.extend(std::time::Instant::now() + time);
            }
            true
        }
    }

    /// The pointer for a state's extra space.
    pub(crate) fn as_extra(&self) -> *const c_void {
        std::ptr::from_ref(self).cast()
    }
}
