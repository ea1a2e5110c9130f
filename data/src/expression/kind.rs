use protocol::particle::ParticleType;

/// Type of an expression's value, known when it is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpressionType {
    /// No value.
    Nil,
    /// A truth value, of which the third is "unknown".
    Bool,
    /// An integer of 64 bits.
    Integer,
    /// A string.
    String,
    /// A list.
    List,
    /// A map.
    Map,
    /// Bytes; those of programming languages are of no kind.
    Blob,
    /// A double.
    Float,
    /// A place or region.
    GeoJson,
    /// A HyperLogLog sketch.
    Sketch,
    /// The result of a path modification that removes.
    Remove,
    /// Wildcard or infinity.
    Special,
}

impl ExpressionType {
    /// The type with this number on the wire.
    pub(super) fn of_number(number: i64) -> Option<Self> {
        Some(match number {
            0 => Self::Nil,
            1 => Self::Bool,
            2 => Self::Integer,
            3 => Self::String,
            4 => Self::List,
            5 => Self::Map,
            6 => Self::Blob,
            7 => Self::Float,
            8 => Self::GeoJson,
            9 => Self::Sketch,
            _ => return None,
        })
    }

    /// Type of the particles that such a value is in.
    pub(super) fn particle(self) -> Option<ParticleType> {
        Some(match self {
            Self::Nil | Self::Remove | Self::Special => return None,
            Self::Bool => ParticleType::BOOL,
            Self::Integer => ParticleType::INTEGER,
            Self::String => ParticleType::STRING,
            Self::List => ParticleType::LIST,
            Self::Map => ParticleType::MAP,
            Self::Blob => ParticleType::BLOB,
            Self::Float => ParticleType::FLOAT,
            Self::GeoJson => ParticleType::GEOJSON,
            Self::Sketch => ParticleType::HLL,
        })
    }

    /// The name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool => "bool",
            Self::Integer => "integer",
            Self::String => "string",
            Self::List => "list",
            Self::Map => "map",
            Self::Blob => "blob",
            Self::Float => "float",
            Self::GeoJson => "geojson",
            Self::Sketch => "hll",
            Self::Remove => "remove result",
            Self::Special => "wildcard or infinity",
        }
    }

    /// Whether values of this type have an order.
    pub(super) fn is_compared(self) -> bool {
        !matches!(
            self,
            Self::GeoJson | Self::Sketch | Self::Remove | Self::Special
        )
    }
}
