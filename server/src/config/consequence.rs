//! What it means that a setting is accepted without effect: the sentence of its line at start, and of the reference.
//!
//! A name that ends in `.` or `-` stands for all that begin so. The first row that fits counts.

use super::table::Section;

/// The reference's own threads and queues.
const THREADS: &str =
    "work is shared out among the threads of `service-threads`; this number changes nothing";
const ALLOCATOR: &str = "debugs the reference's own allocator, which is not here";
const OLD: &str = "a setting of older servers; nothing of this kind is here";
const TLS: &str = "this server has no TLS; without a TLS port this changes nothing";
const SECRETS: &str = "secrets are not fetched from elsewhere";
const BENCHMARKS: &str = "these histograms are not kept";
const COPIES: &str = "there are no copies of records, so there is nothing to choose";
const EVICTION: &str = "nothing is evicted: a full namespace refuses writes";
const XDR: &str = "nothing is shipped to other clusters";
const DEVICE: &str = "tunes the reference's own device format, which is not here";
const TOMBSTONES: &str = "there are no tombstones of records";
const TRANSACTIONS: &str = "there are no transactions over several records";
const CONSISTENCY: &str =
    "namespaces are available, not strongly consistent: a split can undo writes";
const MIGRATION: &str = "records move at this server's own pace";
const FABRIC: &str = "nodes talk over one connection for each direction, tuned by nothing";
const RACKS: &str = "there are no copies that racks could keep apart";
const INDEX_MEMORY: &str = "indexes take memory as they need it";

