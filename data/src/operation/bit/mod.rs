//! Operations on the bits of a blob. Bit 0 is the most significant one of byte 0.
//!
//! | step | violated |
//! |------|----------|
//! | the arguments are well-formed and within their limits | 4, whatever the bin |
//! | create-only and the bin is there | 6 |
//! | the bin is a blob | 12 |
//! | update-only, or not resize or insert, and the bin is missing | 17 |
//! | the region is inside the blob, or partial | 26 |
//!
//! No-fail turns 6, 17 and 26 into success without change.

mod arguments;
pub(crate) mod field;
mod modify;
mod read;

use protocol::particle::{Particle, ParticleRef, ParticleType};
use protocol::result_code::ResultCode;

use self::arguments::BitCall;
use super::arguments::{Payload, malformed};
use super::{Applied, Change, Environment, OperationError};

/// Largest blob that is worked on, in bytes; also bounds offsets and sizes.
const MAX_BYTES: i64 = 134_217_728;

/// Applies a bit operation.
pub(crate) fn apply(
    payload: &Result<Payload<'_>, OperationError>,
    write: bool,
    bin: Option<ParticleRef<'_>>,
    environment: &mut Environment<'_>,
) -> Result<Applied, OperationError> {
    let Payload::Plain(arguments) = payload.as_ref().map_err(Clone::clone)? else {
        return Err(malformed("bit operations have no context"));
    };
    let call = BitCall::check(arguments, write)?;
    if bin.is_some() && call.has(BitCall::CREATE_ONLY) {
        return call.forgive(ResultCode::BIN_EXISTS, "the bin exists already");
    }
    let blob = match bin {
        Some(bin) if bin.kind != ParticleType::BLOB => {
            return Err(OperationError::new(
                ResultCode::INCOMPATIBLE_TYPE,
                format!("bit operation on a {}", bin.kind),
            ));
        }
        Some(bin) => bin.data,
        None if call.has(BitCall::UPDATE_ONLY) || !call.creates() => {
            return call.forgive(ResultCode::BIN_NOT_FOUND, "the bin is missing");
        }
        None => &[],
    };
    environment.work.bytes(blob.len())?;
    if !write {
        return Ok(Applied {
            change: Change::Keep,
            reply: Some(read::read(&call, blob, environment)?),
        });
    }
    Ok(match modify::modify(&call, blob, environment)? {
        // A blob of no bytes is not made out of nothing.
        Some(changed) if bin.is_none() && changed.is_empty() => Applied::default(),
        Some(changed) => Applied {
            change: Change::Set(Particle::new(ParticleType::BLOB, changed)),
            reply: None,
        },
        None => Applied::default(),
    })
}
