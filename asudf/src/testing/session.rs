//! One test file in a Lua state of its own, and what its library `t` asks.

use std::fmt;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use protocol::bounds::Fit as _;
use protocol::particle::{Particle, ParticleType};
use protocol::value::Value;
use runtime::call::EXECUTION_ERROR;
use runtime::host::Oracle;

use super::answer::{
    Answer, bins_of, equal, failure_shown, list_of_texts, map_particle, outcome_of, policy_of,
    property_of, result_of, shown_call, why, wire_ttl,
};
use super::words::{Words, from_hex};
use crate::place::{Address, Did, Function, NewRecord, Place, Terms, Trouble};
use crate::random::{Random, seed_of};
use crate::show;

/// Set of records for which a test names none; those of a stream are in another one, which ends with `_stream`.
pub(crate) const DEFAULT_SET: &str = "asudf";

/// Steps of a test that are kept for its report; the latest.
const STEPS_MAX: usize = 12;

/// A test of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registered {
    pub(crate) name: String,
    /// Line of the file, 0 where that is not known.
    pub(crate) line: u32,
}

/// A call of a test, for comparisons of places.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Exchange {
    /// What was called.
    pub(crate) call: String,
    /// What came of it, in words that are the same on all places.
    pub(crate) outcome: String,
}

/// What a test leaves behind besides its verdict.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traces {
    /// Calls with what they gave and logged, the latest.
    pub(crate) steps: Vec<String>,
    /// Why it was not run to its end, if a test said so.
    pub(crate) skipped: Option<String>,
    /// Why it says nothing about another place.
    pub(crate) only_here: Option<&'static str>,
    /// All calls.
    pub(crate) exchanges: Vec<Exchange>,
}

/// A record of the test.
struct Subject {
    address: Address,
    did: Did,
}

/// What a stream runs over.
struct Source {
    set: String,
    /// Records that are put before each run; none for a set that the test names.
    own: Vec<(Address, NewRecord)>,
}

struct Inner {
    place: Box<dyn Place>,
    file: String,
    /// Sets of records and of streams for which a test names none.
    set: String,
    stream_set: String,
    registered: Vec<Registered>,
    /// The file has been loaded: its tests are known, and it may register them again in another state.
    loaded: bool,
    base_terms: Terms,
    terms: Terms,
    seed: u64,
    subjects: Vec<Subject>,
    streams: Vec<Source>,
    /// Lines since `t.log` was called last.
    lines: Option<Vec<String>>,
    traces: Traces,
}

/// The tests of a file: what they ask is answered by a place.
pub(crate) struct Session(Mutex<Inner>);

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Session")
    }
}

impl Session {
    pub(crate) fn new(place: Box<dyn Place>, file: &str, set: &str, terms: Terms) -> Self {
        Self(Mutex::new(Inner {
            place,
            set: set.to_owned(),
            stream_set: format!("{set}_stream"),
            file: file.to_owned(),
            registered: Vec::new(),
            loaded: false,
            base_terms: terms,
            terms,
            seed: 0,
            subjects: Vec::new(),
            streams: Vec::new(),
            lines: None,
            traces: Traces::default(),
        }))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        match self.0.lock() {
            Ok(inner) => inner,
            // One thread runs a session; what a panic left is about the test that ended so.
            Err(poisoned) => poisoned.into_inner(),
        }
    }

    /// The tests that the file has made.
    pub(crate) fn registered(&self) -> Vec<Registered> {
        let mut inner = self.inner();
        inner.loaded = true;
        inner.registered.clone()
    }

    /// A test begins.
    ///
    /// # Errors
    /// The place cannot be made ready.
    pub(crate) fn begin(&self, name: &str, seed: u64) -> Result<u64, Trouble> {
        let mut inner = self.inner();
        let inner = &mut *inner;
        inner.seed = seed_of(seed, name);
        inner.terms = inner.base_terms;
        inner.subjects.clear();
        inner.streams.clear();
        inner.lines = None;
        inner.traces = Traces::default();
        inner.place.begin(&inner.terms, inner.seed)?;
        Ok(inner.seed)
    }

    /// What the test has left.
    pub(crate) fn take_traces(&self) -> Traces {
        std::mem::take(&mut self.inner().traces)
    }

    /// The place, when all tests are done.
    pub(crate) fn finish(&self) -> Result<(), Trouble> {
        self.inner().place.clear(None)
    }
}

