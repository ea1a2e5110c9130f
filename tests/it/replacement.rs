//! Modules that change while they are called.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aerospike::{Client, Value, as_key};
use tests::connection::Connection;
use tests::records::put_module;

use crate::official_client::{connect, writing};
use crate::server;

/// Calls at the same time.
const CALLERS: usize = 8;

/// Runs long enough to be in flight when the module changes.
fn source(version: i64) -> String {
    format!(
        "function version(rec)
            local sum = 0
            for i = 1, 20000 do sum = sum + i end
            return {version}
        end"
    )
}

async fn call(client: &Client, caller: usize) -> Result<Option<Value>, aerospike::Error> {
    let key = as_key!("test", "demo", i64::try_from(caller).unwrap());
    client
        .execute_udf(&writing(), &key, "changing", "version", &[])
        .await
}

fn put(connection: &mut Connection, version: i64) {
    let answer = put_module(connection, "changing.lua", source(version).as_bytes()).unwrap();
    assert_eq!(answer, "ok");
}

/// Waits until so many more calls were answered.
async fn wait_for_calls(answered: &AtomicUsize, more: usize) {
    let enough = answered.load(Ordering::SeqCst) + more;
    let started = Instant::now();
    while answered.load(Ordering::SeqCst) < enough {
        assert!(
            started.elapsed() < Duration::from_secs(180),
            "calls stand still"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_a_module_fails_no_call_and_no_later_call_sees_old_code() {
    let server = server::start();
    let mut connection = server.connect().unwrap();
    put(&mut connection, 0);
    let client = Arc::new(connect(&server).await);
    // The newest version whose put has been answered.
    let acknowledged = Arc::new(AtomicI64::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (client, acknowledged) = (Arc::clone(&client), Arc::clone(&acknowledged));
            let (done, answered) = (Arc::clone(&done), Arc::clone(&answered));
            tokio::spawn(async move {
                while !done.load(Ordering::SeqCst) {
                    let oldest = acknowledged.load(Ordering::SeqCst);
                    match call(&client, caller).await {
                        Ok(Some(Value::Int(version))) => {
                            assert!(
                                version >= oldest,
                                "{version} after {oldest} was acknowledged"
                            );
                        }
                        other => panic!("a call failed: {other:?}"),
                    }
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for version in 1..=15 {
        wait_for_calls(&answered, CALLERS).await;
        tokio::task::block_in_place(|| put(&mut connection, version));
        acknowledged.store(version, Ordering::SeqCst);
    }
    wait_for_calls(&answered, CALLERS).await;
    done.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_a_module_lets_calls_in_flight_finish_and_refuses_later_ones() {
    let server = server::start();
    let mut connection = server.connect().unwrap();
    put(&mut connection, 7);
    let client = Arc::new(connect(&server).await);
    let removed = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (client, removed) = (Arc::clone(&client), Arc::clone(&removed));
            let answered = Arc::clone(&answered);
            tokio::spawn(async move {
                loop {
                    let was_removed = removed.load(Ordering::SeqCst);
                    match call(&client, caller).await {
                        Ok(Some(Value::Int(7))) => {
                            assert!(!was_removed, "a call after the removal was served");
                        }
                        Ok(other) => panic!("not the answer of the function: {other:?}"),
                        Err(error) => {
                            assert!(
                                error.to_string().contains("UDF: Execution Error 1"),
                                "{error}"
                            );
                            if was_removed {
                                return;
                            }
                        }
                    }
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    wait_for_calls(&answered, 3 * CALLERS).await;
    let answer =
        tokio::task::block_in_place(|| connection.info("udf-remove:filename=changing.lua"));
    assert_eq!(answer.unwrap(), "ok");
    removed.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }
    tokio::task::block_in_place(|| put(&mut connection, 8));
    assert_eq!(call(&client, 0).await.unwrap(), Some(Value::Int(8)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_others_require_refreshes_them() {
    let server = server::start();
    let mut connection = server.connect().unwrap();
    let library = |value: i64| format!("return {{ value = {value} }}");
    let user = "local library = require('library') function value() return library.value end";
    for (file, source) in [("library.lua", library(1)), ("user.lua", user.to_owned())] {
        assert_eq!(
            put_module(&mut connection, file, source.as_bytes()).unwrap(),
            "ok"
        );
    }
    let client = connect(&server).await;
    let key = as_key!("test", "demo", "dependant");
    for value in 1..=5 {
        let source = library(value);
        assert_eq!(
            put_module(&mut connection, "library.lua", source.as_bytes()).unwrap(),
            "ok"
        );
        // More calls than a pool begins with contexts.
        for _ in 0..25 {
            let answer = client
                .execute_udf(&writing(), &key, "user", "value", &[])
                .await;
            assert_eq!(answer.unwrap(), Some(Value::Int(value)));
        }
    }
}
