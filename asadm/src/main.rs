//! `asadm`: the cluster from one prompt or one line.

use std::process::ExitCode;

fn main() -> ExitCode {
    asadm::program::main()
}
