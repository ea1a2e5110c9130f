//! The load generator: workloads over many connections, measured in windows of time.
//!
//! It knows the protocol and nothing of a particular server.

mod cpu;
mod drive;
mod report;
mod workload;

pub use cpu::{cpu_time, cpu_time_of_threads, resident_bytes};
pub use drive::{Load, Window};
pub use report::{Row, table};
pub use workload::Workload;
