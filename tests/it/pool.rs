//! The pool of contexts, seen from outside: contexts are counted, not timed.

use std::time::Duration;

use protocol::result_code::ResultCode;
use tests::connection::Connection;
use tests::process::wait_until;
use tests::records::{CallOptions, RecordKey, put_module};

use crate::server;
use crate::stats::{ModuleStats, UdfStats};

const FILE: &str = "pooled.lua";

/// Contexts that a pool begins with.
const POOL_START: u64 = 10;

fn stats(connection: &mut Connection) -> ModuleStats {
    UdfStats::read(connection).unwrap().module(FILE)
}

fn call(connection: &mut Connection, key: &str, times: usize) {
    let record = RecordKey::new("test", "demo", key);
    let frame = record
        .apply(b"pooled", b"echo", &[0x91, 5], CallOptions::default())
        .unwrap();
    for _ in 0..times {
        assert_eq!(connection.message(&frame).unwrap().code(), ResultCode::OK);
    }
}

fn wait_for_full_pool(connection: &mut Connection) {
    wait_until("the pool is full", Duration::from_secs(180), || {
        Ok(UdfStats::read(connection)?.module(FILE).idle >= POOL_START)
    })
    .unwrap();
}

#[test]
fn clearing_the_cache_costs_one_refill_and_no_more() {
    let server = server::start();
    let mut connection = server.connect().unwrap();
    let source = b"function echo(rec, value) return value end";
    assert_eq!(put_module(&mut connection, FILE, source).unwrap(), "ok");
    wait_for_full_pool(&mut connection);
    call(&mut connection, "one", 100);
    let before = stats(&mut connection);
    assert_eq!(before.calls, 100);
    assert_eq!(before.hits, 100);
    assert_eq!(
        before.created, POOL_START,
        "calls one after the other need no more"
    );

    for round in 1..=3 {
        assert_eq!(connection.info("udf-clear-cache:").unwrap(), "ok");
        // The first calls may come before the pool is full again; they may build one context themselves.
        call(&mut connection, "one", 200);
        wait_for_full_pool(&mut connection);
        call(&mut connection, "one", 200);
        let created = stats(&mut connection).created;
        let refills = created - before.created;
        assert!(
            refills <= round * (POOL_START + 1),
            "{refills} contexts were built after {round} clears of the cache"
        );
    }
}

#[test]
fn many_calls_at_once_grow_the_pool_and_the_contexts_stay() {
    const CALLERS: usize = 24;
    let server = server::start();
    let mut connection = server.connect().unwrap();
    let source =
        b"function echo(rec, value) local n = 0 for i = 1, 50000 do n = n + i end return value end";
    assert_eq!(put_module(&mut connection, FILE, source).unwrap(), "ok");
    let address = server.address();
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            // Calls on one record take turns; these are to run side by side.
            scope.spawn(move || {
                let mut connection = Connection::open(address).unwrap();
                call(&mut connection, &format!("caller {caller}"), 20);
            });
        }
    });
    let grown = stats(&mut connection);
    assert_eq!(grown.calls, 20 * CALLERS as u64);
    assert_eq!(grown.busy, 0);
    assert!(grown.created <= POOL_START + CALLERS as u64, "{grown:?}");
    call(&mut connection, "one", 50);
    assert_eq!(stats(&mut connection).created, grown.created);
}
