//! Operations on a list or map inside of others: the way to it, making what is missing on it, and back.

use std::borrow::Cow;
use std::ops::Range;

use protocol::bounds::Within as _;
use protocol::msgpack::{Reader, Token, order};
use protocol::particle::{ParticleRef, ParticleType};

use super::super::arguments::{Arguments, malformed};
use super::answer::{Reply, inapplicable, single};
use super::stored::{Rebuilt, Stored};
use super::table::Missing;
use super::{fresh, list, map, particle, row, run, sort, table, wrong_type};
use crate::operation::{Applied, Change, Environment, OperationError, element};
use crate::work::{Meter, UnitsLeft};

/// Most pairs of a way; lists and maps are not nested deeper.
const MAX_PAIRS: usize = protocol::limits::MAX_DEPTH;

/// By what a step chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Index,
    Rank,
    Key,
    Value,
}

/// On what a step works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepKind {
    List,
    Map,
    Either,
}

/// The bits of a type that say what is made when the element is missing.
const CREATE: i64 = 0x1c0;
/// One of them: the list or map keeps an index.
const CREATE_PERSISTED: i64 = 0x100;
/// A list whose gap is filled with nil, or a map ordered by key.
const CREATE_SECOND: i64 = 0x80;
/// An ordered list, or a map ordered by key and value.
const CREATE_THIRD: i64 = 0xc0;

/// One step of the way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'a> {
    pub(super) by: By,
    pub(super) kind: StepKind,
    pub(super) value: &'a [u8],
    create: i64,
}

impl<'a> Step<'a> {
    /// A pair of type and value; `None` when there is no such type.
    pub(super) fn of(number: i64, value: &'a [u8]) -> Option<Self> {
        let kind = match number & !CREATE & !0x0f {
            0x00 => StepKind::Either,
            0x10 => StepKind::List,
            0x20 => StepKind::Map,
            _ => return None,
        };
        let by = match number & 0x0f {
            0 => By::Index,
            1 => By::Rank,
            2 if kind != StepKind::List => By::Key,
            3 => By::Value,
            _ => return None,
        };
        let create = number & CREATE;
        if create != 0 && kind == StepKind::Either {
            return None;
        }
        Some(Self {
            by,
            kind,
            value,
            create,
        })
    }

    /// Whether it makes what is missing: an element of a list by index, or a value of a map by key.
    fn can_create(&self) -> bool {
        self.create != 0 && self.may_be_made()
    }

    fn may_be_made(&self) -> bool {
        matches!(
            (self.kind, self.by),
            (StepKind::List, By::Index) | (StepKind::Map, By::Key)
        )
    }

    /// The order flags of the list or map that is made for this step.
    fn flags(&self) -> u8 {
        match (self.kind, self.create & CREATE_THIRD) {
            (StepKind::List, CREATE_THIRD) | (StepKind::Map, CREATE_SECOND) => order::KEY,
            (StepKind::Map, CREATE_THIRD) => order::KEY | order::VALUE,
            _ => 0,
        }
    }

    /// The index or rank of the step.
    fn number(&self) -> Result<i64, OperationError> {
        element::integer(self.value)
            .ok_or_else(|| inapplicable("an index or rank of the context is no integer"))
    }

    /// The place of the element in the list or map; `None` when it is not there.
    pub(super) fn find(
        &self,
        container: &Stored<'_>,
        work: &mut dyn Meter,
    ) -> Result<Option<usize>, OperationError> {
        let fits = match self.kind {
            StepKind::Either => container.is_map || self.by != By::Key,
            StepKind::List => !container.is_map,
            StepKind::Map => container.is_map,
        };
        if !fits {
            return Err(inapplicable(
                "a step of the context is for lists and meets a map, or the reverse",
            ));
        }
        match self.by {
            By::Index => Ok(single(self.number()?, container.count)),
            By::Key => {
                if element::has_special(self.value) {
                    return Err(inapplicable("a key of the context is a wildcard"));
                }
                let found = map::find(container, self.value, work)?;
                Ok(found.there.then_some(found.place))
            }
            By::Rank => {
                let Some(rank) = single(self.number()?, container.count) else {
                    return Ok(None);
                };
                if !container.is_map && container.is_ordered() {
                    return Ok(Some(rank));
                }
                let items = container.items(work)?;
                let place = if container.is_map {
                    map::value_order(container, &items, work)?
                        .get(rank)
                        .copied()
                } else {
                    sort::rank_range(&items, rank, 1, work)?
                        .places
                        .first()
                        .copied()
                };
                Ok(place.map(|place| place as usize))
            }
            By::Value => {
                let items = container.few(work)?;
                for place in 0..items.count {
                    if place % 256 == 0 {
                        work.steps(256.min(items.count - place))?;
                    }
                    let item = if container.is_map {
                        items.value(place)
                    } else {
                        items.get(place)
                    };
                    if element::compare(item, self.value)?.is_eq() {
                        return Ok(Some(place));
                    }
                }
                Ok(None)
            }
        }
    }
}

