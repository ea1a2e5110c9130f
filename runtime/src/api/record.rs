//! The type `Record` and the global `record`: the record that a UDF was called on.
//!
//! Reads look at pending values first, then at the stored bins. Writes are pending until `aerospike:create` or `update`
//! takes them into the record's image; the image is what the transaction stores after the call. A handle is good for
//! its own call only.

use std::ffi::c_int;
use std::rc::Rc;

use protocol::particle::{Particle, ParticleRef};
use protocol::result_code::ResultCode;

use super::encode;
use super::value::{Bytes, Value};
use crate::call::{MAX_TOUCHED_BINS, MAX_UDF_BINS, RecordChange, RecordView};
use crate::machine::frame::{Body, Frame, Kind, Raise};
use crate::machine::memory::{MAX_TEXT_BYTES, Memory};
use crate::machine::object::{Class, Converted, Metamethods, Object};
use data::record::{Bin, BinName, StoredRecord, bins_of};

const FUNCTIONS: [(&str, Body); 13] = [
    ("bin_names", bin_names),
    ("device_size", device_size),
    ("digest", digest),
    ("drop_key", drop_key),
    ("gen", generation),
    ("key", key),
    ("last_update_time", last_update_time),
    ("memory_size", memory_size),
    ("numbins", numbins),
    ("set_ttl", set_ttl),
    ("setname", setname),
    ("size", size),
    ("ttl", ttl),
];

/// Bins that a call has touched.
pub(crate) type PendingBins = Vec<(BinName, Pending)>;

/// A bin's value in the call.
#[derive(Debug)]
pub(crate) enum Pending {
    /// Read from the image, unchanged.
    Read(Value),
    /// To be written; nil deletes the bin.
    Write(Value),
    /// Holds a record handle, which no bin can: the next create or update fails.
    Unusable,
}

/// What a record is in the course of a call.
#[derive(Debug)]
enum Image {
    /// It does not exist.
    Absent,
    /// As it is stored.
    Stored(StoredRecord),
    /// These bins.
    Bins(Vec<Bin>),
}

impl Image {
    fn of(stored: Option<&StoredRecord>) -> Self {
        stored.map_or(Self::Absent, |stored| Self::Stored(stored.clone()))
    }

    fn exists(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    fn bin(&self, name: BinName) -> Option<ParticleRef<'_>> {
        match self {
            Self::Absent => None,
            Self::Stored(record) => record.bin(name.as_bytes()),
            Self::Bins(bins) => {
                let found = bins.iter().find(|bin| bin.name == name);
                found.map(|bin| bin.particle.as_ref())
            }
        }
    }

    fn names(&self) -> Option<Vec<BinName>> {
        match self {
            Self::Absent => None,
            Self::Stored(record) => {
                let names = record.bins();
                Some(names.filter_map(|bin| BinName::new(bin.name)).collect())
            }
            Self::Bins(bins) => Some(bins.iter().map(|bin| bin.name).collect()),
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Absent => 0,
            Self::Stored(record) => record.bin_count(),
            Self::Bins(bins) => bins.len(),
        }
    }

    fn to_bins(&self) -> Vec<Bin> {
        match self {
            Self::Absent => Vec::new(),
            Self::Stored(record) => bins_of(record),
            Self::Bins(bins) => bins.clone(),
        }
    }
}

/// The record in one call.
#[derive(Debug)]
pub(crate) struct RecordCall {
    view: RecordView,
    /// Seconds since 2010-01-01 UTC.
    now: u32,
    /// The record as of the last create, update or remove.
    image: Image,
    /// `exists` stays true after a remove in the same call.
    seen: bool,
    changed: bool,
    /// In order of first touch.
    pending: PendingBins,
    poisoned: bool,
    ttl: Option<u32>,
    drop_key: bool,
    error: Option<ResultCode>,
    /// Bytes that create and update have written out, for the budget.
    written: usize,
    /// It is one of a stream: what is written to it is lost.
    read_only: bool,
}

/// What `create`, `update` and `remove` answer.
pub(crate) type Status = i64;

impl RecordCall {
    /// `spare` is the room of an earlier call; see [`RecordCall::take_pending`].
    pub(crate) fn new(view: RecordView, now: u32, spare: PendingBins) -> Self {
        Self {
            seen: view.stored.is_some(),
            image: Image::of(view.stored.as_ref()),
            view,
            now,
            changed: false,
            pending: spare,
            poisoned: false,
            ttl: None,
            drop_key: false,
            error: None,
            written: 0,
            read_only: false,
        }
    }

