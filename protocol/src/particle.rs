//! Particles: a bin's value as it stands in messages and in storage, a type and bytes.
//!
//! | type | bytes |
//! |------|-------|
//! | nil | none |
//! | integer | 8, big-endian two's complement (requests also 1, 2 or 4, zero-extended) |
//! | float | 8, IEEE 754 double, big-endian |
//! | string | UTF-8 by convention, not checked; may be empty |
//! | blobs, HLL, vector | any |
//! | bool | 1, 0 or 1 |
//! | map, list | msgpack, see [`crate::msgpack`] |
//! | geojson | u8 flags, u16 number of cells, so many u64, then the JSON text |

use bytes::Bytes;
use thiserror::Error;

use crate::cursor::Cursor;
pub use crate::particle_type::ParticleType;

use crate::msgpack::{self, MsgpackError};
use crate::result_code::ResultCode;

/// Why a particle in a request cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParticleError {
    /// A type that is not stored.
    #[error("values of {0} cannot be stored")]
    Type(ParticleType),
    /// Bytes that the type does not have.
    #[error("{kind} of {size} bytes is malformed")]
    Malformed {
        /// The particle's type.
        kind: ParticleType,
        /// The number of its bytes.
        size: usize,
    },
    /// A list or map that cannot be stored.
    #[error("malformed collection: {0}")]
    Collection(#[from] MsgpackError),
    /// Not a geometry.
    #[error("invalid GeoJSON")]
    GeoJson,
}

impl ParticleError {
    /// The code with which a server answers.
    pub fn result_code(&self) -> ResultCode {
        match self {
            Self::Type(_) | Self::Malformed { .. } => ResultCode::PARAMETER,
            Self::Collection(_) => ResultCode::UNKNOWN,
            Self::GeoJson => ResultCode::GEO_INVALID_GEOJSON,
        }
    }
}

/// A particle that owns its bytes. Cloning shares them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Particle {
    /// The type.
    pub kind: ParticleType,
    /// The bytes, see the table of the module.
    pub data: Bytes,
}

impl Particle {
    /// A particle of these bytes, not checked.
    pub fn new(kind: ParticleType, data: impl Into<Bytes>) -> Self {
        Self {
            kind,
            data: data.into(),
        }
    }

    /// No value.
    pub const NIL: Self = Self {
        kind: ParticleType::NIL,
        data: Bytes::new(),
    };

    /// An integer of 8 bytes.
    pub fn integer(value: i64) -> Self {
        Self {
            kind: ParticleType::INTEGER,
            data: Bytes::copy_from_slice(&value.to_be_bytes()),
        }
    }

    /// A double.
    pub fn float(value: f64) -> Self {
        Self {
            kind: ParticleType::FLOAT,
            data: Bytes::copy_from_slice(&value.to_be_bytes()),
        }
    }

    /// A string.
    pub fn string(text: impl Into<Bytes>) -> Self {
        Self {
            kind: ParticleType::STRING,
            data: text.into(),
        }
    }

    /// A truth value.
    pub fn bool(value: bool) -> Self {
        Self {
            kind: ParticleType::BOOL,
            data: Bytes::from_static(if value { &[1] } else { &[0] }),
        }
    }

    /// GeoJSON text without cells. The text is not checked.
    pub fn geojson(text: &[u8]) -> Self {
        Self {
            kind: ParticleType::GEOJSON,
            data: [&[0, 0, 0], text].concat().into(),
        }
    }

    /// The same, borrowed.
    pub fn as_ref(&self) -> ParticleRef<'_> {
        ParticleRef {
            kind: self.kind,
            data: &self.data,
        }
    }
}

impl<'a> From<&'a Particle> for ParticleRef<'a> {
    fn from(particle: &'a Particle) -> Self {
        particle.as_ref()
    }
}

/// A particle inside a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParticleRef<'a> {
    /// The type.
    pub kind: ParticleType,
    /// The bytes, see the table of the module.
    pub data: &'a [u8],
}

impl<'a> ParticleRef<'a> {
    /// A particle of these bytes, not checked.
    pub fn new(kind: ParticleType, data: &'a [u8]) -> Self {
        Self { kind, data }
    }

    /// No value.
    pub const NIL: Self = Self {
        kind: ParticleType::NIL,
        data: &[],
    };

    /// Whether this is no value.
    pub fn is_nil(self) -> bool {
        self.kind == ParticleType::NIL
    }

