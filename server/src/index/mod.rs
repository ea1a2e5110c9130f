//! Secondary indexes: definitions, the values that records have by them, and sorted entries of value and record.
//!
//! ```text
//! Definitions ── of the node: on disk, the same on all nodes (`catalogue`)
//! Indexes ── of one namespace: slots with names
//!    └─ Index ── a definition, and 64 sheets, each the sorted entries (value, handle) of 64 partitions
//!         Definition ─ values(record) → Values          pure
//!         Predicate  ─ ranges → Vec<(u64, u64)>, holds(record)
//! ```
//!
//! Nothing in here knows locks of records, engines, messages or jobs. A record's entries follow its changes
//! ([`Indexes::update`]); whoever finds an entry reads the record and asks the predicate once more, so an entry may be
//! older than its record, but a record that fits is never without one.

mod building;
mod context;
mod definition;
mod definitions;
mod entries;
mod one;
mod predicate;
mod row;
mod table;
#[cfg(test)]
mod tests;
mod values;

pub use context::{ContextError, IndexContext};
pub use definition::{Definition, IndexType, Indexed, Source, ValueType};
pub use definitions::{Definitions, IndexChangeError, IndexCommands, IndexedNamespaces, Unsaved};
pub use entries::Entry;
pub use one::{Index, SHEET};
pub use predicate::{Predicate, PredicateError};
pub use row::INDEXES;
pub use table::{DefinitionError, Indexes, SetIndex, Slot};
pub use values::Values;
