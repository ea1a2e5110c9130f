//! End-to-end support: the harness that starts servers, a connection that may send anything, and the load generator.
//!
//! The suites themselves stand in `it/`, recorded truth of a real server in `golden/`.

pub mod asd;
#[cfg(feature = "figures")]
pub mod at_the_socket;
pub mod cluster;
pub mod connection;
pub mod directory;
pub mod error;
pub mod link;
pub mod load;
pub mod operations;
pub mod process;
pub mod program;
pub mod random;
pub mod records;
pub mod terminal;
#[cfg(feature = "figures")]
pub mod usage;
#[cfg(feature = "figures")]
pub mod without_listeners;
