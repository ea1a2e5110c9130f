//! The operations through their public surface.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic: that is how it fails"
)]

mod asked;
mod fuzz;
mod long;
mod model;
mod replay;
mod safe;
mod tagged;
