//! A named thing, or what is left of a removed one, as it travels between nodes.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::kind::CatalogueKind;
use super::version::{Summary, Version};

/// Why an item of another node is refused. It never is for what a script does: the node where it was put validated it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ItemError {
    /// The name leaves the module directory or is too long.
    #[error("the file name is not allowed")]
    Name,
    /// Content and hash do not belong together: it was damaged on the way.
    #[error("the content does not match its hash")]
    Hash,
    /// The content is empty, too long, or not of the kind.
    #[error("the content is too long or cannot be read")]
    Content,
}

/// One name with its version and content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The name; of a module its file name.
    pub name: String,
    /// Version, and hash of the content.
    pub summary: Summary,
    /// The content; none once removed. Of a module as the client sent it, base64.
    pub content: Option<String>,
}

impl Item {
    /// An item with the hash of its content.
    #[must_use]
    pub fn new(kind: &CatalogueKind, name: &str, version: Version, content: Option<&str>) -> Self {
        Self {
            name: name.to_owned(),
            summary: Summary {
                version,
                hash: content.map(|content| kind.hash(name, content)),
            },
            content: content.map(str::to_owned),
        }
    }

    /// Checks an item that somebody else made: its name, and that nothing of it was damaged.
    ///
    /// # Errors
    /// See [`ItemError`].
    pub fn check(&self, kind: &CatalogueKind) -> Result<(), ItemError> {
        if !(kind.accepts)(&self.name) {
            return Err(ItemError::Name);
        }
        let content = self.content.as_deref();
        let hash = content.map(|content| kind.hash(&self.name, content));
        match self.summary.hash == hash {
            true => Ok(()),
            false => Err(ItemError::Hash),
        }
    }
}
