//! The form in which a bin's value is stored.

use protocol::particle::{Particle, ParticleError, ParticleRef, ParticleType};

use crate::geo;

/// Checks a value of a request and gives it the form in which it is stored: as [`ParticleRef::normalize`], and GeoJSON is
/// read, and has the cells of its covering in front.
///
/// Errors: [`ParticleError`], whose [`ParticleError::result_code`] is the answer.
pub fn stored(value: ParticleRef<'_>) -> Result<Particle, ParticleError> {
    match value.kind {
        ParticleType::GEOJSON => geo::stored(value.data).map_err(|_| ParticleError::GeoJson),
        _ => value.normalize(),
    }
}
