//! Levels, contexts, and a level for each context.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

/// How much a line matters, by Aerospike's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Someone must act.
    Critical,
    /// Something is worse than it should be.
    Warning,
    /// The process changed its state.
    Info,
    /// One line or more for each request.
    Debug,
    /// Everything.
    Detail,
}

impl Level {
    const ALL: [Self; 5] = [
        Self::Critical,
        Self::Warning,
        Self::Info,
        Self::Debug,
        Self::Detail,
    ];

    /// The level of a name in a file or a `log-set`, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|level| level.tag().eq_ignore_ascii_case(name))
    }

    /// The name in log lines and answers.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::Critical => "CRITICAL",
            Self::Warning => "WARNING",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Detail => "DETAIL",
        }
    }

    fn from_u8(number: u8) -> Self {
        Self::ALL
            .get(usize::from(number))
            .copied()
            .unwrap_or(Self::Detail)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.tag())
    }
}

/// The contexts of log lines, in Aerospike's order. Lines of this server carry one of them as the event's target.
pub const CONTEXTS: &[&str] = &[
    "misc",
    "alloc",
    "arenax",
    "hardware",
    "msg",
    "os",
    "secrets",
    "socket",
    "tls",
    "vault",
    "vmapx",
    "xmem",
    "aggr",
    "appeal",
    "as",
    "audit",
    "batch",
    "batch-sub",
    "bin",
    "config",
    "clustering",
    "deprecation",
    "drv-mem",
    "drv_pmem",
    "drv_ssd",
    "exchange",
    "exp",
    "fabric",
    "flat",
    "geo",
    "hb",
    "health",
    "hlc",
    "index",
    "info",
    "info-command",
    "key-busy",
    "migrate",
    "mrt-audit",
    "mrt-monitor",
    "namespace",
    "nsup",
    "particle",
    "partition",
    "proto",
    "proxy",
    "proxy-divert",
    "query",
    "record",
    "roster",
    "rw",
    "rw-client",
    "security",
    "service",
    "service-list",
    "sindex",
    "skew",
    "smd",
    "storage",
    "truncate",
    "tsvc",
    "udf",
    "xdr",
    "xdr-client",
    "masking",
];

/// Place of a context in [`CONTEXTS`].
#[must_use]
pub fn context_position(name: &str) -> Option<usize> {
    CONTEXTS.iter().position(|context| *context == name)
}

/// A level for each context, changeable at any time.
#[derive(Debug)]
pub struct Levels {
    contexts: Vec<AtomicU8>,
    /// The most talkative of them, so that events that no one wants cost one load.
    most: AtomicU8,
}

impl Levels {
    /// The same level everywhere.
    #[must_use]
    pub fn new(level: Level) -> Self {
        Self {
            contexts: CONTEXTS
                .iter()
                .map(|_| AtomicU8::new(level as u8))
                .collect(),
            most: AtomicU8::new(level as u8),
        }
    }

    /// The level of the context at a place in [`CONTEXTS`].
    #[must_use]
    pub fn get(&self, context: usize) -> Level {
        self.contexts.get(context).map_or(Level::Critical, |level| {
            Level::from_u8(level.load(Ordering::Relaxed))
        })
    }

    /// Sets the level of one context.
    pub fn set(&self, context: usize, level: Level) {
        if let Some(cell) = self.contexts.get(context) {
            cell.store(level as u8, Ordering::Relaxed);
            self.find_most();
        }
    }

    /// Sets the level of every context.
    pub fn set_all(&self, level: Level) {
        for cell in &self.contexts {
            cell.store(level as u8, Ordering::Relaxed);
        }
        self.find_most();
    }

    /// The most talkative level of all contexts.
    #[must_use]
    pub fn most(&self) -> Level {
        Level::from_u8(self.most.load(Ordering::Relaxed))
    }

    fn find_most(&self) {
        let most = self
            .contexts
            .iter()
            .map(|level| level.load(Ordering::Relaxed))
            .max()
            .unwrap_or(0);
        self.most.store(most, Ordering::Relaxed);
    }
}

impl Clone for Levels {
    fn clone(&self) -> Self {
        let copy = |level: &AtomicU8| AtomicU8::new(level.load(Ordering::Relaxed));
        Self {
            contexts: self.contexts.iter().map(copy).collect(),
            most: copy(&self.most),
        }
    }
}
