//! Compiled chunks, and where `require` finds them.

pub mod compile_failure;

use std::sync::Arc;

/// A compiled main chunk, loaded by every context of its module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytecode(pub Arc<[u8]>);

/// A module as contexts load it.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// File name, with its extension.
    pub file_name: Arc<str>,
    /// The compiled main chunk, or why there is none.
    pub compiled: Result<Bytecode, Arc<str>>,
}

/// What `require` sees: registered modules, and nothing else.
pub trait Modules: Send + Sync {
    /// The module that `require` of this text loads now. None: there is no such module.
    fn find(&self, require_name: &[u8]) -> Option<Chunk>;
}

/// Name by which callers and `require` know the module of this file; none when they cannot reach it.
///
/// Only `.lua` files are loaded. `require` reads a dot as a directory separator and modules have no directories, so a
/// name with another dot is reached by nobody.
#[must_use]
pub fn callable(file_name: &str) -> Option<&str> {
    file_name
        .strip_suffix(".lua")
        .filter(|name| !name.is_empty() && !name.contains('.'))
}
