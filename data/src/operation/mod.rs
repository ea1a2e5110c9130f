//! Operations on bins: checked once, then applied to one bin after the other.
//!
//! ```text
//! Op ─ check ─→ Operation          what a request asks for, once for all its records
//!                  │ apply(bin)
//!                  ▼
//!               Applied            what becomes of the bin, and what the client gets
//! Working ── the bins of one record while operations go over them
//! ```
//!
//! Nothing here knows records, locks or replies. Every function is pure: the same operation and the same bin give the
//! same change. An operation whose operand is malformed is kept as an error of its place ([`Checked::operation`]),
//! because operations run one after the other and the first that fails decides what the request is answered.

mod arguments;
mod bit;
mod call;
pub mod collection;
pub(crate) mod element;
mod growing;
mod hll;
pub mod path;
mod scalar;
#[cfg(test)]
mod tests;
mod working;

use bytes::Bytes;
use protocol::message::{Op, OpCode};
use protocol::particle::{Particle, ParticleRef, ParticleType};
use protocol::result_code::ResultCode;

pub use call::{Call, Environment, System};
pub use growing::Growing;
pub use working::{BinValue, NameIndex, Working};

use crate::bin::BinName;
use crate::encoded::Landmarks;
use crate::expression::{Context, ModifyExpression, ReadExpression, RecordExpressions};
use crate::metadata::Metadata;
use crate::work::{Meter, NoMemory, TimeIsUp};

/// What becomes of a bin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Change {
    /// Nothing: the bin stays as it is, absent or not.
    #[default]
    Keep,
    /// The bin has this value from now on; it is made when it was not there.
    Set(Particle),
    /// These bytes follow those of the bin, which exists.
    Append(Bytes),
    /// These bytes come before those of the bin, which exists.
    Prepend(Bytes),
    /// The bin goes.
    Remove,
}

/// What an operation did to a bin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// What becomes of the bin.
    pub change: Change,
    /// What the client gets; none is an answer without a value (nil).
    pub reply: Option<Particle>,
}

/// What an operation may take. Over a limit it fails, and nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of the resulting particle, and of all that operations on one record have made of its bins.
    pub max_particle_bytes: usize,
}

/// What surrounds the bins of the record that operations go over.
pub struct Surroundings<'a> {
    /// What each operation may take.
    pub limits: Limits,
    /// The work they do, and who may stop it.
    pub work: &'a mut dyn Meter,
    /// What is known of the record besides its bins, as it was before the request.
    pub metadata: Metadata<'a>,
    /// The time, in milliseconds since 2010-01-01 UTC.
    pub now_ms: u64,
}

/// Why an operation is refused or fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {cause}")]
pub struct OperationError {
    /// The code with which a server answers.
    pub code: ResultCode,
    /// What was wrong, for the log: operation, path, byte.
    pub cause: String,
}

impl OperationError {
    /// An error with its cause.
    pub fn new(code: ResultCode, cause: impl Into<String>) -> Self {
        Self {
            code,
            cause: cause.into(),
        }
    }
}

impl From<TimeIsUp> for OperationError {
    fn from(error: TimeIsUp) -> Self {
        Self::new(error.into(), error.to_string())
    }
}

impl From<NoMemory> for OperationError {
    fn from(error: NoMemory) -> Self {
        Self::new(error.into(), error.to_string())
    }
}

