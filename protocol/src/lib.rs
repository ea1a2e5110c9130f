//! The Aerospike wire protocol: frames, text commands, record messages, values.
//!
//! Everything here turns bytes into types and back. No module decides anything (who may do what, what a
//! missing record means) and none opens a socket, except the client, which is behind the feature `client`.
//!
//! Rules that hold in every module, because every byte may come from a stranger:
//! nothing panics on input; nothing is allocated from a length that was not compared with the bytes at hand;
//! recursion and counts are bounded by [`limits`]; parsing borrows from the input.
//!
//! | module | bytes |
//! |--------|-------|
//! | [`header`], [`codec`] | the 8-byte header of every frame, and frames |
//! | [`info`], [`partition_map`] | text commands (type 1) and the bitmap that one of them carries |
//! | [`message`] | record messages (type 3): header, fields, ops, batch rows |
//! | [`particle`], [`msgpack`], [`value`] | bin values |
//! | [`key`] | record keys, digests, partition ids |
//! | [`security`] | login and user administration (type 2) |
//! | [`compress`] | compressed record messages (type 4) |
//! | [`result_code`], [`limits`] | the numbers that all of them share |
//! | [`bounds`] | parts and numbers that are known to fit |

pub mod bounds;
#[cfg(feature = "client")]
pub mod client;
pub mod codec;
mod codes;
pub mod compress;
mod cursor;
#[doc(hidden)]
pub mod fuzz;
pub mod header;
pub mod info;
pub mod key;
pub mod limits;
pub mod message;
pub mod msgpack;
pub mod particle;
pub mod particle_type;
pub mod partition_map;
pub mod result_code;
pub mod security;
pub mod value;
