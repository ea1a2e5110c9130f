//! Exit statuses.

use std::process::ExitCode;

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// All well, or warnings only.
    #[default]
    Success,
    /// Contradictory options, a bad configuration file, no cluster for the shell.
    Setup,
    /// A command failed, or no cluster could be reached for one; also mistakes in the options.
    Command,
    /// Interrupted.
    Interrupted,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Setup => 1,
            Self::Command => 2,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
