//! How far a long result is, for a person who waits: a line on stderr that is overwritten and at last removed.

use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Rows from one look to the next.
const ROWS: usize = 1_000;

/// Time after which a slower result is told of, too.
const PAUSE: Duration = Duration::from_millis(250);

/// The line.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Results go to the same terminal.
    beside: bool,
    told: Option<Instant>,
    shown: bool,
}

impl Progress {
    /// `beside`: results go to the same terminal, so that the line is in their way.
    #[must_use]
    pub fn new(beside: bool) -> Self {
        Self {
            beside,
            told: None,
            shown: false,
        }
    }

    /// Whether results go to the same terminal.
    pub(super) fn is_beside(&self) -> bool {
        self.beside
    }

    /// A result begins.
    pub(super) fn begin(&mut self) {
        self.told = Some(Instant::now());
    }

    /// A row more.
    pub(super) fn row(&mut self, rows: usize, err: &mut dyn Write) -> io::Result<()> {
        let due =
            rows.is_multiple_of(ROWS) || self.told.is_some_and(|told| told.elapsed() >= PAUSE);
        if !due {
            return Ok(());
        }
        self.told = Some(Instant::now());
        self.shown = true;
        write!(err, "\r{rows} rows\x1b[K")?;
        err.flush()
    }

    /// Removes the line.
    pub(super) fn clear(&mut self, err: &mut dyn Write) -> io::Result<()> {
        if !self.shown {
            return Ok(());
        }
        self.shown = false;
        write!(err, "\r\x1b[K")?;
        err.flush()
    }
}