impl Oracle for Session {
    fn answer(&self, question: Vec<Particle>) -> Result<Particle, Vec<u8>> {
        let mut words = Words::new(question);
        let mut inner = self.inner();
        inner.answer(&mut words).map_err(String::into_bytes)
    }
}

fn trouble(trouble: Trouble) -> String {
    trouble.0
}

impl Inner {
    fn answer(&mut self, words: &mut Words) -> Answer {
        let verb = words.text("verb")?;
        match verb.as_str() {
            "file" => Ok(Particle::string(self.file.clone())),
            "register" => self.register(words),
            "record" => self.record(words),
            "put" => self.put(words),
            "delete" => self.delete(words),
            "property" => self.property(words),
            "apply" => self.apply(words),
            "make_stream" => self.make_stream(words),
            "stream" => self.stream(words),
            "background" => self.background(words),
            "equal" => equal(words),
            "show" => Ok(Particle::string(show::value(&words.value()?))),
            "log" => self.log(),
            "lines" => self.lines(),
            "clock" => self.clock(words),
            "advance" => self.advance(words),
            "limits" => self.limits(words),
            "skip" => {
                self.traces.skipped = Some(words.text("reason")?);
                Ok(Particle::NIL)
            }
            "seed" => {
                let number = words.integer("run")?.cast_unsigned();
                let seed = Random::new(self.seed ^ number.rotate_left(32)).next();
                Ok(Particle::integer((seed >> 1).cast_signed()))
            }
            "reset" => self.reset(),
            other => Err(format!("there is no question `{other}`")),
        }
    }

    fn register(&mut self, words: &mut Words) -> Answer {
        let name = words.text("name of the test")?;
        let place = words.text("place")?;
        let line = place
            .trim_end_matches([':', ' '])
            .rsplit(':')
            .next()
            .and_then(|line| line.parse().ok());
        if self.loaded {
            return Ok(Particle::NIL);
        }
        if self.registered.iter().any(|known| known.name == name) {
            return Err(format!("there are two tests of the name `{name}`"));
        }
        self.registered.push(Registered {
            name,
            line: line.unwrap_or(0),
        });
        Ok(Particle::NIL)
    }

    /// A property test begins another run: no records are there.
    fn reset(&mut self) -> Answer {
        self.place.clear(None).map_err(trouble)?;
        self.traces.steps.clear();
        Ok(Particle::NIL)
    }

    /// What a table says about a record; a key of its own where it names none.
    fn described(
        &mut self,
        described: Value,
        set: &str,
    ) -> Result<(Address, Option<NewRecord>), String> {
        let mut told = Words::of_map(described)?;
        let set = told.take_text("set")?.unwrap_or_else(|| set.to_owned());
        let key = match told.take("key") {
            Some(Value::Nil) | None => {
                let number = self.subjects.len().at_most::<i64>();
                Particle::integer(number)
            }
            Some(key @ (Value::Integer(_) | Value::String(_) | Value::Float(_))) => {
                key.to_particle().map_err(|error| error.to_string())?
            }
            Some(Value::Blob { bytes, .. }) => Particle::new(ParticleType::BLOB, bytes),
            Some(other) => {
                return Err(format!(
                    "a key is an integer, a string, a float or bytes, not {}",
                    show::value(&other)
                ));
            }
        };
        if set.len() > protocol::limits::MAX_SET_NAME {
            return Err(format!(
                "the set `{set}` has more than {} bytes",
                protocol::limits::MAX_SET_NAME
            ));
        }
        let mut bins = match told.take("bins") {
            Some(Value::Map { entries, .. }) => bins_of(entries)?,
            _ => Vec::new(),
        };
        if let Some(Value::List { items, .. }) = told.take("order") {
            let place = |name: &[u8]| {
                let own = Value::String(name.to_vec());
                items
                    .iter()
                    .position(|item| *item == own)
                    .unwrap_or(items.len())
            };
            bins.sort_by_key(|(name, _)| place(name));
        }
        let ttl = told.take_integer("ttl")?.unwrap_or(0);
        let generation = told.take_integer("generation")?.unwrap_or(1);
        let record = NewRecord {
            bins,
            ttl: wire_ttl(ttl)?,
            generation: u16::try_from(generation)
                .ok()
                .filter(|generation| *generation > 0)
                .ok_or("a generation is from 1 to 65535")?,
            stores_key: told.take_flag("send_key")?,
        };
        let address = Address::new(&set, key);
        Ok((address, (!record.bins.is_empty()).then_some(record)))
    }

