//! Named things that all nodes of a cluster have alike: modules, definitions of indexes.
//!
//! ```text
//! shown ─ keeper ─┬─ state ─ version        rollout   joining
//!                 └─ persistence
//! ```
//!
//! Which version of a name wins, when a change is everywhere, and when a newcomer has all, is one rule for every [`CatalogueKind`];
//! `simulation` drives it. What is done with a thing stands where the things do.

pub mod answer_by;
mod failures;
mod item;
pub mod joining;
mod keeper;
mod kind;
mod parts;
mod persistence;
pub mod rollout;
mod shown;
#[cfg(test)]
pub(crate) mod simulation;
mod state;
pub mod version;

pub use item::{Item, ItemError};
pub(crate) use keeper::{KEEP_ALIVE_MS, Keeper};
pub use kind::CatalogueKind;
pub(crate) use parts::{Parts, Place};
pub(crate) use persistence::{Before, Store, StoredItem, Superseded, tell_of_no_copy};
pub use persistence::{DiskWork, StoreError};
pub use shown::{Catalogued, Origin, Shown};
pub use state::{Proposal, Stored};
