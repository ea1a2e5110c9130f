//! The tool as the suites start it: the same code as `asinfo`, built with the tests so that it is never stale.

use std::process::ExitCode;

fn main() -> ExitCode {
    asinfo::program::main()
}