    fn record(&mut self, words: &mut Words) -> Answer {
        let (address, record) = self.described(words.value()?, &self.set.clone())?;
        match &record {
            Some(record) => self.place.put(&address, record).map_err(trouble)?,
            None => self.place.remove(&address).map_err(trouble)?,
        }
        if address.set.is_empty() {
            self.traces.only_here = Some("it uses records of no set, which may be somebody's");
        }
        self.subjects.push(Subject {
            address,
            did: Did::Nothing,
        });
        let number = self.subjects.len().at_most::<i64>();
        Ok(Particle::integer(number))
    }

    fn subject(&self, words: &mut Words) -> Result<usize, String> {
        let number = words.integer("record")?;
        let place = usize::try_from(number - 1).ok();
        place
            .filter(|place| *place < self.subjects.len())
            .ok_or_else(|| {
                "that record is of another test: make records in the test, or with t.fixture"
                    .to_owned()
            })
    }

    fn address(&self, subject: usize) -> Result<Address, String> {
        let found = self.subjects.get(subject);
        found
            .map(|subject| subject.address.clone())
            .ok_or_else(|| "there is no such record".to_owned())
    }

    fn named(&self, address: &Address) -> String {
        let key = show::particle(address.key.as_ref());
        match address.set.as_str() {
            set if set == self.set => format!("record {key}"),
            "" => format!("record {key} of no set"),
            set => format!("record {key} of `{set}`"),
        }
    }

    fn put(&mut self, words: &mut Words) -> Answer {
        let subject = self.subject(words)?;
        let address = self.address(subject)?;
        let Value::Map { entries, .. } = words.value()? else {
            return Err("t.put takes a table of bins by name".to_owned());
        };
        let mut bins = bins_of(entries)?;
        let before = self.place.look(&address).map_err(trouble)?;
        let generation = before
            .as_ref()
            .map_or(1, |seen| seen.generation.checked_add(1).unwrap_or(1));
        let mut all = before.map_or_else(Vec::new, |seen| seen.bins);
        all.retain(|(name, _)| bins.iter().all(|(own, _)| own != name));
        all.append(&mut bins);
        all.retain(|(_, value)| !value.as_ref().is_nil());
        let record = NewRecord {
            bins: all,
            ttl: 0,
            generation,
            stores_key: false,
        };
        self.place.put(&address, &record).map_err(trouble)?;
        Ok(Particle::NIL)
    }

    fn delete(&mut self, words: &mut Words) -> Answer {
        let subject = self.subject(words)?;
        let address = self.address(subject)?;
        self.place.remove(&address).map_err(trouble)?;
        Ok(Particle::NIL)
    }

    fn property(&mut self, words: &mut Words) -> Answer {
        let subject = self.subject(words)?;
        let address = self.address(subject)?;
        let did = self
            .subjects
            .get(subject)
            .map_or(Did::Nothing, |subject| subject.did);
        let name = words.text("property")?;
        let answer = match name.as_str() {
            "key" => address.key.clone(),
            "set" => Particle::string(address.set.clone()),
            "created" => Particle::bool(did == Did::Created),
            "updated" => Particle::bool(did == Did::Updated),
            "deleted" => Particle::bool(did == Did::Deleted),
            "text" => Particle::string(self.named(&address)),
            _ => {
                let seen = self.place.look(&address).map_err(trouble)?;
                return property_of(seen.as_ref(), &name);
            }
        };
        Ok(answer)
    }

    fn apply(&mut self, words: &mut Words) -> Answer {
        let subject = self.subject(words)?;
        let address = self.address(subject)?;
        let module = words.text("module")?;
        let name = words.bytes("function")?;
        let mut arguments = words.arguments()?;
        let mut options = Words::of_map(words.value()?)?;
        if let Some(hex) = options.take_text("args_wire")? {
            arguments.data = from_hex(hex.as_bytes())?.into();
        }
        let policy = policy_of(&mut options)?;
        let function = Function {
            module: &module,
            name: &name,
            arguments: &arguments.data,
        };
        let called = self
            .place
            .apply(&address, function, &policy)
            .map_err(trouble)?;
        if let Some(subject) = self.subjects.get_mut(subject) {
            subject.did = called.did;
        }
        let call = format!(
            "{} on {}",
            shown_call(&module, &name, &arguments),
            self.named(&address)
        );
        let outcome = outcome_of(&called);
        self.step(
            &call,
            &outcome,
            why(&called.failure, &called.cause).as_deref(),
        );
        let seen = self.seen_after(&address)?;
        self.exchange(call, format!("{outcome}{seen}"));
        result_of(called.code.0, &called.value, &called.failure, called.did)
    }

