//! The clock of the machine is set back by an hour, and forward again: what was acknowledged stays, what is gone stays gone.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use protocol::key::Digest;

use super::samples::{found, put};
use super::{Namespace, NamespaceSettings};
use crate::clock::Clock;
use crate::storage::StorageEngine;
use crate::storage::file::{FileEngine, FileOptions};
use crate::storage::waiting::engine_under_test;

const START_MS: u64 = 500_000_000_000;
const HOUR_MS: u64 = 60 * 60 * 1_000;

/// The clocks of a machine.
struct Machine {
    wall: Arc<AtomicU64>,
    run: Arc<AtomicU64>,
}

impl Machine {
    fn new() -> Self {
        Self {
            wall: Arc::new(AtomicU64::new(START_MS)),
            run: Arc::default(),
        }
    }

    fn passes(&self, ms: u64) {
        self.wall.fetch_add(ms, Ordering::SeqCst);
        self.run.fetch_add(ms, Ordering::SeqCst);
    }

    fn is_set_back(&self) {
        self.wall.fetch_sub(HOUR_MS, Ordering::SeqCst);
    }

    fn is_set_forward(&self) {
        self.wall.fetch_add(HOUR_MS, Ordering::SeqCst);
    }

    /// A namespace of a process that begins now.
    async fn namespace(&self, engine: Box<dyn StorageEngine>) -> Namespace {
        let settings = Arc::new(NamespaceSettings::new("test"));
        let clock = Clock::over(&self.wall, &Arc::new(AtomicU64::new(0)));
        let namespace = Namespace::with("test", settings, engine, clock);
        namespace.load(|_| ()).await.unwrap();
        namespace
    }
}

fn file(path: &Path) -> Box<dyn StorageEngine> {
    let options = FileOptions {
        in_memory: true,
        commit: false,
        flush_after: Duration::from_secs(1),
        write_cache: 1 << 20,
        clean_below_pct: 50,
    };
    Box::new(FileEngine::open(path, 16 << 20, "test", options).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_process_runs() {
    let machine = Machine::new();
    let settings = Arc::new(NamespaceSettings::new("test"));
    let clock = Clock::over(&machine.wall, &machine.run);
    let namespace = Namespace::with("test", settings, engine_under_test(), clock);
    let updated = async || {
        let record = namespace.find(&Digest([1; 20])).await.unwrap().unwrap();
        record.last_update_ms()
    };
    put(&namespace, 1, "demo", 0).await;
    put(&namespace, 2, "demo", 10).await;
    put(&namespace, 3, "demo", 7_200).await;
    machine.passes(11_000);
    assert_eq!(found(&namespace).await, [1, 3], "one has expired");

    machine.is_set_back();
    assert_eq!(found(&namespace).await, [1, 3], "it stays so");
    let before = updated().await;
    put(&namespace, 1, "demo", 0).await;
    assert!(updated().await > before, "a later write is a later one");
    put(&namespace, 4, "demo", 10).await;
    machine.passes(30_000);
    assert_eq!(found(&namespace).await, [1, 3], "lives go on to end");
    namespace.sweep().await.unwrap();
    assert_eq!(found(&namespace).await, [1, 3]);

    let swept = namespace.truncate(Some("demo"), None).await.unwrap();
    machine.passes(10);
    assert_eq!((swept.truncated, found(&namespace).await), (2, vec![]));
    put(&namespace, 5, "demo", 0).await;
    machine.is_set_forward();
    put(&namespace, 6, "demo", 0).await;
    namespace.sweep().await.unwrap();
    assert_eq!(found(&namespace).await, [5, 6]);
    machine.is_set_back();
    machine.passes(10);
    namespace.truncate(None, None).await.unwrap();
    assert_eq!(found(&namespace).await, [0; 0]);
    put(&namespace, 7, "demo", 0).await;
    machine.passes(2 * HOUR_MS);
    assert_eq!(found(&namespace).await, [7], "the clock has caught up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_another_node() {
    let machine = Machine::new();
    let settings = Arc::new(NamespaceSettings::new("test"));
    let clock = Clock::over(&machine.wall, &machine.run);
    let namespace = Namespace::with("test", settings, engine_under_test(), clock);
    put(&namespace, 1, "demo", 0).await;
    // A record moves in that was written by a clock half an hour ahead.
    namespace.heard_of_time(START_MS + HOUR_MS / 2);
    put(&namespace, 2, "demo", 0).await;
    let moved = namespace.find(&Digest([2; 20])).await.unwrap().unwrap();
    assert_eq!(moved.last_update_ms(), START_MS + HOUR_MS / 2);
    machine.passes(10);
    let swept = namespace.truncate(None, None).await.unwrap();
    assert_eq!((swept.truncated, found(&namespace).await), (2, vec![]));
    // What lies further ahead is a clock that is wrong.
    namespace.heard_of_time(START_MS + 48 * HOUR_MS);
    assert!(namespace.now_ms() < START_MS + HOUR_MS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_two_processes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("records");
    let machine = Machine::new();
    let namespace = machine.namespace(file(&path)).await;
    put(&namespace, 1, "demo", 0).await;
    namespace.close().await.unwrap();
    drop(namespace);

    machine.is_set_back();
    let namespace = machine.namespace(file(&path)).await;
    assert_eq!(found(&namespace).await, [1]);
    // The hand stands: the record of the first process and one of this one are of the same moment.
    put(&namespace, 2, "demo", 0).await;
    machine.is_set_forward();
    machine.passes(10);
    namespace.truncate(Some("demo"), None).await.unwrap();
    assert_eq!(found(&namespace).await, [0; 0]);
    namespace.close().await.unwrap();
    drop(namespace);

    machine.is_set_back();
    let namespace = machine.namespace(file(&path)).await;
    assert_eq!(found(&namespace).await, [0; 0], "they do not come back");
    put(&namespace, 3, "demo", 0).await;
    assert_eq!(found(&namespace).await, [3], "and take nothing along");
    namespace.close().await.unwrap();
    drop(namespace);

    let namespace = machine.namespace(file(&path)).await;
    assert_eq!(found(&namespace).await, [3]);
    machine.is_set_forward();
    machine.passes(10);
    namespace.sweep().await.unwrap();
    assert_eq!(found(&namespace).await, [3]);
}
