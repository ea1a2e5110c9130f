//! What tells the runs of a node from each other.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use tracing::warn;

use crate::clock;

/// The number of the last run, in decimal.
const FILE: &str = "smd/.asd-started";

/// The number of a run that begins: milliseconds since 1970, and more than that of the run before it in this work directory,
/// also when the clock was set back since. Others take the higher of two for the later one.
#[must_use]
pub fn begin(work_directory: &Path) -> u64 {
    let now = clock::unix_ms();
    let path = work_directory.join(FILE);
    following(&path, now).unwrap_or_else(|error| {
        warn!(
            target: "clustering",
            "cannot note in `{}` when this node starts: {error}; if the clock is set back before the next start, others wait \
             until this run counts as dead",
            path.display()
        );
        now
    })
}

fn following(path: &Path, now: u64) -> io::Result<u64> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)?;
    let mut text = String::new();
    (&file).take(32).read_to_string(&mut text)?;
    // A machine that stopped while it was written leaves no number: the clock is right, or the next start writes one.
    let last = text.trim_end().parse::<u64>().ok();
    let number = last.map_or(now, |last| now.max(last.saturating_add(1)));
    // Of the same length as the one before: it is never gone in between. Nobody waits for the disk: a machine that stops
    // takes longer to come back than others wait for it.
    file.rewind()?;
    file.write_all(format!("{number:020}\n").as_bytes())?;
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_run_has_a_higher_number_whatever_the_clock_says() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("started");
        let hour = 60 * 60 * 1_000;
        // What the clock says, and what the number is, both beyond the first.
        for (clock, number) in [(0, 0), (5, 5), (-hour, 6), (2 - hour, 7), (8, 8), (8, 9)] {
            let now = 1_800_000_000_000_u64.checked_add_signed(clock).unwrap();
            let begun = following(&path, now).unwrap();
            assert_eq!(begun, 1_800_000_000_000 + number, "{clock}");
        }
        std::fs::write(&path, "").unwrap();
        assert_eq!(following(&path, 77).unwrap(), 77);
        assert_eq!(following(&path, 76).unwrap(), 78);
    }
}
