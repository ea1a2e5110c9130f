//! Stream UDFs: a function that puts operators onto a stream of records, and the results that the operators give.
//!
//! The operators are Lua (`api/stream.lua`). Records are pulled: the stream asks for the next one when it needs it, and who
//! runs the stream asks it for one result at a time, so neither are ever there all at once. All records of a run share one
//! handle, which is the record that was pulled last; it can only be read.

use std::ffi::c_int;
use std::time::Instant;

use mlua::ffi;

use crate::api::library::RUNNER;
use crate::call::EXECUTION_ERROR;
use crate::call::stream::{StreamCall, StreamSource, StreamStep};
use crate::context::state::{LuaState, contains, protected_call, push_arguments};
use crate::guard::globals::{self, Ground};
use crate::machine::encode;
use crate::machine::frame::{Frame, LuaType, Raise};
use crate::machine::object::{Converted, Object};
use crate::machine::record_call::RecordCall;
use crate::machine::shared::{Abort, Shared, StreamInput};
use crate::machine::value::Value;

/// How errors of a running stream begin.
const RUN_ERROR: &str = "UDF: Execution Error 2";

impl LuaState {
    /// Has a global function put its operators onto a stream. To be followed by [`LuaState::end_stream`], whatever the answer.
    ///
    /// # Errors
    /// The function failed; the text is what the client reads.
    pub(crate) fn begin_stream(&mut self, call: StreamCall<'_>) -> Result<(), Vec<u8>> {
        self.begin_call();
        let (globals, traceback) = (self.globals, self.traceback);
        let deadline = Instant::now() + call.time_per_record;
        let input = StreamInput {
            source: call.source,
            time_per_record: call.time_per_record,
            now: call.now,
        };
        let of_client = matches!(input.source, StreamSource::Values(_));
        let (function, arguments) = (call.function, call.arguments);
        self.name_function(function);
        self.stream_deadline = call.time_per_record;
        self.shared().stream.replace(Some(input));
        let begun = self.within(deadline, |frame| {
            begin(frame, (function, arguments), of_client, globals, traceback)
        });
        begun.map(|chain| self.chain = Some(chain))
    }

    /// Runs the stream until it gives a result. To be called until that is none, or a failure.
    pub(crate) fn next_value(&mut self) -> StreamStep {
        let Some(chain) = self.chain else {
            return StreamStep::End;
        };
        let traceback = self.traceback;
        let deadline = Instant::now() + self.stream_deadline;
        self.within(deadline, |frame| next_value(frame, chain, traceback))
    }

    /// Whether a run has begun that has not been ended.
    pub(crate) fn has_stream(&self) -> bool {
        self.shared().stream.borrow().is_some()
    }

    /// Ends a run, wherever it stands. The flag says whether it has written to a table of the server.
    pub(crate) fn end_stream(&mut self) -> (bool, Option<Abort>) {
        if let Some(chain) = self.chain.take() {
            // SAFETY: the reference is one that `begin` made.
            unsafe { ffi::luaL_unref(self.raw, ffi::LUA_REGISTRYINDEX, chain) };
        }
        self.shared().stream.replace(None);
        self.end_call()
    }

