use std::sync::Arc;
use std::time::Instant;

use protocol::key::Digest;
use protocol::limits::MAX_UDF_NAME;
use protocol::message::{Info2, Info3, OpCode};
use protocol::particle::{ParticleRef, ParticleType};
use protocol::result_code::ResultCode;

use super::count::{self, Ran};
use super::failure::{self, Names};
use super::placement::Done;
use super::refusal;
use super::reply::{Outcome, ReplyTo};
use super::request::{Origin, Request};
use super::services::{FunctionContext, Functions, Services};
use super::target::Target;
use super::{Call, CallOutcome, Cause, FunctionReply, RecordChange, RecordView};
use crate::record::{Namespace, StoreError, Version};
use data::record::{Set, StoredRecord, seconds};
use runtime::call::commit::{self, Refused, Terms};

/// Bin of the reply that holds the value of a function.
pub(crate) const SUCCESS: &[u8] = b"SUCCESS";
/// Bin of the reply that holds the reason of a failure.
pub(crate) const FAILURE: &[u8] = b"FAILURE";

/// Calls a record UDF and stores what it did to the record.
///
/// The context is taken before the record is locked, so that nobody waits for a record while a module loads. The
/// function runs on the version that was stored then, with no lock that a reader could meet. What can be refused
/// because of the record (4, 27, 19) comes before a missing module shows.
pub(crate) async fn answer<S: Services>(
    target: Target<'_, S>,
    request: &Request<'_>,
    reply: ReplyTo<'_>,
) -> Done {
    match admit(target.services, request) {
        Ok(names) => {
            let (namespace, digest) = (target.namespace, target.digest);
            let functions = target.services.functions();
            run(functions, namespace, digest, request, &names, reply).await
        }
        Err(code) => reply.plain(code.into()).into(),
    }
}

/// Runs an admitted call on one record; [`Done::Moved`] when another node owns it by now.
pub(crate) async fn run(
    functions: &impl Functions,
    namespace: &Arc<Namespace>,
    digest: &Digest,
    request: &Request<'_>,
    names: &Names<'_>,
    reply: ReplyTo<'_>,
) -> Done {
    let context = functions.acquire(names.package);
    let missing = context.as_ref().err();
    let context = Taken {
        missing: missing.and_then(|_| functions.explain_missing(names.package)),
        detail: functions.error_detail(),
        context,
    };
    let pending_limit = namespace.settings.transaction_pending_limit();
    match namespace
        .locks()
        .lock(digest, request.deadline, pending_limit)
        .await
    {
        Ok(_lock) if !namespace.owns(digest.partition_id()) => Done::Moved,
        Ok(_lock) => call(namespace, digest, request, names, context, reply)
            .await
            .into(),
        Err(error) => reply.plain(error.result_code().into()).into(),
    }
}

/// What can be said without the record.
fn admit<'a>(services: &impl Services, request: &Request<'a>) -> Result<Names<'a>, ResultCode> {
    const REFUSED2: Info2 = Info2::GENERATION
        .union(Info2::GENERATION_GT)
        .union(Info2::CREATE_ONLY);
    const REFUSED3: Info3 = Info3::UPDATE_ONLY
        .union(Info3::CREATE_OR_REPLACE)
        .union(Info3::REPLACE_ONLY);
    if services.udf_execution_disabled() {
        return Err(refusal::because(
            ResultCode::FORBIDDEN,
            "UDFs may not run (disable-udf-execution)",
        ));
    }
    if Instant::now() >= request.deadline {
        return Err(ResultCode::TIMEOUT);
    }
    let header = &request.header;
    if header.info2.intersects(REFUSED2) || header.info3.intersects(REFUSED3) {
        return Err(ResultCode::PARAMETER);
    }
    names(request)
}

