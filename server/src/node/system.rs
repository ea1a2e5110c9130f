//! Load of the machine and of this process, read from `/proc`. Where that is not there, everything is 0.

use parking_lot::Mutex;

use crate::processor::processors;

/// Clock ticks spent, since the start of the machine or of the process.
#[derive(Debug, Clone, Copy, Default)]
struct Ticks {
    total: u64,
    user: u64,
    kernel: u64,
    process: u64,
}

/// Processor load in percent of one processor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) user: u64,
    pub(crate) kernel: u64,
    pub(crate) process: u64,
}

/// Compares the load at ticks.
#[derive(Debug, Default)]
pub struct SystemMonitor(Mutex<(Ticks, Load)>);

impl SystemMonitor {
    /// Ends a slice: answers give the load of the last one.
    pub fn tick(&self) {
        let ticks = Ticks {
            process: process_ticks(&read("/proc/self/stat")),
            ..machine_ticks(&read("/proc/stat"))
        };
        let processors = processors();
        let mut state = self.0.lock();
        let (before, load) = &mut *state;
        *load = between(before, &ticks, u64::try_from(processors).unwrap_or(1));
        *before = ticks;
    }

    pub(crate) fn load(&self) -> Load {
        self.0.lock().1
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn between(before: &Ticks, now: &Ticks, processors: u64) -> Load {
    let total = now.total.saturating_sub(before.total);
    let percent = |now: u64, before: u64| {
        (now.saturating_sub(before) * 100 * processors)
            .checked_div(total)
            .unwrap_or(0)
    };
    Load {
        user: percent(now.user, before.user),
        kernel: percent(now.kernel, before.kernel),
        process: percent(now.process, before.process),
    }
}

/// The line `cpu user nice system idle iowait irq softirq …` of `/proc/stat`.
fn machine_ticks(stat: &str) -> Ticks {
    let numbers: Vec<u64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .map(|number| number.parse().unwrap_or(0))
        .collect();
    let at = |index: usize| numbers.get(index).copied().unwrap_or(0);
    Ticks {
        // The fields after the eighth are part of the first two.
        total: numbers.iter().take(8).sum(),
        user: at(0) + at(1),
        kernel: at(2) + at(5) + at(6),
        process: 0,
    }
}

/// Fields 14 and 15 of `/proc/self/stat`, counted behind the name in brackets, which may hold blanks.
fn process_ticks(stat: &str) -> u64 {
    stat.rsplit_once(')')
        .map_or("", |(_, fields)| fields)
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|number| number.parse::<u64>().ok())
        .sum()
}

/// The number behind `name:` in a file of `/proc`, mostly in KiB.
pub(crate) fn proc_field(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// Memory of the machine, KiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MachineMemory {
    pub(crate) total: u64,
    pub(crate) available: u64,
    pub(crate) huge: u64,
}

pub(crate) fn machine_memory() -> MachineMemory {
    let text = read("/proc/meminfo");
    MachineMemory {
        total: proc_field(&text, "MemTotal"),
        available: proc_field(&text, "MemAvailable"),
        huge: proc_field(&text, "AnonHugePages"),
    }
}

/// Memory, KiB, and threads of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process {
    pub(crate) resident: u64,
    /// What is resident and belongs to no file.
    pub(crate) anonymous: u64,
    pub(crate) threads: u64,
}

pub(crate) fn process() -> Process {
    let text = read("/proc/self/status");
    Process {
        resident: proc_field(&text, "VmRSS"),
        anonymous: proc_field(&text, "RssAnon"),
        threads: proc_field(&text, "Threads"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Load, Ticks, between, machine_ticks, proc_field, process_ticks};

    #[test]
    fn reads_proc() {
        let ticks = machine_ticks("cpu  10 1 5 80 2 1 1 0 9 9\ncpu0 1 1\n");
        assert_eq!((ticks.total, ticks.user, ticks.kernel), (100, 11, 7));
        assert_eq!(
            process_ticks("7 (a ) b) S 1 1 1 0 -1 4 5 6 7 8 30 12 0 0"),
            42
        );
        assert_eq!(process_ticks(""), 0);
        assert_eq!(proc_field("A:  1 kB\nMemTotal:   77 kB\n", "MemTotal"), 77);
        assert_eq!(proc_field("", "MemTotal"), 0);
    }

    #[test]
    fn load_is_percent_of_one_processor() {
        let now = Ticks {
            total: 400,
            user: 100,
            kernel: 50,
            process: 20,
        };
        let load = between(&Ticks::default(), &now, 4);
        assert_eq!(
            load,
            Load {
                user: 100,
                kernel: 50,
                process: 20
            }
        );
        assert_eq!(between(&now, &now, 4), Load::default());
    }
}