    /// The record after a call, for comparisons of places.
    fn seen_after(&mut self, address: &Address) -> Result<String, String> {
        let seen = self.place.look(address).map_err(trouble)?;
        Ok(match seen {
            None => "; no record".to_owned(),
            Some(seen) => {
                let bins = seen.bins_as_map();
                let life = match seen.ttl {
                    None => "for ever",
                    Some(_) => "with a ttl",
                };
                format!(
                    "; {} generation {} {life}",
                    show::value(&bins),
                    seen.generation
                )
            }
        })
    }

    fn exchange(&mut self, call: String, outcome: String) {
        // A server says why a module does not load, or does not.
        let outcome = match outcome.find(EXECUTION_ERROR) {
            Some(at) => outcome
                .get(..at + EXECUTION_ERROR.len())
                .unwrap_or("")
                .to_owned(),
            None => outcome,
        };
        self.traces.exchanges.push(Exchange { call, outcome });
    }

    fn step(&mut self, call: &str, outcome: &str, cause: Option<&str>) {
        let mut text = format!("{call} → {outcome}");
        if let Some(cause) = cause {
            text += &format!(" ({cause})");
        }
        self.gather_lines();
        let lines = self.lines.iter().flatten();
        for line in lines {
            text += &format!("\n    {line}");
        }
        self.traces.steps.push(text);
        if self.traces.steps.len() > STEPS_MAX {
            self.traces.steps.remove(0);
        }
    }

    fn gather_lines(&mut self) {
        if let Some(mut new) = self.place.take_lines() {
            self.lines.get_or_insert_with(Vec::new).append(&mut new);
        }
    }

    fn make_stream(&mut self, words: &mut Words) -> Answer {
        let Value::List { items, .. } = words.value()? else {
            return Err("t.stream takes a table of records".to_owned());
        };
        let named = words.optional_text("set")?;
        let set = named.clone().unwrap_or_else(|| self.stream_set.clone());
        let mut own = Vec::with_capacity(items.len());
        for (number, item) in items.into_iter().enumerate() {
            let keyless = matches!(&item, Value::Map { entries, .. }
                if !entries.iter().any(|(key, _)| *key == Value::String(b"key".to_vec())));
            let (mut address, record) = self.described(item, &set)?;
            if keyless {
                let number = number.at_most::<i64>();
                address = Address::new(&address.set, Particle::integer(number));
            }
            let record = record.ok_or("a record of a stream has bins")?;
            own.push((address, record));
        }
        if named.is_some() {
            for (address, record) in own.drain(..) {
                self.place.put(&address, &record).map_err(trouble)?;
            }
        }
        self.streams.push(Source { set, own });
        let number = self.streams.len().at_most::<i64>();
        Ok(Particle::integer(number))
    }

    fn stream(&mut self, words: &mut Words) -> Answer {
        let number = words.integer("stream")?;
        let module = words.text("module")?;
        let name = words.bytes("function")?;
        let arguments = words.arguments()?;
        let place = usize::try_from(number - 1).ok();
        let source = place.and_then(|place| self.streams.get(place));
        let source = source.ok_or("that stream is of another test")?;
        if !source.own.is_empty() || source.set == self.stream_set {
            self.place.clear(Some(&source.set)).map_err(trouble)?;
            for (address, record) in &source.own {
                self.place.put(address, record).map_err(trouble)?;
            }
        }
        let function = Function {
            module: &module,
            name: &name,
            arguments: &arguments.data,
        };
        let set = source.set.clone();
        let streamed = self.place.stream(&set, function).map_err(trouble)?;
        let mut values = Vec::with_capacity(streamed.values.len());
        for value in &streamed.values {
            values.push(Value::from_particle(value.as_ref()).map_err(|error| error.to_string())?);
        }
        let call = format!(
            "{} over the set `{set}`",
            shown_call(&module, &name, &arguments)
        );
        let outcome = match streamed.code.0 {
            0 => show::value(&Value::list(values.clone())),
            code => failure_shown(code, &streamed.failure),
        };
        let why = why(&streamed.failure, &streamed.cause);
        self.step(&call, &outcome, why.as_deref());
        // Their order is that in which nodes answer.
        let mut sorted = values.clone();
        sorted.sort_by(Value::compare);
        let compared = match streamed.code.0 {
            0 => show::value(&Value::list(sorted)),
            code => failure_shown(code, &streamed.failure),
        };
        self.exchange(call, compared);
        let value = Value::list(values);
        let value = value.to_particle().map_err(|error| error.to_string())?;
        result_of(streamed.code.0, &value, &streamed.failure, Did::Nothing)
    }

