//! Functions of registered modules, run in contexts of the pools.

use std::sync::Arc;

use runtime::context::{LuaFactory, likely};

use super::{Call, CallOutcome, Cause, FunctionContext, Functions, StreamCall, StreamStep};
use crate::contexts::service::{AcquireError, ContextGuard, Service};
use crate::modules::names;

/// The registered modules and their contexts.
#[derive(Clone)]
pub struct LuaFunctions(pub Arc<Service<LuaFactory>>);

/// A context taken from a pool for one call.
pub struct PooledFunction<'s> {
    guard: ContextGuard<'s, LuaFactory>,
}

impl Functions for LuaFunctions {
    type Context<'s> = PooledFunction<'s>;

    fn acquire(&self, package: &[u8]) -> Result<PooledFunction<'_>, Vec<u8>> {
        let guard = match self.0.acquire_idle(package).map_err(text)? {
            Some(guard) => guard,
            None => waiting(|| self.0.acquire(package)).map_err(text)?,
        };
        Ok(PooledFunction { guard })
    }

    fn explain_missing(&self, package: &[u8]) -> Option<String> {
        let counts = self.0.counts();
        let names: Vec<&str> = counts
            .iter()
            .filter_map(|module| names::callable(&module.file_name))
            .collect();
        if names.iter().any(|name| name.as_bytes() == package) {
            // It is there, and the error says why it does not load.
            return None;
        }
        let package = String::from_utf8_lossy(package);
        let mut text = format!("no module `{package}` is registered");
        let bare = package.strip_suffix(".lua").unwrap_or(&package);
        if let Some(meant) = names.iter().find(|name| **name == bare) {
            text += &format!("; calls name it without the extension: `{meant}`");
        } else if let Some(meant) = likely(bare, names.iter().copied()) {
            text += &format!("; did you mean `{meant}`?");
        }
        Some(text)
    }

    fn error_detail(&self) -> bool {
        self.0.settings().error_detail
    }
}

fn text(error: AcquireError) -> Vec<u8> {
    error.to_string().into_bytes()
}

/// Does what may build a context on this thread, which runs the module's body: others get the worker's duty meanwhile.
fn waiting<T>(acquire: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(acquire)
}

impl FunctionContext for PooledFunction<'_> {
    fn run(&mut self, call: Call<'_>) -> CallOutcome {
        // The record may have been waited for: a module that was replaced meanwhile must not run its old code.
        if !self.guard.is_current() {
            match waiting(|| self.guard.anew()) {
                Ok(guard) => self.guard = guard,
                Err(error) => return CallOutcome::failure(text(error)),
            }
        }
        let Some(context) = self.guard.context() else {
            return CallOutcome::failure("no context for the call");
        };
        let (outcome, ended) = context.run(call);
        self.guard.ended(ended);
        outcome
    }

    fn take_cause(&mut self) -> Cause {
        let context = self.guard.context();
        context.map_or_else(Cause::default, |context| context.take_cause())
    }

    fn take_ended_early(&mut self) -> Option<String> {
        let context = self.guard.context();
        context.and_then(|context| context.take_ended_early())
    }

    fn begin_stream(&mut self, call: StreamCall<'_>) -> Result<(), Vec<u8>> {
        match self.guard.context() {
            Some(context) => context.begin_stream(call),
            None => Err(b"no context for the call".to_vec()),
        }
    }

    fn next_value(&mut self) -> StreamStep {
        let context = self.guard.context();
        context.map_or(StreamStep::End, |context| context.next_value())
    }

    fn end_stream(&mut self) {
        if let Some(context) = self.guard.context() {
            let ended = context.end_stream();
            self.guard.ended(ended);
        }
    }
}
