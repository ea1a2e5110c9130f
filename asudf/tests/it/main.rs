//! The program as a user runs it: in a folder of its own, without a server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets something unexpected fails"
)]

mod book;
mod check;
mod golden;
mod new;
mod program;
mod seen;
mod verdicts;
