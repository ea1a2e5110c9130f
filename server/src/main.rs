//! `asd`: see [`server::cli`].

use std::process::ExitCode;

use server::allocator::Counted;

/// The system's allocator keeps half as much again after updates that change sizes, and gives nothing back when records
/// go; `server/STORAGE.md` has the figures.
#[global_allocator]
static ALLOCATOR: Counted = Counted;

fn main() -> ExitCode {
    server::cli::run()
}
