//! The server of a test: its own process, its own directory.

use tempfile::TempDir;
use tests::asd::{Asd, RunningAsd};

/// The program under test: `ASD_BIN` when set, else the server as built with the suite.
pub(crate) fn program() -> std::ffi::OsString {
    tests::program::path("asd").unwrap()
}

/// An empty directory and a server that is to be started in it.
pub(crate) fn prepare() -> (TempDir, Asd) {
    let directory = tempfile::Builder::new()
        .prefix("asd-test-")
        .tempdir()
        .unwrap();
    let asd = Asd::new(program(), directory.path());
    (directory, asd)
}

/// A running server. Fields drop in this order: the process ends before its directory goes.
pub(crate) struct Server {
    pub(crate) running: RunningAsd,
    _directory: TempDir,
}

impl std::ops::Deref for Server {
    type Target = RunningAsd;
    fn deref(&self) -> &RunningAsd {
        &self.running
    }
}

/// Starts a server on the harness's defaults.
pub(crate) fn start() -> Server {
    start_with(|asd| asd)
}

/// Starts a server after `change` to its defaults.
pub(crate) fn start_with(change: impl FnOnce(Asd) -> Asd) -> Server {
    let (directory, asd) = prepare();
    let running = change(asd).start().unwrap();
    Server {
        running,
        _directory: directory,
    }
}

/// Ends a process with SIGKILL while others still hold its handle.
pub(crate) fn kill_hard(pid: u32) {
    let status = std::process::Command::new("sh")
        .args(["-c", "kill -KILL \"$0\"", &pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}
