//! Secondary indexes: definitions, the values that records have by them, and sorted entries of value and record.
//!
//! ```text
//! Indexes ── of one namespace: slots with names
//!    └─ Index ── a definition, and 4096 sorted sets of (value, digest)
//!         Definition ─ values(record) → Vec<u64>        pure
//!         Predicate  ─ ranges → Vec<(u64, u64)>, holds(record)
//! ```
//!
//! Nothing in here knows locks of records, engines, messages or jobs. A record's entries follow its changes
//! ([`Indexes::update`]); whoever finds an entry reads the record and asks the predicate once more, so an entry may be
//! older than its record, but a record that fits is never without one.

mod context;
mod definition;
mod entries;
mod one;
mod predicate;
mod saved;
mod table;
#[cfg(test)]
mod tests;

pub use context::{ContextError, IndexContext};
pub use definition::{Definition, IndexType, Source, ValueType};
pub use one::{Index, Position};
pub use predicate::{Predicate, PredicateError};
pub use saved::{SavedDefinitions, SavedError};
pub use table::{Change, DefinitionError, Indexes, SetIndex, Slot};