/// A step, or why there is none such.
type Checked<'a> = Result<Step<'a>, OperationError>;

/// Splits the list of pairs.
fn steps(pairs: &[u8]) -> Result<Vec<Checked<'_>>, OperationError> {
    let wrong = || malformed("the context is no list of pairs");
    let mut reader = Reader::new(pairs);
    let Ok(Token::List(count)) = reader.token() else {
        return Err(wrong());
    };
    if count == 0 || count % 2 != 0 {
        return Err(wrong());
    }
    if count > 2 * MAX_PAIRS {
        return Err(malformed("the context has too many pairs"));
    }
    let mut steps = Vec::with_capacity(count / 2);
    for _ in 0..count / 2 {
        let number = reader.value().map_err(|_| wrong())?;
        let value = reader.value().map_err(|_| wrong())?;
        let number = element::integer(number)
            .ok_or_else(|| malformed("a type of the context is no integer"))?;
        steps.push(
            Step::of(number, value)
                .ok_or_else(|| inapplicable(format!("the context has no type {number:#x}"))),
        );
    }
    Ok(steps)
}

/// A list or map on the way, and which of its elements the way goes on with.
#[derive(Clone, Debug)]
struct Level<'a> {
    stored: Stored<'a>,
    /// Where the list or map is in the particle.
    at: Range<usize>,
    /// Place of the element.
    place: usize,
    /// Where the element is in the particle; of a pair the value.
    child: Range<usize>,
}

impl Level<'_> {
    /// Where the items begin in the particle.
    fn body(&self) -> usize {
        self.at.end - self.stored.body.len()
    }
}

/// Where the way leads.
enum End<'a> {
    /// To this list or map.
    There(Stored<'a>),
    /// To a value that is neither.
    Scalar(ParticleType),
    /// The last list or map that is there lacks the element for the step with this number.
    Missing(Stored<'a>, usize),
}

/// Does an operation on a nested list or map.
pub(super) fn apply(
    pairs: &[u8],
    arguments: &Result<Arguments<'_>, OperationError>,
    write: bool,
    bin: Option<ParticleRef<'_>>,
    environment: &mut Environment<'_>,
) -> Result<Applied, OperationError> {
    let work = &mut *environment.work;
    let steps = steps(pairs)?;
    let Some(bin) = bin else {
        return on_missing_bin(&steps, arguments, work);
    };
    let inner = || arguments.as_ref().map_err(Clone::clone);
    let is_collection = matches!(bin.kind, ParticleType::LIST | ParticleType::MAP);
    let top = Stored::read(bin.data)
        .filter(|_| is_collection)
        .ok_or_else(|| malformed("the bin is neither list nor map"))?
        .with_landmarks(environment.landmarks);
    let mut levels = Vec::with_capacity(steps.len());
    match walk(bin.data, top, &steps, &mut levels, work)? {
        End::Scalar(kind) => Err(wrong_type(kind, inner()?.number)),
        End::There(target) => {
            let arguments = inner()?;
            if target.is_map != table::is_map(arguments.number) {
                let kind = if target.is_map {
                    ParticleType::MAP
                } else {
                    ParticleType::LIST
                };
                return Err(wrong_type(kind, arguments.number));
            }
            let row = row(arguments, write)?;
            let (changed, reply) = run(row, &target, arguments, work)?;
            let reply = reply.into_particle()?;
            let change = match changed {
                Some(changed) => Change::Set(rise(bin.data, changed, &levels, work)?),
                None => Change::Keep,
            };
            Ok(Applied { change, reply })
        }
        End::Missing(container, number) => {
            if !write {
                return Err(inapplicable("an element of the context is not there"));
            }
            let (step, later) = step_and_later(&steps, number)?;
            let made = made(later, inner()?, work)?;
            // Where it goes is checked also for an operation that makes nothing.
            let at = place_for(&step, &container, work)?;
            let Some((value, reply)) = made else {
                return Ok(Applied::default());
            };
            let changed = put(&step, &container, at, value)?;
            let reply = reply.into_particle()?;
            let change = Change::Set(rise(bin.data, changed, &levels, work)?);
            Ok(Applied { change, reply })
        }
    }
}

/// Most work that looking for an element may make: about a hundredth of a second.
const MAX_LOOK_UNITS: u64 = 10_000_000;

/// The element of a list or map where a way ends; none when it ends nowhere.
pub(super) fn element_at<'b>(pairs: &[u8], bytes: &'b [u8]) -> Option<&'b [u8]> {
    let steps = steps(pairs).ok()?;
    let top = Stored::read(bytes)?;
    let mut levels = Vec::with_capacity(steps.len());
    let mut work = UnitsLeft(MAX_LOOK_UNITS);
    match walk(bytes, top, &steps, &mut levels, &mut work).ok()? {
        End::Missing(..) => None,
        End::There(_) | End::Scalar(_) => bytes.get(levels.last()?.child.clone()),
    }
}

