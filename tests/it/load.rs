//! The load generator's workloads, run small.

use std::time::Duration;

use clap::ValueEnum;
use tests::load::{Load, Row, Workload, table};

use crate::server;

#[tokio::test(flavor = "multi_thread")]
async fn every_workload_runs_without_errors() {
    let server = server::start();
    let mut rows = Vec::new();
    for workload in Workload::value_variants() {
        workload.prepare(server.address(), "test").unwrap();
        let frames = workload.frames("test").unwrap();
        let load = Load::start(server.address(), frames, 4).await.unwrap();
        let window = load
            .window(Duration::from_millis(300), Some(server.pid()))
            .await
            .unwrap();
        load.stop().await;
        assert_eq!(window.errors, 0, "{workload}: {:?}", window.first_error);
        assert_eq!(window.lost, 0, "{workload}: {:?}", window.first_error);
        assert!(window.throughput() > 0.0, "{workload}");
        rows.push(Row {
            name: workload.to_string(),
            connections: 4,
            window,
        });
    }
    assert!(table(&rows).contains("udf-rmw"));
}
