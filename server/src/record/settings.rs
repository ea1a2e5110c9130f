/// Settings of a namespace that its records obey.
#[derive(Clone, Debug)]
pub struct NamespaceSettings {
    default_ttl: u32,
    nsup_period: u32,
    max_record_size: u64,
    allow_ttl_without_nsup: bool,
}

impl Default for NamespaceSettings {
    fn default() -> Self {
        Self {
            default_ttl: 0,
            nsup_period: 5,
            max_record_size: 1 << 20,
            allow_ttl_without_nsup: false,
        }
    }
}

impl NamespaceSettings {
    /// `default-ttl`, in seconds.
    #[must_use]
    pub fn default_ttl(&self) -> u32 {
        self.default_ttl
    }

    /// `nsup-period`, in seconds.
    #[must_use]
    pub fn nsup_period(&self) -> u32 {
        self.nsup_period
    }

    /// `max-record-size`, in bytes.
    #[must_use]
    pub fn max_record_size(&self) -> u64 {
        self.max_record_size
    }

    /// `allow-ttl-without-nsup`.
    #[must_use]
    pub fn allow_ttl_without_nsup(&self) -> bool {
        self.allow_ttl_without_nsup
    }
}
