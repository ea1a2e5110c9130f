//! What changes cost the disk, counted where it is done.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use protocol::bounds::Fit as _;

/// Syncs and bytes of one registry and its copies since the start.
#[derive(Debug, Default)]
pub struct DiskWork {
    syncs: AtomicU64,
    bytes: AtomicU64,
    replaced: AtomicU64,
}

impl DiskWork {
    /// Files and directories that were synced, once for each time.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Bytes that were written.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Has all that was written to a file, or into a directory, outlive a crash.
    pub(super) fn sync(&self, file: &File) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        file.sync_all()
    }

    /// The same, without what is said of a file and not needed to read it.
    pub(super) fn sync_data(&self, file: &File) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        file.sync_data()
    }

    /// An unsynced file takes the place of another by its name: many file systems write it then and there.
    pub(super) fn replaces(&self) {
        self.replaced.fetch_add(1, Ordering::Relaxed);
    }

    /// How often that was.
    #[cfg(test)]
    pub(super) fn replaced(&self) -> u64 {
        self.replaced.load(Ordering::Relaxed)
    }

    /// So many bytes are written now.
    pub(super) fn writes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes.fit::<u64>(), Ordering::Relaxed);
    }
}
