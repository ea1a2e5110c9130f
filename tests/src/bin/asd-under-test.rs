//! The server as the suites start it: the same code as `asd`, built with the tests so that it is never stale.

use std::process::ExitCode;

fn main() -> ExitCode {
    server::cli::run()
}
