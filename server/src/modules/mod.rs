//! Modules: which there are, on disk and on every node.
//!
//! ```text
//! changes ─ names, registry ─ persistence
//!                │ publishes
//!           ModuleSet ◄── service ──► contexts
//! ```

pub mod catalogue;
pub mod changes;
mod failures;
pub mod item;
pub mod joining;
pub mod module;
pub mod names;
pub mod persistence;
pub mod registry;
pub mod rollout;
pub mod service;
pub mod settings;
#[cfg(test)]
mod simulation;
pub mod status;
pub mod version;

pub use catalogue::{MAX_NAMES, Proposal, Stored};
pub use changes::{ChangeError, Changes};
pub use item::{ItemError, ModuleItem};
pub use joining::{Joining, Standing};
pub use module::{Module, ModuleSet};
pub use persistence::StoreError;
pub use registry::{Prepared, PutError};
pub use rollout::Rollout;
pub use service::{AcquireError, ContextGuard, OpenError, Service};
pub use settings::UdfSettings;
pub use version::{ContentHash, Decision, Summaries, Summary, Version};
