//! Contexts: Lua states with one module loaded, ready to run its functions.

mod blank;
mod missing;
pub(crate) mod state;
mod stream;

use std::sync::Arc;
use std::time::Duration;

pub use missing::likely;

use self::blank::Blank;
use crate::call::stream::{StreamCall, StreamNil, StreamStep};
use crate::call::{Call, Cause, Outcome, Reply};
use crate::context::state::{LuaState, StateOptions};
use crate::host::{Host, Observer, Oracle};
use crate::machine::common::ScriptMemory;
use crate::machine::compile::{LoadError, compile};
use crate::machine::shared::{Abort, BodyTime, shown_path};
use crate::module::compile_failure::CompileFailure;
use crate::module::{Bytecode, Modules};

/// Time for a chunk that was validated, when it is compiled for its contexts: validating it took far less.
const COMPILE_TIME: BodyTime = BodyTime {
    processor: Duration::from_secs(2),
    wall: Duration::from_secs(10),
};

/// What scripts may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Time for a module's body, compilation included, in `udf-put` and whenever a context is built.
    pub load_time: BodyTime,
    /// Bytes that a context may take while its module is loaded.
    pub load_memory: usize,
    /// Bytes that a call may take on top of what its context holds.
    pub call_memory: usize,
    /// A context that holds more bytes than this after a call is dropped; one that does when its module is loaded is not
    /// built.
    pub context_memory: usize,
    /// What all contexts and calls may hold together.
    pub all_memory: Arc<ScriptMemory>,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            load_time: BodyTime::of_processor(Duration::from_millis(300)),
            load_memory: 128 * MIB,
            call_memory: 128 * MIB,
            context_memory: 16 * MIB,
            all_memory: ScriptMemory::unlimited(),
        }
    }
}

/// Why a context could not be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadFailure {
    /// What Lua says.
    pub reason: String,
    /// Another attempt may succeed although no module changed: a budget ran out, say.
    pub transient: bool,
}

/// Why a context is closed after its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retirement {
    /// The call ran out of time or memory.
    Aborted,
    /// It holds more memory than a context may keep.
    Oversized,
    /// The call has written to a table of the server.
    Changed,
}

/// How a call ended, for the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// The function returned.
    Success,
    /// The function failed.
    Error,
    /// The function ran out of time.
    Timeout,
    /// The function wanted too much memory.
    OutOfMemory,
}

/// Builds contexts.
#[derive(Clone, Debug)]
pub struct LuaFactory {
    options: StateOptions,
    limits: Limits,
    /// For the next chunk that is validated.
    blank: Blank,
}

impl LuaFactory {
    /// A factory for modules of `user_path`, by which error texts name their files; `""` shows names without a directory. `allow_unsafe` gives scripts files, processes and native code; with
    /// `traceback` failures carry one.
    #[must_use]
    pub fn new(
        user_path: &str,
        allow_unsafe: bool,
        traceback: bool,
        limits: Limits,
        host: Arc<dyn Host>,
    ) -> Self {
        let options = StateOptions {
            user_path: user_path.into(),
            allow_unsafe,
            traceback,
            stream_nil: StreamNil::default(),
            oracle: None,
            observer: None,
            host_clock: false,
            host,
            load_memory: limits.load_memory,
            call_memory: limits.call_memory,
            all_memory: Arc::clone(&limits.all_memory),
        };
        Self {
            options,
            limits,
            blank: Blank::default(),
        }
    }

    /// The same with another answer to operators of streams that give nil.
    #[must_use]
    pub fn with_stream_nil(mut self, stream_nil: StreamNil) -> Self {
        self.options.stream_nil = stream_nil;
        self
    }

    /// The same for scripts that find a global function `name`, which asks the oracle.
    #[must_use]
    pub fn with_oracle(mut self, name: &'static str, oracle: Arc<dyn Oracle>) -> Self {
        self.options.oracle = Some((name, oracle));
        self
    }

