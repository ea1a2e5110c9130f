//! `statistics`: the node as a whole.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::BytesMut;
use protocol::info::InfoError;

use super::Call;
use super::fields::{Fields, percent};
use super::gauge::Gauge::{Fixed, Says};
use super::gauge::{self, Gauge, Said};
use super::identity::COMPATIBILITY_ID;
use crate::allocator::allocated_bytes;
use crate::cluster::ClusterView;
use crate::node::Node;
use crate::node::system::{Load, MachineMemory, Process, machine_memory, process};
use crate::stats::{Counter, ServerStats};
use crate::transaction::memory_of_operations;

/// Gauges, counters and rates in the order of the reference.
pub(super) fn statistics(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let mut fields = Fields::new(out, ';');
    let moment = Moment::of(call.node);
    gauge::put(STATISTICS, &mut fields, |say| say(&moment));
    for (name, value) in call.node.modules.totals().named() {
        fields.put(name, value);
    }
    Ok(())
}

/// What the statistics are told from: read once, so that they agree with each other.
struct Moment<'n> {
    node: &'n Node,
    stats: &'n ServerStats,
    view: Arc<ClusterView>,
    /// Connections with other nodes that were opened and closed.
    fabric: (u64, u64),
    /// Heartbeats of other nodes.
    heartbeats: u64,
    load: Load,
    memory: MachineMemory,
    process: Process,
    allocated_kbytes: u64,
}

impl<'n> Moment<'n> {
    fn of(node: &'n Node) -> Self {
        let mesh = node.mesh.as_ref();
        Self {
            node,
            stats: &node.stats,
            view: node.cluster.load_full(),
            fabric: mesh.map_or((0, 0), |mesh| mesh.fabric_connections()),
            heartbeats: mesh.map_or(0, |mesh| mesh.heartbeats_received()),
            load: node.system.load(),
            memory: machine_memory(),
            process: process(),
            allocated_kbytes: allocated_bytes() / 1024,
        }
    }

    fn free_percent(&self) -> Said {
        percent(self.memory.available, self.memory.total).into()
    }

    fn of_namespaces(&self, number: impl Fn(&crate::record::Namespace) -> u64) -> Said {
        let namespaces = self.node.namespaces.iter();
        namespaces
            .map(|namespace| number(namespace))
            .sum::<u64>()
            .into()
    }
}

/// Connections that are open. Those closed are read first: what opens in between may not make the difference negative.
fn open(opened: &Counter, closed: &Counter) -> Said {
    let closed = closed.get();
    opened.get().saturating_sub(closed).into()
}

