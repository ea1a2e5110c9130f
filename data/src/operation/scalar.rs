//! Operations on numbers, strings and blobs: increment, append, prepend.
//!
//! | bin | operand | answer |
//! |---|---|---|
//! | absent | any value that can be stored | the operand becomes the bin |
//! | any | nil, or a type that is not stored | 4 |
//! | GeoJSON | any other | 1 |
//! | of another type than the operand, or of one that cannot be changed so | any other | 12 |
//! | integer, double | the same | the sum; integers wrap |
//! | string, blob | the same | joined |

use bytes::Bytes;
use protocol::particle::{Particle, ParticleError, ParticleRef, ParticleType};
use protocol::result_code::ResultCode;

use super::{Change, Limits, OperationError};
use crate::work::Meter;

/// The form in which a value of a request is stored.
pub(super) fn stored(
    value: ParticleRef<'_>,
    work: &mut dyn Meter,
) -> Result<Particle, OperationError> {
    crate::particle::stored(value, work)
        .map_err(|error| OperationError::new(error.result_code(), error.to_string()))
}

/// What is common to the operations of this module: the operand for a bin that is not there, and what the two types
/// forbid.
fn begin<'b>(
    bin: Option<ParticleRef<'b>>,
    operand: ParticleRef<'_>,
    fits: impl FnOnce(ParticleType) -> bool,
) -> Result<Option<ParticleRef<'b>>, OperationError> {
    if operand.is_nil() || !operand.kind.is_stored() {
        let error = ParticleError::Type(operand.kind);
        return Err(OperationError::new(
            ResultCode::PARAMETER,
            error.to_string(),
        ));
    }
    let Some(bin) = bin else { return Ok(None) };
    if bin.kind == ParticleType::GEOJSON {
        return Err(OperationError::new(
            ResultCode::UNKNOWN,
            "GeoJSON cannot be changed in place",
        ));
    }
    if bin.kind != operand.kind || !fits(bin.kind) {
        return Err(OperationError::new(
            ResultCode::INCOMPATIBLE_TYPE,
            format!("a bin of {} with an operand of {}", bin.kind, operand.kind),
        ));
    }
    Ok(Some(bin))
}

/// The sum of two integers, which wraps, or of two doubles.
pub(super) fn add(
    bin: Option<ParticleRef<'_>>,
    operand: ParticleRef<'_>,
    work: &mut dyn Meter,
) -> Result<Change, OperationError> {
    let fits = |kind| matches!(kind, ParticleType::INTEGER | ParticleType::FLOAT);
    let Some(bin) = begin(bin, operand, fits)? else {
        return stored(operand, work).map(Change::Set);
    };
    let integers = bin.as_integer().zip(operand.as_integer());
    let doubles = bin.as_float().zip(operand.as_float());
    let sum = match (integers, doubles) {
        (Some((bin, operand)), _) => Particle::integer(bin.wrapping_add(operand)),
        (_, Some((bin, operand))) => Particle::float(bin + operand),
        _ => {
            let size = operand.data.len();
            return Err(OperationError::new(
                ResultCode::PARAMETER,
                format!("operand of {size} bytes for {}", operand.kind),
            ));
        }
    };
    Ok(Change::Set(sum))
}

/// What joining came to.
pub(super) enum Joined {
    /// The operand becomes the bin.
    New(Particle),
    /// These bytes come to those of the bin.
    More(Bytes),
}

/// What appending or prepending comes to. The bytes of the bin are not copied.
pub(super) fn join(
    bin: Option<ParticleRef<'_>>,
    operand: ParticleRef<'_>,
    limits: &Limits,
    work: &mut dyn Meter,
) -> Result<Joined, OperationError> {
    let fits = |kind: ParticleType| {
        kind == ParticleType::STRING || (kind.is_blob() && kind != ParticleType::HLL)
    };
    let Some(bin) = begin(bin, operand, fits)? else {
        return stored(operand, work).map(Joined::New);
    };
    let size = bin.data.len().saturating_add(operand.data.len());
    if size > limits.max_particle_bytes {
        return Err(OperationError::new(
            ResultCode::RECORD_TOO_BIG,
            format!("the bin would have {size} bytes"),
        ));
    }
    Ok(Joined::More(Bytes::copy_from_slice(operand.data)))
}
