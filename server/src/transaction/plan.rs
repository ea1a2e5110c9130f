use protocol::message::{Info1, Info2, Info3, Op, OpCode};
use protocol::particle::{Particle, ParticleType};
use protocol::result_code::ResultCode;

use super::request::Request;
use data::record::BinName;

/// What one op of a write does, with its value checked and in stored form.
#[derive(Debug)]
pub(crate) enum Action {
    Write(Particle),
    Remove,
    Add(Particle),
    Append(Particle),
    Prepend(Particle),
    Touch,
    DeleteAll,
    Read,
    ReadAll,
}

/// One op of a write.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) op: OpCode,
    pub(crate) name: BinName,
    pub(crate) action: Action,
}

/// A checked write: all that can be found wrong, or prepared, before the record is locked.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// Bins that existed before are dropped.
    pub(crate) replace: bool,
    /// The record must not exist.
    pub(crate) create_only: bool,
    /// The record must exist.
    pub(crate) must_exist: bool,
    /// Every op gets an answer.
    pub(crate) respond_all: bool,
}

impl Plan {
    /// Errors: 4 for ops and flags that contradict each other, 12 for a value that cannot be added or appended,
    /// 16 for ops on collections, bits, sketches and expressions, which this server does not do, or the code of a value
    /// that cannot be stored.
    pub(crate) fn of(request: &Request<'_>) -> Result<Self, ResultCode> {
        let header = &request.header;
        let respond_all = header.info2.contains(Info2::RESPOND_ALL_OPS);
        let replace = header
            .info3
            .intersects(Info3::CREATE_OR_REPLACE | Info3::REPLACE_ONLY);
        let mut plan = Self {
            steps: Vec::with_capacity(request.ops.len()),
            replace,
            create_only: header.info2.contains(Info2::CREATE_ONLY),
            must_exist: header
                .info3
                .intersects(Info3::UPDATE_ONLY | Info3::REPLACE_ONLY),
            respond_all,
        };
        let reads = header.info1.contains(Info1::READ);
        let get_all = header.info1.contains(Info1::GET_ALL);
        for op in request.ops.iter() {
            if !op.op.is_known() || (op.op.is_read() && !reads) {
                return Err(ResultCode::PARAMETER);
            }
            let name = BinName::new(op.name).ok_or(ResultCode::BIN_NAME)?;
            let action = action(&op, get_all)?;
            if replace && !fits_replace(&action) {
                return Err(ResultCode::PARAMETER);
            }
            plan.must_exist |= matches!(action, Action::Touch);
            plan.steps.push(Step {
                op: op.op,
                name,
                action,
            });
        }
        let reads_all = plan
            .steps
            .iter()
            .any(|step| matches!(step.action, Action::ReadAll));
        if plan.steps.is_empty() || get_all != reads_all || (reads_all && respond_all) {
            return Err(ResultCode::PARAMETER);
        }
        Ok(plan)
    }
}

fn action(op: &Op<'_>, get_all: bool) -> Result<Action, ResultCode> {
    let value = op.particle_ref();
    Ok(match op.op {
        OpCode::READ if op.name.is_empty() && get_all => Action::ReadAll,
        OpCode::READ if op.name.is_empty() => return Err(ResultCode::PARAMETER),
        OpCode::READ => Action::Read,
        OpCode::WRITE => {
            match data::particle::stored(value).map_err(|error| error.result_code())? {
                particle if particle.kind == ParticleType::NIL => Action::Remove,
                particle => Action::Write(particle),
            }
        }
        OpCode::INCR => Action::Add(operand(op, &[ParticleType::INTEGER, ParticleType::FLOAT])?),
        OpCode::APPEND => Action::Append(operand(op, &[ParticleType::STRING, ParticleType::BLOB])?),
        OpCode::PREPEND => {
            Action::Prepend(operand(op, &[ParticleType::STRING, ParticleType::BLOB])?)
        }
        OpCode::TOUCH => Action::Touch,
        OpCode::DELETE_ALL => Action::DeleteAll,
        _ => return Err(ResultCode::UNSUPPORTED_FEATURE),
    })
}

fn operand(op: &Op<'_>, kinds: &[ParticleType]) -> Result<Particle, ResultCode> {
    if !kinds.contains(&op.particle) {
        return Err(ResultCode::INCOMPATIBLE_TYPE);
    }
    op.particle_ref()
        .normalize()
        .map_err(|error| error.result_code())
}

/// A replaced record keeps no bin, so there is nothing to remove, change or touch.
fn fits_replace(action: &Action) -> bool {
    !matches!(
        action,
        Action::Remove | Action::Add(_) | Action::Append(_) | Action::Prepend(_) | Action::Touch
    )
}
