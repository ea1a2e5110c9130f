//! Kinds of Lua values, as sets.

use bitflags::bitflags;

bitflags! {
    /// What a value may be.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Kinds: u16 {
        /// `nil`
        const NIL = 1;
        /// A boolean.
        const BOOLEAN = 1 << 1;
        /// A number without a fraction.
        const INTEGER = 1 << 2;
        /// A number with one, be it zero.
        const FLOAT = 1 << 3;
        /// A string.
        const TEXT = 1 << 4;
        /// A Lua table.
        const TABLE = 1 << 5;
        /// A function.
        const FUNCTION = 1 << 6;
        /// A coroutine.
        const COROUTINE = 1 << 7;
        /// A record.
        const RECORD = 1 << 8;
        /// A list of Aerospike's.
        const LIST = 1 << 9;
        /// A map of Aerospike's.
        const MAP = 1 << 10;
        /// Bytes of Aerospike's.
        const BYTES = 1 << 11;
        /// A GeoJSON value.
        const GEOJSON = 1 << 12;
        /// The object `aerospike`.
        const AEROSPIKE = 1 << 13;
        /// What goes through a list or map.
        const ITERATOR = 1 << 14;

        /// Either kind of number.
        const NUMBER = Self::INTEGER.bits() | Self::FLOAT.bits();
        /// What holds other values and is Aerospike's.
        const COLLECTION = Self::LIST.bits() | Self::MAP.bits();
        /// Anything.
        const ANY = 0x7fff;
    }
}

/// Names of kinds: in signatures, and for people.
const NAMES: [(&str, &str, Kinds); 19] = [
    ("any", "anything", Kinds::ANY),
    ("number", "a number", Kinds::NUMBER),
    ("nil", "nil", Kinds::NIL),
    ("boolean", "a boolean", Kinds::BOOLEAN),
    ("integer", "an integer", Kinds::INTEGER),
    ("float", "a float", Kinds::FLOAT),
    ("string", "a string", Kinds::TEXT),
    ("table", "a table", Kinds::TABLE),
    ("function", "a function", Kinds::FUNCTION),
    ("thread", "a coroutine", Kinds::COROUTINE),
    ("Record", "a record", Kinds::RECORD),
    ("List", "a list", Kinds::LIST),
    ("Map", "a map", Kinds::MAP),
    ("Bytes", "bytes", Kinds::BYTES),
    ("GeoJSON", "a GeoJSON value", Kinds::GEOJSON),
    ("Aerospike", "the object `aerospike`", Kinds::AEROSPIKE),
    ("Iterator", "an iterator", Kinds::ITERATOR),
    // An integer, or nil for the default, where something has to be given.
    ("index", "an integer", Kinds::INTEGER.union(Kinds::NIL)),
    ("never", "nothing", Kinds::empty()),
];

impl Kinds {
    /// The set of this name in a signature.
    #[must_use]
    pub(crate) fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|row| row.0 == name).map(|row| row.2)
    }

    /// For people: `a list or a map`.
    #[must_use]
    pub(crate) fn describe(self) -> String {
        let mut left = self;
        let mut names = Vec::new();
        for (_, name, kinds) in NAMES {
            if !kinds.is_empty() && left.contains(kinds) {
                names.push(name);
                left = left.difference(kinds);
            }
        }
        match names.split_last() {
            None => "nothing".to_owned(),
            Some((last, [])) => (*last).to_owned(),
            Some((last, before)) => format!("{} or {last}", before.join(", ")),
        }
    }

    /// Nothing is known of it.
    #[must_use]
    pub(crate) fn is_any(self) -> bool {
        self == Self::ANY
    }

    /// It is one of these, whatever happens; there is a value at all.
    #[must_use]
    pub(crate) fn is_surely(self, of: Self) -> bool {
        !self.is_empty() && of.contains(self)
    }

    /// It is none of these, whatever happens; there is a value at all.
    #[must_use]
    pub(crate) fn is_never(self, of: Self) -> bool {
        !self.is_empty() && !self.intersects(of)
    }
}
