//! Views without sockets: sheets, and answers that are damaged.
//!
//! `tests/golden/asadm/cluster` holds what each node of a three-node cluster answered. What the reference printed for
//! them is compared in `tests/it/tools`, where the whole programs run.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod cluster;
mod damaged;
mod sheets;
