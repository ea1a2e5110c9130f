//! Where lines go.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::queue::{Next, Queue};
use super::{Level, Levels, LogError, line};
use crate::log::target::{LogSink, LogTarget};

/// How long those who close or change a sink wait for lines on their way to it.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// An open sink, with the thread that writes to it.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) target: LogTarget,
    pub(super) levels: Levels,
    shared: Arc<Shared>,
}

/// What the thread of a sink uses.
#[derive(Debug)]
struct Shared {
    queue: Queue,
    /// The open file. For the console one of our own: nobody waits for the lock of `stderr` while we write.
    file: Mutex<Arc<File>>,
    dropped: AtomicU64,
    millis: bool,
}

fn open(path: &Path) -> Result<File, LogError> {
    let failed = |source| LogError::Open {
        path: path.to_owned(),
        source,
    };
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.map_err(failed)
}

impl Sink {
    pub(super) fn open(sink: &LogSink, millis: bool) -> Result<Self, LogError> {
        let file = match &sink.target {
            LogTarget::Console => {
                let console = io::stderr().as_fd().try_clone_to_owned();
                File::from(console.map_err(LogError::Console)?)
            }
            LogTarget::File(path) => open(path)?,
        };
        let shared = Arc::new(Shared {
            queue: Queue::default(),
            file: Mutex::new(Arc::new(file)),
            dropped: AtomicU64::new(0),
            millis,
        });
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("asd-log".to_owned())
            .spawn(move || of_thread.run())
            .map_err(LogError::Thread)?;
        Ok(Self {
            target: sink.target.clone(),
            levels: sink.levels.clone(),
            shared,
        })
    }

    pub(super) fn reopen(&self) -> Result<(), LogError> {
        if let LogTarget::File(path) = &self.target {
            let fresh = open(path)?;
            // What was logged before belongs into the old file.
            self.flush(FLUSH_LIMIT);
            *self.shared.file.lock() = Arc::new(fresh);
        }
        Ok(())
    }

    /// Leaves a line to be written. Never waits.
    pub(super) fn write(&self, line: &[u8]) {
        if !self.shared.queue.push(line) {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all lines are written; false if that takes longer than `limit`.
    pub(super) fn flush(&self, limit: Duration) -> bool {
        self.shared.queue.flush(limit)
    }

    /// Lines that were dropped since the start because they could not be written in time.
    pub(super) fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // What is on its way is still written.
        self.shared.queue.close();
    }
}

impl Shared {
    fn run(&self) {
        loop {
            match self.queue.next(Duration::from_secs(3_600)) {
                Next::Line(line) => self.write(&line),
                Next::Dropped(lines) => {
                    let text =
                        format!("{lines} lines were dropped: the log was written too slowly");
                    let text =
                        line::plain(Level::Warning, &text, crate::clock::unix_ms(), self.millis);
                    self.write(text.as_bytes());
                }
                Next::Quiet => {}
                Next::Closed => return,
            }
        }
    }

    /// Writes a line in one piece. A log that cannot be written is no reason to stop serving, so errors end here.
    fn write(&self, line: &[u8]) {
        let file = Arc::clone(&self.file.lock());
        // Where a log line that cannot be written should be told, there is nobody.
        let _ = (&*file).write_all(line);
    }
}
