//! Engines that keep the records of a namespace, behind one trait.
//!
//! An engine keeps versions. It knows nothing of time, sets, limits or statistics: the room `record` does.

/// Answers of engines, which may come later or not at all.
pub mod answer;
pub mod engine;
pub mod file;
mod leaf;
pub mod memory;
mod table;
#[cfg(test)]
pub(crate) mod waiting;

pub use answer::{Answer, StorageError};
pub use engine::{
    Changed, Expected, Extent, Keeps, Named, PARTITIONS, Removal, Space, StorageEngine, Truncation,
};
pub use memory::MemoryEngine;
