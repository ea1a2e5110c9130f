//! The gauges of `namespace/NS`, which stand before its counters and its settings.

use std::sync::atomic::Ordering;

use data::record::seconds;
use protocol::bounds::Fit as _;

use super::fields::{Fields, percent};
use super::gauge::Gauge::{Fixed, Says};
use super::gauge::{self, Gauge, Said};
use super::sindex::index_bytes;
use crate::cluster::ClusterView;
use crate::record::{INDEX_ENTRY_BYTES, Namespace};
use crate::stats::MigrationStats;
use crate::storage::engine::PARTITIONS;

/// What the gauges are told from: read once, so that they agree with each other.
struct Moment<'n> {
    namespace: &'n Namespace,
    view: &'n ClusterView,
    objects: u64,
    masters: u64,
    used: u64,
    total: u64,
    available_percent: u64,
}

impl<'n> Moment<'n> {
    fn of(namespace: &'n Namespace, view: &'n ClusterView) -> Self {
        let (used, total, available_percent) = match namespace.space() {
            Some(space) => {
                let available = percent(space.available, space.total);
                (space.used, space.total, available.min(100))
            }
            None => {
                let (used, total) = (namespace.usage().bytes(), namespace.settings.data_size());
                (used, total, 100 - percent(used, total).min(100))
            }
        };
        Self {
            namespace,
            view,
            objects: namespace.usage().objects(),
            masters: master_objects(namespace, view),
            used,
            total,
            available_percent,
        }
    }

    fn migration(&self) -> &MigrationStats {
        &self.namespace.migration
    }

    /// What tools of servers before 7.0 look for, of a namespace that is not all in memory.
    fn of_device(&self, value: u64) -> Said {
        match self.namespace.keeps().in_memory {
            true => Said::Nothing,
            false => value.into(),
        }
    }

    /// What is in memory only is, in the words of the reference, in stripes: here in one.
    fn of_stripe(&self, value: u64) -> Said {
        match has_stripe(self.namespace) {
            true => value.into(),
            false => Said::Nothing,
        }
    }
}

/// What a stripe of the reference fills and empties at a time, bytes.
const BLOCK: u64 = 8 << 20;