    /// The same for scripts that an observer sees.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.options.observer = Some(observer);
        self
    }

    /// The same for scripts to which `os.time` and `os.date` tell the time of the host, which need not be that of the
    /// machine.
    #[must_use]
    pub fn with_host_clock(mut self) -> Self {
        self.options.host_clock = true;
        self
    }

    /// What all contexts and calls hold, and may hold.
    #[must_use]
    pub fn memory(&self) -> &Arc<ScriptMemory> {
        &self.limits.all_memory
    }

    /// The memory that a loaded state holds, if that is more than a context may keep.
    fn oversized(&self, state: &mut LuaState) -> Option<String> {
        let limit = self.limits.context_memory;
        if state.memory_bytes() > limit {
            state.collect_garbage();
        }
        let held = state.memory_bytes();
        (held > limit).then(|| {
            format!(
                "the module's body leaves {held} bytes in its context, at most {limit} may stay \
                 (context-memory-limit)"
            )
        })
    }

    /// Compiles the main chunk for the contexts of a module.
    ///
    /// # Errors
    /// The chunk does not compile.
    pub fn compile(&self, file_name: &str, source: &[u8]) -> Result<Bytecode, CompileFailure> {
        let name = format!("@{}", shown_path(&self.options.user_path, file_name));
        let (limits, lane) = (&self.limits, self.options.host.lane());
        match compile(&name, source, limits.load_memory, COMPILE_TIME, lane) {
            Ok(bytecode) => Ok(Bytecode(bytecode.into())),
            Err(error) => Err(compile_failure(&error)),
        }
    }

    /// After a validation: makes the state for the next one, and closes that of the last, which takes most of the time of a
    /// validation. To be called where nobody waits.
    pub fn prepare_to_validate(&self) {
        self.blank.make(&self.options);
    }

    /// Compiles a chunk and runs its main body in a scratch state, within a budget of time and memory. `patience` is
    /// processor time, where that is to be less than the limit. Gives what [`compile`](Self::compile) gives, if that can be
    /// had.
    ///
    /// # Errors
    /// The chunk does not compile, or its body fails, takes too much, or leaves more than a context may keep.
    pub fn validate(
        &self,
        file_name: &str,
        source: &[u8],
        modules: Arc<dyn Modules>,
        patience: Option<Duration>,
    ) -> Result<Option<Bytecode>, Invalid> {
        let invalid = |error: &LoadError, ran_out| Invalid {
            failure: compile_failure(error),
            ran_out,
        };
        let mut state = self
            .blank
            .take(modules, &self.options)
            .ok_or_else(|| invalid(&no_memory(), false))?;
        let limit = self.limits.load_time;
        let time = match patience {
            Some(patience) if patience < limit.processor => BodyTime {
                processor: patience,
                ..limit
            },
            _ => limit,
        };
        let valid = match state.run_source(file_name, source, time) {
            Err(error) => Err(invalid(&error, time != limit && state.ran_out_of_time())),
            Ok(bytecode) => match self.oversized(&mut state) {
                None => Ok(bytecode.map(|bytecode| Bytecode(bytecode.into()))),
                Some(text) => Err(Invalid {
                    failure: CompileFailure {
                        file: file_name.as_bytes().to_vec(),
                        line: 0,
                        message: text.into_bytes(),
                    },
                    ran_out: false,
                }),
            },
        };
        self.blank.served(state);
        valid
    }

    /// Builds a context of the module of this name (without extension), ready to run. It asks `modules` whenever a script
    /// requires another module, for as long as it lives.
    ///
    /// # Errors
    /// The module, or one that it requires, cannot be loaded.
    pub fn create(
        &self,
        name: &str,
        bytecode: &Bytecode,
        modules: Arc<dyn Modules>,
    ) -> Result<Context, LoadFailure> {
        let failure = |error: LoadError| LoadFailure {
            reason: error.text.map_or_else(
                || "the module's body failed with an error value that is no text".to_owned(),
                |text| String::from_utf8_lossy(&text).into_owned(),
            ),
            transient: error.aborted,
        };
        let mut state =
            LuaState::new(modules, &self.options).ok_or_else(|| failure(no_memory()))?;
        state
            .run_module(name, &bytecode.0, self.limits.load_time)
            .map_err(failure)?;
        if let Some(reason) = self.oversized(&mut state) {
            return Err(LoadFailure {
                reason,
                transient: false,
            });
        }
        Ok(Context {
            state,
            retirement: None,
            stream_failed: false,
            context_memory: self.limits.context_memory,
        })
    }
}

