//! Every bound on the wire, in one place.
//!
//! Source: wire specification sections 1 to 6, 8 and 12, which state what the reference server 8.1.2 does;
//! the depth bound is this project's own.

/// Largest body of a frame, in bytes: 128 MiB exactly is accepted, one more closes the connection.
pub const MAX_BODY_SIZE: u64 = 128 * 1024 * 1024;

/// How far a receive buffer is grown ahead of the data that has arrived, in bytes.
///
/// A header may claim [`MAX_BODY_SIZE`]; memory nevertheless follows what the peer has really sent.
pub const RECEIVE_CHUNK: usize = 64 * 1024;

/// Longest namespace name, in bytes.
pub const MAX_NAMESPACE_NAME: usize = 31;

/// Longest set name, in bytes.
pub const MAX_SET_NAME: usize = 63;

/// Longest bin name, in bytes.
pub const MAX_BIN_NAME: usize = 15;

/// Most ops in one request.
pub const MAX_OPS: u16 = 32_768;

/// Longest UDF package and function name, in bytes.
pub const MAX_UDF_NAME: usize = 127;

/// Deepest nesting of lists and maps that is read: the outermost collection has depth 1.
///
/// Readers of nested values recurse, so the stack bounds the depth.
pub const MAX_DEPTH: usize = 128;

/// Number of partitions of a namespace.
pub const PARTITIONS: u16 = 4096;
