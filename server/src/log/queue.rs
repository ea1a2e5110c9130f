//! Lines on their way to a sink.
//!
//! Whoever logs leaves a line here and goes on; one thread for each sink writes them. A sink that takes nothing, such as a
//! pipe that nobody reads, thus stops nobody: once its queue is full, lines are dropped and counted, and the count becomes
//! a line of its own as soon as there is room.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Lines that wait for a sink at most.
pub(super) const LINES_MAX: usize = 8_192;

/// Bytes that wait for a sink at most.
pub(super) const BYTES_MAX: usize = 2 << 20;

/// The lines of one sink.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    lines: VecDeque<Box<[u8]>>,
    bytes: usize,
    /// Dropped since that was last reported.
    unreported: u64,
    /// A line is being written.
    writing: bool,
    closed: bool,
}

/// What the thread of a sink has to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Write this line.
    Line(Box<[u8]>),
    /// Report that so many lines were dropped.
    Dropped(u64),
    /// Nothing has come for the time given.
    Quiet,
    /// Nothing will come any more.
    Closed,
}

impl Queue {
    /// Leaves a line; false when there is no room.
    pub(super) fn push(&self, line: &[u8]) -> bool {
        let mut state = self.state.lock();
        if state.lines.len() >= LINES_MAX || state.bytes + line.len() > BYTES_MAX {
            state.unreported += 1;
            return false;
        }
        state.bytes += line.len();
        state.lines.push_back(line.into());
        drop(state);
        self.changed.notify_all();
        true
    }

    /// Says that what was taken last is written, and waits for more, at most so long.
    pub(super) fn next(&self, wait: Duration) -> Next {
        let mut state = self.state.lock();
        state.writing = false;
        let mut waited = false;
        loop {
            if let Some(line) = state.lines.pop_front() {
                state.bytes -= line.len();
                state.writing = true;
                return Next::Line(line);
            }
            // Behind those that were there when the first was dropped.
            if state.unreported > 0 {
                state.writing = true;
                return Next::Dropped(std::mem::take(&mut state.unreported));
            }
            self.changed.notify_all();
            if state.closed {
                return Next::Closed;
            }
            if waited {
                return Next::Quiet;
            }
            waited = self.changed.wait_for(&mut state, wait).timed_out();
        }
    }

    /// Waits until all that was left here is written; false if that takes longer than `limit`.
    pub(super) fn flush(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let mut state = self.state.lock();
        while state.writing || !state.lines.is_empty() || state.unreported > 0 {
            if self.changed.wait_until(&mut state, until).timed_out() {
                return false;
            }
        }
        true
    }

    /// Nothing will be left here any more.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_and_says_how_many() {
        let queue = Queue::default();
        for number in 0..LINES_MAX {
            assert!(queue.push(number.to_string().as_bytes()));
        }
        assert!(!queue.push(b"one too many"));
        assert!(!queue.push(b"two too many"));
        assert!(!queue.flush(Duration::ZERO));
        for number in 0..LINES_MAX {
            let line = number.to_string().into_bytes().into_boxed_slice();
            assert_eq!(queue.next(Duration::ZERO), Next::Line(line));
        }
        assert_eq!(queue.next(Duration::ZERO), Next::Dropped(2));
        assert!(
            !queue.flush(Duration::ZERO),
            "the report is not written yet"
        );
        assert_eq!(queue.next(Duration::ZERO), Next::Quiet);
        assert!(queue.flush(Duration::ZERO));
        queue.close();
        assert_eq!(queue.next(Duration::ZERO), Next::Closed);
    }

    #[test]
    fn long_lines_fill_it_by_their_bytes() {
        let queue = Queue::default();
        let line = vec![b'x'; 4_096];
        let taken = (0..LINES_MAX).take_while(|_| queue.push(&line)).count();
        assert_eq!(taken, BYTES_MAX / line.len());
    }
}
