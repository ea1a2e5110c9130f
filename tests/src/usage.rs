//! What a process used: time from start to end, and memory.

#![expect(
    unsafe_code,
    reason = "the peak memory of a process that ended has no safe form"
)]

use std::mem;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// What one run used.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// From start to end.
    pub elapsed: Duration,
    /// Peak resident memory, megabytes. A process that was just started counts what its parent held.
    pub memory: f64,
}

/// Runs a program to its end; `code` is the exit status that it must have.
///
/// # Errors
/// It does not start, or ends otherwise.
pub fn run(command: &mut Command, code: i32) -> Result<Usage> {
    let started = Instant::now();
    let child = command.spawn().map_err(Error::io(format!(
        "start {}",
        command.get_program().display()
    )))?;
    let pid = libc::pid_t::try_from(child.id())
        .map_err(|_| Error::Unexpected("a process id that is none".to_owned()))?;
    let mut status = 0;
    // SAFETY: all zeros are a valid `rusage`, and both pointers are to locals that outlive the call.
    let (ended, usage) = unsafe {
        let mut usage: libc::rusage = mem::zeroed();
        let ended = libc::wait4(pid, &raw mut status, 0, &raw mut usage);
        (ended, usage)
    };
    let elapsed = started.elapsed();
    if ended != pid || !libc::WIFEXITED(status) || libc::WEXITSTATUS(status) != code {
        return Err(Error::Unexpected(format!(
            "{command:?} ended with status {status}, not with exit code {code}"
        )));
    }
    #[expect(clippy::cast_precision_loss, reason = "kilobytes of one process")]
    let memory = usage.ru_maxrss as f64 / 1024.0;
    Ok(Usage { elapsed, memory })
}
