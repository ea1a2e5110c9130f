//! `asudf`: write, check, test and ship UDFs without a server.
//!
//! ```text
//! program ─→ one room a command: its options, and what it does
//!              └─ project (asudf.toml, the modules beside it), status (exit statuses)
//! ```
//!
//! To add a command: a room with `Options` (a `clap::Args`) and `run(&Options) -> Result<Status, Failure>`, a variant and
//! a line in `program::command`, and rows in [`status::STATUSES`].

mod check;
mod cluster;
mod convert;
mod coverage;
mod engine;
mod new;
mod place;
mod profile;
pub mod program;
pub mod project;
mod random;
mod run;
mod ship;
mod show;
pub mod status;
mod testing;
mod watch;
