//! Operations on lists, maps, bits and sketches: from the bytes of an op to what becomes of the bin.
//!
//! | wire op | system |
//! |---------|--------|
//! | CDT_READ, CDT_MODIFY | [`System::Collection`] |
//! | BITS_READ, BITS_MODIFY | [`System::Bit`] |
//! | HLL_READ, HLL_MODIFY | [`System::Sketch`] |
//!
//! The value of an op is one msgpack list `[number, argument, …]`, or a wrapper around one. It is split once, by
//! [`Call::parse`], and applied to as many bins as the caller has. What is wrong with it becomes known only when it is
//! applied: a missing bin or one of another type is answered before the payload is looked at.

use protocol::message::OpCode;
use protocol::particle::ParticleRef;
use protocol::particle::ParticleType;
use protocol::result_code::ResultCode;

use super::arguments::Payload;
use super::path::PathExpressions;
use super::{Applied, Limits, OperationError, bit, collection, hll};
use crate::encoded::Landmarks;
use crate::work::Meter;

/// What kind of bin an operation works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// Lists and maps.
    Collection,
    /// The bits of a blob.
    Bit,
    /// HyperLogLog.
    Sketch,
}

/// Under what an operation runs.
pub struct Environment<'e> {
    /// What it may take.
    pub limits: Limits,
    /// The work it does, and who may stop it.
    pub work: &'e mut dyn Meter,
    /// Those of the bin's list or map, if any are kept beside it.
    pub landmarks: Landmarks<'e>,
    /// Evaluates the expressions inside path operations. Without it those are refused.
    pub expressions: Option<&'e mut dyn PathExpressions>,
}

/// One operation, split into its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    system: System,
    write: bool,
    payload: Result<Payload<'a>, OperationError>,
}

impl<'a> Call<'a> {
    /// Splits the value of an op. `None`: not one of the six wire ops of the module's table.
    #[must_use]
    pub fn parse(op: OpCode, value: ParticleRef<'a>) -> Option<Self> {
        let (system, write) = match op {
            OpCode::CDT_READ => (System::Collection, false),
            OpCode::CDT_MODIFY => (System::Collection, true),
            OpCode::BITS_READ => (System::Bit, false),
            OpCode::BITS_MODIFY => (System::Bit, true),
            OpCode::HLL_READ => (System::Sketch, false),
            OpCode::HLL_MODIFY => (System::Sketch, true),
            _ => return None,
        };
        let payload = if system == System::Bit && value.kind != ParticleType::BLOB {
            Err(OperationError::new(
                ResultCode::INCOMPATIBLE_TYPE,
                format!(
                    "the payload of a bit operation is a {}, not a blob",
                    value.kind
                ),
            ))
        } else {
            Payload::split(system, value.data)
        };
        Some(Self {
            system,
            write,
            payload,
        })
    }

    /// A whole payload, `[number, argument, …]` or one of its wrappers, as expressions have it.
    #[must_use]
    pub fn of_payload(system: System, write: bool, payload: &'a [u8]) -> Self {
        Self {
            system,
            write,
            payload: Payload::split(system, payload),
        }
    }

    /// Whether the op may change the bin.
    #[must_use]
    pub fn is_write(&self) -> bool {
        self.write
    }

    /// What kind of bin it works on.
    #[must_use]
    pub fn system(&self) -> System {
        self.system
    }

    /// Applies the operation to a bin; `None` is a missing one.
    ///
    /// The bin is in the stored form, in which a list or map may carry an index (see [`collection::visible`]); so is a
    /// particle in the answer's change. The reply is always in the form that clients see.
    ///
    /// Errors: the code for the client and the cause for the log. The bin has not changed then.
    pub fn apply(
        &self,
        bin: Option<ParticleRef<'_>>,
        environment: &mut Environment<'_>,
    ) -> Result<Applied, OperationError> {
        if bin.is_none() && !self.write {
            return Ok(Applied::default());
        }
        let applied = match self.system {
            System::Collection => collection::apply(&self.payload, self.write, bin, environment),
            System::Bit => bit::apply(&self.payload, self.write, bin, environment),
            System::Sketch => hll::apply(&self.payload, self.write, bin, environment),
        }?;
        if let super::Change::Set(particle) = &applied.change
            && particle.data.len() > environment.limits.max_particle_bytes
        {
            return Err(OperationError::new(
                ResultCode::RECORD_TOO_BIG,
                format!(
                    "the value would have {} bytes, more than {}",
                    particle.data.len(),
                    environment.limits.max_particle_bytes
                ),
            ));
        }
        Ok(applied)
    }
}
