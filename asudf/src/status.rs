//! Exit statuses: what they are and, in one table, what each command means by them.

use std::process::ExitCode;

use thiserror::Error;

/// How a command ended that could do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All is well, and nothing is to be done.
    Fine,
    /// The work was done and there is something to look at: a test failed, a finding, a change that was made.
    Something,
    /// It would change something, and was asked not to.
    WouldChange,
    /// It was interrupted.
    Interrupted,
}

impl Status {
    /// The number that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Something => 1,
            Self::WouldChange => 3,
            Self::Interrupted => 130,
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.code())
    }
}

/// The number for a command that could not do its work.
pub const FAILED: u8 = 2;

/// Why a command could not do its work: what failed, on what, and what to do. Printed as `asudf: TEXT`; the status is
/// [`FAILED`].
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Failure(pub String);

impl Failure {
    /// A failure with this text.
    pub fn of(text: impl std::fmt::Display) -> Self {
        Self(text.to_string())
    }
}

/// Command, status, meaning: what the manual and the book say. [`FAILED`] means the same for all.
pub const STATUSES: &[(&str, u8, &str)] = &[
    ("new", 0, "The project is there."),
    (
        "check",
        0,
        "Nothing is wrong: nothing was found of the level of --fail-on (warning), or of a worse one.",
    ),
    (
        "check",
        1,
        "Something was found of the level of --fail-on, or of a worse one.",
    ),
    ("run", 0, "The function returned."),
    ("run", 1, "The function failed, or what it did was refused."),
    ("convert", 0, "The tests are there."),
    ("watch", 0, "As many saves as --saves says were looked at."),
    ("test", 0, "All tests passed, or were skipped."),
    (
        "test",
        1,
        "A test failed, or a test file could not be loaded.",
    ),
    (
        "diff, status",
        0,
        "Every node serves every module as it is in the folder.",
    ),
    (
        "apply, rollback, import",
        0,
        "Every node served everything as it is to be: nothing was written.",
    ),
    ("export", 0, "The file is there."),
    (
        "apply, rollback, import",
        1,
        "Modules were changed, and every node serves them.",
    ),
    (
        "diff, status; apply, rollback, import with --dry-run",
        3,
        "Something would be changed.",
    ),
    (
        "any",
        FAILED,
        "It could not be done: wrong options, a file that cannot be read or written, a mistake in asudf.toml, no answer from a cluster. The message says which.",
    ),
    ("any", 130, "Interrupted."),
];

/// What the statuses of a command mean.
pub fn statuses_of(command: &str) -> impl Iterator<Item = (u8, &'static str)> {
    let is_meant = move |commands: &str| {
        commands == "any" || commands.split([',', ';', ' ']).any(|word| word == command)
    };
    STATUSES
        .iter()
        .filter(move |row| is_meant(row.0))
        .map(|row| (row.1, row.2))
}
