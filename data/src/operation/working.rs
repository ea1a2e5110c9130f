use std::collections::HashMap;

use bytes::Bytes;
use protocol::message::OpCode;
use protocol::particle::{Particle, ParticleRef};
use protocol::result_code::ResultCode;

use super::growing::Growing;
use super::{Change, Checked, Limits, Operation, OperationError, Surroundings};
use crate::bin::{BinName, Bins};
use crate::encoded::{Head, Kept, Landmarks};
use crate::expression::Context;
use crate::work::Meter;

/// Bins up to which a name is looked for one after the other: shorter than hashing it.
const LINEAR: usize = 16;

/// Where the bins of a record stand, by name, for many look-ups in a record of many bins.
///
/// A request has up to 32,768 operations and a record as many bins, so a look-up must not walk all of them.
#[derive(Debug, Default)]
pub struct NameIndex {
    places: HashMap<BinName, usize>,
}

impl NameIndex {
    /// Whether so many look-ups among so many bins are worth an index.
    #[must_use]
    pub fn is_worth_it(lookups: usize, bins: usize) -> bool {
        bins > LINEAR && lookups > LINEAR
    }

    /// The index of bins in this order. No name occurs twice.
    pub fn of(names: impl ExactSizeIterator<Item = BinName>) -> Self {
        let mut places = HashMap::with_capacity(names.len());
        places.extend(names.enumerate().map(|(place, name)| (name, place)));
        Self { places }
    }

    /// The place of the bin.
    #[must_use]
    pub fn place(&self, name: &BinName) -> Option<usize> {
        self.places.get(name).copied()
    }
}

/// Value of a bin while operations go over it.
#[derive(Clone, Debug)]
pub enum BinValue<'r> {
    /// As it was: that of the stored bin at this place.
    Kept(usize, ParticleRef<'r>),
    /// Another one.
    New(Particle),
    /// Another one, as it was sent.
    Sent(ParticleRef<'r>),
    /// Bytes that are being added to.
    Growing(Growing),
}

impl BinValue<'_> {
    /// The value as it is now.
    #[must_use]
    pub fn as_ref(&self) -> ParticleRef<'_> {
        match self {
            Self::Kept(_, value) | Self::Sent(value) => *value,
            Self::New(particle) => particle.as_ref(),
            Self::Growing(growing) => growing.as_ref(),
        }
    }

    fn grow(&mut self, change: impl FnOnce(&mut Growing)) {
        if let Self::Growing(growing) = self {
            change(growing);
            return;
        }
        let mut growing = Growing::from(self.as_ref());
        change(&mut growing);
        *self = Self::Growing(growing);
    }
}

#[derive(Debug)]
struct Slot<'r> {
    name: BinName,
    value: BinValue<'r>,
    /// Those beside the value.
    landmarks: Beside<'r>,
    /// Bytes of the value that operations made; what was sent or stored is held by others.
    made: usize,
}

/// Landmarks of a value that was kept, or made for one that is new.
#[derive(Debug)]
enum Beside<'r> {
    Kept(Landmarks<'r>),
    Made(Vec<u8>),
}

impl Beside<'_> {
    const NONE: Self = Self::Kept(Landmarks::NONE);

    fn landmarks(&self) -> Landmarks<'_> {
        match self {
            Self::Kept(landmarks) => *landmarks,
            Self::Made(bytes) => Landmarks::of(bytes),
        }
    }

    /// Those of a value that follows another one, of which most is often the same.
    fn after(old: ParticleRef<'_>, landmarks: Landmarks<'_>, new: ParticleRef<'_>) -> Self {
        if landmarks.is_empty() || old.kind != new.kind {
            return Self::NONE;
        }
        let (Some(old), Some(new)) = (Head::read(old.data), Head::read(new.data)) else {
            return Self::NONE;
        };
        let before = Kept {
            head: old,
            landmarks,
        };
        let mut made = Vec::new();
        Landmarks::write(&new, Some(before), &mut made);
        Self::Made(made)
    }
}

/// The bins of one record while operations go over them, in storage order: that of their first write; when one is
/// removed, the last takes its place.
#[derive(Debug)]
pub struct Working<'r> {
    slots: Vec<Slot<'r>>,
    /// Once there are many bins, and many operations to come.
    index: Option<NameIndex>,
    operations: usize,
    /// Bytes of all values that operations made.
    made: usize,
}