    /// A record of a stream, which is read only: the real server ignores writes without a word.
    pub(crate) fn to_read(view: RecordView, now: u32, spare: PendingBins) -> Self {
        Self {
            read_only: true,
            ..Self::new(view, now, spare)
        }
    }

    /// What has to be stored once the function has returned, and the code of a create or update that failed last.
    pub(crate) fn finish(self) -> (RecordChange, Option<ResultCode>) {
        if self.error.is_some() || !self.changed {
            return (RecordChange::None, self.error);
        }
        let change = match self.image {
            Image::Bins(bins) if !bins.is_empty() => RecordChange::Write {
                bins,
                ttl: self.ttl,
                drop_key: self.drop_key,
            },
            _ => RecordChange::Delete,
        };
        (change, None)
    }

    /// Drops what is pending; its room may serve the next call.
    pub(crate) fn take_pending(&mut self) -> PendingBins {
        let mut pending = std::mem::take(&mut self.pending);
        pending.clear();
        pending
    }

    fn too_many_stored(&self) -> bool {
        self.view
            .stored
            .as_ref()
            .is_some_and(|stored| stored.bin_count() > MAX_UDF_BINS)
    }

    fn get(&mut self, memory: &Rc<Memory>, name: BinName) -> Option<Value> {
        if self.too_many_stored() {
            return None;
        }
        match self.touched(name) {
            Some(Pending::Read(value) | Pending::Write(value)) => return Some(value.clone()),
            Some(Pending::Unusable) => return None,
            None => {}
        }
        if !self.image.exists() {
            return None;
        }
        let bin = self.image.bin(name);
        let value = bin.map_or(Value::Nil, |bin| encode::from_particle(memory, bin));
        self.set(name, Pending::Read(value.clone()));
        Some(value)
    }

    fn touched(&self, name: BinName) -> Option<&Pending> {
        self.pending
            .iter()
            .find(|(touched, _)| *touched == name)
            .map(|(_, pending)| pending)
    }

    fn set(&mut self, name: BinName, pending: Pending) {
        if let Some((_, place)) = self
            .pending
            .iter_mut()
            .find(|(touched, _)| *touched == name)
        {
            *place = pending;
        } else if self.pending.len() >= MAX_TOUCHED_BINS {
            self.poisoned = true;
        } else {
            self.pending.push((name, pending));
        }
    }

    pub(crate) fn exists(&self) -> bool {
        self.seen
    }

    pub(crate) fn create(&mut self) -> Status {
        if self.read_only {
            return 1;
        }
        if self.image.exists() {
            return 1;
        }
        self.image = Image::Bins(Vec::new());
        let status = self.apply();
        if status == 0 {
            self.seen = true;
        }
        status
    }

    pub(crate) fn update(&mut self) -> Status {
        if self.read_only {
            return 1;
        }
        if self.too_many_stored() || (!self.image.exists() && !self.seen) {
            return -2;
        }
        if !self.image.exists() {
            self.image = Image::Bins(Vec::new());
        }
        self.apply()
    }

    pub(crate) fn remove(&mut self) -> Status {
        if self.read_only {
            return 1;
        }
        if self.too_many_stored() || !self.seen {
            return 1;
        }
        let unusable = |(_, pending): &(BinName, Pending)| matches!(pending, Pending::Unusable);
        if self.pending.iter().any(unusable) {
            return self.fail(ResultCode::INCOMPATIBLE_TYPE);
        }
        self.image = Image::Absent;
        self.changed = true;
        self.pending.clear();
        0
    }

    /// Takes the pending writes into the image; on failure everything of this call is dropped.
    fn apply(&mut self) -> Status {
        match self.applied() {
            Ok(bins) => {
                self.image = Image::Bins(bins);
                self.changed = true;
                self.error = None;
                for (_, pending) in &mut self.pending {
                    if let Pending::Write(value) = pending {
                        *pending = Pending::Read(std::mem::replace(value, Value::Nil));
                    }
                }
                0
            }
            Err(code) => self.fail(code),
        }
    }

