//! The program `asudf`.

use std::process::ExitCode;

fn main() -> ExitCode {
    asudf::program::main()
}
