//! Where lines go.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use parking_lot::Mutex;

use super::{Levels, LogError};
use crate::config::{LogSink, LogTarget};

/// An open sink.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) target: LogTarget,
    pub(super) levels: Levels,
    /// The open file; none for the console.
    file: Mutex<Option<File>>,
}

fn open(path: &Path) -> Result<File, LogError> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .map_err(|source| LogError::Open {
            path: path.to_owned(),
            source,
        })
}

impl Sink {
    pub(super) fn open(sink: &LogSink) -> Result<Self, LogError> {
        let file = match &sink.target {
            LogTarget::Console => None,
            LogTarget::File(path) => Some(open(path)?),
        };
        Ok(Self {
            target: sink.target.clone(),
            levels: sink.levels.clone(),
            file: Mutex::new(file),
        })
    }

    pub(super) fn reopen(&self) -> Result<(), LogError> {
        if let LogTarget::File(path) = &self.target {
            let fresh = open(path)?;
            *self.file.lock() = Some(fresh);
        }
        Ok(())
    }

    /// Writes a line in one piece. A log that cannot be written is no reason to stop serving, so errors end here.
    pub(super) fn write(&self, line: &[u8]) {
        let _ = match &mut *self.file.lock() {
            Some(file) => file.write_all(line),
            None => io::stderr().lock().write_all(line),
        };
    }
}
