//! What else the machine does meanwhile.

use std::time::Instant;

use tests::error::{Error, Result};

/// Ticks of /proc a second.
const TICKS: f64 = 100.0;

/// Processor time up to now, ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    when: Instant,
    /// Of all.
    all: u64,
    /// Of the server, of this process, and of those that it started and that have ended.
    ours: u64,
}

impl Used {
    /// Up to now; `server` is the process id of the server.
    ///
    /// # Errors
    /// The system does not say.
    pub(crate) fn now(server: u32) -> Result<Self> {
        let line = read("/proc/stat")?;
        let mut all = 0;
        // user nice system idle iowait irq softirq steal
        for (place, ticks) in line.split_whitespace().skip(1).take(8).enumerate() {
            if !(3..5).contains(&place) {
                all += number("/proc/stat", ticks)?;
            }
        }
        let ours = of_process("self", 4)? + of_process(&server.to_string(), 2)?;
        Ok(Self {
            when: Instant::now(),
            all,
            ours,
        })
    }

    /// Processors that others had since.
    pub(crate) fn others_since(self, before: Self) -> f64 {
        let ticks = (self.all - before.all).saturating_sub(self.ours - before.ours);
        ticks as f64 / TICKS / (self.when - before.when).as_secs_f64()
    }
}

/// User and system time of a process, then those of its children that have ended: so many of these.
fn of_process(process: &str, count: usize) -> Result<u64> {
    let path = format!("/proc/{process}/stat");
    let line = read(&path)?;
    // The name may hold blanks.
    let (_, after_name) = line.rsplit_once(')').ok_or_else(|| unknown(&path))?;
    let times = after_name.split_whitespace().skip(11).take(count);
    times.map(|ticks| number(&path, ticks)).sum()
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| Error::Unexpected(format!("{path}: {error}")))
}

fn number(path: &str, text: &str) -> Result<u64> {
    text.parse().map_err(|_| unknown(path))
}

fn unknown(path: &str) -> Error {
    Error::Unexpected(format!("{path} is not as it used to be"))
}