impl<'r> Working<'r> {
    /// Takes the bins of a record, in storage order, each with the landmarks beside its value; `operations` is how many are
    /// going to be done.
    pub fn of(
        bins: impl ExactSizeIterator<Item = (BinName, ParticleRef<'r>, Landmarks<'r>)>,
        operations: usize,
    ) -> Self {
        let mut slots = Vec::with_capacity(bins.len() + operations.min(LINEAR));
        let slot = |(place, (name, value, landmarks))| Slot {
            name,
            value: BinValue::Kept(place, value),
            landmarks: Beside::Kept(landmarks),
            made: 0,
        };
        slots.extend(bins.enumerate().map(slot));
        Self {
            slots,
            index: None,
            operations,
            made: 0,
        }
    }

    /// How many bins there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// All bins in storage order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&BinName, ParticleRef<'_>)> {
        self.slots
            .iter()
            .map(|slot| (&slot.name, slot.value.as_ref()))
    }

    /// What has become of the bins, in storage order.
    pub fn into_bins(self) -> impl ExactSizeIterator<Item = (BinName, BinValue<'r>)> {
        self.slots.into_iter().map(|slot| (slot.name, slot.value))
    }

    /// Does one operation and gives its answers to `answer`: what the request calls the operation, the bin, the value.
    /// With `respond_all` an operation without a value answers nil.
    ///
    /// # Errors
    /// The operation fails; the bins are as before.
    pub fn apply(
        &mut self,
        checked: &Checked<'r>,
        surroundings: &mut Surroundings<'_>,
        respond_all: bool,
        mut answer: impl FnMut(OpCode, &BinName, ParticleRef<'_>),
    ) -> Result<(), OperationError> {
        let Checked { code, bin, .. } = checked;
        let operation = checked.operation.as_ref().map_err(OperationError::clone)?;
        let work = &mut *surroundings.work;
        work.steps(1)?;
        match operation {
            Operation::Read => {
                let place = self.place(bin);
                let slot = place.and_then(|place| self.slots.get(place));
                match slot {
                    Some(slot) => answer(*code, bin, slot.value.as_ref()),
                    None if respond_all => answer(*code, bin, ParticleRef::NIL),
                    None => {}
                }
                return Ok(());
            }
            Operation::ReadAll => {
                work.steps(self.slots.len())?;
                for slot in &self.slots {
                    answer(*code, &slot.name, slot.value.as_ref());
                }
                return Ok(());
            }
            Operation::Touch => return Ok(()),
            Operation::WriteSent(value) => {
                let place = self.place(bin);
                self.count_made(place, 0, surroundings.limits, work)?;
                self.set(place, *bin, BinValue::Sent(*value), Beside::NONE, 0);
            }
            Operation::RemoveAll => {
                work.let_go(std::mem::take(&mut self.made));
                self.slots.clear();
                self.index = None;
            }
            operation => {
                let place = self.place(bin);
                let value = place.and_then(|place| self.slots.get(place));
                let landmarks = value.map_or(Landmarks::NONE, |slot| slot.landmarks.landmarks());
                let value = value.map(|slot| slot.value.as_ref());
                let record = Context::of_record(
                    surroundings.metadata,
                    Some(&*self),
                    surroundings.now_ms,
                    surroundings.limits,
                );
                let applied = operation.apply(value, landmarks, &record, work)?;
                let made = self.made_by(place, &applied.change);
                if let Change::Set(particle) = &applied.change {
                    work.bytes(particle.data.len())?;
                }
                self.count_made(place, made, surroundings.limits, work)?;
                self.change(place, *bin, applied.change, made)?;
                if let Some(reply) = &applied.reply {
                    answer(*code, bin, reply.as_ref());
                    return Ok(());
                }
                // Among writes, an expression that is read always answers, and any other read where there is a bin.
                let answers = match operation {
                    Operation::Evaluate(_) => true,
                    Operation::Call(call) => place.is_some() && !call.is_write(),
                    _ => false,
                };
                if answers {
                    answer(*code, bin, ParticleRef::NIL);
                    return Ok(());
                }
            }
        }
        if respond_all {
            answer(*code, bin, ParticleRef::NIL);
        }
        Ok(())
    }

    fn place(&mut self, name: &BinName) -> Option<usize> {
        if self.index.is_none() && NameIndex::is_worth_it(self.operations, self.slots.len()) {
            self.index = Some(NameIndex::of(self.slots.iter().map(|slot| slot.name)));
        }
        match &self.index {
            Some(index) => index.place(name),
            None => self.slots.iter().position(|slot| slot.name == *name),
        }
    }

    /// Bytes that a bin's value holds after a change.
    fn made_by(&self, place: Option<usize>, change: &Change) -> usize {
        let slot = place.and_then(|place| self.slots.get(place));
        match change {
            Change::Keep => slot.map_or(0, |slot| slot.made),
            Change::Remove => 0,
            Change::Set(particle) => particle.data.len(),
            // Room for as much again is kept.
            Change::Append(bytes) | Change::Prepend(bytes) => {
                let before = slot.map_or(0, |slot| slot.value.as_ref().data.len());
                before.saturating_add(bytes.len()).saturating_mul(2)
            }
        }
    }

    /// Counts what a bin's value is going to hold, before it does.
    fn count_made(
        &mut self,
        place: Option<usize>,
        made: usize,
        limits: Limits,
        work: &mut dyn Meter,
    ) -> Result<(), OperationError> {
        let slot = place.and_then(|place| self.slots.get(place));
        let before = slot.map_or(0, |slot| slot.made);
        let all = (self.made - before).saturating_add(made);
        if made > before {
            if all > limits.max_particle_bytes {
                return Err(OperationError::new(
                    ResultCode::RECORD_TOO_BIG,
                    format!("the bins would hold {all} bytes"),
                ));
            }
            work.hold(made - before)?;
        } else {
            work.let_go(before - made);
        }
        self.made = all;
        Ok(())
    }

    fn change(
        &mut self,
        place: Option<usize>,
        name: BinName,
        change: Change,
        made: usize,
    ) -> Result<(), OperationError> {
        let slot = place.and_then(|place| self.slots.get_mut(place));
        match (change, slot) {
            (Change::Keep, _) | (Change::Remove, None) => {}
            (Change::Set(particle), slot) => {
                // They are of use to operations that follow.
                let landmarks = match slot {
                    Some(slot) if self.operations > 1 => {
                        let old = slot.value.as_ref();
                        Beside::after(old, slot.landmarks.landmarks(), particle.as_ref())
                    }
                    Some(_) | None => Beside::NONE,
                };
                self.set(place, name, BinValue::New(particle), landmarks, made);
            }
            (Change::Append(tail), Some(slot)) => {
                slot.value.grow(|value| value.append(&tail));
                slot.made = made;
            }
            (Change::Prepend(head), Some(slot)) => {
                slot.value.grow(|value| value.prepend(&head));
                slot.made = made;
            }
            (Change::Append(_) | Change::Prepend(_), None) => {
                return Err(OperationError::new(
                    ResultCode::BIN_NOT_FOUND,
                    "there are no bytes to add to",
                ));
            }
            (Change::Remove, Some(_)) => self.remove(place, &name),
        }
        Ok(())
    }

    /// Gives a bin a value; one that has no place gets the last.
    fn set(
        &mut self,
        place: Option<usize>,
        name: BinName,
        value: BinValue<'r>,
        landmarks: Beside<'r>,
        made: usize,
    ) {
        match place.and_then(|place| self.slots.get_mut(place)) {
            Some(slot) => (slot.value, slot.landmarks, slot.made) = (value, landmarks, made),
            None => {
                if let Some(index) = &mut self.index {
                    index.places.insert(name, self.slots.len());
                }
                self.slots.push(Slot {
                    name,
                    value,
                    landmarks,
                    made,
                });
            }
        }
    }

    fn remove(&mut self, place: Option<usize>, name: &BinName) {
        let Some(place) = place else { return };
        self.slots.swap_remove(place);
        if let Some(index) = &mut self.index {
            index.places.remove(name);
            if let Some(moved) = self.slots.get(place) {
                index.places.insert(moved.name, place);
            }
        }
    }
}