    /// The integer, when this is one of 8, 4, 2 or 1 bytes; the shorter ones are zero-extended.
    pub fn as_integer(self) -> Option<i64> {
        if self.kind != ParticleType::INTEGER {
            return None;
        }
        Some(match *self.data {
            [a, b, c, d, e, f, g, h] => i64::from_be_bytes([a, b, c, d, e, f, g, h]),
            [a, b, c, d] => u32::from_be_bytes([a, b, c, d]).into(),
            [a, b] => u16::from_be_bytes([a, b]).into(),
            [a] => a.into(),
            _ => return None,
        })
    }

    /// The double, when this is one.
    pub fn as_float(self) -> Option<f64> {
        if self.kind != ParticleType::FLOAT {
            return None;
        }
        self.data.try_into().ok().map(f64::from_be_bytes)
    }

    /// The truth value, when this is one.
    pub fn as_bool(self) -> Option<bool> {
        match (self.kind, self.data) {
            (ParticleType::BOOL, [0]) => Some(false),
            (ParticleType::BOOL, [1]) => Some(true),
            _ => None,
        }
    }

    /// The string's bytes, when this is one.
    pub fn as_string(self) -> Option<&'a [u8]> {
        (self.kind == ParticleType::STRING).then_some(self.data)
    }

    /// The JSON text behind the cells, when this is well-formed GeoJSON.
    pub fn as_geojson(self) -> Option<&'a [u8]> {
        if self.kind != ParticleType::GEOJSON {
            return None;
        }
        let mut cursor = Cursor::new(self.data);
        cursor.u8()?;
        let cells = cursor.u16()?;
        cursor.take(usize::from(cells) * 8)?;
        Some(cursor.rest())
    }

    /// An owned copy, not checked.
    pub fn to_particle(self) -> Particle {
        Particle {
            kind: self.kind,
            data: Bytes::copy_from_slice(self.data),
        }
    }

    /// Whether [`Self::normalize`] would give the very same bytes, as can be told at a glance.
    #[must_use]
    pub fn is_normal(self) -> bool {
        match self.kind {
            ParticleType::STRING => true,
            ParticleType::INTEGER | ParticleType::FLOAT => self.data.len() == 8,
            ParticleType::BOOL => matches!(self.data, [0 | 1]),
            ParticleType::HLL => false,
            kind => kind.is_blob(),
        }
    }

    /// Checks a value of a request and gives it the form in which it is stored.
    ///
    /// Integers become 8 bytes, bools must be 0 or 1, lists and maps are normalised (see [`msgpack::normalize`]),
    /// sketches must be well-formed. GeoJSON loses its cells, and its text is not looked at: that is the matter of those
    /// who know geometry. Nil stays nil, whatever bytes come with it.
    ///
    /// Errors: [`ParticleError`], whose [`ParticleError::result_code`] is the answer.
    pub fn normalize(self) -> Result<Particle, ParticleError> {
        let malformed = ParticleError::Malformed {
            kind: self.kind,
            size: self.data.len(),
        };
        match self.kind {
            ParticleType::NIL => Ok(Particle::NIL),
            ParticleType::INTEGER => self.as_integer().map(Particle::integer).ok_or(malformed),
            ParticleType::FLOAT if self.data.len() == 8 => Ok(self.to_particle()),
            ParticleType::FLOAT => Err(malformed),
            ParticleType::BOOL => self.as_bool().map(Particle::bool).ok_or(malformed),
            ParticleType::STRING => Ok(self.to_particle()),
            ParticleType::LIST => Ok(Particle::new(
                self.kind,
                msgpack::normalize(self.data, msgpack::Collection::List)?,
            )),
            ParticleType::MAP => Ok(Particle::new(
                self.kind,
                msgpack::normalize(self.data, msgpack::Collection::Map)?,
            )),
            ParticleType::GEOJSON => self
                .as_geojson()
                .map(Particle::geojson)
                .ok_or(ParticleError::GeoJson),
            ParticleType::HLL if !is_sketch(self.data) => Err(malformed),
            kind if kind.is_blob() => Ok(self.to_particle()),
            kind => Err(ParticleError::Type(kind)),
        }
    }
}

/// Whether the bytes are a HyperLogLog sketch: flags 0, bits of index and minhash within their limits, a cached count of 8
/// bytes, and exactly as many registers as these say.
#[must_use]
pub fn is_sketch(bytes: &[u8]) -> bool {
    let [
        0,
        index_bits @ 4..=16,
        minhash_bits @ (0 | 4..=51),
        rest @ ..,
    ] = bytes
    else {
        return false;
    };
    let register_bits = 6 + usize::from(*minhash_bits);
    index_bits + minhash_bits <= 64 && rest.len() == 8 + (register_bits << index_bits).div_ceil(8)
}
