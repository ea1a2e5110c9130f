//! User-defined functions: which modules there are, and contexts ready to run them.
//!
//! ```text
//! info ─ names, registry ─ persistence
//!             │ publishes
//!        ModuleSet ◄── service ──► pool ◄── warmer
//!                         │ factory (the seam to Lua)
//! ```
//!
//! Source: `udf-runtime.md` 1, 2, 9.

pub(crate) mod budget;
mod catalogue;
pub mod compile_failure;
mod context;
pub mod factory;
mod failures;
pub mod info;
pub mod item;
pub mod joining;
pub mod module;
pub mod names;
mod persistence;
mod pool;
pub mod record_view;
mod registry;
pub mod rollout;
mod service;
mod settings;
#[cfg(test)]
mod simulation;
mod stats;
pub mod status;
pub mod stream;
pub mod version;
mod warmer;

pub use catalogue::{MAX_NAMES, Proposal, Stored};
pub use compile_failure::CompileFailure;
pub use context::{Context, Limits, LuaFactory};
pub use factory::{ContextFactory, LoadFailure, PooledContext, Retirement};
pub use info::{ChangeError, Changes};
pub use item::{ItemError, ModuleItem};
pub use joining::{Joining, Standing};
pub use module::{Bytecode, Module, ModuleSet, Modules};
pub use persistence::StoreError;
pub use pool::CallEnd;
pub use record_view::{Call, Outcome, RecordChange, RecordView, Reply};
pub use registry::{Prepared, PutError};
pub use rollout::Rollout;
pub use service::{AcquireError, ContextGuard, EXECUTION_ERROR, OpenError, Service};
pub use settings::UdfSettings;
pub use stats::{ModuleCounts, PoolCounts, UdfTotals};
pub use stream::{Records, StreamCall, StreamStep};
pub use version::{ContentHash, Decision, Summaries, Summary, Version};
