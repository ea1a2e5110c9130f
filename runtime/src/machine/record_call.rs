//! The record of a call: what is stored, what the call has touched, what becomes of it.

use std::rc::Rc;

use data::record::{Bin, BinName, StoredRecord, bins_of};
use data::work::Meter;
use protocol::particle::{Particle, ParticleRef};
use protocol::result_code::ResultCode;

use super::encode;
use super::memory::{MAX_TEXT_BYTES, Memory};
use super::value::Value;
use crate::call::{MAX_TOUCHED_BINS, MAX_UDF_BINS, RecordChange, RecordView};

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
pub(crate) enum Image {
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

    pub(crate) fn exists(&self) -> bool {
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

    pub(crate) fn names(&self) -> Option<Vec<BinName>> {
        match self {
            Self::Absent => None,
            Self::Stored(record) => {
                let names = record.bins();
                Some(names.filter_map(|bin| BinName::new(bin.name)).collect())
            }
            Self::Bins(bins) => Some(bins.iter().map(|bin| bin.name).collect()),
        }
    }

    pub(crate) fn count(&self) -> usize {
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
    pub(crate) view: RecordView,
    /// Seconds since 2010-01-01 UTC.
    pub(crate) now: u32,
    /// The record as of the last create, update or remove.
    pub(crate) image: Image,
    /// `exists` stays true after a remove in the same call.
    pub(crate) seen: bool,
    pub(crate) changed: bool,
    /// In order of first touch.
    pub(crate) pending: PendingBins,
    pub(crate) poisoned: bool,
    pub(crate) ttl: Option<u32>,
    pub(crate) drop_key: bool,
    pub(crate) error: Option<ResultCode>,
    /// Bytes that create and update have written out, for the budget.
    pub(crate) written: usize,
    /// It is one of a stream: what is written to it is lost.
    pub(crate) read_only: bool,
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
    pub(crate) fn finish(&mut self) -> (RecordChange, Option<ResultCode>) {
        if self.error.is_some() || !self.changed {
            return (RecordChange::None, self.error);
        }
        let change = match std::mem::replace(&mut self.image, Image::Absent) {
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

    pub(crate) fn too_many_stored(&self) -> bool {
        self.view
            .stored
            .as_ref()
            .is_some_and(|stored| stored.bin_count() > MAX_UDF_BINS)
    }

    pub(crate) fn get(&mut self, memory: &Rc<Memory>, name: BinName) -> Option<Value> {
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

    pub(crate) fn set(&mut self, name: BinName, pending: Pending) {
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

    pub(crate) fn create(&mut self, work: &mut dyn Meter) -> Status {
        if self.read_only {
            return 1;
        }
        if self.image.exists() {
            return 1;
        }
        self.image = Image::Bins(Vec::new());
        let status = self.apply(work);
        if status == 0 {
            self.seen = true;
        }
        status
    }

    pub(crate) fn update(&mut self, work: &mut dyn Meter) -> Status {
        if self.read_only {
            return 1;
        }
        if self.too_many_stored() || (!self.image.exists() && !self.seen) {
            return -2;
        }
        if !self.image.exists() {
            self.image = Image::Bins(Vec::new());
        }
        self.apply(work)
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
    fn apply(&mut self, work: &mut dyn Meter) -> Status {
        match self.applied(work) {
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

    fn applied(&mut self, work: &mut dyn Meter) -> Result<Vec<Bin>, ResultCode> {
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
            let particle = stored_form(value, work)?;
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
fn stored_form(value: &Value, work: &mut dyn Meter) -> Result<Particle, ResultCode> {
    let particle = encode::to_particle(value).map_err(|_| ResultCode::INCOMPATIBLE_TYPE)?;
    if matches!(value, Value::GeoJson(_)) {
        let stored = data::particle::stored(particle.as_ref(), work);
        return stored.map_err(|error| error.result_code());
    }
    let ordered = matches!(value, Value::List(list) if list.flags != 0);
    encode::for_storage(particle, ordered).map_err(|_| ResultCode::INCOMPATIBLE_TYPE)
}
