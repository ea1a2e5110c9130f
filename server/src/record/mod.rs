//! Record data: namespaces, sets, records, the locks on them and the engines that keep them.
//!
//! ```text
//! Namespace ── settings, statistics
//!     ├─ SetTable ─→ Set            names, object counts, truncation times
//!     ├─ Indexes                   secondary indexes, which follow every change
//!     ├─ RecordLocks                who may change a digest now; waiters in order of arrival
//!     └─ StorageEngine              4096 partitions: digest → StoredRecord
//! ```
//!
//! A stored version is never changed: a write makes a new one and swaps the pointer, so readers never wait for writers
//! and a record UDF works on the version that it found. Nothing in here knows messages or Lua.

mod build;
mod locks;
mod namespace;
mod repack;
mod repacking;
#[cfg(test)]
mod samples;
mod scan;
mod set;
#[cfg(test)]
mod set_back;
mod sweep;
#[cfg(test)]
mod tests;
mod version;

pub use crate::config::NamespaceSettings;
pub use build::IndexBuilder;
pub use locks::{LockError, RecordLock, RecordLocks};
pub use namespace::{INDEX_ENTRY_BYTES, Namespace, StoreError};
pub use scan::{PAGE, Scan};
pub use set::SetTable;
pub use sweep::{Swept, TruncateError, run_nsup};
pub use version::{Prepared, Version};
