//! Engines that keep the records of a namespace, behind one trait.
//!
//! An engine keeps versions. It knows nothing of time, sets, limits or statistics: the room `record` does.

pub mod engine;
pub mod memory;

pub use engine::{PARTITIONS, StorageEngine};
pub use memory::MemoryEngine;
