//! What happens every `ticker-interval` seconds: a latency slice ends, and the log gets a summary.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::node::Node;

/// Runs for ever; the task is aborted when the server stops.
pub async fn run_ticker(node: Arc<Node>) {
    let mut last = Instant::now();
    loop {
        // Read anew each time: the setting may change.
        let interval = Duration::from_secs(node.config.service.ticker_interval().into());
        tokio::time::sleep(interval).await;
        tick(&node, last.elapsed());
        last = Instant::now();
    }
}

/// Ends a slice of `elapsed`.
pub(super) fn tick(node: &Node, elapsed: Duration) {
    node.system.tick();
    node.stats.batch_latency.tick(elapsed);
    let stats = &node.stats;
    let load = node.system.load();
    let connections = stats
        .client_connections_opened
        .get()
        .saturating_sub(stats.client_connections_closed.get());
    tracing::info!(
        target: "info",
        "NODE-ID {} CLUSTER-SIZE {} process: cpu-pct {} rss-kbytes {} client-connections {connections}",
        node.id,
        node.cluster.load().size(),
        load.process,
        crate::node::system::process().resident,
    );
    for namespace in &node.namespaces {
        namespace.latency.tick(elapsed);
        let stats = &namespace.stats;
        tracing::info!(
            target: "info",
            "{{{}}} objects {} bytes {} client: read ({},{}) write ({},{}) udf ({},{}) lang ({},{},{},{})",
            namespace.name(),
            namespace.usage().objects(),
            namespace.usage().bytes(),
            stats.client_read_success.get(),
            stats.client_read_error.get(),
            stats.client_write_success.get(),
            stats.client_write_error.get(),
            stats.client_udf_complete.get(),
            stats.client_udf_error.get(),
            stats.client_lang_read_success.get(),
            stats.client_lang_write_success.get(),
            stats.client_lang_delete_success.get(),
            stats.client_lang_error.get(),
        );
    }
}
