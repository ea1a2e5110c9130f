//! Operations on bins: checked once, then applied to one bin after the other.
//!
//! An operation is parsed from the bytes of a request into a value that borrows from them, and `apply` turns a bin's
//! particle into a [`Change`] and a reply. Nothing here knows records, locks or replies.

use protocol::particle::Particle;
use protocol::result_code::ResultCode;

/// What becomes of a bin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Change {
    /// Nothing: the bin stays as it is, absent or not.
    #[default]
    Keep,
    /// The bin has this value from now on; it is made when it was not there.
    Set(Particle),
    /// The bin goes.
    Remove,
}

/// What an operation did to a bin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// What becomes of the bin.
    pub change: Change,
    /// What the client gets; none is an answer without a value (nil).
    pub reply: Option<Particle>,
}

/// What an operation may take. Over a limit it fails, and nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of the resulting particle.
    pub max_particle_bytes: usize,
}

/// Why an operation is refused or fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {cause}")]
pub struct OperationError {
    /// The code with which a server answers.
    pub code: ResultCode,
    /// What was wrong, for the log: operation, path, byte.
    pub cause: String,
}
