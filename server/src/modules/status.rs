//! Which node has which version of which module.

use std::collections::BTreeMap;

use crate::catalogue::version::Summaries;

/// What one node says.
#[derive(Debug)]
pub struct NodeModules {
    /// Its identity, in hex.
    pub node: String,
    /// What it has, or why it did not say so.
    pub said: Result<Said, String>,
}

/// What a node has, and what it could not store.
#[derive(Debug)]
pub struct Said {
    /// Versions on disk and served, removed modules included.
    pub modules: Summaries,
    /// Why a module could not be stored, by file name.
    pub failures: BTreeMap<String, String>,
}
