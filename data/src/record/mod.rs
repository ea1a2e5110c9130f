//! Records as they are stored, and the rules about their life.
//!
//! A [`StoredRecord`] is never changed: a write makes a new one. The bytes that it is are its [`form`], which is the same
//! in memory, on disk and between nodes.

use protocol::bounds::Fit as _;

mod beside;
mod bin;
mod draft;
pub mod form;
mod handle;
mod limits;
pub mod policy;
mod set;
mod size;
mod stored;

pub use crate::bin::BinName;
pub use bin::Bin;
pub use draft::{Record, bins_of};
pub use form::{BinRef, FormError, Parts};
pub use handle::Handle;
pub use limits::LimitError;
pub use set::{Set, Usage};
pub use stored::{StoredBins, StoredRecord};

/// Whole seconds of a time in milliseconds.
#[must_use]
pub fn seconds(ms: u64) -> u32 {
    (ms / 1000).fit::<u32>()
}
