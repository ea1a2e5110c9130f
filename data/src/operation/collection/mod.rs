//! Operations on lists and maps.

use protocol::particle::{ParticleRef, ParticleType};
use protocol::result_code::ResultCode;
use std::borrow::Cow;

use super::arguments::Payload;
use super::{Applied, Environment, OperationError};

/// The form in which clients and scripts see a particle: a list or map without the index that it may carry in storage.
#[must_use]
pub fn visible(stored: ParticleRef<'_>) -> Cow<'_, [u8]> {
    let _kind = ParticleType::LIST;
    Cow::Borrowed(stored.data)
}

pub(crate) fn apply(
    _payload: &Result<Payload<'_>, OperationError>,
    _write: bool,
    _bin: Option<ParticleRef<'_>>,
    _environment: &mut Environment<'_>,
) -> Result<Applied, OperationError> {
    Err(OperationError::new(
        ResultCode::UNSUPPORTED_FEATURE,
        "lists and maps are not served yet",
    ))
}
