//! Namespaces and their sets.

use bytes::BytesMut;
use protocol::info::InfoError;

use super::Call;
use super::fields::{Fields, percent, text};
use super::sindex::index_bytes;
use std::sync::atomic::Ordering;

use crate::cluster::ClusterView;
use crate::record::{INDEX_ENTRY_BYTES, Namespace};
use crate::storage::engine::PARTITIONS;
use data::record::{Set, seconds};

pub(super) fn namespaces(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let mut fields = Fields::new(out, ';');
    for namespace in &call.node.namespaces {
        fields.item(namespace.name());
    }
    Ok(())
}

/// `namespace/NS`: gauges, counters, settings, in the order of the reference.
pub(super) fn namespace(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    // Of all commands with a path, this one alone wants the slash.
    let name = match call.separator {
        Some(b'/') => call.params.path().next().unwrap_or_default(),
        _ => "",
    };
    let Some(namespace) = call.node.namespace(name) else {
        text(out, "type=unknown");
        return Ok(());
    };
    let mut fields = Fields::new(out, ';');
    gauges(namespace, &call.node.cluster.load(), &mut fields);
    namespace.stats.each(|name, value| fields.put(name, value));
    fields.all(&settings(namespace));
    Ok(())
}

/// The settings of a namespace as `name=value;…`, with the name of its stripe.
pub(super) fn settings(namespace: &Namespace) -> String {
    const ENGINE: &str = "storage-engine=memory;";
    let mut settings = String::new();
    namespace.settings.report(&mut settings);
    if has_stripe(namespace)
        && let Some(at) = settings.find(ENGINE)
    {
        settings.insert_str(at + ENGINE.len(), "storage-engine.stripe[0]=stripe-0;");
    }
    settings
}

/// What is in memory only is, in the words of the reference, in stripes: here in one.
fn has_stripe(namespace: &Namespace) -> bool {
    namespace.space().is_none()
}

