//! Memory that each processor has for itself.
//!
//! What several processors write to goes from the cache of one to that of the other with every write, which takes longer
//! than much of a request. So what every request writes to is kept once for each of them, and put together by those who
//! read it.

use std::sync::OnceLock;
use std::thread;

/// Never more parts than this, however many processors there are.
const MOST_PARTS: usize = 64;

/// Alone in what caches hand over at a time: two lines of 64 bytes.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Alone<T>(pub T);

/// One of each for every processor.
///
/// A thread may be moved to another processor between any two steps: two threads can use one part at once. It is a matter of
/// speed which part is used, and of nothing else.
#[derive(Debug)]
pub struct PerProcessor<T> {
    /// As many as a power of two.
    parts: Box<[Alone<T>]>,
}

impl<T: Default> Default for PerProcessor<T> {
    fn default() -> Self {
        Self::new(|_| T::default())
    }
}

impl<T> PerProcessor<T> {
    /// Makes each part, of which it is told the number of all.
    #[must_use]
    pub fn new(part: impl Fn(usize) -> T) -> Self {
        let count = processors().next_power_of_two().min(MOST_PARTS);
        Self {
            parts: (0..count).map(|_| Alone(part(count))).collect(),
        }
    }

    /// The part of the processor which runs this; there always is one.
    #[must_use]
    pub fn here(&self) -> Option<&T> {
        let part = self.parts.get(current() & (self.parts.len() - 1));
        debug_assert!(part.is_some(), "their number is a power of two");
        part.map(|part| &part.0)
    }

    /// All parts, that of the processor which runs this first.
    pub fn from_here(&self) -> impl Iterator<Item = &T> {
        let here = current() & (self.parts.len() - 1);
        let (before, rest) = self
            .parts
            .split_at_checked(here)
            .unwrap_or((&[], &self.parts));
        rest.iter().chain(before).map(|part| &part.0)
    }

    /// All parts.
    pub fn each(&self) -> impl Iterator<Item = &T> {
        self.parts.iter().map(|part| &part.0)
    }
}

/// How many processors the process may use. Asked for once: the answer takes the reading of several files.
#[must_use]
pub fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, std::num::NonZero::get))
}

/// The number of the processor that runs this thread; any number where the system does not tell.
fn current() -> usize {
    #[expect(unsafe_code, reason = "a call of the C library, which takes nothing")]
    // SAFETY: it only reads what the system keeps for the thread.
    let number = unsafe { libc::sched_getcpu() };
    usize::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn each_part_is_met_once_and_nothing_is_lost() {
        let parts = PerProcessor::<AtomicUsize>::default();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        parts.here().unwrap().fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        let sum = |parts: &mut dyn Iterator<Item = &AtomicUsize>| -> usize {
            parts.map(|part| part.load(Ordering::Relaxed)).sum()
        };
        assert_eq!(sum(&mut parts.each()), 4_000);
        assert_eq!(sum(&mut parts.from_here()), 4_000);
        assert!(parts.each().count().is_power_of_two());
    }
}
