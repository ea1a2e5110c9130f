//! `statistics`: the node as a whole.

use std::sync::atomic::Ordering;

use bytes::BytesMut;
use protocol::info::InfoError;

use super::Call;
use super::fields::{Fields, percent};
use super::identity::COMPATIBILITY_ID;
use crate::allocator::allocated_bytes;
use crate::cluster::ClusterView;
use crate::node::Node;
use crate::node::system::{machine_memory, process};

/// Gauges, counters and rates in the order of the reference; those of features that are not here are 0.
pub(super) fn statistics(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let mut fields = Fields::new(out, ';');
    let view = call.node.cluster.load();
    cluster(&view, &mut fields);
    machine(call.node, &mut fields);
    work(call.node, &mut fields);
    let stats = &call.node.stats;
    fields.put("paxos_principal", view.principal);
    fields.put(
        "time_since_rebalance",
        call.node.started.elapsed().as_secs(),
    );
    fields.put("migrate_allowed", true);
    for name in [
        "migrate_partitions_remaining",
        "fabric_bulk_send_rate",
        "fabric_bulk_recv_rate",
        "fabric_ctrl_send_rate",
        "fabric_ctrl_recv_rate",
        "fabric_meta_send_rate",
        "fabric_meta_recv_rate",
        "fabric_rw_send_rate",
        "fabric_rw_recv_rate",
    ] {
        fields.put(name, 0);
    }
    fields.put("deprecated_requests", stats.deprecated_requests.get());
    // Of this server only, and therefore last.
    let buffers = &call.node.buffers;
    fields.put("client_memory_bytes", buffers.held());
    fields.put("client_memory_limit", buffers.limit());
    fields.put("client_memory_refused", buffers.refused.get());
    let thrown_away = call
        .node
        .namespaces
        .iter()
        .map(|namespace| namespace.migration.thrown_away.load(Ordering::Relaxed))
        .sum::<u64>();
    fields.put("migrate_records_thrown_away", thrown_away);
    fields.put("log_lines_dropped", call.node.log.dropped());
    fields.put("log_lines_left_out", call.node.log.left_out());
    for (name, value) in call.node.modules.totals().named() {
        fields.put(name, value);
    }
    Ok(())
}

fn cluster(view: &ClusterView, fields: &mut Fields<'_>) {
    fields.put("failed_best_practices", false);
    fields.put("cluster_size", view.size());
    fields.put("cluster_key", format_args!("{:X}", view.key));
    fields.put("cluster_generation", view.rebalance_generation);
    fields.put("cluster_principal", view.principal);
    fields.put("cluster_min_compatibility_id", COMPATIBILITY_ID);
    fields.put("cluster_max_compatibility_id", COMPATIBILITY_ID);
    fields.put("cluster_integrity", view.integrity);
    fields.put("cluster_is_member", true);
    fields.put("cluster_duplicate_nodes", "null");
    fields.put("cluster_clock_skew_stop_writes_sec", 0);
    fields.put("cluster_clock_skew_ms", view.clock_skew_ms);
    fields.put("cluster_clock_skew_outliers", "null");
}

fn machine(node: &Node, fields: &mut Fields<'_>) {
    let load = node.system.load();
    let memory = machine_memory();
    let free_percent = percent(memory.available, memory.total);
    fields.put("uptime", node.started.elapsed().as_secs());
    fields.put("system_total_cpu_pct", load.user + load.kernel);
    fields.put("system_user_cpu_pct", load.user);
    fields.put("system_kernel_cpu_pct", load.kernel);
    fields.put("system_free_mem_kbytes", memory.available);
    fields.put("system_free_mem_pct", free_percent);
    fields.put("host_free_mem_kbytes", memory.available);
    fields.put("host_free_mem_pct", free_percent);
    fields.put("system_thp_mem_kbytes", memory.huge);
    fields.put("process_cpu_pct", load.process);
    let process = process();
    fields.put("threads_joinable", 0);
    fields.put("threads_detached", process.threads);
    fields.put("threads_pool_total", 0);
    fields.put("threads_pool_active", 0);
    let allocated = allocated_bytes() / 1024;
    fields.put("heap_allocated_kbytes", allocated);
    // The allocator sets aside a range of addresses that says nothing; what has memory behind it does.
    fields.put("heap_active_kbytes", process.anonymous);
    fields.put("heap_mapped_kbytes", process.anonymous);
    fields.put(
        "heap_efficiency_pct",
        percent(allocated, process.anonymous).min(100),
    );
    fields.put("heap_site_count", 0);
}

fn work(node: &Node, fields: &mut Fields<'_>) {
    let stats = &node.stats;
    let objects: u64 = node
        .namespaces
        .iter()
        .map(|namespace| namespace.usage().objects())
        .sum();
    fields.put("objects", objects);
    for name in [
        "tombstones",
        "info_queue",
        "rw_in_progress",
        "proxy_in_progress",
        "tree_gc_queue",
    ] {
        fields.put(name, 0);
    }
    for (name, opened, closed) in [
        (
            "client",
            &stats.client_connections_opened,
            &stats.client_connections_closed,
        ),
        (
            "admin",
            &stats.admin_connections_opened,
            &stats.admin_connections_closed,
        ),
        (
            "heartbeat",
            &stats.heartbeat_connections_opened,
            &stats.heartbeat_connections_closed,
        ),
        (
            "fabric",
            &stats.fabric_connections_opened,
            &stats.fabric_connections_closed,
        ),
    ] {
        // Closed first: what opens in between may not make the difference negative.
        let closed = closed.get();
        let opened = opened.get();
        fields.put(
            format_args!("{name}_connections"),
            opened.saturating_sub(closed),
        );
        fields.put(format_args!("{name}_connections_opened"), opened);
        fields.put(format_args!("{name}_connections_closed"), closed);
    }
    fields.put(
        "heartbeat_received_self",
        stats.heartbeat_received_self.get(),
    );
    fields.put(
        "heartbeat_received_foreign",
        stats.heartbeat_received_foreign.get(),
    );
    fields.put("reaped_fds", stats.reaped_fds.get());
    fields.put("info_complete", stats.info_complete.get());
    fields.put("info_timeout", stats.info_timeout.get());
    fields.put("demarshal_error", stats.demarshal_error.get());
    fields.put(
        "early_tsvc_client_error",
        stats.early_tsvc_client_error.get(),
    );
    fields.put(
        "early_tsvc_from_proxy_error",
        stats.early_tsvc_from_proxy_error.get(),
    );
    fields.put(
        "early_tsvc_from_proxy_batch_sub_error",
        stats.early_tsvc_from_proxy_batch_sub_error.get(),
    );
    fields.put("long_queries_active", node.jobs.active());
    let initiated = stats.batch_index_initiate.get();
    fields.put("batch_index_initiate", initiated);
    fields.put("batch_index_queue", "0:0");
    fields.put("batch_index_complete", stats.batch_index_complete.get());
    fields.put("batch_index_error", stats.batch_index_error.get());
    fields.put("batch_index_timeout", stats.batch_index_timeout.get());
    for name in [
        "batch_index_delay",
        "batch_index_unused_buffers",
        "batch_index_huge_buffers",
        "batch_index_created_buffers",
        "batch_index_destroyed_buffers",
    ] {
        fields.put(name, 0);
    }
    fields.put("batch_index_proto_uncompressed_pct", "0.000");
    fields.put("batch_index_proto_compression_ratio", "1.000");
}
