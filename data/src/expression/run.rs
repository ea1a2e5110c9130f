//! Running a program for one record.

use std::borrow::Cow;
use std::cmp::Ordering;

use protocol::bounds::{Fit as _, Within as _};
use protocol::msgpack::{self, Reader, Token};
use protocol::particle::{ParticleRef, ParticleType};

use super::ExpressionType;
use super::nested::Nested;
use super::program::{CallTemplate, ChildPart, Comparison, Field, Instruction, Piece, Program};
use super::value::{Data, StackValue};
use crate::bin::Bins;
use crate::encoded::Landmarks;
use crate::geo::{GeoError, Geometry};
use crate::metadata::Metadata;
use crate::operation::path::Child;
use crate::operation::{Call, Change, Environment, Limits, collection, element};
use crate::work::{Meter, TimeIsUp};

/// Seconds from 1970 to 2010, where the times of records begin.
const EPOCH_SECONDS: i64 = 1_262_304_000;

/// Units of work that a step takes.
const STEP: usize = 10;

/// Most bytes that one run makes; a value beyond that is unknown. Variables and arguments keep what was made.
const MADE_MOST: usize = 64 << 20;

/// What an expression is asked about.
#[derive(Clone, Copy)]
pub struct Context<'r> {
    /// What is known of the record besides its bins.
    pub metadata: Metadata<'r>,
    /// Its bins; without them, they and the key are unknown.
    pub bins: Option<&'r dyn Bins>,
    /// The time, in milliseconds since 2010-01-01 UTC.
    pub now_ms: u64,
    /// What called operations may take.
    pub limits: Limits,
    /// The child of a list or map that a path operation looks at.
    pub child: Option<Child<'r>>,
    /// How many expressions this one runs inside of.
    pub nesting: usize,
}

impl<'r> Context<'r> {
    /// What a filter or operation is asked about.
    #[must_use]
    pub fn of_record(
        metadata: Metadata<'r>,
        bins: Option<&'r dyn Bins>,
        now_ms: u64,
        limits: Limits,
    ) -> Self {
        Self {
            metadata,
            bins,
            now_ms,
            limits,
            child: None,
            nesting: 0,
        }
    }

    fn bin(&self, kind: ExpressionType, name: &[u8]) -> StackValue<'r> {
        match self.bins.and_then(|bins| bins.bin(name)) {
            Some(particle) => StackValue::of_particle(kind, particle),
            None => StackValue::Unknown,
        }
    }

    /// A look-up among many bins takes as many steps.
    fn count_look_up(&self, work: &mut dyn Meter) -> Result<(), TimeIsUp> {
        match self.bins.map_or(0, Bins::steps_of_a_look_up) {
            0..=16 => Ok(()),
            steps => work.spend(steps),
        }
    }

    fn field(&self, field: Field) -> StackValue<'r> {
        let metadata = &self.metadata;
        let signed = |value: u64| value.fit::<i64>();
        let void_time = || match metadata.void_time {
            0 => None,
            seconds => Some(i64::from(seconds)),
        };
        StackValue::Integer(match field {
            // Records are kept in memory.
            Field::DeviceSize => 0,
            Field::MemorySize | Field::RecordSize => signed(metadata.size.bytes()),
            Field::LastUpdate => signed(metadata.last_update_ms)
                .saturating_add(EPOCH_SECONDS * 1000)
                .saturating_mul(1_000_000),
            Field::SinceUpdate => signed(self.now_ms.saturating_sub(metadata.last_update_ms)),
            Field::VoidTime => void_time().map_or(-1, |seconds| {
                (seconds + EPOCH_SECONDS).saturating_mul(1_000_000_000)
            }),
            Field::TimeToLive => {
                void_time().map_or(-1, |seconds| (seconds - signed(self.now_ms / 1000)).max(0))
            }
            Field::SetName => {
                return StackValue::Text(ParticleType::STRING, Data::Borrowed(metadata.set));
            }
            Field::KeyExists => return StackValue::Bool(metadata.key.is_some()),
            Field::IsTombstone => return StackValue::Bool(false),
        })
    }

    fn digest_modulo(&self, modulus: u32) -> StackValue<'r> {
        let [.., a, b, c, d] = self.metadata.digest.0;
        StackValue::Integer((u32::from_le_bytes([a, b, c, d]) % modulus.max(1)).into())
    }

    fn part(&self, kind: ExpressionType, part: ChildPart) -> StackValue<'r> {
        match (part, self.child) {
            (ChildPart::Key, Some(Child::Pair { key, .. })) => StackValue::of_element(kind, key),
            (ChildPart::Value, Some(Child::Pair { value, .. } | Child::Element { value, .. })) => {
                StackValue::of_element(kind, value)
            }
            (ChildPart::Index, Some(Child::Element { index, .. })) => {
                i64::try_from(index).map_or(StackValue::Unknown, StackValue::Integer)
            }
            _ => StackValue::Unknown,
        }
    }
}

