use bytes::{BufMut, BytesMut};
use protocol::key::Digest;
use protocol::message::{BodyWriter, Info2, OpCode};
use protocol::particle::{Particle, ParticleRef, ParticleType};
use protocol::result_code::ResultCode;

use super::plan::{Action, Plan, Step};
use super::reply::{Outcome, ReplyTo, check_size};
use super::request::Request;
use crate::record::Namespace;
use data::record::{Bin, BinName, Record, policy, seconds};

/// Answers a write, or a mix of writes and reads. The caller holds the record's lock.
///
/// Ops work on a copy of the bins, one after the other; the copy is stored when all of them have succeeded.
pub(crate) fn answer(
    namespace: &Namespace,
    digest: &Digest,
    request: &Request<'_>,
    plan: Plan,
    reply: ReplyTo<'_>,
) -> ResultCode {
    let now_ms = namespace.now_ms();
    let stored = namespace.engine().get(digest);
    let existing = stored
        .as_deref()
        .filter(|record| namespace.is_live(record, now_ms));
    reply.write(|message| {
        run(namespace, digest, request, plan, existing, now_ms, message).map_err(|code| {
            match existing {
                Some(record) => Outcome::about(record, code),
                None => Outcome::of(code),
            }
        })
    })
}

fn run(
    namespace: &Namespace,
    digest: &Digest,
    request: &Request<'_>,
    plan: Plan,
    existing: Option<&Record>,
    now_ms: u64,
    message: &mut BodyWriter<'_>,
) -> Result<Outcome, ResultCode> {
    check(request, &plan, existing)?;
    let key = request.key_to_store(existing)?;
    let void_time = namespace.ttl_rules(request.set_name()).void_time(
        request.header.record_ttl,
        existing.map(|record| record.void_time),
        seconds(now_ms),
    )?;
    let bins = match existing {
        Some(record) if !plan.replace => {
            let mut bins = Vec::with_capacity(record.bins.len() + plan.steps.len());
            bins.extend_from_slice(&record.bins);
            bins
        }
        _ => Vec::with_capacity(plan.steps.len()),
    };
    let mut working = Working { bins };
    for step in plan.steps {
        working.apply(step, plan.respond_all, message)?;
        check_size(message)?;
    }
    if working.bins.is_empty() {
        if request.header.info2.contains(Info2::DURABLE_DELETE) {
            return Err(ResultCode::ENTERPRISE_ONLY);
        }
        if existing.is_none() {
            return Err(ResultCode::NOT_FOUND);
        }
        namespace.remove(digest);
        namespace.stats.deleted_last_bin.inc();
        return Ok(Outcome::of(ResultCode::OK));
    }
    if let Some(code) = namespace.write_refusal(request.set_name(), existing) {
        return Err(code);
    }
    working.bins.shrink_to_fit();
    let set = namespace
        .set_for_write(request.set_name(), existing)
        .map_err(|error| error.result_code())?;
    let record = Record {
        bins: working.bins,
        generation: policy::next_generation(existing.map(|record| record.generation)),
        void_time,
        last_update_ms: now_ms,
        set,
        key,
    };
    let record = namespace
        .store(digest, record)
        .map_err(|error| error.result_code())?;
    Ok(Outcome::about(&record, ResultCode::OK))
}

fn check(request: &Request<'_>, plan: &Plan, existing: Option<&Record>) -> Result<(), ResultCode> {
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
        request.check_filter()?;
        request.check_key(record)?;
    }
    Ok(())
}

/// The bins that a write works on.
struct Working {
    bins: Vec<Bin>,
}

impl Working {
    /// Does one op and writes what it answers.
    fn apply(
        &mut self,
        step: Step,
        respond_all: bool,
        message: &mut BodyWriter<'_>,
    ) -> Result<(), ResultCode> {
        let Step { op, name, action } = step;
        match action {
            Action::Read => {
                match self.find(name) {
                    Some(bin) => {
                        message.op(op, name.as_bytes(), bin.particle.as_ref());
                    }
                    None if respond_all => {
                        message.op(op, name.as_bytes(), ParticleRef::NIL);
                    }
                    None => {}
                }
                return Ok(());
            }
            Action::ReadAll => {
                for bin in &self.bins {
                    message.op(OpCode::READ, bin.name.as_bytes(), bin.particle.as_ref());
                }
                return Ok(());
            }
            Action::Write(particle) => self.set(name, particle),
            Action::Remove => self.remove(name),
            Action::Add(operand) => self.change(name, operand, add)?,
            Action::Append(operand) => {
                self.change(name, operand, |bin, tail| join(bin, bin, tail))?
            }
            Action::Prepend(operand) => {
                self.change(name, operand, |bin, head| join(bin, head, bin))?
            }
            Action::DeleteAll => self.bins.clear(),
            Action::Touch => {}
        }
        if respond_all {
            message.op(op, name.as_bytes(), ParticleRef::NIL);
        }
        Ok(())
    }

    fn find(&mut self, name: BinName) -> Option<&mut Bin> {
        self.bins.iter_mut().find(|bin| bin.name == name)
    }

    fn set(&mut self, name: BinName, particle: Particle) {
        match self.find(name) {
            Some(bin) => bin.particle = particle,
            None => self.bins.push(Bin { name, particle }),
        }
    }

    /// Removes the bin; the last one takes its place.
    fn remove(&mut self, name: BinName) {
        if let Some(position) = self.bins.iter().position(|bin| bin.name == name) {
            self.bins.swap_remove(position);
        }
    }

    /// Changes a bin by an operand of the same type; a missing bin becomes the operand.
    fn change(
        &mut self,
        name: BinName,
        operand: Particle,
        how: impl FnOnce(&Particle, &Particle) -> Result<Particle, ResultCode>,
    ) -> Result<(), ResultCode> {
        match self.find(name) {
            None => self.bins.push(Bin {
                name,
                particle: operand,
            }),
            Some(bin) if bin.particle.kind != operand.kind => {
                return Err(ResultCode::INCOMPATIBLE_TYPE);
            }
            Some(bin) => bin.particle = how(&bin.particle, &operand)?,
        }
        Ok(())
    }
}

/// The sum of two integers, which wraps, or of two doubles.
fn add(bin: &Particle, operand: &Particle) -> Result<Particle, ResultCode> {
    let (left, right) = (bin.as_ref(), operand.as_ref());
    if bin.kind == ParticleType::INTEGER {
        let sum = left
            .as_integer()
            .zip(right.as_integer())
            .map(|(left, right)| left.wrapping_add(right));
        return sum
            .map(Particle::integer)
            .ok_or(ResultCode::INCOMPATIBLE_TYPE);
    }
    let sum = left
        .as_float()
        .zip(right.as_float())
        .map(|(left, right)| left + right);
    sum.map(Particle::float)
        .ok_or(ResultCode::INCOMPATIBLE_TYPE)
}

fn join(kind: &Particle, head: &Particle, tail: &Particle) -> Result<Particle, ResultCode> {
    let mut joined = BytesMut::with_capacity(head.data.len() + tail.data.len());
    joined.put_slice(&head.data);
    joined.put_slice(&tail.data);
    Ok(Particle::new(kind.kind, joined))
}