    /// Works on the bare stack until a deadline.
    fn within<R>(&mut self, deadline: Instant, work: impl FnOnce(&mut Frame<'_>) -> R) -> R {
        let shared = self.shared();
        shared.set_budget(Some(deadline));
        shared.memory.begin_overdraft();
        let result = self.with_frame(work);
        let shared = self.shared();
        shared.memory.end_overdraft();
        // A permit to run long is not kept while the client is waited for.
        shared.set_budget(None);
        result
    }
}

/// Calls the function with a stream and the arguments; the answer refers to the function that gives the results.
fn begin(
    frame: &mut Frame<'_>,
    (function, arguments): (&[u8], &[u8]),
    of_client: bool,
    globals: Option<Ground>,
    traceback: bool,
) -> Result<c_int, Vec<u8>> {
    let handler = crate::context::state::push_handler(frame, traceback);
    if let Some(ground) = globals.filter(|ground| !ground.sealed) {
        globals::set_aerospike(frame, ground);
    }
    frame.push_registry(RUNNER);
    let runner = frame.top();
    crate::context::state::push_function(frame, globals, function);
    if frame.kind(-1) == LuaType::Nil {
        crate::context::state::explain_missing(frame, globals, function);
        return Err(format!("{RUN_ERROR} : function not found").into_bytes());
    }
    frame.push_native(pull);
    frame.push_boolean(of_client);
    push_arguments(frame, arguments).map_err(|text| failure(&text))?;
    let count = frame.top() - runner;
    let status = protected_call(frame, count, handler);
    if status != ffi::LUA_OK || frame.shared().abort.get().is_some() {
        return Err(failure(&error_text(frame)));
    }
    // SAFETY: the function is on top.
    Ok(unsafe { ffi::luaL_ref(frame.raw(), ffi::LUA_REGISTRYINDEX) })
}

/// Asks the function behind `chain` for results until one is there that can be sent.
fn next_value(frame: &mut Frame<'_>, chain: c_int, traceback: bool) -> StreamStep {
    let handler = crate::context::state::push_handler(frame, traceback);
    loop {
        // SAFETY: the registry holds the function.
        unsafe { ffi::lua_rawgeti(frame.raw(), ffi::LUA_REGISTRYINDEX, chain.into()) };
        let status = protected_call(frame, 0, handler);
        if status != ffi::LUA_OK || frame.shared().abort.get().is_some() {
            return StreamStep::Failure(failure(&error_text(frame)));
        }
        let value = match (frame.kind(-1), frame.value_at(-1)) {
            (LuaType::None | LuaType::Nil, _) => return StreamStep::End,
            (_, Converted::Value(value)) => value,
            (LuaType::Userdata, _) => {
                frame.warn_lost(-1, "is given", "the client gets nil");
                Value::Nil
            }
            // Tables and functions vanish; looking for the next result is work that no hook sees.
            _ => {
                frame.warn_lost(-1, "is given", "the client gets nothing of it");
                frame.pop(1);
                if frame.spend(NEXT_STEPS).is_err() {
                    let abort = frame.shared().abort.get().unwrap_or(Abort::Time);
                    return StreamStep::Failure(failure(abort.text().as_bytes()));
                }
                continue;
            }
        };
        return match encode::to_result(&value) {
            Ok(particle) => StreamStep::Value(particle),
            Err(_) => StreamStep::Failure(EXECUTION_ERROR.into()),
        };
    }
}

/// Steps that a result which cannot be sent is counted with.
const NEXT_STEPS: usize = 256;

/// What the client reads.
fn failure(text: &[u8]) -> Vec<u8> {
    [RUN_ERROR.as_bytes(), b" : ", text].concat()
}

/// What an error value on top of the stack says.
fn error_text(frame: &mut Frame<'_>) -> Vec<u8> {
    let abort = frame.shared().abort.get();
    let is_text = matches!(frame.kind(-1), LuaType::String | LuaType::Number);
    let text = is_text.then(|| frame.bytes(-1).unwrap_or_default().to_vec());
    match (text, abort) {
        (Some(text), Some(abort)) if contains(&text, abort.text().as_bytes()) => text,
        (_, Some(abort)) => abort.text().into(),
        (Some(text), None) => text,
        (None, None) => {
            let mut text = b"bad argument #1 to '?' (string expected, got ".to_vec();
            text.extend(frame.type_name(-1));
            text.push(b')');
            text
        }
    }
}

/// The next record of the stream under way, or nil. The time for it begins.
fn pull(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let shared = frame.shared();
    if shared.abort.get().is_some() {
        return Err(Raise::Abort(shared.abort.get().unwrap_or(Abort::Time)));
    }
    let ended = || Raise::text("the stream is at its end: its run is over");
    let mut input = shared.stream.try_borrow_mut().map_err(|_| ended())?;
    let input = input.as_mut().ok_or_else(ended)?;
    if !shared.restart_budget(input.time_per_record) {
        return Err(Raise::Abort(Abort::Time));
    }
    match &mut input.source {
        StreamSource::Records(next) => match next() {
            Some(view) => push_record(frame, shared, view, input.now),
            None => frame.push_nil(),
        },
        StreamSource::Values(next) => match next() {
            Some(particle) => {
                let value = encode::from_particle(&shared.memory, particle.as_ref());
                frame.push_value(&value);
            }
            None => frame.push_nil(),
        },
    }
    Ok(1)
}

fn push_record(frame: &mut Frame<'_>, shared: &Shared, view: crate::call::RecordView, now: u32) {
    let before = shared.record.replace(None);
    let spare = before.map(|mut record| record.take_pending());
    let record = RecordCall::to_read(view, now, spare.unwrap_or_default());
    shared.record.replace(Some(record));
    frame.push_object(Object::Record(shared.call_number.get()));
}
