//! Every setting that this server knows, once.
//!
//! A section's table is in the order of Aerospike's `get-config`; the names of blocks below the section stand in front
//! of the key with a dot. Settings of features that are not here are kept and reported so that tools see what they
//! expect; the file's reader names them in its warning.

use super::setting::{Change, Setting, SettingKind, Support};

/// Part of a configuration that has a table of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// `service { }`
    Service,
    /// `network { }`
    Network,
    /// `namespace NAME { }`
    Namespace,
    /// `set NAME { }` in a namespace
    Set,
    /// `mod-lua { }`
    ModLua,
}

/// The sections and their tables.
pub const SECTIONS: &[(Section, &[Setting])] = &[
    (Section::Service, SERVICE),
    (Section::Network, NETWORK),
    (Section::Namespace, NAMESPACE),
    (Section::Set, SET),
    (Section::ModLua, MOD_LUA),
];

const DYNAMIC: Change = Change::Dynamic;
const STATIC: Change = Change::Static;
const REPORTED: Support = Support::Reported;
const FLAG: SettingKind = SettingKind::Flag;
const PORT: SettingKind = SettingKind::Number {
    min: 0,
    max: 65_535,
};
const PERCENT: SettingKind = SettingKind::Number { min: 0, max: 100 };
const NUMBER: SettingKind = SettingKind::Number {
    min: 0,
    max: u32::MAX as u64,
};
const SECONDS: SettingKind = SettingKind::Seconds {
    min: 0,
    max: u32::MAX as u64,
};
const BYTES: SettingKind = SettingKind::Bytes {
    min: 0,
    max: 1 << 47,
};

const fn works(sentence: &'static str) -> Support {
    Support::Works(sentence)
}

const fn row(
    name: &'static str,
    kind: SettingKind,
    default: &'static str,
    change: Change,
    support: Support,
) -> Setting {
    Setting {
        name,
        kind,
        default,
        change,
        support,
    }
}