/// How a gauge is told.
type Say = fn(&Moment<'_>) -> Said;

#[rustfmt::skip]
const STATISTICS: &[Gauge<Say>] = &[
    Fixed("false", &["failed_best_practices"]),
    Says("cluster_size", |of| of.view.size().into()),
    Says("cluster_key", |of| Said::Text(format!("{:X}", of.view.key))),
    Says("cluster_generation", |of| of.view.rebalance_generation.into()),
    Says("cluster_principal", |of| Said::Text(of.view.principal.to_string())),
    Says("cluster_min_compatibility_id", |_| COMPATIBILITY_ID.into()),
    Says("cluster_max_compatibility_id", |_| COMPATIBILITY_ID.into()),
    Says("cluster_integrity", |of| of.view.integrity.into()),
    Fixed("true", &["cluster_is_member"]),
    Fixed("null", &["cluster_duplicate_nodes"]),
    Fixed("0", &["cluster_clock_skew_stop_writes_sec"]),
    Says("cluster_clock_skew_ms", |of| of.view.clock_skew_ms.into()),
    Fixed("null", &["cluster_clock_skew_outliers"]),

    Says("uptime", |of| of.node.started.elapsed().as_secs().into()),
    Says("system_total_cpu_pct", |of| (of.load.user + of.load.kernel).into()),
    Says("system_user_cpu_pct", |of| of.load.user.into()),
    Says("system_kernel_cpu_pct", |of| of.load.kernel.into()),
    Says("system_free_mem_kbytes", |of| of.memory.available.into()),
    Says("system_free_mem_pct", |of| of.free_percent()),
    Says("host_free_mem_kbytes", |of| of.memory.available.into()),
    Says("host_free_mem_pct", |of| of.free_percent()),
    Says("system_thp_mem_kbytes", |of| of.memory.huge.into()),
    Says("process_cpu_pct", |of| of.load.process.into()),
    Fixed("0", &["threads_joinable"]),
    Says("threads_detached", |of| of.process.threads.into()),
    Fixed("0", &["threads_pool_total", "threads_pool_active"]),
    Says("heap_allocated_kbytes", |of| of.allocated_kbytes.into()),
    // The allocator sets aside a range of addresses that says nothing; what has memory behind it does.
    Says("heap_active_kbytes", |of| of.process.anonymous.into()),
    Says("heap_mapped_kbytes", |of| of.process.anonymous.into()),
    Says("heap_efficiency_pct", |of| percent(of.allocated_kbytes, of.process.anonymous).min(100).into()),
    Fixed("0", &["heap_site_count"]),

    Says("objects", |of| of.of_namespaces(|namespace| namespace.usage().objects())),
    Fixed("0", &["tombstones", "info_queue", "rw_in_progress", "proxy_in_progress", "tree_gc_queue"]),
    Says("client_connections", |of| open(&of.stats.client_connections_opened, &of.stats.client_connections_closed)),
    Says("client_connections_opened", |of| of.stats.client_connections_opened.get().into()),
    Says("client_connections_closed", |of| of.stats.client_connections_closed.get().into()),
    Says("admin_connections", |of| open(&of.stats.admin_connections_opened, &of.stats.admin_connections_closed)),
    Says("admin_connections_opened", |of| of.stats.admin_connections_opened.get().into()),
    Says("admin_connections_closed", |of| of.stats.admin_connections_closed.get().into()),
    // Heartbeats are datagrams.
    Fixed("0", &["heartbeat_connections", "heartbeat_connections_opened", "heartbeat_connections_closed"]),
    Says("fabric_connections", |of| of.fabric.0.saturating_sub(of.fabric.1).into()),
    Says("fabric_connections_opened", |of| of.fabric.0.into()),
    Says("fabric_connections_closed", |of| of.fabric.1.into()),
    Fixed("0", &["heartbeat_received_self"]),
    Says("heartbeat_received_foreign", |of| of.heartbeats.into()),
    Says("reaped_fds", |of| of.stats.reaped_fds.get().into()),
    Says("info_complete", |of| of.stats.info_complete.get().into()),
    Says("info_timeout", |of| of.stats.info_timeout.get().into()),
    Says("demarshal_error", |of| of.stats.demarshal_error.get().into()),
    Says("early_tsvc_client_error", |of| of.stats.early_tsvc_client_error.get().into()),
    Says("early_tsvc_from_proxy_error", |of| of.stats.early_tsvc_from_proxy_error.get().into()),
    Says("early_tsvc_from_proxy_batch_sub_error", |of| of.stats.early_tsvc_from_proxy_batch_sub_error.get().into()),
    Says("long_queries_active", |of| of.node.jobs.active().into()),
    Says("batch_index_initiate", |of| of.stats.batch_index_initiate.get().into()),
    Fixed("0:0", &["batch_index_queue"]),
    Says("batch_index_complete", |of| of.stats.batch_index_complete.get().into()),
    Says("batch_index_error", |of| of.stats.batch_index_error.get().into()),
    Says("batch_index_timeout", |of| of.stats.batch_index_timeout.get().into()),
    Fixed("0", &[
        "batch_index_delay",
        "batch_index_unused_buffers",
        "batch_index_huge_buffers",
        "batch_index_created_buffers",
        "batch_index_destroyed_buffers",
    ]),
    Fixed("0.000", &["batch_index_proto_uncompressed_pct"]),
    Fixed("1.000", &["batch_index_proto_compression_ratio"]),

    Says("paxos_principal", |of| Said::Text(of.view.principal.to_string())),
    Says("time_since_rebalance", |of| of.node.started.elapsed().as_secs().into()),
    Fixed("true", &["migrate_allowed"]),
    Fixed("0", &[
        "migrate_partitions_remaining",
        "fabric_bulk_send_rate",
        "fabric_bulk_recv_rate",
        "fabric_ctrl_send_rate",
        "fabric_ctrl_recv_rate",
        "fabric_meta_send_rate",
        "fabric_meta_recv_rate",
        "fabric_rw_send_rate",
        "fabric_rw_recv_rate",
    ]),
    Says("deprecated_requests", |of| of.stats.deprecated_requests.get().into()),

    // Of this server only, and therefore last.
    Says("client_memory_bytes", |of| of.node.buffers.held().into()),
    Says("client_memory_limit", |of| of.node.buffers.limit().into()),
    Says("client_memory_refused", |of| of.node.buffers.refused.get().into()),
    Says("operation_memory_bytes", |_| memory_of_operations().held.into()),
    Says("operation_memory_limit", |_| memory_of_operations().limit.into()),
    Says("operation_memory_refused", |_| memory_of_operations().refused.into()),
    Says("migrate_records_thrown_away", |of| {
        of.of_namespaces(|namespace| namespace.migration.thrown_away.load(Ordering::Relaxed))
    }),
    Says("log_lines_dropped", |of| of.node.log.dropped().into()),
    Says("log_lines_left_out", |of| of.node.log.left_out().into()),
];
