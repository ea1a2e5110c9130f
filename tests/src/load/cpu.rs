//! What a process has used, from `/proc`.

use std::time::Duration;

use crate::error::{Error, Result};

/// Unit of times in `/proc/PID/stat`; the kernel's interface fixes it at 100 a second.
const TICK: Duration = Duration::from_millis(10);

fn read(pid: u32, file: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{file}");
    std::fs::read_to_string(&path).map_err(Error::io(format!("read {path}")))
}

/// Processor time that a process has used since its start, user and system, all threads, also those that ended.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = read(pid, "stat")?;
    // The second column is the program's name in parentheses and may hold spaces; utime and stime are columns 14 and 15.
    let ticks = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| {
            let mut columns = rest.split_whitespace().skip(11);
            let user: u32 = columns.next()?.parse().ok()?;
            let system: u32 = columns.next()?.parse().ok()?;
            Some(user.saturating_add(system))
        })
        .ok_or_else(|| Error::Unexpected(format!("/proc/{pid}/stat is not understood")))?;
    Ok(TICK * ticks)
}

/// Processor time that the threads which a process has now have used, to the nanosecond: for stretches in which none ends.
pub fn cpu_time_of_threads(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/task");
    let threads = std::fs::read_dir(&path).map_err(Error::io(format!("read {path}")))?;
    let mut sum = Duration::ZERO;
    for thread in threads {
        let thread = thread.map_err(Error::io(format!("read {path}")))?;
        let schedstat = read(
            pid,
            &format!("task/{}/schedstat", thread.file_name().display()),
        )?;
        let used = schedstat.split_whitespace().next();
        let used = used.and_then(|used| used.parse().ok());
        sum +=
            Duration::from_nanos(used.ok_or_else(|| {
                Error::Unexpected(format!("{path}: schedstat is not understood"))
            })?);
    }
    Ok(sum)
}

/// Memory of a process that is resident, in bytes.
pub fn resident_bytes(pid: u32) -> Result<u64> {
    read(pid, "status")?
        .lines()
        .find_map(|line| {
            let kilobytes = line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?;
            kilobytes.trim().parse::<u64>().ok()
        })
        .map(|kilobytes| kilobytes * 1024)
        .ok_or_else(|| Error::Unexpected(format!("/proc/{pid}/status has no VmRSS")))
}