/// A checked operation.
#[derive(Clone, Debug)]
pub enum Operation<'a> {
    /// The bin's value, if it is there.
    Read,
    /// All bins.
    ReadAll,
    /// The bin gets this value, which is in its stored form.
    Write(Particle),
    /// The same, where the value stands so in the request.
    WriteSent(ParticleRef<'a>),
    /// The bin goes.
    Remove,
    /// The operand is added to the bin's number.
    Add(ParticleRef<'a>),
    /// The operand follows the bin's bytes.
    Append(ParticleRef<'a>),
    /// The operand comes before the bin's bytes.
    Prepend(ParticleRef<'a>),
    /// The record counts as written.
    Touch,
    /// All bins go.
    RemoveAll,
    /// Lists, maps, bits and sketches.
    Call(Box<Call<'a>>),
    /// An expression's value is answered.
    Evaluate(Box<ReadExpression>),
    /// The bin gets an expression's value.
    Store(Box<ModifyExpression>),
}

/// One operation of a request, with its place.
#[derive(Clone, Debug)]
pub struct Checked<'a> {
    /// What the request calls it; the reply repeats it.
    pub code: OpCode,
    /// The bin.
    pub bin: BinName,
    /// What is done, or why it cannot be done to any record.
    pub operation: Result<Operation<'a>, OperationError>,
}

/// Checks one op. With `get_all` (the flag of the message) a read without a name is one of all bins.
///
/// Reading a geometry is work; that of expressions beside those in them is bounded by their size.
///
/// # Errors
/// 21 for a name that no bin can have. All else that is wrong is an error of the operation itself, a time that is up too.
#[inline]
pub fn check<'a>(
    op: &Op<'a>,
    get_all: bool,
    work: &mut dyn Meter,
) -> Result<Checked<'a>, OperationError> {
    // The name of a touch means nothing, whatever its length.
    let name = if op.op == OpCode::TOUCH { b"" } else { op.name };
    let bin = BinName::new(name).ok_or_else(|| no_name(op.name))?;
    // The two that nearly all requests have are made where they are wanted, all others by a call.
    let operation = match op.op {
        OpCode::WRITE if op.particle_ref().is_normal() => {
            Ok(Operation::WriteSent(op.particle_ref()))
        }
        OpCode::READ if !get_all => Ok(Operation::Read),
        _ => operation(op, get_all, work),
    };
    Ok(Checked {
        code: op.op,
        bin,
        operation,
    })
}

#[cold]
fn no_name(name: &[u8]) -> OperationError {
    OperationError::new(
        ResultCode::BIN_NAME,
        format!("bin name `{}`", name.escape_ascii()),
    )
}

fn operation<'a>(
    op: &Op<'a>,
    get_all: bool,
    work: &mut dyn Meter,
) -> Result<Operation<'a>, OperationError> {
    let operand = op.particle_ref();
    Ok(match op.op {
        OpCode::READ if op.name.is_empty() && get_all => Operation::ReadAll,
        OpCode::READ => Operation::Read,
        OpCode::WRITE if operand.kind == ParticleType::NIL => Operation::Remove,
        OpCode::WRITE => Operation::Write(scalar::stored(operand, work)?),
        OpCode::INCR => Operation::Add(operand),
        OpCode::APPEND => Operation::Append(operand),
        OpCode::PREPEND => Operation::Prepend(operand),
        OpCode::TOUCH => Operation::Touch,
        OpCode::DELETE_ALL => Operation::RemoveAll,
        OpCode::EXP_READ => Operation::Evaluate(Box::new(ReadExpression::parse(op.value, work)?)),
        OpCode::EXP_MODIFY => Operation::Store(Box::new(ModifyExpression::parse(op.value, work)?)),
        code => match Call::parse(code, operand) {
            Some(call) => Operation::Call(Box::new(call)),
            None => {
                return Err(OperationError::new(
                    ResultCode::PARAMETER,
                    format!("there is no operation {}", code.0),
                ));
            }
        },
    })
}

impl Operation<'_> {
    /// Does the operation to one bin of the record; `None` is a bin that is not there. `landmarks` are those that are kept
    /// beside the bin's value, if any are.
    ///
    /// [`Operation::ReadAll`] and [`Operation::RemoveAll`] are about all bins and [`Operation::Touch`] about none: they
    /// keep the bin and answer nothing; [`Working`] does them.
    ///
    /// # Errors
    /// The bin's value, or the operand, does not fit. Nothing has changed.
    pub fn apply(
        &self,
        bin: Option<ParticleRef<'_>>,
        landmarks: Landmarks<'_>,
        record: &Context<'_>,
        work: &mut dyn Meter,
    ) -> Result<Applied, OperationError> {
        let limits = &record.limits;
        let change = match self {
            Self::Read => {
                return Ok(Applied {
                    change: Change::Keep,
                    reply: bin.map(ParticleRef::to_particle),
                });
            }
            Self::Write(particle) => Change::Set(particle.clone()),
            Self::WriteSent(value) => Change::Set(value.to_particle()),
            Self::Remove => Change::Remove,
            Self::Add(operand) => scalar::add(bin, *operand, work)?,
            Self::Append(operand) => {
                scalar::join(bin, *operand, limits, work).map(|bytes| match bytes {
                    scalar::Joined::New(particle) => Change::Set(particle),
                    scalar::Joined::More(bytes) => Change::Append(bytes),
                })?
            }
            Self::Prepend(operand) => {
                scalar::join(bin, *operand, limits, work).map(|bytes| match bytes {
                    scalar::Joined::New(particle) => Change::Set(particle),
                    scalar::Joined::More(bytes) => Change::Prepend(bytes),
                })?
            }
            Self::ReadAll | Self::RemoveAll | Self::Touch => Change::Keep,
            Self::Call(call) => {
                let mut expressions = RecordExpressions::of(*record);
                let mut environment = Environment {
                    limits: record.limits,
                    work,
                    landmarks,
                    expressions: Some(&mut expressions),
                };
                return call.apply(bin, &mut environment);
            }
            Self::Evaluate(expression) => {
                return Ok(Applied {
                    change: Change::Keep,
                    reply: expression.apply(record, work)?,
                });
            }
            Self::Store(expression) => return expression.apply(bin.is_some(), record, work),
        };
        Ok(Applied {
            change,
            reply: None,
        })
    }
}