/// Follows the steps as far as there is something.
fn walk<'a>(
    bytes: &'a [u8],
    top: Stored<'a>,
    steps: &[Checked<'_>],
    levels: &mut Vec<Level<'a>>,
    work: &mut dyn Meter,
) -> Result<End<'a>, OperationError> {
    let mut stored = top;
    let mut at = 0..bytes.len();
    for (number, step) in steps.iter().enumerate() {
        let step = step.as_ref().map_err(Clone::clone)?;
        let Some(place) = step.find(&stored, work)? else {
            if step.can_create() {
                return Ok(End::Missing(stored, number));
            }
            return Err(inapplicable("an element of the context is not there"));
        };
        let body = at.end - stored.body.len();
        let start = body + stored.start(place, work)?;
        let start = if stored.is_map {
            element::end(bytes, start).ok_or_else(element::unreadable)?
        } else {
            start
        };
        let end = element::end(bytes, start).ok_or_else(element::unreadable)?;
        levels.push(Level {
            stored,
            at,
            place,
            child: start..end,
        });
        let child = bytes.get(start..end).ok_or_else(element::unreadable)?;
        at = start..end;
        let last = number + 1 == steps.len();
        stored = match Stored::read(child) {
            Some(stored) => stored,
            None if last => return Ok(End::Scalar(element::particle(child)?.kind)),
            None => {
                return Err(inapplicable(
                    "the context goes on behind a value that is neither list nor map",
                ));
            }
        };
    }
    Ok(End::There(stored))
}

/// The step with this number, and those behind it.
fn step_and_later<'s, 'a>(
    steps: &'s [Checked<'a>],
    number: usize,
) -> Result<(Step<'a>, &'s [Checked<'a>]), OperationError> {
    match steps.get(number..) {
        Some([step, later @ ..]) => Ok((step.clone()?, later)),
        _ => Err(malformed("the context is empty")),
    }
}

/// What stands at the end of a way that has to be made, and the answer; `None` when the operation makes nothing.
fn made(
    later: &[Checked<'_>],
    arguments: &Arguments<'_>,
    work: &mut dyn Meter,
) -> Result<Option<(Vec<u8>, Reply<'static>)>, OperationError> {
    for step in later {
        let step = step.as_ref().map_err(Clone::clone)?;
        if !step.may_be_made() || step.create & CREATE_PERSISTED != 0 {
            return Err(inapplicable("a step of the context cannot be made"));
        }
        place_for(
            step,
            &Stored::empty(step.kind == StepKind::Map, step.flags()),
            work,
        )?;
    }
    let row = row(arguments, true)?;
    if !matches!(row.missing, Missing::Created | Missing::NoElement) {
        return Ok(None);
    }
    let (changed, reply) = run(row, &fresh(row, arguments), arguments, work)?;
    let reply = match reply {
        Reply::Element(value) => Reply::Owned(value.to_vec()),
        Reply::Nil => Reply::Nil,
        Reply::Integer(number) => Reply::Integer(number),
        Reply::Bool(truth) => Reply::Bool(truth),
        Reply::Owned(value) => Reply::Owned(value),
    };
    let Some(changed) = changed else {
        return Ok(None);
    };
    let mut value = Vec::new();
    changed.write_nested(&mut value);
    for step in later.iter().rev() {
        let step = step.as_ref().map_err(Clone::clone)?;
        let container = Stored::empty(step.kind == StepKind::Map, step.flags());
        let at = place_for(step, &container, work)?;
        let around = put(step, &container, at, value)?;
        let mut out = Vec::new();
        around.write_nested(&mut out);
        value = out;
    }
    Ok(Some((value, reply)))
}

/// Where a new element goes.
enum Place {
    Key(map::Found),
    /// Behind so many nils at the end.
    End(usize),
    /// Where the order wants it.
    InOrder,
}

/// Where the missing element of a step goes.
fn place_for(
    step: &Step<'_>,
    container: &Stored<'_>,
    work: &mut dyn Meter,
) -> Result<Place, OperationError> {
    if step.by == By::Key {
        if !element::is_key(step.value) {
            return Err(malformed(
                "a map key to be made is neither integer, string nor blob",
            ));
        }
        return Ok(Place::Key(map::find(container, step.value, work)?));
    }
    let index = step.number()?;
    let beyond = || inapplicable(format!("index {index} of the context cannot be made"));
    let index = match usize::try_from(index) {
        Ok(index) => index,
        Err(_) if index == -1 && container.count == 0 => 0,
        Err(_) => return Err(beyond()),
    };
    if container.is_ordered() {
        return Ok(Place::InOrder);
    }
    match index.checked_sub(container.count) {
        Some(0) => Ok(Place::End(0)),
        Some(nils) if step.create == CREATE_SECOND => {
            if nils > super::MAX_NILS {
                return Err(beyond());
            }
            work.bytes(nils)?;
            Ok(Place::End(nils))
        }
        _ => Err(beyond()),
    }
}

/// The list or map with the new element.
fn put<'a>(
    step: &Step<'a>,
    container: &Stored<'a>,
    place: Place,
    value: Vec<u8>,
) -> Result<Rebuilt<'a>, OperationError> {
    let body = Cow::Borrowed(container.body);
    Ok(match place {
        Place::Key(found) => {
            let key = element::stored(step.value)?;
            map::pair_inserted(container, &found, key, value.into())
        }
        Place::End(nils) => Rebuilt::of(
            container,
            container.count + nils + 1,
            [body, element::NIL.repeat(nils).into(), value.into()],
        ),
        Place::InOrder => {
            let items = container.few(&mut crate::work::Unmetered::default())?;
            let at = items.bound(&value, true, |place| items.get(place))?;
            Rebuilt::of(
                container,
                container.count + 1,
                [
                    items.range(0, at).into(),
                    value.into(),
                    items.range(at, items.count - at).into(),
                ],
            )
        }
    })
}

