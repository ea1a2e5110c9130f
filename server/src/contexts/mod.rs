//! Contexts ready to run the functions of a module: pools, and the thread that fills them ahead of need.

pub mod commands;
pub mod factory;
pub mod host;
pub mod lane;
pub mod pool;
mod renewal;
pub mod service;
pub mod stats;
pub mod warmer;

pub use commands::ModuleCommands;
pub use factory::{ContextFactory, PooledContext};
pub use host::ServerHost;
pub use service::{AcquireError, ContextGuard, OpenError, Service};
pub use stats::{ModuleCounts, PoolCounts, RegistryWork, UdfTotals};
