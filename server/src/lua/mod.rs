//! Lua for UDFs: the interpreter's state, and Aerospike's API in it, a file a type.
//!
//! Lua 5.4 comes from `mlua`, built from source, and is used through its C API (`mlua::ffi`): the error texts that
//! clients see need the call information that only the C API has, and a native call costs a fraction. All `unsafe` of
//! the server is in here. Its rules:
//!
//! - A native function is a safe body behind the trampoline of [`frame`]; no Lua error crosses a frame with something to
//!   drop.
//! - A few functions are written like C functions ([`protect`], [`tables`], [`bounds`]); nothing in them has a destructor.
//! - Userdata are known by their size and what they begin with; scripts cannot make any.
//! - All of a state, its values included, moves between threads as a whole and is used by one at a time.
//!
//! Source: `udf-runtime.md` 3 to 6.

#![expect(unsafe_code, reason = "the C API of Lua")]
#![expect(
    clippy::mutable_key_type,
    reason = "the memory account of a text takes no part in its order"
)]

mod aerospike;
mod arena;
mod bounds;
pub mod budget;
mod bytes;
mod compile;
mod encode;
mod finalizers;
mod frame;
mod geojson;
mod globals;
mod iterator;
mod library;
mod list;
mod log;
mod map;
mod memory;
mod object;
mod pace;
pub mod pattern;
mod protect;
mod record;
pub mod record_view;
mod sealed;
mod shared;
mod sort;
mod state;
mod stream;
pub mod stream_call;
mod strings;
mod tables;
mod text;
mod value;

pub(crate) use compile::compile;
pub(crate) use log::MAX_LINE_BYTES;
#[cfg(test)]
pub(crate) use memory::Memory;
pub(crate) use shared::Abort;
pub(crate) use state::{LoadError, State, StateOptions};

#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;
