//! Record data: namespaces, sets, records, the locks on them and the engines that keep them.
//!
//! ```text
//! Namespace ── settings, statistics
//!     ├─ SetTable ─→ Set            names, object counts, truncation times
//!     ├─ RecordLocks                who may change a digest now; waiters in order of arrival
//!     └─ StorageEngine              4096 partitions: digest → Arc<Record>
//! ```
//!
//! A [`Record`] is immutable once stored: a write makes a new one and swaps the `Arc`, so readers never wait and a
//! record UDF works on the version that it found. Nothing in here knows messages or Lua.

mod bin;
mod locks;
mod namespace;
pub mod policy;
mod set;
mod stored;
mod sweep;
mod time;

pub use crate::config::NamespaceSettings;
pub use bin::{Bin, BinName};
pub use locks::{LockError, RecordLock, RecordLocks, ShortLock};
pub use namespace::{Namespace, StoreError};
pub use set::{Set, SetTable, Usage};
pub use stored::Record;
pub use sweep::{Swept, TruncateError, run_nsup};
pub use time::{Clock, seconds};
