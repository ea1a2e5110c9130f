//! `asinfo`: one info command to one node.

use std::process::ExitCode;

fn main() -> ExitCode {
    asinfo::program::main()
}
