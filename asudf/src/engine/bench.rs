//! What calls are made with: modules, contexts, records, a clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use data::record::{StoredRecord, seconds};
use protocol::limits::MAX_UDF_NAME;
use protocol::particle::Particle;
use protocol::result_code::ResultCode;
use runtime::call::commit::admit;
use runtime::call::{Call, Cause, EXECUTION_ERROR, RecordView, Reply};
use runtime::context::{Context, Limits, LuaFactory};
use runtime::host::{Host, Observer};
use runtime::module::Modules;

use super::Watcher;
use super::code::Code;
use super::desk::Desk;
use super::namespace::Namespace;
use crate::place::{Address, Called, EPOCH_2010, Function, Policy, Terms};

/// Records and contexts of the test under way.
pub(super) struct Bench {
    code: Arc<Code>,
    pub(super) desk: Arc<Desk>,
    pub(super) terms: Terms,
    pub(super) namespace: Namespace,
    watcher: Option<Arc<dyn Watcher>>,
    pub(super) contexts: BTreeMap<String, Context>,
}

impl Bench {
    pub(super) fn new(code: Arc<Code>, terms: Terms, watcher: Option<Arc<dyn Watcher>>) -> Self {
        Self {
            watcher,
            code,
            desk: Arc::default(),
            terms,
            namespace: Namespace::default(),
            contexts: BTreeMap::new(),
        }
    }

    /// A context of a module, to be given back by [`Bench::give_back`]; a failure is what the client reads, and the cause.
    pub(super) fn take(&mut self, module: &str) -> Result<Context, (Vec<u8>, Cause)> {
        if let Some(context) = self.contexts.remove(module) {
            return Ok(context);
        }
        let cause = |text: String| Cause {
            place: None,
            text: Some(text),
        };
        let Some(chunk) = self.code.find(module.as_bytes()) else {
            let names = self.code.sources().keys().map(String::as_str);
            let mut text = format!("there is no module `{module}`");
            if let Some(meant) = runtime::context::likely(module, names) {
                text += &format!("; did you mean `{meant}`?");
            }
            return Err((EXECUTION_ERROR.into(), cause(text)));
        };
        let modules: Arc<dyn Modules> = Arc::clone(&self.code) as _;
        let built = match &chunk.compiled {
            Ok(bytecode) => self.factory().create(module, bytecode, modules),
            Err(reason) => {
                let text = format!("{EXECUTION_ERROR}: {reason}");
                return Err((text.into_bytes(), Cause::default()));
            }
        };
        if let Some(watcher) = &self.watcher {
            watcher.rest();
        }
        built.map_err(|failure| {
            let text = format!("{EXECUTION_ERROR}: {}", failure.reason);
            (text.into_bytes(), Cause::default())
        })
    }

    fn factory(&self) -> LuaFactory {
        let limits = Limits {
            call_memory: self.terms.memory_limit,
            ..Limits::default()
        };
        let host: Arc<dyn Host> = Arc::clone(&self.desk) as _;
        let factory = LuaFactory::new("", false, false, limits, host).with_host_clock();
        match &self.watcher {
            Some(watcher) => factory.with_observer(Arc::clone(watcher) as Arc<dyn Observer>),
            None => factory,
        }
    }

    pub(super) fn give_back(&mut self, module: &str, context: Context) {
        if let Some(watcher) = &self.watcher {
            watcher.rest();
        }
        if context.retirement().is_none() {
            self.contexts.insert(module.to_owned(), context);
        }
    }

    /// Milliseconds since 2010-01-01 UTC.
    pub(super) fn now_ms(&self) -> u64 {
        self.desk.unix_ms().saturating_sub(EPOCH_2010 * 1000)
    }

    pub(super) fn now(&self) -> u32 {
        seconds(self.now_ms())
    }

    pub(super) fn records_of(&self, set: &str) -> Vec<StoredRecord> {
        self.namespace.of_set(set, self.now())
    }

    /// Calls a record UDF and stores what it did.
    pub(super) fn call(
        &mut self,
        address: &Address,
        function: Function<'_>,
        policy: &Policy,
    ) -> Called {
        let existing = self.namespace.find(&address.digest, self.now());
        let mut called = Called {
            code: ResultCode::OK,
            value: Particle::NIL,
            failure: Vec::new(),
            did: crate::place::Did::Nothing,
            cause: Cause::default(),
        };
        if let Some(record) = &existing
            && let Err(code) = admit(record, policy.sends_key)
        {
            called.code = code;
            return called;
        }
        let stored_key = existing.as_ref().and_then(StoredRecord::key);
        let key = match stored_key {
            Some(key) => Some(key.to_particle()),
            None => policy.sends_key.then(|| address.key.clone()),
        };
        let names = [function.module.len(), function.name.len()];
        if names.into_iter().any(|length| length > MAX_UDF_NAME) {
            called.code = ResultCode::PARAMETER;
            return called;
        }
        let mut context = match self.take(function.module) {
            Ok(context) => context,
            Err((failure, cause)) => {
                called.code = ResultCode::UDF_EXECUTION;
                (called.failure, called.cause) = (failure, cause);
                return called;
            }
        };
        let view = RecordView {
            digest: address.digest,
            set: (!address.set.is_empty()).then(|| Arc::from(address.set.as_str())),
            key: key.clone(),
            stored: existing.clone(),
            in_memory: true,
            persisted: false,
            write_refusal: None,
        };
        let time_limit = policy.time_limit.unwrap_or(self.terms.time_limit);
        let (outcome, _) = context.run(Call {
            function: function.name,
            arguments: function.arguments,
            record: view,
            deadline: Instant::now() + time_limit,
            now: self.now(),
        });
        called.cause = context.take_cause();
        self.give_back(function.module, context);
        match outcome.reply {
            Reply::Success(value) => called.value = value,
            Reply::Failure(text) => {
                called.code = ResultCode::UDF_EXECUTION;
                called.failure = text;
                return called;
            }
        }
        if let Some(code) = outcome.pending_error {
            called.code = code;
            called.value = Particle::NIL;
            return called;
        }
        let now_ms = self.now_ms();
        let stored = self.namespace.commit(
            address,
            key.as_ref(),
            outcome.change,
            existing.as_ref(),
            (policy, &self.terms, now_ms),
        );
        match stored {
            Ok(did) => called.did = did,
            Err(code) => {
                called.code = code;
                called.value = Particle::NIL;
            }
        }
        called
    }
}
