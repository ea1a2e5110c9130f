//! What can go wrong between a test and a server.

use std::io;

use thiserror::Error;

/// A failed exchange, or a server that does not come up.
#[derive(Debug, Error)]
pub enum Error {
    /// An operation of the system failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, on what.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The peer did something that its protocol or this test does not allow.
    #[error("{0}")]
    Unexpected(String),
}

/// Result with the error of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Makes the error of a failed operation; to be used with `map_err`.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Whether the peer closed the connection or did not take it.
    pub fn is_disconnect(&self) -> bool {
        use io::ErrorKind::{
            BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, UnexpectedEof,
        };
        matches!(self, Self::Io { source, .. } if matches!(
            source.kind(),
            BrokenPipe | ConnectionAborted | ConnectionRefused | ConnectionReset | UnexpectedEof
        ))
    }
}