/// `service { }`
#[rustfmt::skip]
pub(crate) const SERVICE: &[Setting] = &[
    row("advertise-ipv6", FLAG, "false", DYNAMIC, REPORTED),
    row("auto-pin", SettingKind::Choice(&["none", "cpu", "numa", "adq"]), "none", STATIC, REPORTED),
    row("batch-index-threads", NUMBER, "1", DYNAMIC, REPORTED),
    row("batch-max-buffers-per-queue", NUMBER, "255", DYNAMIC, REPORTED),
    row("batch-max-requests", NUMBER, "0", DYNAMIC, works("rows of a batch at most; 0 no limit")),
    row("batch-max-unused-buffers", NUMBER, "256", DYNAMIC, REPORTED),
    row("cgroup-mem-tracking", FLAG, "false", STATIC, REPORTED),
    row("client-memory-limit", BYTES, "0", STATIC, works("this server's own: what the buffers of all clients may hold, bytes; 0 a sixteenth of the memory, at least 320 MiB")),
    row("cluster-name", SettingKind::Text, "null", DYNAMIC, works("name that clients and nodes compare")),
    row("debug-allocations", FLAG, "false", STATIC, REPORTED),
    row("disable-udf-execution", FLAG, "false", STATIC, works("refuse record, stream and background UDFs with result code 22")),
    row("enable-benchmarks-fabric", FLAG, "false", DYNAMIC, REPORTED),
    row("enable-health-check", FLAG, "false", DYNAMIC, REPORTED),
    row("enable-hist-info", FLAG, "false", DYNAMIC, REPORTED),
    row("enforce-best-practices", FLAG, "false", STATIC, REPORTED),
    row("indent-allocations", FLAG, "false", STATIC, REPORTED),
    row("info-max-ms", SettingKind::Number { min: 500, max: 10000 }, "10000", DYNAMIC, works("time that the commands of one info request may take, ms")),
    row("info-threads", SettingKind::Number { min: 1, max: 1024 }, "16", DYNAMIC, REPORTED),
    row("keep-caps-ssd-health", FLAG, "false", STATIC, REPORTED),
    row("log-local-time", FLAG, "false", STATIC, REPORTED),
    row("log-millis", FLAG, "false", STATIC, works("log lines with milliseconds")),
    row("microsecond-histograms", FLAG, "false", STATIC, works("`latencies:` in microseconds")),
    row("migrate-fill-delay", SECONDS, "0", DYNAMIC, REPORTED),
    row("migrate-max-num-incoming", NUMBER, "4", DYNAMIC, REPORTED),
    row("migrate-threads", NUMBER, "1", DYNAMIC, REPORTED),
    row("min-cluster-size", NUMBER, "1", DYNAMIC, REPORTED),
    row("node-id", SettingKind::Text, "null", STATIC, works("identity of the node, up to 16 hex digits")),
    row("node-id-interface", SettingKind::Text, "null", STATIC, REPORTED),
    row("os-group-perms", FLAG, "false", STATIC, REPORTED),
    row("pidfile", SettingKind::Text, "null", STATIC, works("file that gets the process id")),
    row("poison-allocations", FLAG, "false", STATIC, REPORTED),
    row("proto-fd-idle-ms", NUMBER, "0", DYNAMIC, works("time after which a client connection is closed that sends nothing, or does not read its replies, ms; 0 never, and 60 s for replies")),
    row("proto-fd-max", SettingKind::Number { min: 1, max: i32::MAX as u64 }, "15000", DYNAMIC, works("client connections at most")),
    row("quarantine-allocations", NUMBER, "0", STATIC, REPORTED),
    row("query-max-done", SettingKind::Number { min: 0, max: 10000 }, "100", DYNAMIC, works("queries that ended and are still listed")),
    row("query-threads-limit", SettingKind::Number { min: 1, max: 1024 }, "128", DYNAMIC, works("queries that may run at a time")),
    row("run-as-daemon", FLAG, "true", STATIC, REPORTED),
    row("secrets-address-port", SettingKind::Text, "null", STATIC, REPORTED),
    row("secrets-tls-context", SettingKind::Text, "null", STATIC, REPORTED),
    row("secrets-uds-path", SettingKind::Text, "null", STATIC, REPORTED),
    row("service-threads", SettingKind::Number { min: 1, max: 4096 }, "1", STATIC, works("threads that serve requests, 2 at least; by default as many as there are processors. Connections that take much of a thread have as many others")),
    row("sindex-builder-threads", NUMBER, "4", DYNAMIC, REPORTED),
    row("sindex-gc-period", SECONDS, "10", DYNAMIC, REPORTED),
    row("stay-quiesced", FLAG, "false", STATIC, REPORTED),
    row("ticker-interval", SettingKind::Seconds { min: 1, max: 86400 }, "10", DYNAMIC, works("seconds between two ticker lines in the log, and length of a latency slice")),
    row("tls-refresh-period", SECONDS, "0", STATIC, REPORTED),
    row("transaction-max-ms", SettingKind::Number { min: 1, max: u32::MAX as u64 }, "1000", DYNAMIC, works("deadline of requests that bring none, ms")),
    row("transaction-retry-ms", NUMBER, "1002", DYNAMIC, REPORTED),
    row("vault-ca", SettingKind::Text, "null", STATIC, REPORTED),
    row("vault-namespace", SettingKind::Text, "null", STATIC, REPORTED),
    row("vault-path", SettingKind::Text, "null", STATIC, REPORTED),
    row("vault-token-file", SettingKind::Text, "null", STATIC, REPORTED),
    row("vault-url", SettingKind::Text, "null", STATIC, REPORTED),
    row("work-directory", SettingKind::Text, "null", STATIC, works("where the server keeps its state")),
];