    fn background(&mut self, words: &mut Words) -> Answer {
        let set = words.optional_text("set")?;
        let set = set.unwrap_or_else(|| self.set.clone());
        let module = words.text("module")?;
        let name = words.bytes("function")?;
        let arguments = words.arguments()?;
        let function = Function {
            module: &module,
            name: &name,
            arguments: &arguments.data,
        };
        let jobbed = self.place.background(&set, function).map_err(trouble)?;
        let call = format!(
            "{} on each record of `{set}`",
            shown_call(&module, &name, &arguments)
        );
        let outcome = format!("{} succeeded, {} failed", jobbed.succeeded, jobbed.failed);
        self.step(&call, &outcome, jobbed.last_failure.as_deref());
        self.exchange(call, outcome);
        let number = |number: u64| Value::Integer(number.at_most::<i64>());
        map_particle([
            ("succeeded", number(jobbed.succeeded)),
            ("failed", number(jobbed.failed)),
        ])
    }

    fn log(&mut self) -> Answer {
        self.gather_lines();
        let lines = self.lines.take().into_iter().flatten().collect();
        list_of_texts(lines)
    }

    fn lines(&mut self) -> Answer {
        self.gather_lines();
        match &self.lines {
            Some(lines) => list_of_texts(lines.clone()),
            None => Ok(Particle::NIL),
        }
    }

    fn clock(&mut self, words: &mut Words) -> Answer {
        let unix_ms = match words.value()? {
            Value::Nil => self.place.unix_ms(),
            Value::Integer(ms) => u64::try_from(ms).map_err(|_| "a time is not negative")?,
            Value::String(text) => {
                let text = String::from_utf8_lossy(&text);
                let time: Timestamp = text
                    .parse()
                    .map_err(|_| format!("`{text}` is no time like 2026-01-31T12:00:00Z"))?;
                u64::try_from(time.as_millisecond()).map_err(|_| "a time is not negative")?
            }
            other => return Err(format!("{} is no time", show::value(&other))),
        };
        self.set_clock(unix_ms)
    }

    fn advance(&mut self, words: &mut Words) -> Answer {
        let seconds = match words.value()? {
            Value::Integer(seconds) => seconds as f64,
            Value::Float(seconds) => seconds,
            other => return Err(format!("{} is no number of seconds", show::value(&other))),
        };
        let step = Duration::try_from_secs_f64(seconds)
            .map_err(|_| "the clock goes forward, by a number of seconds")?;
        let step = step.as_millis().at_most::<u64>();
        self.set_clock(self.place.unix_ms().saturating_add(step))
    }

    fn set_clock(&mut self, unix_ms: u64) -> Answer {
        self.traces.only_here = Some("it sets the clock");
        self.place.set_clock(unix_ms).map_err(trouble)?;
        Ok(Particle::integer(unix_ms.at_most::<i64>()))
    }

    fn limits(&mut self, words: &mut Words) -> Answer {
        let mut told = Words::of_map(words.value()?)?;
        let positive = |name: &str, value: Option<i64>| match value {
            None => Ok(None),
            Some(value) => u64::try_from(value)
                .ok()
                .filter(|value| *value > 0)
                .map(Some)
                .ok_or_else(|| format!("`{name}` is more than 0")),
        };
        if let Some(ms) = positive("time_ms", told.take_integer("time_ms")?)? {
            self.terms.time_limit = Duration::from_millis(ms);
        }
        if let Some(bytes) = positive("memory", told.take_integer("memory")?)? {
            self.terms.memory_limit = bytes.at_most::<usize>();
        }
        if let Some(bytes) = positive("record_size", told.take_integer("record_size")?)? {
            self.terms.max_record_size = bytes;
        }
        if let Some(seconds) = told.take_integer("default_ttl")? {
            self.terms.default_ttl =
                u32::try_from(seconds).map_err(|_| "`default_ttl` is a number of seconds")?;
        }
        if let Some(name) = told.rest() {
            return Err(format!(
                "there is no limit `{name}`: say time_ms, memory, record_size, default_ttl"
            ));
        }
        self.traces.only_here = Some("it sets limits");
        self.place.set_terms(&self.terms).map_err(trouble)?;
        Ok(Particle::NIL)
    }
}
