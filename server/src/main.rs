//! `asd`: see [`server::cli`].

use std::process::ExitCode;

use server::allocator::{self, Counted};

/// The system's allocator keeps half as much again after updates that change sizes, and gives nothing back when records
/// go; `server/STORAGE.md` has the figures.
#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// Before the first page of the heap is written to, which is before `main`.
#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "a section of the program by its name: the system calls what is listed in it before `main`"
)]
#[used]
#[unsafe(link_section = ".init_array")]
static BEGIN_SMALL: extern "C" fn() = {
    extern "C" fn begin_small() {
        allocator::begin_small();
    }
    begin_small
};

fn main() -> ExitCode {
    server::cli::run()
}