/// Runs a program and gives its value.
pub(super) fn run<'r>(
    program: &'r Program,
    context: &Context<'r>,
    work: &mut dyn Meter,
) -> Result<StackValue<'r>, TimeIsUp> {
    let mut made = Made(0);
    let value = run_counted(program, context, work, &mut made);
    work.let_go(made.0);
    value
}

/// Bytes that a run has made so far.
struct Made(usize);

impl Made {
    /// A value that was made, which counts as work; unknown when there is no room for it.
    fn value<'r>(
        &mut self,
        value: StackValue<'r>,
        work: &mut dyn Meter,
    ) -> Result<StackValue<'r>, TimeIsUp> {
        let bytes = value.made_bytes();
        if bytes == 0 {
            return Ok(value);
        }
        work.bytes(bytes)?;
        let all = self.0.saturating_add(bytes);
        if all > MADE_MOST || work.hold(bytes).is_err() {
            return Ok(StackValue::Unknown);
        }
        self.0 = all;
        Ok(value)
    }
}

fn run_counted<'r>(
    program: &'r Program,
    context: &Context<'r>,
    work: &mut dyn Meter,
    made: &mut Made,
) -> Result<StackValue<'r>, TimeIsUp> {
    work.spend(program.code.len().saturating_mul(STEP))?;
    let mut stack: Vec<StackValue<'r>> = Vec::with_capacity(program.code.len().min(8));
    let mut variables: Vec<StackValue<'r>> = vec![StackValue::Unknown; program.variables];
    let mut at = 0;
    while let Some(instruction) = program.code.get(at) {
        at += 1;
        let value = match instruction {
            Instruction::Unknown => StackValue::Unknown,
            Instruction::Nil => StackValue::Nil,
            Instruction::Bool(value) => StackValue::Bool(*value),
            Instruction::Integer(value) => StackValue::Integer(*value),
            Instruction::Float(value) => StackValue::Float(*value),
            Instruction::Text(kind, span) => {
                StackValue::Text(*kind, Data::Borrowed(program.bytes(*span)))
            }
            Instruction::Place(number) => match program.places.get(*number as usize) {
                Some((span, place)) => {
                    StackValue::Place(Data::Borrowed(program.bytes(*span)), Some(place))
                }
                None => StackValue::Unknown,
            },
            Instruction::List(span) => StackValue::List(Data::Borrowed(program.bytes(*span))),
            Instruction::Map(span) => StackValue::Map(Data::Borrowed(program.bytes(*span))),
            Instruction::Special(span) => StackValue::Special(Data::Borrowed(program.bytes(*span))),
            Instruction::Remove => StackValue::Remove,
            Instruction::Bin(kind, name) => {
                context.count_look_up(work)?;
                context.bin(*kind, name.as_bytes())
            }
            Instruction::BinType(name) => match context.bins {
                Some(bins) => StackValue::Integer(
                    bins.bin(name.as_bytes())
                        .map_or(0, |particle| particle.kind.0.into()),
                ),
                None => StackValue::Unknown,
            },
            Instruction::Key(kind) => match (context.bins, context.metadata.key) {
                (Some(_), Some(key)) => StackValue::of_particle(*kind, key),
                _ => StackValue::Unknown,
            },
            Instruction::Field(field) => context.field(*field),
            Instruction::DigestModulo(modulus) => context.digest_modulo(*modulus),
            Instruction::Child(kind, part) => context.part(*kind, *part),
            Instruction::CompareBin(comparison, name, number) => {
                context.count_look_up(work)?;
                match context.bin(ExpressionType::Integer, name.as_bytes()) {
                    StackValue::Integer(value) => {
                        StackValue::Bool(comparison.holds(Some(value.cmp(number))))
                    }
                    _ => StackValue::Unknown,
                }
            }
            Instruction::Compare(comparison) => {
                let (right, left) = (pop(&mut stack), pop(&mut stack));
                work.bytes(left.size().min(right.size()).saturating_mul(8))?;
                match left.compare(&right) {
                    Some(order) => StackValue::Bool(comparison.holds(order)),
                    None => StackValue::Unknown,
                }
            }
            Instruction::Matches(number) => {
                match (pop(&mut stack), program.patterns.get(*number as usize)) {
                    (StackValue::Text(ParticleType::STRING, text), Some(pattern)) => {
                        match pattern.is_match(&text, work)? {
                            Some(found) => StackValue::Bool(found),
                            None => StackValue::Unknown,
                        }
                    }
                    _ => StackValue::Unknown,
                }
            }
            Instruction::Within => {
                let (right, left) = (pop(&mut stack), pop(&mut stack));
                within(&left, &right, work)?
            }
            Instruction::InList => {
                let (list, value) = (pop(&mut stack), pop(&mut stack));
                in_list(&value, &list, work)?
            }
            Instruction::Decide { on, end } => {
                if matches!(stack.last(), Some(StackValue::Bool(value)) if value == on) {
                    at = *end as usize;
                }
                continue;
            }
            Instruction::Join { on, end } => {
                let value = pop(&mut stack);
                let below = pop(&mut stack);
                match (below, value) {
                    (_, StackValue::Bool(value)) if value == *on => {
                        at = *end as usize;
                        StackValue::Bool(*on)
                    }
                    (StackValue::Bool(_), StackValue::Bool(value)) => StackValue::Bool(value),
                    _ => StackValue::Unknown,
                }
            }
            Instruction::Not => match pop(&mut stack) {
                StackValue::Bool(value) => StackValue::Bool(!value),
                _ => StackValue::Unknown,
            },
            Instruction::Exclusive(count) => {
                let from = stack.len().saturating_sub(*count as usize);
                let value = exclusive(stack.within(from..));
                stack.truncate(from);
                value
            }
            Instruction::Arithmetic(operation, count) => {
                let from = stack.len().saturating_sub(*count as usize);
                let value = operation.apply(stack.within(from..));
                stack.truncate(from);
                value
            }
            Instruction::Store(place) => {
                let value = pop(&mut stack);
                if let Some(variable) = variables.get_mut(*place as usize) {
                    *variable = value;
                }
                continue;
            }
            Instruction::Load(place) => match variables.get(*place as usize) {
                Some(value) => value.clone(),
                None => StackValue::Unknown,
            },
            Instruction::Branch { otherwise, end } => match pop(&mut stack) {
                StackValue::Bool(true) => continue,
                StackValue::Bool(false) => {
                    at = *otherwise as usize;
                    continue;
                }
                _ => {
                    at = *end as usize;
                    StackValue::Unknown
                }
            },
            Instruction::Jump(target) => {
                at = *target as usize;
                continue;
            }
            Instruction::MapKeys => made.value(entries(&pop(&mut stack), true, work)?, work)?,
            Instruction::MapValues => made.value(entries(&pop(&mut stack), false, work)?, work)?,
            Instruction::Call(number) => match program.calls.get(*number as usize) {
                Some(template) => {
                    let on = pop(&mut stack);
                    let from = stack.len().saturating_sub(template.arguments);
                    let arguments = stack.split_off(from);
                    let value = call(program, context, template, on, &arguments, work)?;
                    made.value(value, work)?
                }
                None => StackValue::Unknown,
            },
        };
        stack.push(value);
    }
    Ok(pop(&mut stack))
}