/// A section, names in it, and what becomes of them.
type Row = (Section, &'static [&'static str], &'static str);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    (Section::Service, &["auto-pin"], "threads are not bound to processors"),
    (Section::Service, &["advertise-ipv6"], "addresses are told to clients as configured, of either kind"),
    (Section::Service, &["cgroup-mem-tracking"], "memory is counted for the machine, not for a control group"),
    (Section::Service, &["debug-allocations", "indent-allocations", "poison-allocations", "quarantine-allocations", "salt-allocations"], ALLOCATOR),
    (Section::Service, &["enable-benchmarks-", "enable-hist-info", "hist-track-", "microbenchmarks", "storage-benchmarks", "ldt-benchmarks"], BENCHMARKS),
    (Section::Service, &["enable-health-check", "fb-health-"], "the health of other nodes is not measured"),
    (Section::Service, &["enforce-best-practices"], "the machine is not examined, so nothing refuses the start"),
    (Section::Service, &["feature-key-file", "feature-key-files"], "there are no licensed features to open"),
    (Section::Service, &["keep-caps-ssd-health", "os-group-perms"], "the server never needs rights of root"),
    (Section::Service, &["log-local-time"], "times in the log are GMT"),
    (Section::Service, &["masking-statistics"], "no data is masked"),
    (Section::Service, &["min-cluster-size"], "a cluster of any size serves; nodes that are cut off go on alone"),
    (Section::Service, &["migrate-"], MIGRATION),
    (Section::Service, &["node-id-interface"], "the identity is made from the address; `node-id` sets it"),
    (Section::Service, &["run-as-daemon"], "the server stays in the foreground"),
    (Section::Service, &["secrets-", "vault-"], SECRETS),
    (Section::Service, &["sindex-gc-period"], "entries of secondary indexes go with their record at once"),
    (Section::Service, &["sindex-builder-threads", "sindex-populator-scan-priority"], "one thread at a time builds an index, beside traffic"),
    (Section::Service, &["sindex-data-max-memory"], INDEX_MEMORY),
    (Section::Service, &["stay-quiesced", "auto-dun", "auto-undun", "snub-nodes"], "nodes are not quiesced"),
    (Section::Service, &["tls-refresh-period"], TLS),
    (Section::Service, &["transaction-retry-ms", "transaction-pending-limit", "transaction-duplicate-threads", "write-duplicate-resolution-disable", "respond-client-on-master-completion", "replication-fire-and-forget"], COPIES),
    (Section::Service, &["batch-index-threads", "batch-max-buffers-per-queue", "batch-max-unused-buffers", "batch-threads", "batch-max-requests-per-queue", "batch-priority", "batch-without-digests", "info-threads", "transaction-queues", "transaction-threads-per-queue", "scan-", "query-", "nsup-", "info-threads-max", "allow-inline-transactions", "max-msgs-per-type", "dump-message-above-size", "proto-slow-netio-sleep-ms"], THREADS),
    (Section::Service, &["proto-fd-idle-ms-max", "client-fd-max", "reuse-address", "use-queue-per-device", "downgrading", "prole-extra-ttl", "paxos-", "fabric-workers"], OLD),

    (Section::Network, &["info", "service.external-address", "service.reuse-address", "service.network-interface-name"], OLD),
    (Section::Network, &["service.tls-", "admin.tls-", "heartbeat.tls-", "fabric.tls-"], TLS),
    (Section::Network, &["service.disable-localhost", "admin.disable-localhost"], "the addresses that are named are listened on, and no others"),
    (Section::Network, &["heartbeat.multicast-group", "heartbeat.mcast-ttl", "heartbeat.multicast-ttl", "heartbeat.interface-address"], "nodes find each other by `mesh-seed-address-port` only: without one the node stays alone"),
    (Section::Network, &["heartbeat.mesh-address", "heartbeat.mesh-port", "heartbeat.mesh-rw-retry-timeout"], OLD),
    (Section::Network, &["heartbeat.connect-timeout-ms", "heartbeat.mtu", "heartbeat.protocol"], "heartbeats are datagrams of this server's own form"),
    (Section::Network, &["fabric."], FABRIC),

    (Section::Namespace, &["active-rack", "rack-id", "prefer-uniform-balance"], RACKS),
    (Section::Namespace, &["replication-factor"], "each record is kept once: there are no copies"),
    (Section::Namespace, &["apply-ttl-reductions"], "a shorter life always counts"),
    (Section::Namespace, &["auto-revive", "strong-consistency", "strong-consistency-allow-expunge", "disallow-expunge"], CONSISTENCY),
    (Section::Namespace, &["conflict-resolution-policy"], "of two versions the higher generation wins, then the later update"),
    (Section::Namespace, &["conflict-resolve-writes"], XDR),
    (Section::Namespace, &["disable-cold-start-eviction", "cold-start-evict-ttl", "evict-", "high-water-", "low-water-pct", "nsup-hist-period"], EVICTION),
    (Section::Namespace, &["disable-mrt-writes", "mrt-duration"], TRANSACTIONS),
    (Section::Namespace, &["disable-write-dup-res", "read-consistency-level-override", "write-commit-level-override"], COPIES),
    (Section::Namespace, &["enable-benchmarks-", "enable-hist-proxy", "obj-size-hist-max"], BENCHMARKS),
    (Section::Namespace, &["force-long-queries", "inline-short-queries"], "queries of both kinds run the same way"),
    (Section::Namespace, &["ignore-migrate-fill-delay", "migrate-"], MIGRATION),
    (Section::Namespace, &["index-stage-size", "sindex-stage-size", "partition-tree-sprigs", "partition-tree-locks"], INDEX_MEMORY),
    (Section::Namespace, &["nsup-threads", "truncate-threads", "single-scan-threads", "background-scan-max-rps"], THREADS),
    (Section::Namespace, &["stop-writes-sys-memory-pct", "stop-writes-pct"], "`stop-writes-used-pct` of the storage engine is what stops writes"),
    (Section::Namespace, &["tomb-raider-", "xdr-tomb-raider-", "xdr-bin-tombstone-ttl"], TOMBSTONES),
    (Section::Namespace, &["geo2dsphere-within."], "regions are compared exactly, whatever their cells"),
    (Section::Namespace, &["index-type", "sindex-type", "si", "sindex."], "indexes are kept in memory"),
    (Section::Namespace, &["memory-size"], "`data-size` of the storage engine is the limit"),
    (Section::Namespace, &["storage-engine.evict-"], EVICTION),
    (Section::Namespace, &["storage-engine.compression"], "records are not compressed"),
    (Section::Namespace, &["storage-engine.encryption"], "records are not encrypted"),
    (Section::Namespace, &["storage-engine.enable-benchmarks-storage"], BENCHMARKS),
    (Section::Namespace, &["storage-engine.tomb-raider-sleep", "storage-engine.serialize-tomb-raider"], TOMBSTONES),
    (Section::Namespace, &["storage-engine"], DEVICE),
    (Section::Namespace, &["max-ttl", "single-bin", "data-in-index", "allow-versions", "ldt-", "disable-nsup", "allow-nonxdr-writes"], OLD),
    (Section::Namespace, &["allow-xdr-writes", "enable-xdr", "sets-enable-xdr", "ns-forward-xdr-writes", "xdr-remote-datacenter"], XDR),

    (Section::Set, &["disable-eviction", "set-disable-eviction"], EVICTION),
    (Section::Set, &["enable-index"], "a query of the set walks the records of the namespace"),
    (Section::Set, &["set-enable-xdr", "enable-xdr"], XDR),
    (Section::Set, &["set-delete", "set-stop-writes-count"], OLD),
    (Section::ModLua, &["system-path"], "the server's own Lua is built in"),
];

