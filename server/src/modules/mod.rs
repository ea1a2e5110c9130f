//! Modules: which there are, and which calls see.
//!
//! ```text
//! library ─ registry ─ catalogue::Keeper
//!    │ serves
//! ModuleSet
//! ```

mod afterwards;
pub mod changes;
pub mod compiler;
pub(crate) mod content;
pub mod kind;
pub mod library;
pub mod module;
pub mod names;
pub mod patience;
pub(crate) mod quiet;
pub mod registry;
pub mod settings;
pub mod status;
mod tidying;
mod together;
mod validated;

pub use changes::ChangeError;
pub use compiler::Compiler;
pub use library::{Library, Serving};
pub use module::{Module, ModuleSet};
pub use registry::{Prepared, PutError};
pub use settings::UdfSettings;
