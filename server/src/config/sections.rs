//! Typed views of the sections: one accessor for each setting that code reads.
//!
//! A clone shares its values, so a change by `set-config` reaches every holder.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;

use super::setting::{Change, Setting, ValueError};
use super::values::{Values, is_read_by, position};
use super::{changes, table};
use crate::processor::processors;

macro_rules! accessors {
    ($name:ident in $table:path { $( $(#[$doc:meta])+ $accessor:ident: $read:ident -> $type:ty = $key:literal; )* }) => {
        impl $name {
            $(
                $(#[$doc])+
                #[must_use]
                pub fn $accessor(&self) -> $type {
                    const AT: usize = position($table, $key);
                    const { assert!(is_read_by(&$table[AT], stringify!($read)), "it is of another kind") };
                    self.values.$read(AT)
                }
            )*

            /// Sets one value by its name, whether dynamic or not: the way in for command line flags.
            ///
            /// # Errors
            /// [`SetError`] for an unknown name or a text that is no value of it.
            pub fn set(&self, name: &str, text: &str) -> Result<(), SetError> {
                let (at, _) = self.values.find(name).ok_or(SetError::Unknown)?;
                Ok(self.values.set(at, text)?)
            }

            /// Sets a dynamic value by its name: what `set-config` does.
            ///
            /// # Errors
            /// [`SetError`] for an unknown or static name, or a text that is no value of it.
            pub fn change(&self, name: &str, text: &str) -> Result<&'static Setting, SetError> {
                let (at, setting) = self.values.find(name).ok_or(SetError::Unknown)?;
                match setting.change {
                    Change::Static => Err(SetError::Static),
                    Change::Dynamic => {
                        changes::check(name, text)?;
                        self.values.set(at, text)?;
                        Ok(setting)
                    }
                }
            }

            /// Checks a change without making it.
            ///
            /// # Errors
            /// As [`Self::change`].
            pub fn check(&self, name: &str, text: &str) -> Result<(), SetError> {
                let (_, setting) = self.values.find(name).ok_or(SetError::Unknown)?;
                match setting.change {
                    Change::Static => Err(SetError::Static),
                    Change::Dynamic => {
                        setting.kind.read(text)?;
                        Ok(changes::check(name, text)?)
                    }
                }
            }

            /// Whether there is a setting of that name.
            #[must_use]
            pub fn has(&self, name: &str) -> bool {
                self.values.find(name).is_some()
            }

            /// Appends `name=value;` for each setting, in Aerospike's order.
            pub fn report(&self, out: &mut String) {
                self.values.report(out);
            }

            pub(crate) fn values(&self) -> &Values {
                &self.values
            }
        }
    };
}

/// Why a setting did not change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// No setting of that name in the section.
    #[error("unknown setting")]
    Unknown,
    /// The setting can only be changed in the file.
    #[error("static setting: change the configuration file and restart")]
    Static,
    /// The text is not a value of the setting.
    #[error(transparent)]
    Value(#[from] ValueError),
}

/// `service { }`
#[derive(Debug, Clone)]
pub struct ServiceSettings {
    values: Arc<Values>,
}

accessors! { ServiceSettings in table::SERVICE {
    /// Rows of a batch at most; 0 = no limit.
    batch_max_requests: number32 -> u32 = "batch-max-requests";
    /// Bytes that the buffers of all clients may hold; 0: a share of the machine's memory.
    client_memory_limit: number -> u64 = "client-memory-limit";
    /// Name of the cluster; none by default.
    cluster_name: text -> Option<String> = "cluster-name";
    /// UDFs are refused with result code 22.
    disable_udf_execution: flag -> bool = "disable-udf-execution";
    /// Time that one info request may take, ms.
    info_max_ms: number32 -> u32 = "info-max-ms";
    /// Log lines carry milliseconds.
    log_millis: flag -> bool = "log-millis";
    /// `latencies:` answers in microseconds.
    microsecond_histograms: flag -> bool = "microsecond-histograms";
    /// Identity of the node, hex; made up from the address by default.
    node_id: text -> Option<String> = "node-id";
    /// File that gets the process id.
    pidfile: text -> Option<String> = "pidfile";
    /// Idle time after which a client connection is closed, ms; 0 never.
    proto_fd_idle_ms: number32 -> u32 = "proto-fd-idle-ms";
    /// Client connections at most.
    proto_fd_max: number32 -> u32 = "proto-fd-max";
    /// Queries that ended and are still listed.
    query_max_done: number32 -> u32 = "query-max-done";
    /// Queries that may run at a time.
    query_threads_limit: number32 -> u32 = "query-threads-limit";
    /// Threads that serve requests.
    service_threads: number32 -> u32 = "service-threads";
    /// Seconds between two ticker lines, and length of a latency slice.
    ticker_interval: number32 -> u32 = "ticker-interval";
    /// Deadline of requests that bring none, ms.
    transaction_max_ms: number32 -> u32 = "transaction-max-ms";
    /// Where the server keeps its state; set by the reader of the configuration when the file does not say.
    work_directory: text -> Option<String> = "work-directory";
} }

impl ServiceSettings {
    pub(crate) fn new() -> Self {
        let settings = Self {
            values: Arc::new(Values::new(table::SERVICE)),
        };
        // No more than that: what runs long leaves its thread, and connections that take much of one have threads of their
        // own. With 2n + 1 threads a `get` over 16 connections cost 8 % more, and others waited longer. A machine with more
        // processors than the setting allows keeps the default.
        let _ = settings.set("service-threads", &processors().to_string());
        settings
    }
}

/// `network { }`
#[derive(Debug, Clone)]
pub struct NetworkSettings {
    values: Arc<Values>,
}

accessors! { NetworkSettings in table::NETWORK {
    /// Port of the clients; 0 takes a free one.
    service_port: port -> u16 = "service.port";
    /// Addresses to listen on: `any`, IP addresses or host names.
    service_addresses: list -> Vec<String> = "service.address";
    /// Port told to clients; 0 = the port listened on.
    service_access_port: port -> u16 = "service.access-port";
    /// Addresses told to clients; empty = the addresses listened on.
    service_access_addresses: list -> Vec<String> = "service.access-address";
    /// Port told to clients that ask for alternate addresses; 0 = the port listened on.
    service_alternate_access_port: port -> u16 = "service.alternate-access-port";
    /// Addresses told to clients that ask for alternate ones.
    service_alternate_access_addresses: list -> Vec<String> = "service.alternate-access-address";
    /// Port for info requests only; 0 none.
    admin_port: port -> u16 = "admin.port";
    /// Addresses of the admin port.
    admin_addresses: list -> Vec<String> = "admin.address";
    /// How nodes find each other: `mesh` or `multicast`.
    heartbeat_mode: word -> &'static str = "heartbeat.mode";
    /// Addresses of the heartbeats.
    heartbeat_addresses: list -> Vec<String> = "heartbeat.address";
    /// Port of the heartbeats; 0: the node stays alone.
    heartbeat_port: port -> u16 = "heartbeat.port";
    /// Address told to other nodes for heartbeats, if not the one bound.
    heartbeat_access_address: text -> Option<String> = "heartbeat.access-address";
    /// Port told to other nodes for heartbeats; 0: the one bound.
    heartbeat_access_port: port -> u16 = "heartbeat.access-port";
    /// Heartbeat addresses of nodes to find the cluster by: `host:port`.
    mesh_seeds: list -> Vec<String> = "heartbeat.mesh-seed-address-port";
    /// Milliseconds between two heartbeats.
    heartbeat_interval_ms: number32 -> u32 = "heartbeat.interval";
    /// Missing heartbeats after which a node counts as dead.
    heartbeat_timeout: number32 -> u32 = "heartbeat.timeout";
    /// File of the secret of the cluster.
    heartbeat_cluster_secret_file: text -> Option<String> = "heartbeat.cluster-secret-file";
    /// The same, where it stands in `fabric`.
    fabric_cluster_secret_file: text -> Option<String> = "fabric.cluster-secret-file";
    /// Addresses for the other nodes.
    fabric_addresses: list -> Vec<String> = "fabric.address";
    /// Address told to other nodes, if not the one bound.
    fabric_access_address: text -> Option<String> = "fabric.access-address";
    /// Port told to other nodes; 0: the one bound.
    fabric_access_port: port -> u16 = "fabric.access-port";
    /// Port for the other nodes; 0 takes a free one.
    fabric_port: port -> u16 = "fabric.port";
} }

impl NetworkSettings {
    pub(crate) fn new() -> Self {
        Self {
            values: Arc::new(Values::new(table::NETWORK)),
        }
    }
}

/// `set NAME { }` in a namespace
#[derive(Debug, Clone)]
pub struct SetSettings {
    values: Arc<Values>,
}

accessors! { SetSettings in table::SET {
    /// Percent of a life that are left when a read gives it anew; 0 = as the namespace.
    default_read_touch_ttl_pct: number32 -> u32 = "default-read-touch-ttl-pct";
    /// Life of records of the set written without one, seconds; 0 = as the namespace.
    default_ttl: number32 -> u32 = "default-ttl";
    /// Records above which the set takes no new ones; 0 = no limit.
    stop_writes_count: number -> u64 = "stop-writes-count";
    /// Bytes above which the set takes no more; 0 = no limit.
    stop_writes_size: number -> u64 = "stop-writes-size";
} }

impl Default for SetSettings {
    fn default() -> Self {
        Self {
            values: Arc::new(Values::new(table::SET)),
        }
    }
}

/// `namespace NAME { }`
#[derive(Debug, Clone)]
pub struct NamespaceSettings {
    name: Arc<str>,
    values: Arc<Values>,
    sets: Arc<OnceLock<ArcSwap<BTreeMap<String, SetSettings>>>>,
}

accessors! { NamespaceSettings in table::NAMESPACE {
    /// A life in writes is accepted although `nsup-period` is 0.
    allow_ttl_without_nsup: flag -> bool = "allow-ttl-without-nsup";
    /// Records per second that a background query may take.
    background_query_max_rps: number32 -> u32 = "background-query-max-rps";
    /// Which version of a record wins where two sides of a split meet: `generation` or `last-update-time`.
    conflict_resolution_policy: word -> &'static str = "conflict-resolution-policy";
    /// Percent of a life that are left when a read gives it anew; 0 = never.
    default_read_touch_ttl_pct: number32 -> u32 = "default-read-touch-ttl-pct";
    /// Life of records written without one, seconds; 0 = for ever.
    default_ttl: number32 -> u32 = "default-ttl";
    /// Records without a set are refused.
    disallow_null_setname: flag -> bool = "disallow-null-setname";
    /// Bytes that all indexes may take before writes are refused; 0 = no limit.
    indexes_memory_budget: number -> u64 = "indexes-memory-budget";
    /// Largest stored size of a record, bytes.
    max_record_size: number -> u64 = "max-record-size";
    /// Seconds between two removals of expired records; 0 = never.
    nsup_period: number32 -> u32 = "nsup-period";
    /// Writes of clients are refused.
    reject_non_xdr_writes: flag -> bool = "reject-non-xdr-writes";
    /// Writes of XDR are refused.
    reject_xdr_writes: flag -> bool = "reject-xdr-writes";
    /// Records that a background query works on at a time.
    single_query_threads: number32 -> u32 = "single-query-threads";
    /// Requests that may wait on one record; 0 = no limit.
    transaction_pending_limit: number32 -> u32 = "transaction-pending-limit";
    /// `memory` or `device`.
    storage_engine: word -> &'static str = "storage-engine";
    /// A change is acknowledged when it is synced.
    commit_to_device: flag -> bool = "storage-engine.commit-to-device";
    /// Share of a segment below which it is cleaned, percent.
    defrag_lwm_pct: number32 -> u32 = "storage-engine.defrag-lwm-pct";
    /// The file that keeps the records; there is at most one.
    files: list -> Vec<String> = "storage-engine.file";
    /// Most bytes of that file.
    filesize: number -> u64 = "storage-engine.filesize";
    /// Time after which a change is synced, ms.
    flush_max_ms: number32 -> u32 = "storage-engine.flush-max-ms";
    /// Bytes that may wait to be written.
    max_write_cache: number -> u64 = "storage-engine.max-write-cache";
    /// Free share of the file below which writes are refused, percent.
    stop_writes_avail_pct: number32 -> u32 = "storage-engine.stop-writes-avail-pct";
    /// Memory for record data, bytes.
    data_size: number -> u64 = "storage-engine.data-size";
    /// Share of `data_size` above which writes are refused, percent; 0 = never.
    stop_writes_used_pct: number32 -> u32 = "storage-engine.stop-writes-used-pct";
} }

impl NamespaceSettings {
    /// The defaults for a namespace of that name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            values: Arc::new(Values::new(table::NAMESPACE)),
            sets: Arc::default(),
        }
    }

    /// The name of the namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a namespace whose records take `used_bytes` refuses writes.
    #[must_use]
    pub fn stops_writes(&self, used_bytes: u64) -> bool {
        let percent = u128::from(self.stop_writes_used_pct());
        percent != 0 && u128::from(used_bytes) * 100 > u128::from(self.data_size()) * percent
    }

    /// The settings of a set, if any were ever given.
    #[must_use]
    pub fn set_settings(&self, set: &str) -> Option<SetSettings> {
        // Most namespaces have none, and every write asks.
        self.sets.get()?.load().get(set).cloned()
    }

    /// The settings of a set, made from the defaults if there were none.
    pub(crate) fn set_settings_or_new(&self, set: &str) -> SetSettings {
        let new = SetSettings::default();
        let before = self.sets.get_or_init(ArcSwap::default).rcu(|sets| {
            let mut sets = (**sets).clone();
            sets.entry(set.to_owned()).or_insert_with(|| new.clone());
            sets
        });
        before.get(set).cloned().unwrap_or(new)
    }
}

/// `mod-lua { }`
#[derive(Debug, Clone)]
pub struct ModLuaSettings {
    values: Arc<Values>,
}

accessors! { ModLuaSettings in table::MOD_LUA {
    /// Contexts are kept between calls.
    cache_enabled: flag -> bool = "cache-enabled";
    /// Directory of the registered modules; set by the reader of the configuration when the file does not say.
    user_path: text -> Option<String> = "user-path";
    /// Scripts reach `os`, `io`, `debug` and files.
    allow_unsafe_lua: flag -> bool = "allow-unsafe-lua";
    /// Contexts that a module gets as soon as it is registered.
    initial_contexts: size -> usize = "initial-contexts";
    /// Idle contexts that a module keeps at most.
    max_idle_contexts: size -> usize = "max-idle-contexts";
    /// Error texts of failed calls carry a Lua traceback.
    error_traceback: flag -> bool = "error-traceback";
    /// Replies that do not say why a call failed are followed by the cause.
    error_detail: flag -> bool = "error-detail";
    /// What becomes of a stream whose operator gives nil.
    stream_nil: word -> &'static str = "stream-nil";
    /// Memory that one call may take on top of its context, bytes.
    call_memory_limit: number -> u64 = "call-memory-limit";
    /// Memory above which a context is dropped after its call, bytes.
    context_memory_limit: number -> u64 = "context-memory-limit";
    /// Memory that all contexts and calls may hold together, bytes; 0: a share of the machine's memory.
    script_memory_limit: number -> u64 = "script-memory-limit";
    /// Memory that a context may take while its module is loaded, bytes.
    body_memory_limit: number -> u64 = "body-memory-limit";
    /// Processor time that the main chunk of a module may take, ms.
    body_time_limit_ms: number32 -> u32 = "body-time-limit-ms";
} }

impl ModLuaSettings {
    pub(crate) fn new() -> Self {
        Self {
            values: Arc::new(Values::new(table::MOD_LUA)),
        }
    }
}
