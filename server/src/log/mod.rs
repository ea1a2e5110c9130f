//! The log, in the layout of Aerospike's log files, so that the same eyes and the same tools read it.
//!
//! ```text
//! Nov 25 2026 03:00:00 GMT: INFO (udf): (registry.rs:120) module `a.lua` registered
//! ```

mod level;

pub use level::{CONTEXTS, Level, Levels, context_position};
