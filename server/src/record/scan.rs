use data::record::StoredRecord;
use protocol::key::Digest;

use super::Namespace;
use crate::storage::{Extent, StorageError};

/// Records looked at between two chances for other tasks.
pub const PAGE: usize = 256;

/// Goes through the records of one partition in order of digest, a page at a time: the one way to see them all.
///
/// Expired and truncated records are among them until they are swept, see [`Namespace::is_live`].
#[derive(Debug)]
pub struct Scan<'n> {
    namespace: &'n Namespace,
    partition: u16,
    after: Option<Digest>,
    extent: Extent,
    at_end: bool,
}

impl Namespace {
    /// Begins with the first record after `after`.
    #[must_use]
    pub fn scan(&self, partition: u16, after: Option<Digest>) -> Scan<'_> {
        Scan {
            namespace: self,
            partition,
            after,
            extent: Extent::Whole,
            at_end: false,
        }
    }
}

impl Scan<'_> {
    /// Metadata is enough: key and bins may be missing, and no device is waited for.
    #[must_use]
    pub fn outlines(mut self) -> Self {
        self.extent = Extent::Outline;
        self
    }

    /// The next records, at most [`PAGE`]; none at the end.
    ///
    /// # Errors
    /// The engine cannot read them. The next call tries again.
    pub async fn page(&mut self) -> Result<Vec<StoredRecord>, StorageError> {
        if self.at_end {
            return Ok(Vec::new());
        }
        let engine = self.namespace.engine();
        let page = engine
            .page(self.partition, self.after, PAGE, self.extent)
            .await?;
        self.at_end = page.len() < PAGE;
        if let Some(last) = page.last() {
            self.after = Some(last.digest());
        }
        Ok(page)
    }
}
