//! What can go wrong with the registry on disk.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::super::item::ItemError;

/// What went wrong with the registry's files.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The system refused.
    #[error("cannot {action} `{path}`: {source}")]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Two servers would overwrite each other's registry.
    #[error("`{path}` is in use by another server; give each its own `work-directory`")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The registry is not what this server writes. It is not overwritten.
    #[error(
        "`{path}` is damaged: {reason}; repair it, or move it away to start without what it holds"
    )]
    Damaged {
        /// The registry, or the log of its changes.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A file of this name is in the module directory, and the server did not write it.
    #[error(
        "`{path}` was not written by this server and is kept; move it away, or register under another name"
    )]
    ForeignFile {
        /// The file.
        path: PathBuf,
    },
    /// Too many names are known.
    #[error(
        "{limit} {things} are known, counting those removed within the last 30 days; \
         register under a name that was used before"
    )]
    TooMany {
        /// What they are.
        things: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// All modules together would be too large.
    #[error(
        "all modules together would have {wanted} bytes, {limit} are possible; remove some first"
    )]
    TooLarge {
        /// Bytes of base64 that there would be.
        wanted: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The registry is old, and other nodes have not said yet whether it counts.
    #[error(
        "this node was away for long and has not asked the others yet whether what it has counts; try again"
    )]
    Unsettled,
    /// Another node sent what cannot be such a thing.
    #[error("what another node sent as `{name}` is refused: {reason}")]
    Item {
        /// The name that it came under.
        name: String,
        /// Why.
        #[source]
        reason: ItemError,
    },
}

pub(super) fn io_error<'p>(
    action: &'static str,
    path: &'p Path,
) -> impl FnOnce(io::Error) -> StoreError + 'p {
    move |source| StoreError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}
