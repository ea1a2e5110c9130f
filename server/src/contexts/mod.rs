//! Contexts ready to run the functions of a module: pools, and the thread that fills them ahead of need.

pub mod context;
pub mod factory;
pub mod pool;
pub mod stats;
pub mod warmer;

pub use context::{Context, Limits, LuaFactory};
pub use factory::{ContextFactory, LoadFailure, PooledContext, Retirement};
pub use pool::CallEnd;
pub use stats::{ModuleCounts, PoolCounts, UdfTotals};
