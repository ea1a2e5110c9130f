//! How commands end, and the exit status that follows.

use tools::exit::Exit;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All well, or warnings only.
    Done,
    /// The person did not confirm.
    Cancelled,
    /// The words are no command, or something in them is wrong or missing.
    Misunderstood,
    /// It needs privileged mode.
    Forbidden,
    /// Something refused or could not be done.
    Failed,
    /// A table misses nodes that did not answer.
    Incomplete,
    /// The same where every node counts: with `--strict`, and for `asinfo`.
    Unheard,
}

impl Outcome {
    /// The status of a run in which this was the worst.
    pub fn exit(self) -> Exit {
        match self {
            Self::Done | Self::Cancelled | Self::Incomplete => Exit::Success,
            Self::Misunderstood | Self::Forbidden | Self::Failed | Self::Unheard => Exit::Command,
        }
    }
}
