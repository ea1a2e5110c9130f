//! `asd`: see [`server::cli`].

use std::process::ExitCode;

/// The system's allocator keeps half as much again after updates that change sizes, and gives nothing back when records
/// go; ARCHITECTURE.md has the figures.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    server::cli::run()
}
