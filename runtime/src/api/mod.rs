//! Aerospike's API for scripts, a file a type.

pub(crate) mod aerospike;
pub(crate) mod bytes;
pub(crate) mod geojson;
pub(crate) mod iterator;
pub(crate) mod library;
pub(crate) mod list;
pub(crate) mod log;
mod lost;
pub(crate) mod map;
pub(crate) mod own;
pub(crate) mod record;
pub(crate) mod text;
