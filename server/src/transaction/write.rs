use data::bin::BinName;
use data::metadata::Metadata;
use data::operation::{Limits, Surroundings, Working};
use protocol::key::Digest;
use protocol::limits::MAX_BODY_SIZE;
use protocol::message::{BodyWriter, Info2};
use protocol::particle::ParticleRef;
use protocol::result_code::ResultCode;

use super::plan::Plan;
use super::refusal;
use super::reply::{Outcome, ReplyTo, check_size};
use super::request::Request;
use super::work::Work;
use crate::record::Namespace;
use crate::record::{Prepared, StoreError, Version};
use data::record::{StoredRecord, policy, seconds};

/// Most bytes of a value while operations go over it: those of a message. What is stored has smaller limits.
pub(crate) const LIMITS: Limits = Limits {
    max_particle_bytes: MAX_BODY_SIZE as usize,
};

/// Answers a write, or a mix of writes and reads. The caller holds the record's lock.
///
/// Ops work on the bins one after the other; what has become of them is stored when all have succeeded.
pub(crate) async fn answer(
    namespace: &Namespace,
    digest: &Digest,
    request: &Request<'_>,
    plan: &Plan<'_>,
    mut reply: ReplyTo<'_>,
) -> ResultCode {
    let now_ms = namespace.now_ms();
    let stored = match namespace.stored(digest).await {
        Ok(stored) => stored,
        Err(error) => return reply.plain(error.result_code().into()),
    };
    let existing = stored
        .as_ref()
        .filter(|record| namespace.is_live(record, now_ms));
    let about = |code| match existing {
        Some(record) => Outcome::about(record, code),
        None => Outcome::of(code),
    };
    let mut wanted = None;
    let (start, place) = reply.begin();
    let code = place.write(|message| {
        let run = run(namespace, digest, request, plan, existing, now_ms, message);
        let outcome = match wanted.insert(run.map_err(about)?) {
            Wanted::Removed => Outcome::of(ResultCode::OK),
            Wanted::Stored(prepared) => Outcome::about(prepared.record(), ResultCode::OK),
        };
        Ok(outcome)
    });
    if code != ResultCode::OK {
        // What cannot be answered is not done.
        return code;
    }
    let done = match wanted {
        Some(Wanted::Stored(prepared)) => {
            let stored = namespace.store_prepared(prepared).await;
            stored.map(drop).map_err(|error| error.result_code())
        }
        Some(Wanted::Removed) => match namespace.remove(digest).await {
            Ok(_) => {
                namespace.stats.deleted_last_bin.inc();
                Ok(())
            }
            Err(error) => Err(error.result_code()),
        },
        None => Ok(()),
    };
    match done {
        Ok(()) => code,
        Err(code) => reply.instead(start, about(code)),
    }
}

/// What is to become of the record.
enum Wanted<'n> {
    Stored(Prepared<'n>),
    Removed,
}

fn run<'n>(
    namespace: &'n Namespace,
    digest: &Digest,
    request: &Request<'_>,
    plan: &Plan<'_>,
    existing: Option<&StoredRecord>,
    now_ms: u64,
    message: &mut BodyWriter<'_>,
) -> Result<Wanted<'n>, ResultCode> {
    check(request, digest, plan, existing, now_ms)?;
    let set_name = request.set_name()?;
    let key = request.key_to_store(existing)?;
    let void_time = namespace.ttl_rules(set_name).void_time(
        request.header.record_ttl,
        existing.map(StoredRecord::void_time),
        seconds(now_ms),
    );
    let void_time = void_time
        .map_err(|code| refusal::of_ttl(code, namespace.name(), request.header.record_ttl))?;
    let kept = existing.filter(|_| !plan.replace);
    let (mut working, size_before) = match kept {
        Some(record) => {
            let mut stored = record.with_landmarks();
            let bins = (&mut stored).map(|(bin, landmarks)| (bin.bin_name(), bin.value, landmarks));
            let working = Working::of(bins, plan.steps.len());
            (working, Some(stored.size()))
        }
        None => (Working::of(std::iter::empty(), plan.steps.len()), None),
    };
    let mut work = Work::until(request.deadline);
    let mut surroundings = Surroundings {
        limits: LIMITS,
        work: &mut work,
        metadata: match existing {
            Some(record) => record.metadata(digest),
            None => Metadata::of_new(digest, set_name.as_bytes()),
        },
        now_ms,
    };
    for step in &plan.steps {
        let written = message.written();
        let answer = |code, name: &BinName, value: ParticleRef<'_>| {
            message.op(code, name.as_bytes(), value);
        };
        working
            .apply(step, &mut surroundings, plan.respond_all, answer)
            .map_err(|error| refusal::of_operation(step.code, &step.bin, &error))?;
        // Most ops answer nothing.
        let written = message.written() - written;
        if written > 0 {
            surroundings.work.bytes(written)?;
            surroundings.work.hold(written)?;
            check_size(message)?;
        }
    }
    if working.is_empty() {
        // A replaced record has no bins to lose.
        if kept.is_none() {
            return Err(ResultCode::NOT_FOUND);
        }
        if request.header.info2.contains(Info2::DURABLE_DELETE) {
            return Err(ResultCode::ENTERPRISE_ONLY);
        }
        return Ok(Wanted::Removed);
    }
    if let Some(code) = namespace.write_refusal(set_name, existing) {
        return Err(code);
    }
    let refused = |error: StoreError| error.result_code();
    let version = Version {
        generation: policy::next_generation(existing.map(StoredRecord::generation)),
        void_time,
        last_update_ms: now_ms,
        set: set_name,
        key,
        size_before,
    };
    let bins = working.iter().map(|(name, value)| (name.as_bytes(), value));
    let prepared = namespace
        .prepare(digest, version, existing, bins)
        .map_err(refused)?;
    Ok(Wanted::Stored(prepared))
}

fn check(
    request: &Request<'_>,
    digest: &Digest,
    plan: &Plan<'_>,
    existing: Option<&StoredRecord>,
    now_ms: u64,
) -> Result<(), ResultCode> {
    let header = &request.header;
    match existing {
        Some(_) if plan.create_only => return Err(ResultCode::RECORD_EXISTS),
        None if plan.must_exist => return Err(ResultCode::NOT_FOUND),
        _ => {}
    }
    if let Some(record) = existing {
        request.check_set(record)?;
    }
    let generation = existing.map(StoredRecord::generation);
    if !policy::generation_permits(header.info2, header.generation, generation) {
        return Err(ResultCode::GENERATION);
    }
    if let Some(record) = existing {
        request.check_filter(digest, record, || now_ms)?;
        request.check_key(record)?;
    }
    Ok(())
}
