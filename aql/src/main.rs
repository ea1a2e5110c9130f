//! The program `aql`.

use std::process::ExitCode;

fn main() -> ExitCode {
    aql::program::main()
}
