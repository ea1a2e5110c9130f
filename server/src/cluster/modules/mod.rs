//! The commands on modules of a node in a cluster.

mod commands;
mod status;

pub use commands::ClusterModules;