/// Why a chunk is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// What is wrong, and where.
    pub failure: CompileFailure,
    /// Only the caller's patience ran out: with more of it, the chunk may be accepted.
    pub ran_out: bool,
}

fn no_memory() -> LoadError {
    LoadError {
        text: Some(b"not enough memory".to_vec()),
        aborted: true,
    }
}

fn compile_failure(error: &LoadError) -> CompileFailure {
    CompileFailure::of_error_value(error.text.as_deref())
}

/// A Lua state with one module loaded.
pub struct Context {
    state: LuaState,
    retirement: Option<Retirement>,
    /// The run of a stream UDF under way has failed.
    stream_failed: bool,
    context_memory: usize,
}

impl Context {
    /// Runs one call.
    pub fn run(&mut self, call: Call<'_>) -> (Outcome, CallEnd) {
        let (outcome, changed, abort) = self.state.call(call);
        self.retire_if_spent(changed, abort);
        let ended = match (&outcome.reply, abort) {
            (_, Some(why)) if why.is_time() => CallEnd::Timeout,
            (_, Some(_)) => CallEnd::OutOfMemory,
            (Reply::Failure(_), _) => CallEnd::Error,
            (Reply::Success(_), _) => CallEnd::Success,
        };
        (outcome, ended)
    }

    /// Begins a run of a stream UDF, to be followed by [`Context::end_stream`] whatever the answer. A context that is
    /// given back without is not used again.
    ///
    /// # Errors
    /// The function failed; the text is what the client reads.
    pub fn begin_stream(&mut self, call: StreamCall<'_>) -> Result<(), Vec<u8>> {
        let begun = self.state.begin_stream(call);
        self.stream_failed = begun.is_err();
        begun
    }

    /// Runs the stream until it gives a result. To be called until that is none, or a failure.
    pub fn next_value(&mut self) -> StreamStep {
        let step = self.state.next_value();
        if matches!(step, StreamStep::Failure(_)) {
            self.stream_failed = true;
        }
        step
    }

    /// Ends a run of a stream UDF, wherever it stands.
    pub fn end_stream(&mut self) -> CallEnd {
        let (changed, abort) = self.state.end_stream();
        self.retire_if_spent(changed, abort);
        match abort {
            Some(why) if why.is_time() => CallEnd::Timeout,
            Some(_) => CallEnd::OutOfMemory,
            None if std::mem::take(&mut self.stream_failed) => CallEnd::Error,
            None => CallEnd::Success,
        }
    }

    /// Why and where the call or the stream failed last, or what is worth a line in the log although it did not; told once.
    pub fn take_cause(&mut self) -> Cause {
        self.state.take_cause()
    }

    /// Place of the operator whose nil has ended the stream before its end; told once.
    pub fn take_ended_early(&mut self) -> Option<String> {
        self.state.take_ended_early()
    }

    /// Why no other call may use it, if that is so.
    #[must_use]
    pub fn retirement(&self) -> Option<Retirement> {
        self.retirement
            .or_else(|| self.state.has_stream().then_some(Retirement::Aborted))
    }

    /// Memory that Lua holds, bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.state.memory_bytes()
    }

    fn retire_if_spent(&mut self, changed: bool, abort: Option<Abort>) {
        self.retirement = if abort.is_some() {
            Some(Retirement::Aborted)
        } else if changed {
            Some(Retirement::Changed)
        } else if self.state.memory_bytes() > self.context_memory {
            Some(Retirement::Oversized)
        } else {
            None
        };
    }
}

#[cfg(test)]
impl Context {
    /// The account of its memory, which may outlive it.
    pub(crate) fn memory_account(&self) -> std::rc::Rc<crate::machine::memory::Memory> {
        self.state.memory_account()
    }
}