/// Names and arguments of the call in a request.
///
/// Errors: 4 where one is missing or too long.
pub(crate) fn names<'a>(request: &Request<'a>) -> Result<Names<'a>, ResultCode> {
    let (Some(package), Some(function), Some(arglist)) =
        (request.package, request.function, request.arglist)
    else {
        return Err(ResultCode::PARAMETER);
    };
    if package.len() > MAX_UDF_NAME || function.len() > MAX_UDF_NAME {
        return Err(ResultCode::PARAMETER);
    }
    Ok(Names {
        package,
        function,
        arglist,
    })
}

/// A context that was asked for.
struct Taken<C> {
    context: Result<C, Vec<u8>>,
    /// Why there is none, where the error does not say.
    missing: Option<String>,
    /// Replies say more than those of the real server.
    detail: bool,
}

/// Checks the record, runs the function and commits. The caller holds the record's lock.
async fn call<C: FunctionContext>(
    namespace: &Namespace,
    digest: &Digest,
    request: &Request<'_>,
    names: &Names<'_>,
    taken: Taken<C>,
    reply: ReplyTo<'_>,
) -> ResultCode {
    let stored = match namespace.find(digest).await {
        Ok(stored) => stored,
        Err(error) => return reply.plain(error.result_code().into()),
    };
    let existing = stored.as_ref();
    if existing.is_none() && request.origin == Origin::Background {
        // It went since it was found; such a query makes no records.
        return reply.plain(ResultCode::NOT_FOUND.into());
    }
    let checked =
        check(namespace, digest, request, existing).and_then(|key| Ok((key, request.set_name()?)));
    let (key, set) = match checked {
        Ok(checked) => checked,
        Err(code) => return reply.plain(about(existing, code)),
    };
    let keeps = namespace.keeps();
    let record = RecordView {
        digest: *digest,
        set: match existing {
            Some(_) => None,
            None => set_name(namespace, set),
        },
        key: key.map(ParticleRef::to_particle),
        stored: stored.clone(),
        in_memory: keeps.in_memory,
        persisted: keeps.persisted,
        write_refusal: namespace.write_refusal(set, existing),
    };
    let call = Call {
        function: names.function,
        arguments: names.arglist,
        record,
        deadline: request.deadline,
        now: seconds(namespace.now_ms()),
    };
    let (ended, cause) = match taken.context {
        Ok(mut context) => {
            let ended = context.run(call);
            (ended, context.take_cause())
        }
        Err(text) => {
            let cause = Cause {
                place: None,
                text: taken.missing,
            };
            (CallOutcome::failure(text), cause)
        }
    };
    // A background job has one line for all of its records.
    let logs = request.origin != Origin::Background;
    let value = match ended.reply {
        FunctionReply::Success(value) => value,
        FunctionReply::Failure(text) => {
            count::ran(&namespace.stats, request.origin, Ran::Failed);
            let failed = about(existing, ResultCode::UDF_EXECUTION);
            if logs {
                failure::log(names, ResultCode::UDF_EXECUTION, &text, &cause);
            }
            let text = failure::reply_text(text, &cause, taken.detail);
            return write_bin(
                reply,
                failed,
                FAILURE,
                ParticleRef::new(ParticleType::STRING, &text),
            );
        }
    };
    if let Some(code) = ended.pending_error {
        if logs {
            failure::log(names, code, b"", &cause);
        }
        return reply.plain(about(existing, code));
    }
    let commit = Commit {
        set,
        key,
        change: ended.change,
    };
    match commit.run(namespace, digest, request, existing).await {
        Ok((outcome, ran)) => {
            if logs && cause.text.is_some() {
                failure::log(names, ResultCode::OK, b"", &cause);
            }
            count::ran(&namespace.stats, request.origin, ran);
            write_bin(reply, outcome, SUCCESS, value.as_ref())
        }
        Err(code) => {
            if logs {
                failure::log(names, code, b"what the function did is not stored", &cause);
            }
            reply.plain(about(existing, code))
        }
    }
}

