//! The place of tests without a server.

use std::sync::Arc;

use data::work::Unmetered;
use protocol::particle::{Particle, ParticleRef};
use protocol::result_code::ResultCode;
use runtime::host::Host;

use super::Watcher;
use super::bench::Bench;
use super::code::Code;
use super::namespace::{Version, ttl_rules};
use super::stream;
use crate::place::{
    Address, Called, EPOCH_2010, Function, Jobbed, NewRecord, Place, Policy, Seen, Streamed, Terms,
    Trouble,
};

/// Records and contexts of the test under way.
pub(crate) struct Offline {
    bench: Bench,
    seed: u64,
}

impl Offline {
    pub(crate) fn new(code: Arc<Code>, terms: Terms, watcher: Option<Arc<dyn Watcher>>) -> Self {
        Self {
            bench: Bench::new(code, terms, watcher),
            seed: 0,
        }
    }
}

/// The client's part of stream UDFs, for values that a cluster gave.
pub(crate) struct Reducer(Bench);

impl Reducer {
    pub(crate) fn new(code: Arc<Code>, terms: Terms) -> Self {
        Self(Bench::new(code, terms, None))
    }

    /// Runs it.
    ///
    /// # Errors
    /// The function fails; the text is what a client says.
    pub(crate) fn reduce(
        &mut self,
        function: Function<'_>,
        given: Vec<Particle>,
    ) -> Result<Vec<Particle>, Vec<u8>> {
        stream::of_client(&mut self.0, function, given).map_err(|(text, _)| text)
    }
}

impl Place for Offline {
    fn begin(&mut self, terms: &Terms, seed: u64) -> Result<(), Trouble> {
        self.bench.terms = *terms;
        self.seed = seed;
        self.bench.namespace.clear(None);
        self.bench.contexts.clear();
        // It stands still: what a test says about times holds on a slow machine too.
        self.bench.desk.set_clock(None);
        let now = self.bench.desk.unix_ms();
        self.bench.desk.set_clock(Some(now));
        drop(self.bench.desk.take_lines());
        Ok(())
    }

    fn clear(&mut self, set: Option<&str>) -> Result<(), Trouble> {
        self.bench.namespace.clear(set);
        Ok(())
    }

    fn put(&mut self, address: &Address, record: &NewRecord) -> Result<(), Trouble> {
        let void_time = ttl_rules(&self.bench.terms).void_time(record.ttl, None, self.bench.now());
        let void_time =
            void_time.map_err(|code| Trouble(format!("such a ttl is refused with {}", code.0)))?;
        let mut stored = Vec::with_capacity(record.bins.len());
        for (name, value) in &record.bins {
            let value = data::particle::stored(value.as_ref(), &mut Unmetered::default());
            let shown = String::from_utf8_lossy(name);
            let value = value.map_err(|error| Trouble(format!("bin `{shown}`: {error}")))?;
            stored.push((name.as_slice(), value));
        }
        let version = Version {
            address,
            generation: record.generation,
            void_time,
            now_ms: self.bench.now_ms(),
            key: record.stores_key.then(|| address.key.as_ref()),
        };
        let bins = stored.iter().map(|(name, value)| (*name, value.as_ref()));
        self.bench
            .namespace
            .store(&version, bins, self.bench.terms.max_record_size)
            .map_err(|error| Trouble(error.to_string()))
    }

    fn remove(&mut self, address: &Address) -> Result<(), Trouble> {
        self.bench.namespace.remove(&address.digest);
        Ok(())
    }

    fn look(&mut self, address: &Address) -> Result<Option<Seen>, Trouble> {
        let now = self.bench.now();
        let found = self.bench.namespace.find(&address.digest, now);
        Ok(found.map(|record| Seen {
            bins: record
                .bins()
                .map(|bin| (bin.name.to_vec(), bin.value.to_particle()))
                .collect(),
            generation: record.generation(),
            ttl: match record.void_time() {
                0 => None,
                void_time => Some(void_time.saturating_sub(now)),
            },
        }))
    }

    fn apply(
        &mut self,
        address: &Address,
        function: Function<'_>,
        policy: &Policy,
    ) -> Result<Called, Trouble> {
        Ok(self.bench.call(address, function, policy))
    }

    fn stream(&mut self, set: &str, function: Function<'_>) -> Result<Streamed, Trouble> {
        self.seed = self.seed.wrapping_add(1);
        let seed = self.seed;
        stream::run(&mut self.bench, set, function, seed)
    }

    fn background(&mut self, set: &str, function: Function<'_>) -> Result<Jobbed, Trouble> {
        let mut jobbed = Jobbed::default();
        for record in self.bench.records_of(set) {
            let key = record.key().map(ParticleRef::to_particle);
            let address = Address {
                set: record.set_name().to_owned(),
                key: key.unwrap_or(Particle::NIL),
                digest: record.digest(),
            };
            let called = self.bench.call(&address, function, &Policy::default());
            match called.code {
                ResultCode::OK => jobbed.succeeded += 1,
                // A record that is not there, or was to go and was not: as a job of the server counts.
                ResultCode::NOT_FOUND => {}
                code => {
                    jobbed.failed += 1;
                    jobbed.last_failure = Some(match called.failure.is_empty() {
                        true => format!("result {}", code.0),
                        false => String::from_utf8_lossy(&called.failure).into_owned(),
                    });
                }
            }
        }
        Ok(jobbed)
    }

    fn set_clock(&mut self, unix_ms: u64) -> Result<(), Trouble> {
        if unix_ms < EPOCH_2010 * 1000 {
            return Err(Trouble("records know no time before 2010-01-01".to_owned()));
        }
        self.bench.desk.set_clock(Some(unix_ms));
        Ok(())
    }

    fn unix_ms(&self) -> u64 {
        self.bench.desk.unix_ms()
    }

    fn set_terms(&mut self, terms: &Terms) -> Result<(), Trouble> {
        self.bench.terms = *terms;
        self.bench.contexts.clear();
        Ok(())
    }

    fn take_lines(&mut self) -> Option<Vec<String>> {
        Some(self.bench.desk.take_lines())
    }
}
