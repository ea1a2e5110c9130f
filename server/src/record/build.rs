//! Building an index beside traffic.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use data::record::StoredRecord;

use super::Namespace;
use crate::index::{Index, IndexedNamespaces, Indexes};
use crate::storage::answer::{off_the_worker, wait_on_this_thread};
use crate::storage::{PARTITIONS, StorageError};

/// How long a record that a function holds is waited for at a time.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often progress is told in the log.
const TELL: Duration = Duration::from_secs(10);

/// How long the building goes on before others of its thread have their turn.
const TURN: Duration = Duration::from_millis(1);

/// With no more records than this in the namespace an index is built before its definition is answered.
const BUILT_AT_ONCE: u64 = 10_000;

/// What is waited for such an index at most: a function may hold a record for long.
const BUILT_WITHIN: Duration = Duration::from_millis(500);

/// The namespaces of a node, whose indexes are built on the runtime that asks for them.
#[derive(Debug, Default)]
pub struct IndexBuilder {
    namespaces: Vec<Arc<Namespace>>,
    running: Arc<AtomicUsize>,
}

impl IndexBuilder {
    /// The builder of these namespaces.
    #[must_use]
    pub fn new(namespaces: &[Arc<Namespace>]) -> Self {
        Self {
            namespaces: namespaces.to_vec(),
            running: Arc::default(),
        }
    }

    fn namespace(&self, name: &str) -> Option<&Arc<Namespace>> {
        let mut all = self.namespaces.iter();
        all.find(|namespace| namespace.name() == name)
    }
}

/// Counts a building for as long as it goes on, however it ends.
struct Building(Arc<AtomicUsize>);

impl Building {
    fn begin(running: &Arc<AtomicUsize>) -> Self {
        running.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(running))
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl IndexedNamespaces for IndexBuilder {
    fn indexes(&self, namespace: &str) -> Option<&Indexes> {
        self.namespace(namespace)
            .map(|namespace| &namespace.indexes)
    }

    fn make_set(&self, namespace: &str, set: &str) {
        let made = self
            .namespace(namespace)
            .map(|namespace| namespace.set(set));
        if let Some(Err(error)) = made {
            tracing::warn!(target: "sindex", "{{{namespace}}} set `{set}`: {error}");
        }
    }

    fn build(&self, namespace: &str, index: Arc<Index>, wait: bool) {
        let Some(namespace) = self.namespace(namespace).map(Arc::clone) else {
            return;
        };
        let few = namespace.usage().objects() <= BUILT_AT_ONCE;
        let building = Building::begin(&self.running);
        let build = async move {
            namespace.build_index(&index).await;
            drop(building);
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return wait_on_this_thread(build);
        };
        let built = runtime.spawn(build);
        if wait && few {
            // Whatever comes of it, the building goes on.
            let _ = runtime.block_on(async { tokio::time::timeout(BUILT_WITHIN, built).await });
        }
    }

    fn is_building(&self) -> bool {
        self.running.load(Ordering::Acquire) > 0
    }
}

impl Namespace {
    /// Enters every stored record into an index that has been made, then lets queries use it. Ends early when the index is
    /// taken away.
    ///
    /// Each record is locked while it is read and entered: who changes it before leaves it to the building, and who changes
    /// it after finds its entries. Others run in between.
    async fn build_index(&self, index: &Arc<Index>) {
        let begun = Instant::now();
        let mut told = begun;
        let whole = self.usage().objects();
        for partition in 0..PARTITIONS {
            index.begin_partition(partition);
            if let Err(error) = self.build_partition(index, partition).await {
                tracing::error!(target: "sindex", "{{{}}} index `{}` is not built: {error}", self.name(), index.name());
                return;
            }
            if index.is_dropped() {
                return;
            }
            if told.elapsed() >= TELL {
                told = Instant::now();
                tracing::info!(target: "sindex", "{{{}}} index `{}`: {} percent built", self.name(), index.name(), index.load_percent());
            }
        }
        index.finish();
        if whole > 0 {
            tracing::info!(target: "sindex", "{{{}}} index `{}` is built: {} entries in {} ms", self.name(), index.name(), index.entries(), begun.elapsed().as_millis());
        }
    }

    async fn build_partition(&self, index: &Index, partition: u16) -> Result<(), StorageError> {
        if self.partition_objects(partition) == 0 {
            return Ok(());
        }
        let mut scan = self.scan(partition, None).outlines();
        loop {
            let page = scan.page().await?;
            if page.is_empty() {
                return Ok(());
            }
            let mut begun = Instant::now();
            for seen in &page {
                if index.definition.is_of_set(seen.set_name()) {
                    self.enter(index, seen).await?;
                }
                if begun.elapsed() >= TURN {
                    tokio::task::yield_now().await;
                    begun = Instant::now();
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// Enters a record as it is now, if it is still there.
    async fn enter(&self, index: &Index, seen: &StoredRecord) -> Result<(), StorageError> {
        let digest = seen.digest();
        let _lock = loop {
            let until = Instant::now() + PATIENCE;
            match self.locks().lock(&digest, until, 0).await {
                Ok(lock) => break lock,
                Err(_) if index.is_dropped() => return Ok(()),
                Err(_) => {}
            }
        };
        if let Some(record) = self.stored(&digest).await? {
            match index.definition.takes_long(&record) {
                true => off_the_worker(|| index.enter(&record)),
                false => index.enter(&record),
            }
        }
        Ok(())
    }
}