/// `network { }`
#[rustfmt::skip]
pub(crate) const NETWORK: &[Setting] = &[
    row("service.port", PORT, "3000", STATIC, works("port of the clients; 0 takes a free one")),
    row("service.address", SettingKind::List, "any", STATIC, works("addresses to listen on; `any` for all")),
    row("service.access-port", PORT, "0", STATIC, works("port told to clients instead of `port`")),
    row("service.access-address", SettingKind::List, "", STATIC, works("addresses told to clients")),
    row("service.alternate-access-port", PORT, "0", STATIC, works("port told to clients that ask for alternate addresses")),
    row("service.alternate-access-address", SettingKind::List, "", STATIC, works("addresses told to clients that ask for alternate ones")),
    row("service.tls-port", PORT, "0", STATIC, REPORTED),
    row("service.tls-address", SettingKind::List, "", STATIC, REPORTED),
    row("service.tls-access-port", PORT, "0", STATIC, REPORTED),
    row("service.tls-access-address", SettingKind::List, "", STATIC, REPORTED),
    row("service.tls-alternate-access-port", PORT, "0", STATIC, REPORTED),
    row("service.tls-alternate-access-address", SettingKind::List, "", STATIC, REPORTED),
    row("service.tls-name", SettingKind::Text, "null", STATIC, REPORTED),
    row("service.tls-authenticate-client", SettingKind::List, "", STATIC, REPORTED),
    row("service.disable-localhost", FLAG, "false", DYNAMIC, REPORTED),
    row("admin.port", PORT, "0", STATIC, works("port for info requests only; 0 none")),
    row("admin.address", SettingKind::List, "any", STATIC, works("addresses of the admin port")),
    row("admin.tls-port", PORT, "0", STATIC, REPORTED),
    row("admin.tls-address", SettingKind::List, "", STATIC, REPORTED),
    row("admin.tls-name", SettingKind::Text, "null", STATIC, REPORTED),
    row("admin.tls-authenticate-client", SettingKind::List, "", STATIC, REPORTED),
    row("admin.disable-localhost", FLAG, "false", STATIC, REPORTED),
    row("heartbeat.mode", SettingKind::Choice(&["mesh", "multicast"]), "mesh", STATIC, works("how nodes find each other; only mesh forms a cluster")),
    row("heartbeat.address", SettingKind::List, "any", STATIC, works("address of the heartbeats (UDP); the first one counts")),
    row("heartbeat.access-address", SettingKind::Text, "null", STATIC, works("address told to other nodes for heartbeats; the one bound by default; this server only")),
    row("heartbeat.access-port", PORT, "0", STATIC, works("port told to other nodes for heartbeats; 0: the one bound; this server only")),
    row("heartbeat.cluster-secret-file", SettingKind::Text, "null", STATIC, works("file of a secret of at least 16 bytes that all nodes share, for heartbeat and fabric; this server only")),
    row("heartbeat.multicast-group", SettingKind::List, "", STATIC, REPORTED),
    row("heartbeat.port", PORT, "0", STATIC, works("port of the heartbeats (UDP); 0: the node stays alone")),
    row("heartbeat.tls-port", PORT, "0", STATIC, REPORTED),
    row("heartbeat.tls-address", SettingKind::List, "", STATIC, REPORTED),
    row("heartbeat.tls-name", SettingKind::Text, "null", STATIC, REPORTED),
    row("heartbeat.tls-mesh-seed-address-port", SettingKind::List, "", STATIC, REPORTED),
    row("heartbeat.mesh-seed-address-port", SettingKind::List, "", STATIC, works("host and heartbeat port of a node to find the cluster by")),
    row("heartbeat.interval", SettingKind::Number { min: 5, max: 10_000 }, "150", DYNAMIC, works("milliseconds between two heartbeats, as of the start")),
    row("heartbeat.timeout", SettingKind::Number { min: 3, max: 1_000 }, "10", DYNAMIC, works("missing heartbeats after which a node counts as dead, as of the start")),
    row("heartbeat.connect-timeout-ms", NUMBER, "500", DYNAMIC, REPORTED),
    row("heartbeat.mtu", NUMBER, "1500", DYNAMIC, REPORTED),
    row("heartbeat.protocol", SettingKind::Choice(&["v3", "none"]), "v3", DYNAMIC, REPORTED),
    row("fabric.address", SettingKind::List, "any", STATIC, works("address for the other nodes (TCP); the first one counts")),
    row("fabric.access-address", SettingKind::Text, "null", STATIC, works("address told to other nodes; the one bound by default; this server only")),
    row("fabric.access-port", PORT, "0", STATIC, works("port told to other nodes; 0: the one bound; this server only")),
    row("fabric.cluster-secret-file", SettingKind::Text, "null", STATIC, works("the same file; one of the two places is enough; this server only")),
    row("fabric.tls-port", PORT, "0", STATIC, REPORTED),
    row("fabric.tls-address", SettingKind::List, "", STATIC, REPORTED),
    row("fabric.tls-name", SettingKind::Text, "null", STATIC, REPORTED),
    row("fabric.channel-bulk-fds", NUMBER, "2", STATIC, REPORTED),
    row("fabric.channel-bulk-recv-threads", NUMBER, "4", DYNAMIC, REPORTED),
    row("fabric.channel-ctrl-fds", NUMBER, "1", STATIC, REPORTED),
    row("fabric.channel-ctrl-recv-threads", NUMBER, "4", DYNAMIC, REPORTED),
    row("fabric.channel-meta-fds", NUMBER, "1", STATIC, REPORTED),
    row("fabric.channel-meta-recv-threads", NUMBER, "4", DYNAMIC, REPORTED),
    row("fabric.channel-rw-fds", NUMBER, "8", STATIC, REPORTED),
    row("fabric.channel-rw-recv-pools", NUMBER, "1", STATIC, REPORTED),
    row("fabric.channel-rw-recv-threads", NUMBER, "16", DYNAMIC, REPORTED),
    row("fabric.keepalive-enabled", FLAG, "true", STATIC, REPORTED),
    row("fabric.keepalive-intvl", NUMBER, "1", STATIC, REPORTED),
    row("fabric.keepalive-probes", NUMBER, "10", STATIC, REPORTED),
    row("fabric.keepalive-time", NUMBER, "1", STATIC, REPORTED),
    row("fabric.latency-max-ms", NUMBER, "5", STATIC, REPORTED),
    row("fabric.port", PORT, "0", STATIC, works("port for the other nodes (TCP); 0 takes a free one")),
    row("fabric.recv-rearm-threshold", NUMBER, "1024", DYNAMIC, REPORTED),
    row("fabric.send-threads", NUMBER, "8", STATIC, REPORTED),
];

