//! End-to-end suites against real server processes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the whole crate is tests"
)]

mod agreement;
mod aql;
mod attacks;
mod cluster;
mod cluster_clients;
mod cluster_indexes;
mod cluster_records;
mod cluster_tools;
mod dependencies;
mod durability;
mod failures;
mod golden;
mod lasting;
mod lasting_cluster;
mod lasting_full;
mod launchers;
mod lifecycle;
mod load;
mod native;
mod official_client;
mod official_operations;
mod person;
mod pool;
mod queries;
mod readme;
mod replacement;
mod safety;
mod server;
mod settings;
mod shell;
mod stats;
mod tls;
mod tools;
mod workbench;
