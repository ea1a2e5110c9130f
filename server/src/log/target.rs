//! `logging { }`: sinks with a level for each context.

use std::path::PathBuf;

use crate::log::{Level, Levels, context_position};

/// Where log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// The standard error stream.
    Console,
    /// A file, appended to.
    File(PathBuf),
}

/// A sink with the levels that the file gave it.
#[derive(Debug, Clone)]
pub struct LogSink {
    /// Where it writes.
    pub target: LogTarget,
    /// Level of each context.
    pub levels: Levels,
}

impl LogSink {
    /// A sink that takes warnings and worse until told otherwise.
    pub(crate) fn new(target: LogTarget) -> Self {
        Self {
            target,
            levels: Levels::new(Level::Critical),
        }
    }

    /// Takes `context NAME LEVEL`.
    ///
    /// # Errors
    /// A sentence that names what is unknown.
    pub(crate) fn context(&self, name: &str, level: &str) -> Result<(), String> {
        let level = Level::parse(level).ok_or_else(|| {
            format!("unknown level `{level}`: expected critical, warning, info, debug or detail")
        })?;
        if name == "any" {
            self.levels.set_all(level);
            return Ok(());
        }
        let at = context_position(name).ok_or_else(|| format!("unknown log context `{name}`"))?;
        self.levels.set(at, level);
        Ok(())
    }
}
