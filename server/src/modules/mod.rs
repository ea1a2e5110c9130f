//! Modules: which there are, on disk and on every node.
//!
//! ```text
//! library ─ registry ─┬─ catalogue ─ version
//!    │ serves          └─ persistence
//! ModuleSet
//! ```

pub mod catalogue;
pub mod changes;
pub mod compiler;
pub(crate) mod content;
mod failures;
pub mod item;
pub mod joining;
pub mod library;
pub mod module;
pub mod names;
pub mod patience;
pub mod persistence;
pub mod registry;
pub mod rollout;
pub mod settings;
#[cfg(test)]
pub(crate) mod simulation;
pub mod status;
mod tidying;
mod together;
pub mod version;

pub use catalogue::{MAX_NAMES, Proposal, Stored};
pub use changes::ChangeError;
pub use compiler::Compiler;
pub use item::{ItemError, ModuleItem};
pub use joining::{Joining, Standing};
pub use library::{Library, Serving};
pub use module::{Module, ModuleSet};
pub use persistence::StoreError;
pub use registry::{Prepared, PutError};
pub use rollout::Rollout;
pub use settings::UdfSettings;
pub use version::{ContentHash, Decision, Summaries, Summary, Version};
