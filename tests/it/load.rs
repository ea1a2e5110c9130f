//! The load generator's workloads, run small.

use std::time::{Duration, Instant};

use clap::ValueEnum;
use tests::load::{Load, Row, Workload, table};

use crate::cluster::DEADLINE;
use crate::server;

#[tokio::test(flavor = "multi_thread")]
async fn every_workload_runs_without_errors() {
    let server = server::start();
    let mut rows = Vec::new();
    for workload in Workload::value_variants() {
        workload.prepare(server.address(), "test").unwrap();
        let frames = workload.frames("test").unwrap();
        let load = Load::start(server.address(), frames, 4).await.unwrap();
        let started = Instant::now();
        // A busy machine may not get to a call in so short a time.
        let window = loop {
            let window = load
                .window(Duration::from_millis(300), Some(server.pid()))
                .await
                .unwrap();
            let idle = window.throughput() == 0.0 && window.errors == 0;
            if !idle || started.elapsed() > DEADLINE {
                break window;
            }
        };
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