    /// Everything of this call is dropped; the transaction ends with this code unless a later change succeeds.
    fn fail(&mut self, code: ResultCode) -> Status {
        self.image = Image::of(self.view.stored.as_ref());
        self.changed = false;
        self.poisoned = false;
        self.pending.clear();
        self.error = Some(code);
        -1
    }

    /// Bytes written out since the last question.
    pub(crate) fn take_written(&mut self) -> usize {
        std::mem::take(&mut self.written)
    }

    fn applied(&mut self) -> Result<Vec<Bin>, ResultCode> {
        if let Some(code) = self.view.write_refusal {
            return Err(code);
        }
        if self.poisoned {
            return Err(ResultCode::BIN_NAME);
        }
        let mut bins = self.image.to_bins();
        self.written = 0;
        for (name, pending) in &self.pending {
            let value = match pending {
                Pending::Read(_) => continue,
                Pending::Unusable => return Err(ResultCode::INCOMPATIBLE_TYPE),
                Pending::Write(value) => value,
            };
            let at = bins.iter().position(|bin| bin.name == *name);
            let particle = stored_form(value)?;
            self.written += particle.data.len();
            if self.written > MAX_TEXT_BYTES {
                return Err(ResultCode::RECORD_TOO_BIG);
            }
            match (at, value) {
                (Some(at), Value::Nil) => drop(bins.swap_remove(at)),
                (None, Value::Nil) => {}
                (Some(at), _) => {
                    if let Some(bin) = bins.get_mut(at) {
                        bin.particle = particle;
                    }
                }
                (None, _) if bins.len() >= MAX_UDF_BINS => return Err(ResultCode::BIN_NAME),
                (None, _) => bins.push(Bin {
                    name: *name,
                    particle,
                }),
            }
        }
        Ok(bins)
    }
}

/// The value as it is stored; ordered lists are put back into order. GeoJSON is checked as in a client's write.
fn stored_form(value: &Value) -> Result<Particle, ResultCode> {
    let particle = encode::to_particle(value).map_err(|_| ResultCode::INCOMPATIBLE_TYPE)?;
    if matches!(value, Value::GeoJson(_)) {
        return data::particle::stored(particle.as_ref()).map_err(|error| error.result_code());
    }
    let ordered = matches!(value, Value::List(list) if list.flags != 0);
    encode::for_storage(particle, ordered).map_err(|_| ResultCode::INCOMPATIBLE_TYPE)
}

/// Defines the global `record`.
pub(crate) fn define(frame: &mut Frame<'_>) {
    frame.define_table("record", &FUNCTIONS);
    frame.push_table(0, 0);
    frame.define_class(
        Class::Record,
        &Metamethods {
            methods: &[("__index", index), ("__newindex", assign)],
        },
    );
    frame.pop(1);
}

impl Frame<'_> {
    /// Works on the record that the argument is a handle of.
    pub(crate) fn with_record<R>(
        &mut self,
        argument: c_int,
        work: impl FnOnce(&mut Self, &mut RecordCall) -> R,
    ) -> Result<R, Raise> {
        let number = match self.check_object(argument, Class::Record)? {
            Object::Record(number) => *number,
            _ => return Err(self.type_error(argument, "Record")),
        };
        let shared = self.shared();
        let stale = || Raise::text("record is no longer valid: its call has ended");
        if number != shared.call_number.get() {
            return Err(stale());
        }
        let mut record = shared.record.try_borrow_mut().map_err(|_| stale())?;
        match record.as_mut() {
            Some(record) => Ok(work(self, record)),
            None => Err(stale()),
        }
    }
}

/// The bin name at `index`; `None` when the bin cannot exist (nil, or a name that is too long).
fn bin_name(frame: &mut Frame<'_>, index: c_int) -> Result<Option<BinName>, Raise> {
    if frame.kind(index) == Kind::Nil {
        return Ok(None);
    }
    let name = frame.check_bytes(index)?;
    let name = BinName::new(name);
    if name.is_none() {
        let name = frame.check_bytes(index)?;
        let text = format!("bin name {} too big", String::from_utf8_lossy(name));
        frame.shared().host.warn(&text);
    }
    Ok(name)
}

fn index(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let name = bin_name(frame, 2)?;
    let value = frame.with_record(1, |frame, record| {
        let memory = &frame.shared().memory;
        name.and_then(|name| record.get(memory, name))
    })?;
    frame.push_value(&value.unwrap_or(Value::Nil));
    Ok(1)
}

