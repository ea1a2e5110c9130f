//! How much memory there is, and what part of it is for what unless the configuration says.

use std::fs::File;
use std::io::{BufRead as _, BufReader};

use protocol::bounds::Fit as _;
use rustix::process::{Resource, getrlimit};

const MIB: u64 = 1 << 20;

/// Least for all clients' buffers: two of the largest frames.
const BUFFERS_MIN: u64 = 320 * MIB;

/// Least for all scripts.
const SCRIPTS_MIN: u64 = 512 * MIB;

/// Memory that this process may use, bytes: that of the machine, or less where a control group or a limit says so.
#[must_use]
pub fn available() -> u64 {
    let machine = File::open("/proc/meminfo").ok().and_then(|file| {
        // It stands in the first line: the rest is not read.
        let mut lines = BufReader::new(file).lines().map_while(Result::ok);
        lines.find_map(|line| total_of(&line))
    });
    let groups = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    let groups = groups.into_iter().filter_map(|path| {
        std::fs::read_to_string(path)
            .ok()?
            .trim()
            .parse::<u64>()
            .ok()
    });
    let limits = [Resource::As, Resource::Data]
        .into_iter()
        .filter_map(|resource| getrlimit(resource).current);
    let all = machine.into_iter().chain(groups).chain(limits);
    // A machine that does not say has a gigabyte.
    all.min().unwrap_or(1 << 30)
}

/// `MemTotal` of `/proc/meminfo`, bytes.
fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// What all clients' buffers may hold: what is configured, or with 0 a sixteenth of what is available.
#[must_use]
pub fn for_buffers(configured: u64, available: u64) -> usize {
    share(configured, available / 16, BUFFERS_MIN)
}

/// What all scripts may hold: what is configured, or with 0 an eighth of what is available.
#[must_use]
pub fn for_scripts(configured: u64, available: u64) -> usize {
    share(configured, available / 8, SCRIPTS_MIN)
}

fn share(configured: u64, share: u64, least: u64) -> usize {
    let bytes = match configured {
        0 => share.max(least),
        bytes => bytes,
    };
    bytes.fit::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_what_there_is_unless_configured() {
        let gib = 1 << 30;
        for (configured, available, buffers, scripts) in [
            (0, 64 * gib, 4 * gib, 8 * gib),
            (0, gib, BUFFERS_MIN, SCRIPTS_MIN),
            (7 * MIB, 64 * gib, 7 * MIB, 7 * MIB),
        ] {
            assert_eq!(for_buffers(configured, available) as u64, buffers);
            assert_eq!(for_scripts(configured, available) as u64, scripts);
        }
        assert!(available() > 0);
        assert_eq!(
            total_of("MemFree: 1 kB\nMemTotal:       16 kB\n"),
            Some(16 * 1024)
        );
        assert_eq!(total_of(""), None);
    }
}
