//! Contexts ready to run the functions of a module: pools, and the thread that fills them ahead of need.

pub mod factory;
pub mod host;
pub mod lane;
pub mod patience;
pub mod pool;
pub mod stats;
pub mod warmer;

pub use factory::{ContextFactory, PooledContext};
pub use host::ServerHost;
pub use stats::{ModuleCounts, PoolCounts, UdfTotals};
