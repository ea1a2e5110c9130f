//! Records as they are stored, and the rules about their life.
//!
//! A [`Record`] is immutable once stored: a write makes a new one.

mod bin;
pub mod policy;
mod set;
mod stored;

pub use crate::bin::BinName;
pub use bin::Bin;
pub use set::{Set, Usage};
pub use stored::Record;

/// Whole seconds of a time in milliseconds.
#[must_use]
pub fn seconds(ms: u64) -> u32 {
    u32::try_from(ms / 1000).unwrap_or(u32::MAX)
}