/// A way where there is no bin.
fn on_missing_bin(
    steps: &[Checked<'_>],
    arguments: &Result<Arguments<'_>, OperationError>,
    work: &mut dyn Meter,
) -> Result<Applied, OperationError> {
    let (step, later) = step_and_later(steps, 0)?;
    if !step.can_create() {
        return Err(inapplicable(
            "the bin is not there, and the context does not make it",
        ));
    }
    let mut flags = step.flags();
    if step.create & CREATE_PERSISTED != 0 {
        flags |= order::PERSIST_INDEX;
    }
    let top = Stored::empty(step.kind == StepKind::Map, flags);
    let at = place_for(&step, &top, work)?;
    let arguments = arguments.as_ref().map_err(Clone::clone)?;
    let made = made(later, arguments, work)?;
    if let Some(row) = table::row(arguments.number)
        && row.missing == Missing::WrongType
    {
        return Err(wrong_type(ParticleType::NIL, row.number));
    }
    let Some((value, reply)) = made else {
        return Ok(Applied::default());
    };
    let changed = put(&step, &top, at, value)?;
    Ok(Applied {
        change: Change::Set(particle(changed, work)?),
        reply: reply.into_particle()?,
    })
}

/// The particle in which the list or map at the end of the way is changed. Ordered lists on the way are sorted anew.
fn rise(
    bytes: &[u8],
    changed: Rebuilt<'_>,
    levels: &[Level<'_>],
    work: &mut dyn Meter,
) -> Result<protocol::particle::Particle, OperationError> {
    let Some(innermost) = levels.last() else {
        return particle(changed, work);
    };
    work.bytes(changed.body_size())?;
    let mut value = Vec::with_capacity(changed.body_size() + 9);
    changed.write_nested(&mut value);
    // What is replaced by `value`.
    let mut replaced = innermost.child.clone();
    for (depth, level) in levels.iter().enumerate().rev() {
        if level.stored.is_map || !level.stored.is_ordered() {
            continue;
        }
        let before = bytes.within(level.child.start..replaced.start);
        let after = bytes.within(replaced.end..level.child.end);
        let element = [before, &value, after].concat();
        let items = level.stored.few(work)?;
        work.bytes(level.stored.body.len())?;
        let sorted = list::moved(&level.stored, &items, level.place, element.into())?;
        if depth == 0 {
            return particle(sorted, work);
        }
        value = Vec::with_capacity(sorted.body_size() + 9);
        sorted.write_nested(&mut value);
        replaced = level.at.clone();
    }
    let Some(top) = levels.first() else {
        return Err(malformed("the context is empty"));
    };
    let before = bytes.within(top.body()..replaced.start);
    let after = bytes.within(replaced.end..);
    let parts = [before.into(), value.into(), after.into()];
    particle(Rebuilt::of(&top.stored, top.stored.count, parts), work)
}