/// Keys of a storage engine that mean something only with a file, or only without one, and what becomes of them.
const OF_ENGINES: &[(&str, bool, &str)] = &[
    (
        "data-size",
        false,
        "`filesize` is the limit of what is kept in a file",
    ),
    ("defrag-lwm-pct", true, NO_FILE),
    ("filesize", true, NO_FILE),
    ("flush-max-ms", true, NO_FILE),
    ("max-write-cache", true, NO_FILE),
    ("stop-writes-avail-pct", true, NO_FILE),
];

const NO_FILE: &str = "no `file` is named that records are kept in";

/// What becomes of a key of a storage engine that has a file, or has none, where the key is for the other kind.
pub(super) fn of_engine(key: &str, has_file: bool) -> Option<&'static str> {
    OF_ENGINES
        .iter()
        .find(|(name, needs_file, _)| *name == key && *needs_file != has_file)
        .map(|(_, _, sentence)| *sentence)
}

/// What becomes of a setting that is accepted without effect. None: the table lacks a row.
pub fn of(section: Section, name: &str) -> Option<&'static str> {
    let fits = |pattern: &str| {
        name == pattern
            || pattern.strip_suffix('.') == Some(name)
            || pattern.ends_with(['.', '-']) && name.starts_with(pattern)
            || name
                .strip_prefix(pattern)
                .is_some_and(|rest| rest.starts_with('.'))
            || pattern.starts_with("storage-engine.") && name.starts_with(pattern)
    };
    TABLE
        .iter()
        .find(|(of, patterns, _)| *of == section && patterns.iter().any(|pattern| fits(pattern)))
        .map(|(_, _, sentence)| *sentence)
}

#[cfg(test)]
mod tests {
    use super::super::table::SECTIONS;
    use super::super::{Support, ignored};

    #[test]
    fn every_setting_without_effect_has_a_sentence() {
        let mut missing = Vec::new();
        for (section, table) in SECTIONS {
            let reported = table
                .iter()
                .filter(|setting| setting.support == Support::Reported)
                .map(|setting| setting.name);
            for name in reported.chain(ignored::names(*section).iter().copied()) {
                if super::of(*section, name).is_none() {
                    missing.push(format!("{section:?} {name}"));
                }
            }
        }
        assert!(missing.is_empty(), "{missing:#?}");
    }
}
