//! The form in which a bin's value is stored.

use protocol::particle::{Particle, ParticleError, ParticleRef, ParticleType};
use protocol::result_code::ResultCode;
use thiserror::Error;

use crate::geo::{self, GeoError};
use crate::work::{Meter, TimeIsUp};

/// Why a value is not stored.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// It is none that can be.
    #[error(transparent)]
    Value(#[from] ParticleError),
    /// The time was up before that was known.
    #[error(transparent)]
    Time(#[from] TimeIsUp),
}

impl StoreError {
    /// The code with which a server answers.
    #[must_use]
    pub fn result_code(&self) -> ResultCode {
        match self {
            Self::Value(error) => error.result_code(),
            Self::Time(time) => (*time).into(),
        }
    }
}

/// Checks a value of a request and gives it the form in which it is stored: as [`ParticleRef::normalize`], and GeoJSON is
/// read, and has the cells of its covering in front; that is work for `work`.
///
/// Errors: [`StoreError`], whose [`StoreError::result_code`] is the answer.
pub fn stored(value: ParticleRef<'_>, work: &mut dyn Meter) -> Result<Particle, StoreError> {
    match value.kind {
        ParticleType::GEOJSON => match geo::stored(value.data, work) {
            Ok(particle) => Ok(particle),
            Err(GeoError::Time(time)) => Err(time.into()),
            Err(_) => Err(ParticleError::GeoJson.into()),
        },
        _ => Ok(value.normalize()?),
    }
}
