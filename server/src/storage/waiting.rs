//! An engine for tests that keeps the promises of the trait as badly as it may: every call waits, what is read is made
//! of bytes each time, and calls fail when a test wants them to.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use data::record::{Handle, StoredRecord};
use parking_lot::Mutex;
use protocol::key::Digest;
use tokio::sync::Barrier;

use super::{
    Answer, Changed, Expected, Extent, Keeps, MemoryEngine, Named, Removal, StorageEngine,
    StorageError,
};

/// The name of the environment variable with which tests of the record rooms are run over this engine.
const WAITING: &str = "ASD_TESTS_WITH_WAITING_ENGINE";

/// The engine that tests of namespaces are to use.
pub(crate) fn engine_under_test() -> Box<dyn StorageEngine> {
    if std::env::var_os(WAITING).is_some() {
        Box::new(WaitingEngine::default())
    } else {
        Box::new(MemoryEngine::default())
    }
}

/// What a test sees of an engine, and does to it.
#[derive(Debug, Default)]
pub(crate) struct Hand {
    calls: AtomicU64,
    /// The number of the call that fails; 0 none.
    failing: AtomicU64,
    failed: AtomicU64,
    /// Calls wait until so many do.
    together: Mutex<Option<Arc<Barrier>>>,
}

impl Hand {
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// Has one call fail: the first is number 1.
    pub(crate) fn fail(&self, call: u64) {
        self.failing.store(call, Ordering::SeqCst);
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::SeqCst)
    }

    pub(crate) fn wait_for(&self, calls: usize) {
        *self.together.lock() = (calls != 0).then(|| Arc::new(Barrier::new(calls)));
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct WaitingEngine {
    records: Mutex<BTreeMap<(u16, Digest), Vec<u8>>>,
    pub(crate) hand: Arc<Hand>,
}

impl WaitingEngine {
    async fn wait(&self) -> Result<(), StorageError> {
        let call = self.hand.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let together = self.hand.together.lock().clone();
        match together {
            Some(barrier) => {
                barrier.wait().await;
            }
            // A timer is too coarse to be waited for at every call.
            None if call.is_multiple_of(64) => {
                tokio::time::sleep(std::time::Duration::from_micros(50)).await
            }
            None => {}
        }
        tokio::task::yield_now().await;
        if self.hand.failing.load(Ordering::SeqCst) == call {
            self.hand.failed.fetch_add(1, Ordering::SeqCst);
            return Err(StorageError::Failed("a test wants it so".to_owned()));
        }
        Ok(())
    }

    async fn change(
        &self,
        digest: Digest,
        expected: Expected,
        new: Option<StoredRecord>,
    ) -> Result<Changed, StorageError> {
        self.wait().await?;
        let mut records = self.records.lock();
        let place = (digest.partition_id(), digest);
        let stored = records.get(&place).map(|bytes| read(bytes));
        if !expected.permits(stored.as_ref()) {
            return Ok(Changed::Mismatch);
        }
        match new {
            Some(new) => records.insert(place, new.as_bytes().to_vec()),
            None => records.remove(&place),
        };
        Ok(Changed::Done(stored))
    }
}

fn read(bytes: &[u8]) -> StoredRecord {
    StoredRecord::read(bytes).expect("what was stored can be read")
}

impl StorageEngine for WaitingEngine {
    fn get(&self, digest: &Digest, extent: Extent) -> Answer<'_, Option<StoredRecord>> {
        let digest = *digest;
        Answer::later(async move {
            self.wait().await?;
            let records = self.records.lock();
            let found = records.get(&(digest.partition_id(), digest));
            let found = found.map(|bytes| read(bytes));
            Ok(match extent {
                Extent::Whole => found,
                Extent::Outline => found.map(|found| found.outline()),
            })
        })
    }

    fn named(&self, handle: Handle) -> Answer<'_, Named> {
        Answer::later(async move {
            self.wait().await?;
            let from = (handle.partition_id(), handle.first_digest());
            let records = self.records.lock();
            let named = records.range(from..);
            let named: Vec<_> = named
                .take_while(|((_, digest), _)| Handle::of(digest) == handle)
                .collect();
            Ok(match &named[..] {
                [] => Named::None,
                [(_, bytes)] => Named::One(read(bytes)),
                several => Named::Several(several.iter().map(|((_, digest), _)| *digest).collect()),
            })
        })
    }

    fn put(&self, record: StoredRecord, expected: Expected) -> Answer<'_, Changed> {
        Answer::later(self.change(record.digest(), expected, Some(record)))
    }

    fn remove(&self, digest: &Digest, expected: Expected, _why: Removal) -> Answer<'_, Changed> {
        Answer::later(self.change(*digest, expected, None))
    }

    fn page(
        &self,
        partition: u16,
        after: Option<Digest>,
        limit: usize,
        extent: Extent,
    ) -> Answer<'_, Vec<StoredRecord>> {
        Answer::later(async move {
            self.wait().await?;
            let from = match after {
                Some(after) => Bound::Excluded((partition, after)),
                None => Bound::Included((partition, Digest([0; 20]))),
            };
            let to = Bound::Included((partition, Digest([0xff; 20])));
            let records = self.records.lock();
            let page = records.range((from, to)).take(limit);
            let page = page.map(|(_, bytes)| match extent {
                Extent::Whole => read(bytes),
                Extent::Outline => read(bytes).outline(),
            });
            Ok(page.collect())
        })
    }

    fn partition_objects(&self, partition: u16) -> usize {
        let records = self.records.lock();
        records.keys().filter(|(of, _)| *of == partition).count()
    }

    fn keeps(&self) -> Keeps {
        Keeps {
            in_memory: true,
            persisted: false,
        }
    }
}

#[test]
fn the_record_rooms_pass_their_tests_over_an_engine_that_waits() {
    if std::env::var_os(WAITING).is_some() {
        return;
    }
    let program = std::env::current_exe().unwrap();
    let tests = ["record::", "dispatch::", "query::"];
    let output = std::process::Command::new(program)
        .args(tests)
        .env(WAITING, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let passed = text
        .split_once("test result: ok. ")
        .and_then(|(_, rest)| rest.split_once(" passed"))
        .and_then(|(passed, _)| passed.parse::<u32>().ok());
    assert!(passed.is_some_and(|passed| passed > 50), "{text}");
}