/// `namespace NAME { }`
#[rustfmt::skip]
pub(crate) const NAMESPACE: &[Setting] = &[
    row("active-rack", NUMBER, "0", STATIC, REPORTED),
    row("allow-ttl-without-nsup", FLAG, "false", DYNAMIC, works("accept a life in writes although `nsup-period` is 0")),
    row("apply-ttl-reductions", FLAG, "true", DYNAMIC, REPORTED),
    row("auto-revive", FLAG, "false", STATIC, REPORTED),
    row("background-query-max-rps", NUMBER, "10000", DYNAMIC, works("records per second that a background query may take, and takes when it asks for no rate")),
    row("conflict-resolution-policy", SettingKind::Choice(&["generation", "last-update-time"]), "generation", DYNAMIC, works("which version of a record wins where two sides of a split meet; the other is thrown away and counted")),
    row("conflict-resolve-writes", FLAG, "false", DYNAMIC, REPORTED),
    row("default-read-touch-ttl-pct", PERCENT, "0", DYNAMIC, works("a read gives a record its whole life anew when at most so many percent of it are left; 0 never")),
    row("default-ttl", SettingKind::Seconds { min: 0, max: 315360000 }, "0", DYNAMIC, works("life of records written without one, seconds; 0 for ever")),
    row("disable-cold-start-eviction", FLAG, "false", STATIC, REPORTED),
    row("disable-mrt-writes", FLAG, "false", DYNAMIC, REPORTED),
    row("disable-write-dup-res", FLAG, "false", DYNAMIC, REPORTED),
    row("disallow-expunge", FLAG, "false", DYNAMIC, REPORTED),
    row("disallow-null-setname", FLAG, "false", DYNAMIC, works("refuse records without a set")),
    row("enable-benchmarks-batch-sub", FLAG, "false", DYNAMIC, REPORTED),
    row("enable-benchmarks-ops-sub", FLAG, "false", DYNAMIC, REPORTED),
    row("enable-benchmarks-read", FLAG, "false", DYNAMIC, REPORTED),
    row("enable-benchmarks-udf", FLAG, "false", DYNAMIC, REPORTED),
    row("enable-benchmarks-udf-sub", FLAG, "false", DYNAMIC, REPORTED),
    row("enable-benchmarks-write", FLAG, "false", DYNAMIC, REPORTED),
    row("enable-hist-proxy", FLAG, "false", DYNAMIC, REPORTED),
    row("evict-hist-buckets", NUMBER, "10000", DYNAMIC, REPORTED),
    row("evict-indexes-memory-pct", PERCENT, "0", DYNAMIC, REPORTED),
    row("evict-tenths-pct", NUMBER, "5", DYNAMIC, REPORTED),
    row("force-long-queries", FLAG, "false", DYNAMIC, REPORTED),
    row("ignore-migrate-fill-delay", FLAG, "false", DYNAMIC, REPORTED),
    row("index-stage-size", BYTES, "1073741824", STATIC, REPORTED),
    row("indexes-memory-budget", BYTES, "0", DYNAMIC, works("writes are refused while all indexes of the namespace take more bytes than this; 0 no limit")),
    row("inline-short-queries", FLAG, "false", DYNAMIC, REPORTED),
    row("max-record-size", SettingKind::Bytes { min: 64, max: 8388608 }, "1048576", DYNAMIC, works("largest stored size of a record, bytes")),
    row("migrate-order", NUMBER, "5", DYNAMIC, REPORTED),
    row("migrate-retransmit-ms", NUMBER, "5000", DYNAMIC, REPORTED),
    row("migrate-skip-unreadable", FLAG, "false", STATIC, REPORTED),
    row("migrate-sleep", NUMBER, "1", DYNAMIC, REPORTED),
    row("mrt-duration", SECONDS, "0", DYNAMIC, REPORTED),
    row("nsup-hist-period", SECONDS, "3600", DYNAMIC, REPORTED),
    row("nsup-period", SettingKind::Seconds { min: 0, max: u32::MAX as u64 }, "0", DYNAMIC, works("seconds between two removals of expired records; 0 never")),
    row("nsup-threads", NUMBER, "1", DYNAMIC, REPORTED),
    row("partition-tree-sprigs", NUMBER, "256", STATIC, REPORTED),
    row("prefer-uniform-balance", FLAG, "false", STATIC, REPORTED),
    row("rack-id", NUMBER, "0", STATIC, REPORTED),
    row("read-consistency-level-override", SettingKind::Choice(&["off", "one", "all"]), "off", DYNAMIC, REPORTED),
    row("reject-non-xdr-writes", FLAG, "false", DYNAMIC, works("refuse writes of clients")),
    row("reject-xdr-writes", FLAG, "false", DYNAMIC, works("refuse writes of XDR")),
    row("replication-factor", SettingKind::Number { min: 1, max: 256 }, "2", DYNAMIC, works("taken and shown; each record is on one node, there are no copies")),
    row("sindex-stage-size", BYTES, "1073741824", STATIC, REPORTED),
    row("single-query-threads", SettingKind::Number { min: 1, max: 128 }, "4", DYNAMIC, works("records that a background query works on at a time")),
    row("stop-writes-sys-memory-pct", PERCENT, "90", DYNAMIC, REPORTED),
    row("strong-consistency", FLAG, "false", STATIC, REPORTED),
    row("strong-consistency-allow-expunge", FLAG, "false", DYNAMIC, REPORTED),
    row("tomb-raider-eligible-age", SECONDS, "86400", DYNAMIC, REPORTED),
    row("tomb-raider-period", SECONDS, "86400", DYNAMIC, REPORTED),
    row("tomb-raider-unmark-threads", NUMBER, "0", DYNAMIC, REPORTED),
    row("transaction-pending-limit", SettingKind::Number { min: 0, max: u32::MAX as u64 }, "20", DYNAMIC, works("requests that may wait on one record")),
    row("truncate-threads", NUMBER, "4", DYNAMIC, REPORTED),
    row("write-commit-level-override", SettingKind::Choice(&["off", "master", "all"]), "off", DYNAMIC, REPORTED),
    row("xdr-bin-tombstone-ttl", SECONDS, "86400", STATIC, REPORTED),
    row("xdr-tomb-raider-period", SECONDS, "120", DYNAMIC, REPORTED),
    row("xdr-tomb-raider-threads", NUMBER, "1", DYNAMIC, REPORTED),
    row("geo2dsphere-within.strict", FLAG, "true", STATIC, REPORTED),
    row("geo2dsphere-within.min-level", NUMBER, "1", DYNAMIC, REPORTED),
    row("geo2dsphere-within.max-level", NUMBER, "20", DYNAMIC, REPORTED),
    row("geo2dsphere-within.max-cells", NUMBER, "12", DYNAMIC, REPORTED),
    row("geo2dsphere-within.level-mod", NUMBER, "1", DYNAMIC, REPORTED),
    row("geo2dsphere-within.earth-radius-meters", NUMBER, "6371000", STATIC, REPORTED),
    row("index-type", SettingKind::Choice(&["mem", "shmem", "pmem", "flash"]), "mem", STATIC, REPORTED),
    row("sindex-type", SettingKind::Choice(&["mem", "shmem", "pmem", "flash"]), "mem", STATIC, REPORTED),
    row("storage-engine", SettingKind::Choice(&["memory", "device", "pmem"]), "memory", STATIC, works("`memory`: records are read from memory, and kept in a file if `file` names one; `device`: they are kept in the file only")),
    row("storage-engine.commit-to-device", FLAG, "false", STATIC, works("acknowledge a change when it is synced to the file")),
    row("storage-engine.compression", SettingKind::Choice(&["none", "lz4", "snappy", "zstd"]), "none", DYNAMIC, REPORTED),
    row("storage-engine.compression-acceleration", NUMBER, "0", DYNAMIC, REPORTED),
    row("storage-engine.compression-level", NUMBER, "0", DYNAMIC, REPORTED),
    row("storage-engine.data-size", SettingKind::Bytes { min: 1048576, max: 140737488355328 }, "4294967296", STATIC, works("memory for record data, bytes")),
    row("storage-engine.defrag-lwm-pct", PERCENT, "50", STATIC, works("share of a segment of the file, percent, below which what it still holds is moved and its room given back")),
    row("storage-engine.defrag-queue-min", NUMBER, "0", DYNAMIC, REPORTED),
    row("storage-engine.defrag-sleep", NUMBER, "1000", DYNAMIC, REPORTED),
    row("storage-engine.defrag-startup-minimum", NUMBER, "0", STATIC, REPORTED),
    row("storage-engine.direct-files", FLAG, "false", STATIC, REPORTED),
    row("storage-engine.disable-odsync", FLAG, "false", STATIC, REPORTED),
    row("storage-engine.enable-benchmarks-storage", FLAG, "false", DYNAMIC, REPORTED),
    row("storage-engine.encryption-key-file", SettingKind::Text, "null", STATIC, REPORTED),
    row("storage-engine.encryption-old-key-file", SettingKind::Text, "null", STATIC, REPORTED),
    row("storage-engine.evict-used-pct", PERCENT, "0", DYNAMIC, REPORTED),
    row("storage-engine.file", SettingKind::List, "", STATIC, works("file that keeps the records")),
    row("storage-engine.filesize", BYTES, "0", STATIC, works("most bytes that the file takes; at least 16M")),
    row("storage-engine.flush-max-ms", NUMBER, "1000", STATIC, works("ms after which a change is synced to the file without `commit-to-device`; 0: when a MiB has gathered")),
    row("storage-engine.max-write-cache", BYTES, "67108864", STATIC, works("bytes that may wait to be written to the file; further writes wait")),
    row("storage-engine.stop-writes-avail-pct", PERCENT, "5", DYNAMIC, works("free share of the file, percent, below which writes are refused")),
    row("storage-engine.stop-writes-used-pct", PERCENT, "70", DYNAMIC, works("share of `data-size` above which writes are refused")),
    row("storage-engine.tomb-raider-sleep", NUMBER, "1000", DYNAMIC, REPORTED),
];