/// The name of the set that a request or a record names, shared with the set where that exists.
pub(crate) fn set_name(namespace: &Namespace, named: &str) -> Option<Arc<str>> {
    if named.is_empty() {
        return None;
    }
    let set = namespace.sets().get(named).map(Set::shared_name);
    Some(set.unwrap_or_else(|| Arc::from(named)))
}

/// The checks that need the record; gives the key that a write would store.
fn check<'k>(
    namespace: &Namespace,
    digest: &Digest,
    request: &'k Request<'_>,
    existing: Option<&'k StoredRecord>,
) -> Result<Option<ParticleRef<'k>>, ResultCode> {
    if let Some(record) = existing {
        request.check_set(record)?;
        request.check_filter(digest, record, || namespace.now_ms())?;
        request.check_key(record)?;
        commit::admit(record, request.key.is_some())?;
    }
    request.key_to_store(existing)
}

/// What a function did, to be stored.
struct Commit<'a> {
    /// The set that the request names.
    set: &'a str,
    key: Option<ParticleRef<'a>>,
    change: RecordChange,
}

impl Commit<'_> {
    /// Stores it; gives what the reply says about the record, and what to count.
    async fn run(
        self,
        namespace: &Namespace,
        digest: &Digest,
        request: &Request<'_>,
        existing: Option<&StoredRecord>,
    ) -> Result<(Outcome, Ran), ResultCode> {
        if self.change == RecordChange::None {
            return Ok((about(existing, ResultCode::OK), Ran::Read));
        }
        let now_ms = namespace.now_ms();
        let terms = Terms {
            ttl_rules: namespace.ttl_rules(self.set),
            request_ttl: request.header.record_ttl,
            durable_delete: request.header.info2.contains(Info2::DURABLE_DELETE),
            now: seconds(now_ms),
        };
        let decided = commit::commit(self.change, existing, &terms);
        let decided = decided.map_err(|refused| match refused {
            Refused::Ttl { code, ttl } => refusal::of_ttl(code, namespace.name(), ttl),
            Refused::Code(code) => code,
        })?;
        let (bins, drop_key, generation, void_time) = match decided {
            commit::Commit::Nothing => return Ok((about(existing, ResultCode::OK), Ran::Read)),
            commit::Commit::Remove {
                generation,
                void_time,
            } => {
                let removed = namespace.remove(digest).await;
                removed.map_err(|error| error.result_code())?;
                let outcome = Outcome {
                    result: ResultCode::OK,
                    generation,
                    void_time,
                };
                return Ok((outcome, Ran::Delete));
            }
            commit::Commit::Store {
                bins,
                drop_key,
                generation,
                void_time,
            } => (bins, drop_key, generation, void_time),
        };
        let refused = |error: StoreError| error.result_code();
        let version = Version {
            generation,
            void_time,
            last_update_ms: now_ms,
            set: self.set,
            key: self.key.filter(|_| !drop_key),
            size_before: None,
        };
        let bins = bins.iter();
        let bins = bins.map(|bin| (bin.name.as_bytes(), bin.particle.as_ref()));
        let prepared = namespace
            .prepare(digest, version, existing, bins)
            .map_err(refused)?;
        let outcome = Outcome::about(prepared.record(), ResultCode::OK);
        let stored = namespace.store_prepared(prepared).await;
        stored.map_err(refused)?;
        Ok((outcome, Ran::Write))
    }
}

fn about(existing: Option<&StoredRecord>, result: ResultCode) -> Outcome {
    existing.map_or(Outcome::of(result), |record| Outcome::about(record, result))
}

fn write_bin(
    reply: ReplyTo<'_>,
    outcome: Outcome,
    name: &[u8],
    value: ParticleRef<'_>,
) -> ResultCode {
    reply.write(|message| {
        message.op(OpCode::READ, name, value);
        Ok(outcome)
    })
}

/// Whether a write is a call of a record UDF.
pub(crate) fn is_call(request: &Request<'_>) -> bool {
    request.package.is_some()
}
