//! Encoded values as they lie in stored bytes: where one ends, how two compare, what stands at the head of a list or map,
//! and where its items are.
//!
//! ```text
//! head ─ metadata: flags, index ─ item ─ item ─ …        an item is an element of a list, or key and value of a map
//! ```
//!
//! Two things say where an item begins without a walk over those in front of it. The *index* is part of the value where
//! the collection says so (`order::PERSIST_INDEX`), see `index.rs`. *Landmarks* are kept beside the value by whoever holds
//! it in memory, see [`Landmarks`].

mod compare;
mod end;
mod head;
pub(crate) mod index;
mod landmarks;

pub(crate) use compare::compare;
pub(crate) use end::end;
pub(crate) use head::Head;
pub use landmarks::Landmarks;
pub(crate) use landmarks::{Kept, SMALLEST};
