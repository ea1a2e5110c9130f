//! Namespaces over an engine that waits and fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::key::Digest;
use protocol::particle::Particle;

use data::record::{Bin, BinName, Record};

use super::{Namespace, NamespaceSettings, StoreError};
use crate::clock::Clock;
use crate::storage::waiting::{Hand, WaitingEngine};
use crate::storage::{PARTITIONS, Removal, StorageError};

fn namespace() -> (Arc<Namespace>, Arc<Hand>) {
    let engine = WaitingEngine::default();
    let hand = Arc::clone(&engine.hand);
    let settings = Arc::new(NamespaceSettings::new("test"));
    let (clock, _) = Clock::manual(500_000_000_000);
    let namespace = Namespace::with("test", settings, Box::new(engine), clock);
    (Arc::new(namespace), hand)
}

/// Digests of one partition.
fn digest(number: u8) -> Digest {
    let mut bytes = [3; 20];
    bytes[19] = number;
    Digest(bytes)
}

fn record<'n>(namespace: &'n Namespace, set: &str, generation: u16, size: usize) -> Record<'n> {
    Record {
        bins: vec![Bin {
            name: BinName::new(b"a").unwrap(),
            particle: Particle::string(vec![b'x'; size]),
        }],
        generation,
        void_time: u32::from(generation % 2) * 600_000_000,
        last_update_ms: namespace.now_ms(),
        set: namespace.set(set).unwrap(),
        key: None,
    }
}

/// One change; true when something was to be found for it.
async fn change(namespace: &Namespace, step: u8) -> Result<bool, StoreError> {
    let digest = digest(step % 3);
    let deadline = Instant::now() + Duration::from_secs(30);
    let _lock = namespace.locks().lock(&digest, deadline, 0).await.unwrap();
    match step % 7 {
        3 => Ok(namespace.remove(&digest).await?),
        5 => match namespace.stored(&digest).await? {
            Some(seen) => Ok(namespace.remove_version(&seen, Removal::Asked).await?),
            None => Ok(false),
        },
        _ => {
            let set = ["", "a", "b"][usize::from(step % 5 % 3)];
            let record = record(namespace, set, step.into(), step.into());
            namespace.store(&digest, record).await.map(|_| true)
        }
    }
}

/// What is counted, and what a look at every record gives.
async fn counted(namespace: &Namespace) -> [(u64, u64, u64); 2] {
    let mut found = (0, 0, 0);
    for partition in 0..PARTITIONS {
        if namespace.partition_objects(partition) == 0 {
            continue;
        }
        let mut scan = namespace.scan(partition, None);
        loop {
            let page = scan.page().await.unwrap();
            if page.is_empty() {
                break;
            }
            for record in page {
                found.0 += 1;
                found.1 += record.size();
                found.2 += u64::from(record.void_time() == 0);
            }
        }
    }
    let sets = namespace.sets().all();
    let in_sets: u64 = sets.iter().map(|set| set.usage().bytes()).sum();
    assert!(in_sets <= namespace.usage().bytes());
    [counts(namespace), found]
}

/// Records, their bytes, and how many of them live for ever, as they are counted.
fn counts(namespace: &Namespace) -> (u64, u64, u64) {
    let usage = namespace.usage();
    (
        usage.objects(),
        usage.bytes(),
        namespace.non_expirable_objects(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_call_fails_the_change_is_not_made_and_counts_stay_right() {
    const STEPS: u8 = 24;
    let (whole, hand) = namespace();
    for step in 0..STEPS {
        change(&whole, step).await.unwrap();
    }
    let calls = hand.calls();
    assert!(calls > u64::from(STEPS));
    for failing in 1..=calls {
        let (namespace, hand) = namespace();
        hand.fail(failing);
        for step in 0..STEPS {
            let before = counts(&namespace);
            match change(&namespace, step).await {
                Ok(_) => {}
                Err(StoreError::Storage(StorageError::Failed(_))) => {
                    assert_eq!(hand.failed(), 1);
                    assert_eq!(counts(&namespace), before, "call {failing}");
                }
                Err(error) => panic!("call {failing}: {error}"),
            }
        }
        assert_eq!(hand.failed(), 1, "call {failing} was to fail");
        let [counted, found] = counted(&namespace).await;
        assert_eq!(counted, found, "call {failing}");
        assert!((0..PARTITIONS).all(|partition| namespace.locks().is_quiet(partition)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_lock_and_no_worker_is_held_while_an_engine_is_waited_for() {
    // All are records of one partition; each call of the engine returns only when all of them have made theirs.
    const TOGETHER: u8 = 16;
    let (namespace, hand) = namespace();
    for round in 1..=3 {
        hand.wait_for(TOGETHER.into());
        let tasks: Vec<_> = (0..TOGETHER)
            .map(|number| {
                let namespace = Arc::clone(&namespace);
                tokio::spawn(async move {
                    let digest = digest(number);
                    let _lock = namespace.locks().try_lock(&digest).unwrap();
                    match round {
                        1 => {
                            let record = record(&namespace, "a", 1, 10);
                            namespace.store(&digest, record).await.map(drop).unwrap();
                        }
                        2 => assert!(namespace.find(&digest).await.unwrap().is_some()),
                        _ => assert!(namespace.remove(&digest).await.unwrap()),
                    }
                })
            })
            .collect();
        for task in tasks {
            let ended = tokio::time::timeout(Duration::from_secs(60), task).await;
            ended.expect("somebody waits for somebody").unwrap();
        }
        assert_eq!(hand.calls(), round * u64::from(TOGETHER));
    }
    assert_eq!(namespace.usage().objects(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_is_removed_only_while_it_is_the_stored_one() {
    let (namespace, _) = namespace();
    let first = record(&namespace, "a", 1, 1);
    let seen = namespace.store(&digest(1), first.clone()).await.unwrap();
    // The same in all it says, and another version.
    let again = namespace.store(&digest(1), first).await.unwrap();
    assert_ne!(seen.token(), again.token());
    assert!(
        !namespace
            .remove_version(&seen, Removal::Asked)
            .await
            .unwrap()
    );
    assert!(namespace.has(&digest(1)).await.unwrap());
    assert!(
        namespace
            .remove_version(&again, Removal::Asked)
            .await
            .unwrap()
    );
    assert!(!namespace.has(&digest(1)).await.unwrap());
}