fn assign(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let name = bin_name(frame, 2)?;
    let pending = match frame.value_at(3) {
        Converted::Value(value) => Pending::Write(value),
        Converted::Record => Pending::Unusable,
        Converted::Unsupported => {
            let mut text = b"can't set bin ".to_vec();
            text.extend(frame.check_bytes(2)?);
            text.extend(b" to unsupported type");
            return Err(Raise::Text(text));
        }
    };
    frame.with_record(1, |_, record| {
        if let Some(name) = name.filter(|_| !record.read_only) {
            record.set(name, pending);
        }
    })?;
    Ok(0)
}

fn push_count(frame: &mut Frame<'_>, count: u64) -> Result<usize, Raise> {
    frame.push_integer(i64::try_from(count).unwrap_or(i64::MAX));
    Ok(1)
}

fn bin_names(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let names = frame.with_record(1, |_, record| {
        let names = record.image.names();
        names.filter(|_| !record.too_many_stored())
    })?;
    let Some(names) = names else {
        return Err(Raise::text("can't get bin names"));
    };
    frame.push_table(names.len(), 0);
    let table = frame.top();
    for (at, name) in (1..).zip(names) {
        frame.push_bytes(name.as_bytes());
        frame.raw_set_index(table, at);
    }
    Ok(1)
}

fn numbins(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let count = frame.with_record(1, |_, record| {
        if record.too_many_stored() {
            0
        } else {
            record.image.count()
        }
    })?;
    push_count(frame, count as u64)
}

fn stored_size(
    frame: &mut Frame<'_>,
    counts: impl FnOnce(&RecordView) -> bool,
) -> Result<usize, Raise> {
    let size = frame.with_record(1, |_, record| {
        record
            .view
            .stored
            .as_ref()
            .filter(|_| counts(&record.view))
            .map_or(0, |stored| stored.size())
    })?;
    push_count(frame, size)
}

fn size(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    stored_size(frame, |_| true)
}

fn memory_size(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    stored_size(frame, |view| view.in_memory)
}

fn device_size(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    stored_size(frame, |view| view.persisted)
}

fn digest(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let digest = frame.with_record(1, |_, record| record.view.digest)?;
    let bytes = Bytes::new(&frame.shared().memory, digest.0.to_vec(), Bytes::BLOB);
    frame.push_object(Object::Bytes(bytes));
    Ok(1)
}

fn generation(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let generation = frame.with_record(1, |_, record| {
        record
            .view
            .stored
            .as_ref()
            .map_or(0, StoredRecord::generation)
    })?;
    push_count(frame, generation.into())
}

fn ttl(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let left = frame.with_record(1, |_, record| {
        let void_time = record
            .view
            .stored
            .as_ref()
            .map_or(0, StoredRecord::void_time);
        void_time.saturating_sub(record.now)
    })?;
    push_count(frame, left.into())
}

fn last_update_time(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let time = frame.with_record(1, |_, record| {
        record
            .view
            .stored
            .as_ref()
            .map_or(0, StoredRecord::last_update_ms)
    })?;
    push_count(frame, time)
}

fn key(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let value = frame.with_record(1, |frame, record| {
        let key = record
            .view
            .key
            .as_ref()
            .filter(|_| !record.drop_key && record.seen);
        key.map_or(Value::Nil, |key| {
            encode::from_particle(&frame.shared().memory, key.as_ref())
        })
    })?;
    frame.push_value(&value);
    Ok(1)
}

fn setname(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let name = frame.with_record(1, |_, record| {
        record.view.set.clone().filter(|_| record.seen)
    })?;
    match name {
        Some(name) => frame.push_bytes(name.as_bytes()),
        None => frame.push_nil(),
    }
    Ok(1)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the life is cut to 32 bits"
)]
fn set_ttl(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    frame.check_object(1, Class::Record)?;
    let ttl = frame.optional_integer(2, 0)?;
    frame.with_record(1, |_, record| {
        if !record.read_only {
            record.ttl = Some(ttl as u32);
        }
    })?;
    Ok(0)
}

fn drop_key(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    frame.with_record(1, |_, record| record.drop_key = !record.read_only)?;
    Ok(0)
}
