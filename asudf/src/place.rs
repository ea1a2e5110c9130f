//! What a test works on: records of a namespace and functions over them, here or on a cluster.

use std::fmt;
use std::time::Duration;

use protocol::key::Digest;
use protocol::particle::{Particle, ParticleRef};
use protocol::result_code::ResultCode;
use protocol::value::Value;
use runtime::call::Cause;

/// Seconds from the Unix epoch to 2010-01-01 UTC, from which records count.
pub(crate) const EPOCH_2010: u64 = 1_262_304_000;

/// Where a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Its set; `""` is none.
    pub(crate) set: String,
    /// Its key.
    pub(crate) key: Particle,
    /// Made of both.
    pub(crate) digest: Digest,
}

impl Address {
    pub(crate) fn new(set: &str, key: Particle) -> Self {
        Self {
            set: set.to_owned(),
            digest: Digest::of_particle(set, key.as_ref()),
            key,
        }
    }
}

/// A record to begin with.
#[derive(Clone, Debug)]
pub(crate) struct NewRecord {
    pub(crate) bins: Vec<(Vec<u8>, Particle)>,
    /// As on the wire: 0 the default of the namespace, `u32::MAX` never.
    pub(crate) ttl: u32,
    /// At least 1.
    pub(crate) generation: u16,
    /// The key is stored with it.
    pub(crate) stores_key: bool,
}

/// A record as it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    /// In storage order.
    pub(crate) bins: Vec<(Vec<u8>, Particle)>,
    pub(crate) generation: u16,
    /// Seconds that are left; none when it lives for ever.
    pub(crate) ttl: Option<u32>,
}

impl Seen {
    /// The bins as one value.
    pub(crate) fn bins_as_map(&self) -> Value {
        Value::map(self.bins.iter().map(|(name, value)| {
            let value = readable(value.as_ref());
            (Value::String(name.clone()), value)
        }))
    }
}

/// The value of a particle. What cannot be read, as only a foreign server stores it, is its bytes.
pub(crate) fn readable(particle: ParticleRef<'_>) -> Value {
    Value::from_particle(particle).unwrap_or_else(|_| Value::Blob {
        kind: particle.kind,
        bytes: particle.data.to_vec(),
    })
}

/// A function and what it is called with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Function<'a> {
    pub(crate) module: &'a str,
    pub(crate) name: &'a [u8],
    /// A msgpack list.
    pub(crate) arguments: &'a [u8],
}

/// How a record UDF is called.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Policy {
    /// As on the wire.
    pub(crate) ttl: u32,
    pub(crate) sends_key: bool,
    pub(crate) durable_delete: bool,
    /// None: that of the place.
    pub(crate) time_limit: Option<Duration>,
}

/// What a call did to its record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Did {
    #[default]
    Nothing,
    Created,
    Updated,
    Deleted,
}

/// How a call of a record UDF ended.
#[derive(Clone, Debug)]
pub(crate) struct Called {
    pub(crate) code: ResultCode,
    /// What it returned, with code 0.
    pub(crate) value: Particle,
    /// The text of a failure, with code 100.
    pub(crate) failure: Vec<u8>,
    pub(crate) did: Did,
    /// Where and why it failed, as far as that is known.
    pub(crate) cause: Cause,
}

/// How a stream UDF ended, at the client.
#[derive(Clone, Debug)]
pub(crate) struct Streamed {
    pub(crate) code: ResultCode,
    pub(crate) values: Vec<Particle>,
    pub(crate) failure: Vec<u8>,
    pub(crate) cause: Cause,
}

/// What a background job did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Jobbed {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    /// Text of the failure that came last, where the place tells it.
    pub(crate) last_failure: Option<String>,
}

/// Why the place itself did not do what was asked.
#[derive(Clone, Debug)]
pub(crate) struct Trouble(pub(crate) String);

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What calls of a test may take, and what it is to be like in the namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// For a call.
    pub(crate) time_limit: Duration,
    /// Bytes for a call.
    pub(crate) memory_limit: usize,
    /// Bytes of the largest record.
    pub(crate) max_record_size: u64,
    /// Seconds that records live that are written without a ttl; 0 for ever.
    pub(crate) default_ttl: u32,
    /// Records may have a ttl.
    pub(crate) expiration: bool,
}

/// Records and functions. Every method is about one test; [`Place::begin`] comes before it.
pub(crate) trait Place: Send {
    /// A test begins: no record of another is there.
    fn begin(&mut self, terms: &Terms, seed: u64) -> Result<(), Trouble>;

    /// Takes away the records of a set of this test; of all sets without one.
    fn clear(&mut self, set: Option<&str>) -> Result<(), Trouble>;

    /// Writes a record, over whatever is there.
    fn put(&mut self, address: &Address, record: &NewRecord) -> Result<(), Trouble>;

    /// Deletes a record, if it is there.
    fn remove(&mut self, address: &Address) -> Result<(), Trouble>;

    /// The record as it is.
    fn look(&mut self, address: &Address) -> Result<Option<Seen>, Trouble>;

    /// Calls a record UDF.
    fn apply(
        &mut self,
        address: &Address,
        function: Function<'_>,
        policy: &Policy,
    ) -> Result<Called, Trouble>;

    /// Calls a stream UDF over a set, up to the last reduce.
    fn stream(&mut self, set: &str, function: Function<'_>) -> Result<Streamed, Trouble>;

    /// Calls a record UDF on all records of a set.
    fn background(&mut self, set: &str, function: Function<'_>) -> Result<Jobbed, Trouble>;

    /// Sets the clock, in milliseconds since the Unix epoch.
    fn set_clock(&mut self, unix_ms: u64) -> Result<(), Trouble>;

    /// The time that scripts read, in milliseconds since the Unix epoch.
    fn unix_ms(&self) -> u64;

    /// Other terms from here on.
    fn set_terms(&mut self, terms: &Terms) -> Result<(), Trouble>;

    /// Lines that scripts have written since the last question, `LEVEL (FILE:LINE) TEXT`; none where they are not to be had.
    fn take_lines(&mut self) -> Option<Vec<String>>;
}
