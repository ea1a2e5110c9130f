//! Msgpack as Aerospike uses it: list and map particles, UDF arguments, expressions.
//!
//! | value | encoding |
//! |-------|----------|
//! | nil, false, true | `c0`, `c2`, `c3` |
//! | integer | the smallest of fixint, `cc` to `cf`, `d0` to `d3`; unsigned ones above `i64::MAX` wrap |
//! | double, float | `cb`, `ca` |
//! | string, blob, GeoJSON | str family, whose first content byte is the particle type (3, 4, 23, …) |
//! | list, map | the array and map families |
//! | wildcard, infinity | `d4 ff 00`, `d4 ff 01` |
//! | order of a collection | `c7 00 <flags>` as first element, in maps as first key with value nil; counted |
//!
//! [`Reader`] walks without allocating, [`write_integer`] and its siblings write the smallest form, [`normalize`] gives a
//! collection the form in which it is stored, [`compare`] orders values. Reading is bounded in depth by
//! [`crate::limits::MAX_DEPTH`], and every count is compared with the bytes that are there.

mod compare;
mod index;
mod normalize;
mod read;
mod write;

use thiserror::Error;

pub use compare::{Rank, compare};
pub use index::{collection_head, extension_head, without_index};
pub use normalize::{Collection, normalize, normalize_value};
pub use read::{Reader, Token, first_value, skip_value};
pub use write::{
    write_bool, write_float, write_integer, write_list_header, write_map_header, write_nil,
    write_order, write_text,
};

/// Flags of ordered collections, as in their order metadata.
pub mod order {
    /// A map sorted by key; a sorted list.
    pub const KEY: u8 = 0x01;
    /// A map that is also indexed by value; only together with [`KEY`].
    pub const VALUE: u8 = 0x02;
    /// A map whose order the client keeps; not stored.
    pub const PRESERVE: u8 = 0x08;
    /// The stored collection has an index; never sent to clients.
    pub const PERSIST_INDEX: u8 = 0x10;
}

/// Why msgpack cannot be read or stored. A server answers with result 1 where it stores, 4 elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MsgpackError {
    /// The bytes end inside a value, or a length or count reaches beyond them.
    #[error("msgpack ends inside a value")]
    Truncated,
    /// Bytes after the value.
    #[error("{0} bytes follow the msgpack value")]
    Trailing(usize),
    /// A lead byte without meaning.
    #[error("byte {0:#04x} begins no msgpack value")]
    Lead(u8),
    /// Lists and maps nested too deeply.
    #[error("msgpack is nested deeper than {} levels", crate::limits::MAX_DEPTH)]
    Depth,
    /// A list where a map was expected, or anything else.
    #[error("msgpack value is not the expected list or map")]
    Kind,
    /// A map key of a type that cannot be one.
    #[error("map key is neither integer, string nor blob")]
    Key,
    /// The same map key twice.
    #[error("map key occurs twice")]
    DuplicateKey,
    /// Marked as ordered, but not sorted.
    #[error("collection is marked as ordered but is not sorted")]
    Unsorted,
    /// Order metadata that contradicts itself or stands where it has no meaning.
    #[error("order metadata is malformed")]
    Order,
    /// An extension: wildcard, infinity, or one that is not Aerospike's.
    #[error("msgpack extension values cannot be stored")]
    Extension,
}
