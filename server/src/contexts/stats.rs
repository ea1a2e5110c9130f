//! What the context pools count.

use std::ops::AddAssign;

use super::factory::MemoryUse;
use runtime::context::CallEnd;
use runtime::context::Retirement;

/// Numbers of one pool, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolCounts {
    /// Contexts that wait for a call.
    pub idle: u64,
    /// Contexts that serve a call now.
    pub busy: u64,
    /// Calls that found an idle context.
    pub hits: u64,
    /// Calls for which a context was built, or tried to be.
    pub misses: u64,
    /// Contexts built, ahead of need and for calls.
    pub created: u64,
    /// Contexts closed: old, spent, or one too many.
    pub dropped: u64,
    /// Attempts to build a context that failed.
    pub load_failures: u64,
    /// Calls ended.
    pub calls: u64,
    /// Calls ended by an error; the ends below are not counted.
    pub errors: u64,
    /// Calls ended because they ran out of time.
    pub timeouts: u64,
    /// Calls ended because they wanted more memory than a call may take.
    pub out_of_memory: u64,
    /// Contexts closed because they held more memory after a call than a context may keep.
    pub oversized: u64,
    /// Contexts closed because a call had written to a table of the server.
    pub changed: u64,
    /// Memory that Lua holds in idle contexts and, as of the start of their calls, in busy ones, bytes.
    pub memory_bytes: u64,
}

/// Number of counters.
const FIELDS: usize = 14;

impl PoolCounts {
    /// Every counter with its name in `udf-stats`.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); FIELDS] {
        [
            ("contexts-idle", self.idle),
            ("contexts-busy", self.busy),
            ("hits", self.hits),
            ("misses", self.misses),
            ("created", self.created),
            ("dropped", self.dropped),
            ("load-failures", self.load_failures),
            ("calls", self.calls),
            ("errors", self.errors),
            ("timeouts", self.timeouts),
            ("out-of-memory", self.out_of_memory),
            ("contexts-oversized", self.oversized),
            ("contexts-changed", self.changed),
            ("memory-bytes", self.memory_bytes),
        ]
    }

    pub(crate) fn ended(&mut self, end: Option<CallEnd>) {
        let Some(end) = end else { return };
        self.calls += 1;
        match end {
            CallEnd::Success => {}
            CallEnd::Error => self.errors += 1,
            CallEnd::Timeout => self.timeouts += 1,
            CallEnd::OutOfMemory => self.out_of_memory += 1,
        }
    }

    pub(crate) fn retired(&mut self, why: Retirement) {
        match why {
            Retirement::Aborted => {}
            Retirement::Oversized => self.oversized += 1,
            Retirement::Changed => self.changed += 1,
        }
    }

    /// What is left to count when the pool is gone: the totals never go back.
    pub(crate) fn without_gauges(self) -> Self {
        Self {
            idle: 0,
            busy: 0,
            memory_bytes: 0,
            ..self
        }
    }
}

impl AddAssign for PoolCounts {
    fn add_assign(&mut self, other: Self) {
        self.idle += other.idle;
        self.busy += other.busy;
        self.hits += other.hits;
        self.misses += other.misses;
        self.created += other.created;
        self.dropped += other.dropped;
        self.load_failures += other.load_failures;
        self.calls += other.calls;
        self.errors += other.errors;
        self.timeouts += other.timeouts;
        self.out_of_memory += other.out_of_memory;
        self.oversized += other.oversized;
        self.changed += other.changed;
        self.memory_bytes += other.memory_bytes;
    }
}

/// Numbers of all modules, removed ones included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdfTotals {
    /// Modules registered now.
    pub modules: u64,
    /// Sum over all pools.
    pub pools: PoolCounts,
    /// What all contexts and calls hold, and may hold.
    pub memory: MemoryUse,
    /// What it costs to keep modules.
    pub registry: RegistryWork,
}

/// What modules, and in a cluster definitions of indexes, have cost since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegistryWork {
    /// Syncs of files and directories, for modules.
    pub syncs: u64,
    /// Bytes written for modules, their copies included.
    pub bytes: u64,
    /// Questions about modules and definitions of indexes that this node has asked others: changes to store, above all.
    pub asked: u64,
    /// Those of others that it has answered.
    pub answered: u64,
}

impl UdfTotals {
    /// Every number with its name in `statistics`.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); FIELDS + 8] {
        let PoolCounts {
            idle,
            busy,
            hits,
            misses,
            created,
            dropped,
            load_failures,
            calls,
            errors,
            timeouts,
            out_of_memory,
            oversized,
            changed,
            memory_bytes,
        } = self.pools;
        [
            ("udf_modules", self.modules),
            ("udf_contexts_idle", idle),
            ("udf_contexts_busy", busy),
            ("udf_context_hits", hits),
            ("udf_context_misses", misses),
            ("udf_contexts_created", created),
            ("udf_contexts_dropped", dropped),
            ("udf_load_failures", load_failures),
            ("udf_calls", calls),
            ("udf_call_errors", errors),
            ("udf_call_timeouts", timeouts),
            ("udf_call_out_of_memory", out_of_memory),
            ("udf_contexts_oversized", oversized),
            ("udf_contexts_changed", changed),
            ("udf_memory_bytes", memory_bytes),
            ("udf_script_memory_held", self.memory.held),
            ("udf_script_memory_limit", self.memory.limit),
            ("udf_script_memory_refused", self.memory.refused),
            ("udf_registry_syncs", self.registry.syncs),
            ("udf_registry_bytes_written", self.registry.bytes),
            ("fabric_meta_asked", self.registry.asked),
            ("fabric_meta_answered", self.registry.answered),
        ]
    }
}

/// One line of `udf-stats`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleCounts {
    /// File name, with its extension.
    pub file_name: String,
    /// Version in this process.
    pub version: u64,
    /// Numbers of its pool; all zero for a file that cannot be called.
    pub counts: PoolCounts,
}
