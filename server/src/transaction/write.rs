use data::bin::BinName;
use data::metadata::Metadata;
use data::operation::{Environment, Limits, Surroundings, Value, Working};
use protocol::key::Digest;
use protocol::limits::MAX_BODY_SIZE;
use protocol::message::{BodyWriter, Info2};
use protocol::particle::ParticleRef;
use protocol::result_code::ResultCode;

use super::plan::Plan;
use super::reply::{Outcome, ReplyTo, check_size};
use super::request::Request;
use super::work::Work;
use crate::record::Namespace;
use data::record::{Bin, Record, policy, seconds};

/// Most bytes of a value while operations go over it: those of a message. What is stored has smaller limits.
pub(crate) const LIMITS: Limits = Limits {
    max_particle_bytes: MAX_BODY_SIZE as usize,
};

/// Answers a write, or a mix of writes and reads. The caller holds the record's lock.
///
/// Ops work on the bins one after the other; what has become of them is stored when all have succeeded.
pub(crate) fn answer(
    namespace: &Namespace,
    digest: &Digest,
    request: &Request<'_>,
    plan: &Plan<'_>,
    reply: ReplyTo<'_>,
) -> ResultCode {
    let now_ms = namespace.now_ms();
    let stored = namespace.engine().get(digest);
    let existing = stored
        .as_deref()
        .filter(|record| namespace.is_live(record, now_ms));
    let about = |code| match existing {
        Some(record) => Outcome::about(record, code),
        None => Outcome::of(code),
    };
    reply.write(|message| {
        match run(namespace, digest, request, plan, existing, now_ms, message).map_err(about)? {
            Wanted::Removed => {
                namespace.remove(digest);
                namespace.stats.deleted_last_bin.inc();
                Ok(Outcome::of(ResultCode::OK))
            }
            Wanted::Stored(record) => {
                let stored = namespace.store(digest, record);
                let record = stored.map_err(|error| about(error.result_code()))?;
                Ok(Outcome::about(&record, ResultCode::OK))
            }
        }
    })
}

/// What is to become of the record.
enum Wanted {
    Stored(Record),
    Removed,
}

fn run(
    namespace: &Namespace,
    digest: &Digest,
    request: &Request<'_>,
    plan: &Plan<'_>,
    existing: Option<&Record>,
    now_ms: u64,
    message: &mut BodyWriter<'_>,
) -> Result<Wanted, ResultCode> {
    check(request, digest, plan, existing, now_ms)?;
    let set_name = request.set_name()?;
    let key = request.key_to_store(existing)?;
    let void_time = namespace.ttl_rules(set_name).void_time(
        request.header.record_ttl,
        existing.map(|record| record.void_time),
        seconds(now_ms),
    )?;
    let kept = existing.filter(|_| !plan.replace);
    let bins = kept.map_or(&[][..], |record| &record.bins);
    let bins = bins.iter().map(|bin| (bin.name, bin.particle.as_ref()));
    let mut working = Working::of(bins, plan.steps.len());
    let mut work = Work::until(request.deadline);
    let mut surroundings = Surroundings {
        environment: Environment {
            limits: LIMITS,
            work: &mut work,
            expressions: None,
        },
        metadata: match existing {
            Some(record) => record.metadata(digest),
            None => Metadata::of_new(digest, set_name.as_bytes()),
        },
        now_ms,
    };
    for step in &plan.steps {
        let answer = |code, name: &BinName, value: ParticleRef<'_>| {
            message.op(code, name.as_bytes(), value);
        };
        working
            .apply(step, &mut surroundings, plan.respond_all, answer)
            .map_err(|error| {
                tracing::debug!(target: "rw", "{error}");
                error.code
            })?;
        check_size(message)?;
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
    let stored = |place: usize| kept.and_then(|record| record.bins.get(place));
    let bins = working.into_bins().map(|(name, value)| Bin {
        name,
        particle: match &value {
            // Its bytes are shared.
            Value::Kept(place, _) => match stored(*place) {
                Some(bin) => bin.particle.clone(),
                None => value.into_particle(),
            },
            _ => value.into_particle(),
        },
    });
    let set = namespace
        .set_for_write(set_name, existing)
        .map_err(|error| error.result_code())?;
    Ok(Wanted::Stored(Record {
        bins: bins.collect(),
        generation: policy::next_generation(existing.map(|record| record.generation)),
        void_time,
        last_update_ms: now_ms,
        set,
        key,
    }))
}

fn check(
    request: &Request<'_>,
    digest: &Digest,
    plan: &Plan<'_>,
    existing: Option<&Record>,
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
    let generation = existing.map(|record| record.generation);
    if !policy::generation_permits(header.info2, header.generation, generation) {
        return Err(ResultCode::GENERATION);
    }
    if let Some(record) = existing {
        request.check_filter(digest, record, || now_ms)?;
        request.check_key(record)?;
    }
    Ok(())
}
