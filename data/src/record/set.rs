use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Number and size of stored records.
#[derive(Debug, Default)]
pub struct Usage {
    objects: AtomicU64,
    bytes: AtomicU64,
}

impl Usage {
    /// Records stored now, expired ones that the sweep has not reached yet included.
    #[must_use]
    pub fn objects(&self) -> u64 {
        self.objects.load(Ordering::Relaxed)
    }

    /// Bytes of those records, see [`super::StoredRecord::size`].
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// One record more, of this size.
    pub fn grow(&self, size: u64) {
        self.objects.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(size, Ordering::Relaxed);
    }

    /// One record less, of this size.
    pub fn shrink(&self, size: u64) {
        self.objects.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(size, Ordering::Relaxed);
    }

    /// A record has another size.
    pub fn resize(&self, from: u64, to: u64) {
        // Wrapping addition of the difference: the sum is never below 0.
        self.bytes
            .fetch_add(to.wrapping_sub(from), Ordering::Relaxed);
    }
}

/// A set: a name that records of a namespace share, with what is counted about them.
#[derive(Debug)]
pub struct Set {
    name: Arc<str>,
    usage: Usage,
    truncate_lut_ms: AtomicU64,
}

impl Set {
    /// A set without records. Those of a namespace come from its table of sets.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            usage: Usage::default(),
            truncate_lut_ms: AtomicU64::new(0),
        }
    }

    /// Name, 1 to 63 bytes.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name, to be kept.
    #[must_use]
    pub fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// Records in the set.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Records last written before this are gone, in milliseconds since 2010-01-01 UTC; 0 is none.
    #[must_use]
    pub fn truncate_lut_ms(&self) -> u64 {
        self.truncate_lut_ms.load(Ordering::Acquire)
    }

    /// Has records last written before this be gone; a time that is earlier than the one in force changes nothing.
    pub fn raise_truncate_lut(&self, lut_ms: u64) {
        self.truncate_lut_ms.fetch_max(lut_ms, Ordering::AcqRel);
    }
}
