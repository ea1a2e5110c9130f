//! Building an index beside traffic.

use std::sync::Arc;
use std::time::{Duration, Instant};

use data::record::StoredRecord;

use super::Namespace;
use crate::index::Index;
use crate::storage::{PARTITIONS, StorageError};

/// How long a record that a function holds is waited for at a time.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often progress is told in the log.
const TELL: Duration = Duration::from_secs(10);

impl Namespace {
    /// Enters every stored record into an index that has been made, then lets queries use it. Ends early when the index is
    /// taken away.
    ///
    /// Each record is locked while it is read and entered: who changes it before changes it without this index or with it,
    /// and who changes it after finds its entries. Others run in between.
    pub async fn build_index(&self, index: &Arc<Index>) {
        let begun = Instant::now();
        let mut told = begun;
        let whole = self.usage().objects();
        for partition in 0..PARTITIONS {
            if let Err(error) = self.build_partition(index, partition).await {
                tracing::error!(target: "sindex", "{{{}}} index `{}` is not built: {error}", self.name(), index.name());
                return;
            }
            if index.is_dropped() {
                return;
            }
            index.partition_is_built();
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
            for seen in &page {
                if index.definition.is_of_set(seen.set_name()) {
                    self.enter(index, seen).await?;
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// Enters a record as it is now, if it is still there.
    async fn enter(&self, index: &Index, seen: &StoredRecord) -> Result<(), StorageError> {
        let digest = seen.digest();
        let (_short, _long);
        match self.locks().try_short(&digest) {
            Some(lock) => _short = lock,
            None => loop {
                let lock = self
                    .locks()
                    .lock(&digest, Instant::now() + PATIENCE, 0)
                    .await;
                match lock {
                    Ok(lock) => {
                        _long = lock;
                        break;
                    }
                    Err(_) if index.is_dropped() => return Ok(()),
                    Err(_) => {}
                }
            },
        }
        if let Some(record) = self.stored(&digest).await? {
            index.add(&record);
        }
        Ok(())
    }
}