/// The program was checked, so the stack holds what it takes.
fn pop<'r>(stack: &mut Vec<StackValue<'r>>) -> StackValue<'r> {
    stack.pop().unwrap_or(StackValue::Unknown)
}

impl Comparison {
    fn holds(self, order: Option<Ordering>) -> bool {
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::NotEqual => order != Some(Ordering::Equal),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        }
    }
}

fn exclusive(arguments: &[StackValue<'_>]) -> StackValue<'static> {
    let mut found = 0;
    for argument in arguments {
        match argument {
            StackValue::Bool(true) if found == 1 => return StackValue::Bool(false),
            StackValue::Bool(true) => found += 1,
            StackValue::Bool(false) => {}
            _ => return StackValue::Unknown,
        }
    }
    StackValue::Bool(found == 1)
}

fn within(
    left: &StackValue<'_>,
    right: &StackValue<'_>,
    work: &mut dyn Meter,
) -> Result<StackValue<'static>, TimeIsUp> {
    let (StackValue::Place(a, x), StackValue::Place(b, y)) = (left, right) else {
        return Ok(StackValue::Unknown);
    };
    let found = match (geometry(a, *x, work)?, geometry(b, *y, work)?) {
        (Some(x), Some(y)) => x.matches(&y, work)?,
        _ => false,
    };
    Ok(StackValue::Bool(found))
}

/// What a text says. What a script stored may be no geometry; it lies nowhere.
fn geometry<'g>(
    text: &[u8],
    known: Option<&'g Geometry>,
    work: &mut dyn Meter,
) -> Result<Option<Cow<'g, Geometry>>, TimeIsUp> {
    if let Some(known) = known {
        return Ok(Some(Cow::Borrowed(known)));
    }
    match Geometry::parse(text, work) {
        Ok(geometry) => Ok(Some(Cow::Owned(geometry))),
        Err(GeoError::Time(time)) => Err(time),
        Err(_) => Ok(None),
    }
}