fn stripe(used: u64, total: u64, fields: &mut Fields<'_>) {
    /// What the reference fills and empties at a time, bytes.
    const BLOCK: u64 = 8 << 20;
    let free = total.saturating_sub(used) / BLOCK;
    let values = [
        ("used_bytes", used),
        ("free_wblocks", free),
        ("writes", 0),
        ("defrag_q", 0),
        ("defrag_reads", 0),
        ("defrag_writes", 0),
    ];
    for (name, value) in values {
        fields.put(format_args!("storage-engine.stripe[0].{name}"), value);
    }
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
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Puts gauges of features that are not here, or of things that never happen here.
fn fixed(fields: &mut Fields<'_>, value: &str, names: &[&str]) {
    for name in names {
        fields.put(name, value);
    }
}

/// Records on their way, in the order of the reference.
fn migration(namespace: &Namespace, fields: &mut Fields<'_>) {
    let stats = &namespace.migration;
    let outgoing = stats.outgoing.load(Ordering::Relaxed);
    let incoming = stats.incoming.load(Ordering::Relaxed);
    let values = [
        ("migrate_tx_partitions_active", outgoing.min(1)),
        ("migrate_rx_partitions_active", 0),
        ("migrate_tx_partitions_initial", outgoing),
        ("migrate_tx_partitions_remaining", outgoing),
        ("migrate_tx_partitions_lead_remaining", outgoing),
        ("migrate_rx_partitions_initial", incoming),
        ("migrate_rx_partitions_remaining", incoming),
        ("migrate_records_skipped", 0),
        (
            "migrate_records_transmitted",
            stats.transmitted.load(Ordering::Relaxed),
        ),
        ("migrate_record_retransmits", 0),
        (
            "migrate_record_receives",
            stats.received.load(Ordering::Relaxed),
        ),
        ("migrate_records_unreadable", 0),
        ("migrate_signals_active", 0),
        ("migrate_signals_remaining", 0),
        ("migrate_fresh_partitions", 0),
    ];
    for (name, value) in values {
        fields.put(name, value);
    }
}

fn gauges(namespace: &Namespace, view: &ClusterView, fields: &mut Fields<'_>) {
    let objects = namespace.usage().objects();
    let space = namespace.space();
    let (used, total, available) = match space {
        Some(space) => (
            space.used,
            space.total,
            percent(space.available, space.total).min(100),
        ),
        None => {
            let (used, total) = (namespace.usage().bytes(), namespace.settings.data_size());
            (used, total, 100 - percent(used, total).min(100))
        }
    };
    let masters = master_objects(namespace, view);
    fields.put("ns_cluster_size", view.size());
    fields.put("effective_replication_factor", view.replicas.len());
    fields.put("objects", objects);
    fixed(
        fields,
        "0",
        &[
            "tombstones",
            "xdr_tombstones",
            "xdr_bin_cemeteries",
            "mrt_provisionals",
        ],
    );
    fields.put("master_objects", masters);
    fixed(fields, "0", &["master_tombstones"]);
    fields.put("prole_objects", objects.saturating_sub(masters));
    fixed(
        fields,
        "0",
        &[
            "prole_tombstones",
            "non_replica_objects",
            "non_replica_tombstones",
            "unreplicated_records",
            "dead_partitions",
            "unavailable_partitions",
            "auto_revived_partitions",
        ],
    );
    fixed(fields, "false", &["clock_skew_stop_writes"]);
    fields.put("stop_writes", namespace.stops_writes());
    fixed(fields, "false", &["hwm_breached"]);
    fields.put("current_time", seconds(namespace.now_ms()));
    fields.put("non_expirable_objects", namespace.non_expirable_objects());
    fields.put("expired_objects", namespace.removals.expired_objects.get());
    fields.put("evicted_objects", namespace.removals.evicted_objects.get());
    fixed(
        fields,
        "0",
        &[
            "evict_ttl",
            "evict_void_time",
            "smd_evict_void_time",
            "nsup_cycle_duration",
        ],
    );
    fixed(fields, "0.00", &["nsup_cycle_deleted_pct"]);
    fixed(fields, "0", &["nsup_xdr_key_busy"]);
    fields.put("truncate_lut", namespace.truncate_lut_ms());
    fixed(fields, "false", &["truncating"]);
    fixed(
        fields,
        "0",
        &[
            "sindex_gc_cleaned",
            "mrt_monitors",
            "mrt_monitors_active",
            "xmem_id",
        ],
    );
    fields.put("index_used_bytes", objects * INDEX_ENTRY_BYTES);
    fields.put("set_index_used_bytes", namespace.set_index_memory());
    fields.put("sindex_used_bytes", index_bytes(namespace));
    fields.put("data_total_bytes", total);
    fields.put("data_used_bytes", used);
    fields.put("data_used_pct", percent(used, total));
    fields.put("data_avail_pct", available);
    if !namespace.keeps().in_memory {
        // What tools of servers before 7.0 look for.
        fields.put("device_total_bytes", total);
        fields.put("device_used_bytes", used);
        fields.put("device_available_pct", available);
    }
    fixed(fields, "1.000", &["data_compression_ratio"]);
    if has_stripe(namespace) {
        stripe(used, total, fields);
    }
    fixed(fields, "0.000", &["record_proto_uncompressed_pct"]);
    fixed(fields, "1.000", &["record_proto_compression_ratio"]);
    fixed(fields, "0.000", &["query_proto_uncompressed_pct"]);
    fixed(fields, "1.000", &["query_proto_compression_ratio"]);
    fixed(
        fields,
        "false",
        &["pending_quiesce", "effective_is_quiesced"],
    );
    fixed(fields, "0", &["nodes_quiesced"]);
    fixed(fields, "false", &["effective_prefer_uniform_balance"]);
    fixed(
        fields,
        "0",
        &[
            "effective_active_rack",
            "migrate_tx_partitions_imbalance",
            "migrate_tx_instances",
            "migrate_rx_instances",
        ],
    );
    migration(namespace, fields);
    fixed(
        fields,
        "0",
        &[
            "appeals_tx_active",
            "appeals_rx_active",
            "appeals_tx_remaining",
            "appeals_records_exonerated",
        ],
    );
}

/// `sets[/NS[/SET]]`
pub(super) fn sets(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let mut path = call.params.path();
    let (namespace, set) = (path.next(), path.next());
    let Some(name) = namespace else {
        for namespace in &call.node.namespaces {
            all_sets(namespace, out);
        }
        return Ok(());
    };
    let Some(namespace) = call.node.namespace(name) else {
        text(out, "ns_type=unknown");
        return Ok(());
    };
    match set {
        None => all_sets(namespace, out),
        Some(set) => {
            if let Some(set) = namespace.sets().get(set) {
                one_set(namespace, &set, &mut Fields::new(out, ':'));
                text(out, ';');
            }
        }
    }
    Ok(())
}

fn all_sets(namespace: &Namespace, out: &mut BytesMut) {
    for set in namespace.sets().all() {
        let mut fields = Fields::new(out, ':');
        fields.put("ns", namespace.name());
        fields.put("set", set.name());
        one_set(namespace, &set, &mut fields);
        text(out, ';');
    }
}

fn one_set(namespace: &Namespace, set: &Set, fields: &mut Fields<'_>) {
    fields.put("objects", set.usage().objects());
    fields.put("tombstones", 0);
    fields.put("data_used_bytes", set.usage().bytes());
    fields.put("truncate_lut", set.truncate_lut_ms());
    fields.put("sindexes", namespace.indexes.of_set(set.name()));
    fields.put("index_populating", false);
    fields.put("truncating", false);
    let mut settings = String::new();
    namespace
        .settings
        .set_settings(set.name())
        .unwrap_or_default()
        .report(&mut settings);
    // A set index makes it so, however it was made.
    if namespace
        .indexes
        .indexed_sets()
        .iter()
        .any(|set_name| **set_name == *set.name())
    {
        settings = settings.replace("enable-index=false", "enable-index=true");
    }
    fields.all(&settings.replace(';', ":"));
}