impl Bins for Working<'_> {
    fn bin(&self, name: &[u8]) -> Option<ParticleRef<'_>> {
        let name = BinName::new(name)?;
        let place = match &self.index {
            Some(index) => index.place(&name),
            None => self.slots.iter().position(|slot| slot.name == name),
        };
        Some(self.slots.get(place?)?.value.as_ref())
    }

    fn landmarks(&self, value: ParticleRef<'_>) -> Landmarks<'_> {
        let mut slots = self.slots.iter();
        let found = slots.find(|slot| std::ptr::eq(slot.value.as_ref().data, value.data));
        found.map_or(Landmarks::NONE, |slot| slot.landmarks.landmarks())
    }

    fn steps_of_a_look_up(&self) -> usize {
        match &self.index {
            Some(_) => 1,
            None => self.slots.len(),
        }
    }
}

impl BinValue<'_> {
    /// The value as a particle of its own; that of a bin that was kept is copied.
    #[must_use]
    pub fn into_particle(self) -> Particle {
        match self {
            Self::New(particle) => particle,
            Self::Kept(_, value) | Self::Sent(value) => value.to_particle(),
            Self::Growing(growing) => {
                let value = growing.as_ref();
                Particle::new(value.kind, Bytes::copy_from_slice(value.data))
            }
        }
    }
}