fn in_list(
    value: &StackValue<'_>,
    list: &StackValue<'_>,
    work: &mut dyn Meter,
) -> Result<StackValue<'static>, TimeIsUp> {
    let StackValue::List(data) = list else {
        return Ok(StackValue::Unknown);
    };
    let mut wanted = Vec::with_capacity(value.size() + 9);
    if !value.encode(&mut wanted) {
        return Ok(StackValue::Unknown);
    }
    work.spend(data.len().saturating_mul(4))?;
    let list = collection::visible(ParticleRef::new(ParticleType::LIST, data));
    let mut reader = Reader::new(&list);
    let Ok(Token::List(count)) = reader.token() else {
        return Ok(StackValue::Unknown);
    };
    let Ok((_, count)) = reader.list_order(count) else {
        return Ok(StackValue::Unknown);
    };
    for _ in 0..count {
        let Ok(element) = reader.value() else {
            return Ok(StackValue::Unknown);
        };
        match element::compare(&wanted, element) {
            Ok(Ordering::Equal) => return Ok(StackValue::Bool(true)),
            Ok(_) => {}
            Err(_) => return Ok(StackValue::Unknown),
        }
    }
    Ok(StackValue::Bool(false))
}

/// The keys of a map, or its values, as a list in stored order.
fn entries(
    map: &StackValue<'_>,
    keys: bool,
    work: &mut dyn Meter,
) -> Result<StackValue<'static>, TimeIsUp> {
    let StackValue::Map(data) = map else {
        return Ok(StackValue::Unknown);
    };
    work.spend(data.len())?;
    let map = collection::visible(ParticleRef::new(ParticleType::MAP, data));
    Ok(match collect(&map, keys) {
        Some(list) => StackValue::List(Data::Shared(list.into())),
        None => StackValue::Unknown,
    })
}

fn collect(map: &[u8], keys: bool) -> Option<Vec<u8>> {
    let mut reader = Reader::new(map);
    let Ok(Token::Map(count)) = reader.token() else {
        return None;
    };
    let (_, count) = reader.map_order(count).ok()?;
    let mut out = Vec::with_capacity(map.len());
    msgpack::write_list_header(&mut out, count);
    for _ in 0..count {
        let key = reader.value().ok()?;
        let value = reader.value().ok()?;
        out.extend_from_slice(if keys { key } else { value });
    }
    Some(out)
}

fn call<'r>(
    program: &'r Program,
    context: &Context<'r>,
    template: &'r CallTemplate,
    on: StackValue<'r>,
    arguments: &[StackValue<'r>],
    work: &mut dyn Meter,
) -> Result<StackValue<'r>, TimeIsUp> {
    let mut built = Vec::new();
    let payload = match template.payload.as_slice() {
        [Piece::Bytes(span)] => program.bytes(*span),
        pieces => {
            let mut arguments = arguments.iter();
            for piece in pieces {
                let encoded = match piece {
                    Piece::Bytes(span) => {
                        built.extend_from_slice(program.bytes(*span));
                        true
                    }
                    Piece::Argument => arguments
                        .next()
                        .is_some_and(|argument| argument.encode(&mut built)),
                };
                if !encoded {
                    return Ok(StackValue::Unknown);
                }
            }
            work.bytes(built.len())?;
            &built
        }
    };
    let call = Call::of_payload(template.system, template.write, payload);
    let mut expressions = Nested::within(context);
    let mut environment = Environment {
        limits: context.limits,
        work: &mut *work,
        landmarks: Landmarks::NONE,
        expressions: Some(&mut expressions),
    };
    let applied = match &on {
        StackValue::Nil => call.apply(None, &mut environment),
        StackValue::Unknown => return Ok(StackValue::Unknown),
        on => match on.with_particle(|bin| {
            environment.landmarks = context
                .bins
                .map_or(Landmarks::NONE, |bins| bins.landmarks(bin));
            call.apply(Some(bin), &mut environment)
        }) {
            Some(applied) => applied,
            None => return Ok(StackValue::Unknown),
        },
    };
    let applied = match applied {
        Ok(applied) => applied,
        Err(error) if error.code == TimeIsUp.into() => return Err(TimeIsUp),
        Err(_) => return Ok(StackValue::Unknown),
    };
    if !template.write {
        return Ok(match (applied.reply, &on) {
            // There is nothing to read where there is nothing.
            (_, StackValue::Nil) => StackValue::Unknown,
            (Some(particle), _) => StackValue::of_owned(template.kind, particle),
            (None, _) if template.kind == ExpressionType::Nil => StackValue::Nil,
            (None, _) => StackValue::Unknown,
        });
    }
    Ok(match applied.change {
        Change::Set(particle) => StackValue::of_owned(template.kind, particle),
        Change::Keep if on.kind() == Some(template.kind) => on,
        _ => StackValue::Unknown,
    })
}
