use std::fmt;
use std::io;
use std::time::Duration;

use thiserror::Error;

use crate::header::BodyTooLarge;
use crate::info::{Failure, RequestError};
use crate::message::WriteError;

/// What a client was doing when its time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimedOut {
    /// Resolving and connecting.
    Connect,
    /// Sending the request.
    Send,
    /// Waiting for the whole answer.
    Receive,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "could not be connected to",
            Self::Send => "did not take the request",
            Self::Receive => "did not answer",
        })
    }
}

/// Why a node could not be asked, or its answer not be used. `peer` is host and port.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The name has no address.
    #[error("cannot resolve `{host}`: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// The resolver's words.
        source: io::Error,
    },
    /// The name was resolved to nothing.
    #[error("cannot resolve `{host}`: no address")]
    NoAddress {
        /// The name.
        host: String,
    },
    /// No address of the host accepts connections.
    #[error("cannot connect to {peer}: {source}")]
    Connect {
        /// Host and port.
        peer: String,
        /// The system's words about the last address.
        source: io::Error,
    },
    /// The handshake of an encrypted connection failed: no TLS there, or a certificate that is not trusted.
    #[error("cannot encrypt the connection to {peer}: {source}")]
    Tls {
        /// Host and port.
        peer: String,
        /// What was wrong.
        source: io::Error,
    },
    /// A time limit passed.
    #[error("{peer} {during} within {limit:?}")]
    TimedOut {
        /// Host and port.
        peer: String,
        /// What was going on.
        during: TimedOut,
        /// The limit.
        limit: Duration,
    },
    /// The node closed the connection before the answer was complete.
    #[error("{peer} closed the connection before it answered")]
    Closed {
        /// Host and port.
        peer: String,
    },
    /// The connection broke.
    #[error("connection to {peer} failed: {source}")]
    Io {
        /// Host and port.
        peer: String,
        /// The system's words.
        source: io::Error,
    },
    /// The answer does not follow the protocol.
    #[error("{peer} sent a malformed answer: {reason}")]
    Malformed {
        /// Host and port.
        peer: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The node refused a whole info request.
    #[error("{peer} refused the request: {failure}")]
    Refused {
        /// Host and port.
        peer: String,
        /// The node's words.
        failure: Failure,
    },
    /// An earlier call failed half-way.
    #[error("connection to {peer} was closed after an earlier error, connect anew")]
    Unusable {
        /// Host and port.
        peer: String,
    },
    /// The info request cannot be sent.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The record request cannot be sent.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The request is above the limit.
    #[error(transparent)]
    TooLarge(#[from] BodyTooLarge),
}
