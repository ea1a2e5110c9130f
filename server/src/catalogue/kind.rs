//! What tells one kind of named things from another.

use sha1::{Digest as _, Sha1};

use super::version::ContentHash;

/// A kind of named things, each of which has a text as content. Everything that differs between kinds, as far as it is
/// about their way to disk and to other nodes.
#[derive(Debug)]
pub struct CatalogueKind {
    /// One of them, as messages between nodes and log lines call it.
    pub name: &'static str,
    /// Many of them, for texts to people.
    pub plural: &'static str,
    /// Target of log lines.
    pub target: &'static str,
    /// File below `<work-directory>/smd`.
    pub registry: &'static str,
    /// File beside it, of the changes since it was written.
    pub log: &'static str,
    /// Ending of the names of hidden files beside them.
    pub hidden: &'static str,
    /// Whether a thing may have this name.
    pub accepts: fn(name: &str) -> bool,
    /// The text that stands for name and content: what is hashed, and what the file holds.
    pub value: fn(name: &str, content: &str) -> String,
    /// The content of such a text, or what is wrong with it.
    pub content: fn(name: &str, value: &str) -> Result<String, String>,
}

impl PartialEq for CatalogueKind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for CatalogueKind {}

impl CatalogueKind {
    /// SHA-1 of the text that stands for a thing.
    #[must_use]
    pub fn hash(&self, name: &str, content: &str) -> ContentHash {
        let value = (self.value)(name, content);
        ContentHash(Sha1::digest(value.as_bytes()).into())
    }

    /// The name of a hidden file.
    pub(super) fn hidden(&self, name: &str) -> String {
        format!("{name}{}", self.hidden)
    }
}

/// A kind whose contents stand for themselves.
#[cfg(test)]
pub(crate) static PLAIN: CatalogueKind = CatalogueKind {
    name: "thing",
    plural: "things",
    target: "udf",
    registry: "things.smd",
    log: "things.log",
    hidden: "-things",
    accepts: |name| !name.contains('/'),
    value: |_, content| content.to_owned(),
    content: |_, value| Ok(value.to_owned()),
};
