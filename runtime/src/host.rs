//! What scripts need of who runs them: the time of day, a place for their lines, and manners towards others.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use protocol::particle::Particle;

/// Weight of a line that a script writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something is wrong.
    Error,
    /// Something may be wrong.
    Warn,
    /// Of interest to who runs the script.
    Info,
    /// Of interest to who writes the script.
    Debug,
    /// Every step.
    Trace,
}

/// A line that a script writes.
#[derive(Clone, Copy, Debug)]
pub struct ScriptLine<'a> {
    /// Its weight.
    pub level: Level,
    /// File of the script's line that asked for it, as Lua shows it.
    pub source: &'a str,
    /// Number of that line; -1 when it is not known.
    pub line: i32,
    /// What it says.
    pub text: &'a str,
    /// A stream UDF wrote it, rather than a record UDF.
    pub in_stream: bool,
}

/// Who runs scripts.
pub trait Host: Send + Sync + Debug {
    /// Milliseconds since the Unix epoch.
    fn unix_ms(&self) -> u64;

    /// A script writes a line.
    fn line(&self, line: &ScriptLine<'_>);

    /// Something about a script that is not in its reply.
    fn warn(&self, text: &str);

    /// Whether time limits of calls are of a processor's time, which a busy machine does not shorten, rather than of the
    /// clock's.
    fn counts_processor(&self) -> bool {
        false
    }

    /// Where scripts that run long take turns.
    fn lane(&self) -> &'static dyn Lane;
}

/// A function of a module that is running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackSeen {
    /// Its file.
    pub file: String,
    /// The name that it was called by, where Lua knows one.
    pub name: Option<String>,
    /// Line where it begins; 0 is the module's body.
    pub defined: u32,
    /// Line that it is at.
    pub line: u32,
}

/// A local variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalSeen {
    /// Its name.
    pub name: String,
    /// Type of its value, as Lua has it.
    pub kind: String,
    /// Its value; none for one that is not stored in records.
    pub value: Option<Particle>,
}

/// A line that is about to run.
#[derive(Clone, Copy, Debug)]
pub struct LineSeen<'a> {
    /// The file.
    pub file: &'a str,
    /// The line, from 1.
    pub line: u32,
    /// Functions that are running, outermost first; empty if the observer wants none.
    pub stack: &'a [StackSeen],
    /// Locals of the innermost function; empty if the observer wants none.
    pub locals: &'a [LocalSeen],
    /// Bytes that the state holds.
    pub held: usize,
}

/// What an observer is told besides lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// The functions that are running.
    pub stack: bool,
    /// The locals of the innermost one.
    pub locals: bool,
}

/// What was done with a bin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinAccess {
    /// It was read.
    Read,
    /// It was written, for a later create or update.
    Written,
}

/// Sees what scripts of a program do; scripts of a server have none.
pub trait Observer: Send + Sync + Debug {
    /// What it wants to know.
    fn wants(&self) -> Wants;

    /// A line is about to run.
    fn line(&self, line: &LineSeen<'_>);

    /// A function of `aerospike` was called on the record, and what it answered.
    fn operation(&self, name: &str, status: i64);

    /// A function of `record` was called, and what it gave; none for nil, and for what records do not hold.
    fn looked_at(&self, _function: &str, _value: Option<&Particle>) {}

    /// A bin was read or written, and its value; none for nil, which deletes it.
    fn bin(&self, _name: &[u8], _access: BinAccess, _value: Option<&Particle>) {}
}

/// Answers what scripts of a program ask it, through a global function that servers do not have.
pub trait Oracle: Send + Sync + Debug {
    /// The answer to the arguments of one call.
    ///
    /// # Errors
    /// The text is raised in the script, as it is.
    fn answer(&self, question: Vec<Particle>) -> Result<Particle, Vec<u8>>;
}

/// Permits for work that runs long, in order of arrival.
pub trait Lane: Sync + Debug {
    /// Whether somebody waits for a permit.
    fn has_waiters(&self) -> bool;

    /// Takes a permit; blocks until there is one. False when the deadline comes first.
    ///
    /// `is_first`: the work has run without a permit so far. `holds_one`: it gives back the one that it has, for others to
    /// go first.
    fn take_turn(&self, is_first: bool, holds_one: bool, deadline: Option<Instant>) -> bool;

    /// Gives a permit back.
    fn release(&self);

    /// Whether it is known that others are served while the calling thread does the work that it took a turn for. To be
    /// asked again after a while when it is not; asked in vain, it has the thread step aside once more.
    fn others_are_served(&self) -> bool;

    /// Lets others have the processor of the calling thread first, if it is time for that. Long work calls it often; it may
    /// block for some tens of microseconds.
    fn breathe(&self, now: Instant);

    /// Time that the calling thread has had of a processor; always zero where that is not known.
    fn processor_time(&self) -> Duration;
}

/// The lane of work that is alone: there is always a permit.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Lane for Alone {
    fn has_waiters(&self) -> bool {
        false
    }

    fn take_turn(&self, _is_first: bool, _holds_one: bool, _deadline: Option<Instant>) -> bool {
        true
    }

    fn release(&self) {}

    fn others_are_served(&self) -> bool {
        true
    }

    fn breathe(&self, _now: Instant) {}

    fn processor_time(&self) -> Duration {
        Duration::ZERO
    }
}