/// How a gauge is told.
type Say = fn(&Moment<'_>) -> Said;

#[rustfmt::skip]
const GAUGES: &[Gauge<Say>] = &[
    Says("ns_cluster_size", |of| of.view.size().into()),
    Says("effective_replication_factor", |of| of.view.replicas.len().into()),
    Says("objects", |of| of.objects.into()),
    Fixed("0", &["tombstones", "xdr_tombstones", "xdr_bin_cemeteries", "mrt_provisionals"]),
    Says("master_objects", |of| of.masters.into()),
    Fixed("0", &["master_tombstones"]),
    Says("prole_objects", |of| of.objects.saturating_sub(of.masters).into()),
    Fixed("0", &[
        "prole_tombstones",
        "non_replica_objects",
        "non_replica_tombstones",
        "unreplicated_records",
        "dead_partitions",
        "unavailable_partitions",
        "auto_revived_partitions",
    ]),
    Fixed("false", &["clock_skew_stop_writes"]),
    Says("stop_writes", |of| of.namespace.stops_writes().into()),
    Fixed("false", &["hwm_breached"]),
    Says("current_time", |of| seconds(of.namespace.now_ms()).into()),
    Says("non_expirable_objects", |of| of.namespace.non_expirable_objects().into()),
    Says("expired_objects", |of| of.namespace.removals.expired_objects.get().into()),
    Says("evicted_objects", |of| of.namespace.removals.evicted_objects.get().into()),
    Fixed("0", &["evict_ttl", "evict_void_time", "smd_evict_void_time", "nsup_cycle_duration"]),
    Fixed("0.00", &["nsup_cycle_deleted_pct"]),
    Fixed("0", &["nsup_xdr_key_busy"]),
    Says("truncate_lut", |of| of.namespace.truncate_lut_ms().into()),
    Fixed("false", &["truncating"]),
    Fixed("0", &["sindex_gc_cleaned", "mrt_monitors", "mrt_monitors_active", "xmem_id"]),
    Says("index_used_bytes", |of| (of.objects * INDEX_ENTRY_BYTES).into()),
    Says("set_index_used_bytes", |of| of.namespace.set_index_memory().into()),
    Says("sindex_used_bytes", |of| index_bytes(of.namespace).into()),
    Says("data_total_bytes", |of| of.total.into()),
    Says("data_used_bytes", |of| of.used.into()),
    Says("data_used_pct", |of| percent(of.used, of.total).into()),
    Says("data_avail_pct", |of| of.available_percent.into()),
    Says("device_total_bytes", |of| of.of_device(of.total)),
    Says("device_used_bytes", |of| of.of_device(of.used)),
    Says("device_available_pct", |of| of.of_device(of.available_percent)),
    Fixed("1.000", &["data_compression_ratio"]),
    Says("storage-engine.stripe[0].used_bytes", |of| of.of_stripe(of.used)),
    Says("storage-engine.stripe[0].free_wblocks", |of| of.of_stripe(of.total.saturating_sub(of.used) / BLOCK)),
    Says("storage-engine.stripe[0].writes", |of| of.of_stripe(0)),
    Says("storage-engine.stripe[0].defrag_q", |of| of.of_stripe(0)),
    Says("storage-engine.stripe[0].defrag_reads", |of| of.of_stripe(0)),
    Says("storage-engine.stripe[0].defrag_writes", |of| of.of_stripe(0)),
    Fixed("0.000", &["record_proto_uncompressed_pct"]),
    Fixed("1.000", &["record_proto_compression_ratio"]),
    Fixed("0.000", &["query_proto_uncompressed_pct"]),
    Fixed("1.000", &["query_proto_compression_ratio"]),
    Fixed("false", &["pending_quiesce", "effective_is_quiesced"]),
    Fixed("0", &["nodes_quiesced"]),
    Fixed("false", &["effective_prefer_uniform_balance"]),
    Fixed("0", &[
        "effective_active_rack",
        "migrate_tx_partitions_imbalance",
        "migrate_tx_instances",
        "migrate_rx_instances",
    ]),
    Says("migrate_tx_partitions_active", |of| of.migration().outgoing.load(Ordering::Relaxed).min(1).into()),
    Fixed("0", &["migrate_rx_partitions_active"]),
    Says("migrate_tx_partitions_initial", |of| of.migration().outgoing.load(Ordering::Relaxed).into()),
    Says("migrate_tx_partitions_remaining", |of| of.migration().outgoing.load(Ordering::Relaxed).into()),
    Says("migrate_tx_partitions_lead_remaining", |of| of.migration().outgoing.load(Ordering::Relaxed).into()),
    Says("migrate_rx_partitions_initial", |of| of.migration().incoming.load(Ordering::Relaxed).into()),
    Says("migrate_rx_partitions_remaining", |of| of.migration().incoming.load(Ordering::Relaxed).into()),
    Fixed("0", &["migrate_records_skipped"]),
    Says("migrate_records_transmitted", |of| of.migration().transmitted.load(Ordering::Relaxed).into()),
    Fixed("0", &["migrate_record_retransmits"]),
    Says("migrate_record_receives", |of| of.migration().received.load(Ordering::Relaxed).into()),
    Fixed("0", &[
        "migrate_records_unreadable",
        "migrate_signals_active",
        "migrate_signals_remaining",
        "migrate_fresh_partitions",
        "appeals_tx_active",
        "appeals_rx_active",
        "appeals_tx_remaining",
        "appeals_records_exonerated",
    ]),
];

/// Writes them.
pub(super) fn put(namespace: &Namespace, view: &ClusterView, fields: &mut Fields<'_>) {
    let moment = Moment::of(namespace, view);
    gauge::put(GAUGES, fields, |say| say(&moment));
}

/// What is in memory only is, in the words of the reference, in stripes: here in one.
pub(super) fn has_stripe(namespace: &Namespace) -> bool {
    namespace.space().is_none()
}

/// Records of which this node holds the first copy.
fn master_objects(namespace: &Namespace, view: &ClusterView) -> u64 {
    let Some(master) = view.replicas.first() else {
        return 0;
    };
    if master.len() == usize::from(PARTITIONS) {
        return namespace.usage().objects();
    }
    let count: usize = (0..PARTITIONS)
        .filter(|partition| master.has(*partition))
        .map(|partition| namespace.partition_objects(partition))
        .sum();
    count.fit()
}
