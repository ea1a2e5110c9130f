//! Records in memory, by the server's rules and without its locks, threads and engines.

use std::collections::BTreeMap;

use data::record::policy::{TtlRules, is_expired};
use data::record::{Bin, LimitError, Parts, StoredRecord};
use protocol::key::Digest;
use protocol::particle::{Particle, ParticleRef};
use protocol::result_code::ResultCode;
use runtime::call::RecordChange;
use runtime::call::commit::{self, Commit};

use crate::place::{Address, Did, Policy, Terms};

/// The records of one test.
#[derive(Debug, Default)]
pub(super) struct Namespace {
    records: BTreeMap<Digest, StoredRecord>,
    token: u64,
    scratch: Vec<u8>,
}

/// What a version is besides its bins.
pub(super) struct Version<'a> {
    pub(super) address: &'a Address,
    pub(super) generation: u16,
    pub(super) void_time: u32,
    /// Milliseconds since 2010-01-01 UTC.
    pub(super) now_ms: u64,
    pub(super) key: Option<ParticleRef<'a>>,
}

/// What the terms say about expiration.
pub(super) fn ttl_rules(terms: &Terms) -> TtlRules {
    TtlRules {
        default_ttl: terms.default_ttl,
        expiry_allowed: terms.expiration,
    }
}

impl Namespace {
    /// Takes away the records of a set, of all without one.
    pub(super) fn clear(&mut self, set: Option<&str>) {
        self.records
            .retain(|_, record| set.is_some_and(|set| record.set_name() != set));
    }

    pub(super) fn remove(&mut self, digest: &Digest) {
        self.records.remove(digest);
    }

    /// The record, unless it has expired. `now` in seconds since 2010-01-01 UTC.
    pub(super) fn find(&self, digest: &Digest, now: u32) -> Option<StoredRecord> {
        let record = self.records.get(digest)?;
        (!is_expired(record.void_time(), now)).then(|| record.clone())
    }

    /// The live records of a set, of all sets for `""`, by digest.
    pub(super) fn of_set(&self, set: &str, now: u32) -> Vec<StoredRecord> {
        let records = self.records.values();
        records
            .filter(|record| set.is_empty() || record.set_name() == set)
            .filter(|record| !is_expired(record.void_time(), now))
            .cloned()
            .collect()
    }

    /// Stores a version.
    pub(super) fn store<'b>(
        &mut self,
        version: &Version<'_>,
        bins: impl ExactSizeIterator<Item = (&'b [u8], ParticleRef<'b>)>,
        max_record_size: u64,
    ) -> Result<(), LimitError> {
        self.token += 1;
        let parts = Parts {
            digest: version.address.digest,
            token: self.token,
            generation: version.generation,
            void_time: version.void_time,
            last_update_ms: version.now_ms,
            set: &version.address.set,
            key: version.key,
        };
        let scratch = &mut self.scratch;
        let (record, _) = StoredRecord::within(max_record_size, None, &parts, bins, scratch)?;
        self.records.insert(version.address.digest, record);
        Ok(())
    }

    /// Stores what a function did.
    pub(super) fn commit(
        &mut self,
        address: &Address,
        key: Option<&Particle>,
        change: RecordChange,
        existing: Option<&StoredRecord>,
        (policy, terms, now_ms): (&Policy, &Terms, u64),
    ) -> Result<Did, ResultCode> {
        let rules = commit::Terms {
            ttl_rules: ttl_rules(terms),
            request_ttl: policy.ttl,
            durable_delete: policy.durable_delete,
            now: data::record::seconds(now_ms),
        };
        match commit::commit(change, existing, &rules).map_err(commit::Refused::code)? {
            Commit::Nothing => Ok(Did::Nothing),
            Commit::Remove { .. } => {
                self.remove(&address.digest);
                Ok(Did::Deleted)
            }
            Commit::Store {
                bins,
                drop_key,
                generation,
                void_time,
            } => {
                let version = Version {
                    address,
                    generation,
                    void_time,
                    now_ms,
                    key: key.filter(|_| !drop_key).map(Particle::as_ref),
                };
                let bins = bins.iter();
                let bins = bins.map(|Bin { name, particle }| (name.as_bytes(), particle.as_ref()));
                self.store(&version, bins, terms.max_record_size)
                    .map_err(LimitError::result_code)?;
                Ok(match existing {
                    Some(_) => Did::Updated,
                    None => Did::Created,
                })
            }
        }
    }
}
