//! Official clients on a cluster whose nodes come and go.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use aerospike::{Client, ClientPolicy, Task, UdfLang, as_key, as_val};

use crate::cluster::{plan, restart_each, wait_until_formed};
use crate::official_client::{admin, writing};

/// Registers and calls until told to end; every registration has to be taken, and to be callable at once.
async fn register_and_call(client: &Client, end: &AtomicBool, done: &AtomicUsize) {
    let key = as_key!("test", "rolling", "counter");
    while !end.load(Ordering::Relaxed) {
        let number = done.load(Ordering::Relaxed);
        let source = format!("function number() return {number} end\n");
        let registered = client
            .register_udf(&admin(), source.as_bytes(), "rolling.lua", UdfLang::Lua)
            .await;
        let task = match registered {
            Ok(task) => task,
            // A machine so busy that a node does not write within two seconds: it will have it.
            Err(error) if error.to_string().contains("timeout") => continue,
            Err(error) => panic!("registration {number}: {error}"),
        };
        task.wait_till_complete(Some(Duration::from_secs(180)))
            .await
            .unwrap();
        let answer = client
            .execute_udf(&writing(), &key, "rolling", "number", &[])
            .await
            .unwrap_or_else(|error| panic!("call {number}: {error}"));
        assert_eq!(answer, Some(as_val!(i64::try_from(number).unwrap())));
        done.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_fails_no_registration_and_no_call() {
    let (_directory, plan) = plan(3);
    let mut nodes = plan.start().unwrap();
    wait_until_formed(&nodes);
    let policy = ClientPolicy {
        timeout: 20_000,
        ..ClientPolicy::default()
    };
    let hosts = (0..3).map(|node| plan.service(node).to_string());
    let hosts = hosts.collect::<Vec<_>>().join(",");
    let client = Client::new(&policy, &hosts).await.unwrap();
    let (end, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let restarts = restart_each(&plan, &mut nodes, &end);
    tokio::join!(register_and_call(&client, &end, &done), restarts);
    let done = done.load(Ordering::Relaxed);
    assert!(done >= 3, "only {done} registrations for three restarts");
}
