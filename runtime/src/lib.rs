//! Lua for UDFs, without a server: the interpreter's state, Aerospike's API in it, and what holds scripts in bounds.
//!
//! ```text
//! context   a state: made, loaded, called, closed
//!    api       Aerospike's types and functions for scripts, a file a type
//!    guard     what replaces or surrounds Lua's own library
//!    machine   frame, values, memory, time: what native functions see of a state
//! call host module   what goes into a call and comes out; who runs it; what `require` finds
//! ```
//!
//! Nothing in here opens a socket or a file, and no wall clock is read: modules come from a trait ([`module::Modules`]),
//! records and limits are values, the time of day comes from the [`host::Host`].
//!
//! Lua 5.4 comes from `mlua`, built from source, and is used through its C API (`mlua::ffi`): the error texts that
//! clients see need the call information that only the C API has, and a native call costs a fraction. Its rules:
//!
//! - A native function is a safe body behind the trampoline of `machine::frame`; no Lua error crosses a frame with
//!   something to drop.
//! - A few functions are written like C functions (`machine::protect`, `guard::tables`, `guard::bounds`); nothing in
//!   them has a destructor.
//! - Userdata are known by their size and what they begin with; scripts cannot make any.
//! - All of a state, its values included, moves between threads as a whole and is used by one at a time.

#![expect(unsafe_code, reason = "the C API of Lua")]
#![expect(
    clippy::mutable_key_type,
    reason = "the memory account of a text takes no part in its order"
)]

mod api;
pub mod call;
pub mod context;
pub mod guard;
pub mod host;
pub mod machine;
pub mod module;

#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;