/// `set NAME { }` in a namespace
#[rustfmt::skip]
pub(crate) const SET: &[Setting] = &[
    row("default-read-touch-ttl-pct", PERCENT, "0", DYNAMIC, works("the same for records of the set; 0 as the namespace")),
    row("default-ttl", SettingKind::Seconds { min: 0, max: 315_360_000 }, "0", DYNAMIC, works("life of records of the set written without one, seconds; 0 as the namespace")),
    row("disable-eviction", FLAG, "false", DYNAMIC, REPORTED),
    row("enable-index", FLAG, "false", DYNAMIC, REPORTED),
    row("stop-writes-count", SettingKind::Number { min: 0, max: u64::MAX }, "0", DYNAMIC, works("records above which the set takes no new ones; 0 no limit")),
    row("stop-writes-size", SettingKind::Bytes { min: 0, max: u64::MAX }, "0", DYNAMIC, works("bytes above which the set takes no more; 0 no limit")),
];

/// `mod-lua { }`. The keys after `cache-enabled` but `allow-unsafe-lua` are this server's own.
#[rustfmt::skip]
pub(crate) const MOD_LUA: &[Setting] = &[
    row("cache-enabled", FLAG, "true", STATIC, works("keep contexts between calls")),
    row("user-path", SettingKind::Text, "null", STATIC, works("directory of the registered modules; below `work-directory` by default")),
    row("allow-unsafe-lua", FLAG, "false", STATIC, works("give scripts `os`, `io`, `debug` and `require` of files; for trusted modules only")),
    row("initial-contexts", SettingKind::Number { min: 0, max: 128 }, "10", STATIC, works("contexts that a module gets as soon as it is registered")),
    row("max-idle-contexts", SettingKind::Number { min: 0, max: 65_536 }, "128", STATIC, works("idle contexts that a module keeps at most")),
    row("error-traceback", FLAG, "false", STATIC, works("add a Lua traceback to the error text of a failed call")),
    row("error-detail", FLAG, "false", STATIC, works("follow replies that do not say why a call failed by the cause: unknown module or function, time-out")),
    row("stream-nil", SettingKind::Choice(&["end", "skip", "error"]), "end", STATIC, works("what becomes of a stream whose `map` or `aggregate` gives nil: it ends there as in the real server, goes on with the next value, or fails")),
    row("call-memory-limit", SettingKind::Bytes { min: 1 << 16, max: 1 << 40 }, "128M", STATIC, works("memory that one call may take on top of its context, bytes; no single text is longer than 16 MiB")),
    row("context-memory-limit", SettingKind::Bytes { min: 1 << 16, max: 1 << 40 }, "16M", STATIC, works("memory above which a context is dropped after its call instead of kept, bytes; a module whose body leaves more is refused")),
    row("script-memory-limit", BYTES, "0", STATIC, works("memory that all contexts and calls may hold together, bytes; 0 an eighth of the memory, at least 512 MiB")),
    row("body-memory-limit", SettingKind::Bytes { min: 1 << 16, max: 1 << 40 }, "128M", STATIC, works("memory that a context may take while its module is loaded, bytes")),
    row("body-time-limit-ms", SettingKind::Number { min: 1, max: 600_000 }, "300", STATIC, works("processor time that the main chunk of a module may take when it is registered or loaded, compilation included, ms; three times that in all")),
];
