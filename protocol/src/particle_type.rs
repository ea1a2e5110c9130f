//! Types of particles.

use crate::codes::codes;

codes! {
    /// Type of a particle, as one byte on the wire. Numbers without a name are kept as they are.
    ParticleType: "particle type", shown sentence;
    0 = NIL: "nil",
    1 = INTEGER: "integer",
    2 = FLOAT: "float",
    3 = STRING: "string",
    4 = BLOB: "blob",
    7 = JAVA_BLOB: "java blob",
    8 = CSHARP_BLOB: "csharp blob",
    9 = PYTHON_BLOB: "python blob",
    10 = RUBY_BLOB: "ruby blob",
    11 = PHP_BLOB: "php blob",
    12 = ERLANG_BLOB: "erlang blob",
    16 = VECTOR: "vector",
    17 = BOOL: "bool",
    18 = HLL: "hll",
    19 = MAP: "map",
    20 = LIST: "list",
    23 = GEOJSON: "geojson",
}

impl ParticleType {
    /// Whether the bytes are opaque: blob, the blobs of programming languages, vector, HLL.
    pub fn is_blob(self) -> bool {
        matches!(self.0, 4 | 7..=12 | 16 | 18)
    }

    /// Whether bins can have values of this type.
    pub fn is_stored(self) -> bool {
        self.is_blob() || matches!(self.0, 1..=3 | 17 | 19 | 20 | 23)
    }
}
