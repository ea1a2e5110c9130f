//! Why a configuration is refused.

use std::path::PathBuf;

/// A configuration that the server does not start with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line of the file is wrong.
    #[error("{file}:{line}: {key}{}{message}", if key.is_empty() { "" } else { ": " })]
    Refused {
        /// The file as it was named.
        file: String,
        /// Line, from 1.
        line: usize,
        /// The key with the sections it stands in: `namespace test: storage-engine.data-size`. Empty if there is none.
        key: String,
        /// What was expected and found, and what to do.
        message: String,
    },
    /// There is no place for the server's state.
    #[error(
        "no directory for the server's state: set HOME or XDG_STATE_HOME, or `work-directory` in `service {{ }}`"
    )]
    NoStateDirectory,
}
