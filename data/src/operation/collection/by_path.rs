//! Selecting and modifying by path: each step takes the children of all lists and maps reached so far that match.
//!
//! | flags & 15 | result |
//! |------------|--------|
//! | 0 | the structure with only what matches |
//! | 1, 2, 3 | values; keys; keys and values, in one list |
//! | 4 | none: every selected value is replaced by that of an expression |

use std::borrow::Cow;

use protocol::msgpack::{Reader, Token, write_list_header};
use protocol::particle::{ParticleRef, ParticleType};
use protocol::result_code::ResultCode;

use super::super::arguments::{PathPayload, malformed};
use super::super::path::{Child, Evaluated, PathExpressions};
use super::answer::Reply;
use super::context::{By, Step, StepKind};
use super::list::split_values;
use super::stored::{Items, Rebuilt, Stored, write_head};
use super::{particle, sort};
use crate::operation::{Applied, Change, Environment, OperationError, element};
use crate::work::Meter;

/// Most steps of a path.
const MAX_STEPS: usize = 64;

/// The type of a condition on the step before it.
const CONDITION: i64 = 0x204;

/// What is unknown is left out instead of failing.
const NO_FAIL: u64 = 0x10;

/// What comes of what is selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Tree,
    Values,
    Keys,
    KeysAndValues,
    Apply,
}

/// What a step takes.
enum Takes<'a> {
    /// Every child; with an expression, those for which it is true.
    All(StepKind, Option<usize>),
    One(Step<'a>),
    Keys(Vec<&'a [u8]>),
}

struct PathStep<'a> {
    takes: Takes<'a>,
    /// An expression that must be true, too.
    condition: Option<usize>,
}

struct Walk<'w, 'x, 'a> {
    steps: Vec<PathStep<'a>>,
    form: Form,
    no_fail: bool,
    /// The expression whose value replaces what is selected.
    modify: Option<usize>,
    expressions: Option<&'w mut (dyn PathExpressions + 'x)>,
    work: &'w mut dyn Meter,
    /// Bytes of new values.
    added: usize,
    max_bytes: usize,
}

/// Does an operation by path.
pub(super) fn apply(
    payload: &PathPayload<'_>,
    write: bool,
    bin: Option<ParticleRef<'_>>,
    environment: &mut Environment<'_>,
) -> Result<Applied, OperationError> {
    let form = match payload.flags & 0x0f {
        0 => Form::Tree,
        1 => Form::Values,
        2 => Form::Keys,
        3 => Form::KeysAndValues,
        4 => Form::Apply,
        number => return Err(malformed(&format!("a path has no result of kind {number}"))),
    };
    if (form == Form::Apply) != payload.modify.is_some() || (form == Form::Apply && !write) {
        return Err(malformed("a path operation's parts do not fit its flags"));
    }
    let bin = match bin {
        Some(bin) => bin,
        None if form == Form::Apply => return Err(wrong_type(ParticleType::NIL)),
        None => return Ok(Applied::default()),
    };
    let is_collection = matches!(bin.kind, ParticleType::LIST | ParticleType::MAP);
    let top = Stored::read(bin.data)
        .filter(|_| is_collection)
        .ok_or_else(|| wrong_type(bin.kind))?;
    let mut walk = Walk {
        steps: Vec::new(),
        form,
        no_fail: payload.flags & NO_FAIL != 0,
        modify: None,
        expressions: environment.expressions.as_deref_mut(),
        work: environment.work,
        added: 0,
        max_bytes: environment.limits.max_particle_bytes,
    };
    walk.prepare(payload)?;
    match form {
        Form::Apply => {
            let changed = walk.modified(&top, 0)?;
            let change = match changed {
                Some(changed) => Change::Set(particle(changed, walk.work)?),
                None => Change::Keep,
            };
            Ok(Applied {
                change,
                reply: None,
            })
        }
        Form::Tree => {
            let tree = walk.tree(&top, 0)?;
            Ok(Applied {
                change: Change::Keep,
                reply: Reply::Owned(tree).into_particle()?,
            })
        }
        _ => {
            let mut found = Vec::new();
            let mut count = 0;
            walk.flat(&top, 0, &mut found, &mut count)?;
            let mut out = Vec::with_capacity(found.len() + 5);
            write_list_header(&mut out, count);
            out.extend_from_slice(&found);
            Ok(Applied {
                change: Change::Keep,
                reply: Reply::Owned(out).into_particle()?,
            })
        }
    }
}

fn wrong_type(kind: ParticleType) -> OperationError {
    OperationError::new(
        ResultCode::INCOMPATIBLE_TYPE,
        format!("path operation on a value of type {kind}"),
    )
}

impl<'a> Walk<'_, '_, 'a> {
    /// Splits the path and builds its expressions.
    fn prepare(&mut self, payload: &PathPayload<'a>) -> Result<(), OperationError> {
        let wrong = || malformed("the path is no list of pairs");
        let mut reader = Reader::new(payload.pairs);
        let Ok(Token::List(count)) = reader.token() else {
            return Err(wrong());
        };
        if count == 0 || count % 2 != 0 || count > 2 * MAX_STEPS {
            return Err(wrong());
        }
        for _ in 0..count / 2 {
            let number = reader.value().map_err(|_| wrong())?;
            let value = reader.value().map_err(|_| wrong())?;
            let number = element::integer(number).ok_or_else(wrong)?;
            if number == CONDITION {
                let built = self.condition(value)?;
                match self.steps.last_mut() {
                    Some(PathStep {
                        takes: Takes::One(_) | Takes::Keys(_),
                        condition: condition @ None,
                    }) => *condition = built,
                    _ => {
                        return Err(malformed(
                            "a condition of the path stands in the wrong place",
                        ));
                    }
                }
                continue;
            }
            let takes = self.takes(number, value)?;
            self.steps.push(PathStep {
                takes,
                condition: None,
            });
        }
        if let Some(expression) = payload.modify {
            if element::is_special(expression) {
                return Err(malformed("a wildcard cannot be stored"));
            }
            self.modify = Some(self.build(expression)?);
        }
        Ok(())
    }

    fn takes(&mut self, number: i64, value: &'a [u8]) -> Result<Takes<'a>, OperationError> {
        let no_type = || malformed(&format!("a path has no type {number:#x}"));
        let kind = match number & !0x0f {
            0x00 => StepKind::Either,
            0x10 => StepKind::List,
            0x20 => StepKind::Map,
            _ => return Err(no_type()),
        };
        match number & 0x0f {
            4 => Ok(Takes::All(kind, self.condition(value)?)),
            0x0a if kind != StepKind::List => {
                if !element::is_list(value) {
                    return Err(malformed("the keys of a path are no list"));
                }
                let mut keys = split_values(value, self.work)?;
                keys.dedup();
                Ok(Takes::Keys(keys))
            }
            _ => Step::of(number, value).map(Takes::One).ok_or_else(no_type),
        }
    }

    /// An expression, or `true`, which is none.
    fn condition(&mut self, value: &[u8]) -> Result<Option<usize>, OperationError> {
        match value {
            [0xc3] => Ok(None),
            value if element::is_list(value) => self.build(value).map(Some),
            _ => Err(malformed("a condition of the path is no expression")),
        }
    }

    fn build(&mut self, expression: &[u8]) -> Result<usize, OperationError> {
        match &mut self.expressions {
            Some(expressions) => expressions.build(expression, self.work),
            None => Err(malformed("expressions are not evaluated here")),
        }
    }

    fn evaluate(&mut self, built: usize, child: Child<'_>) -> Result<Evaluated, OperationError> {
        match &mut self.expressions {
            Some(expressions) => expressions.evaluate(built, child, self.work),
            None => Err(malformed("expressions are not evaluated here")),
        }
    }

    /// Whether the child is meant.
    fn holds(
        &mut self,
        built: usize,
        child: Child<'_>,
        unknown_is_false: bool,
    ) -> Result<bool, OperationError> {
        match self.evaluate(built, child)? {
            Evaluated::Value(value) => Ok(value == [0xc3]),
            _ if unknown_is_false || self.no_fail => Ok(false),
            _ => Err(malformed("a condition of the path is unknown")),
        }
    }

    /// Whether this is the last step.
    fn is_last(&self, depth: usize) -> bool {
        depth + 1 >= self.steps.len()
    }

    /// The places of the children that the step takes, ascending.
    fn children(
        &mut self,
        container: &Stored<'_>,
        items: &Items<'_>,
        depth: usize,
    ) -> Result<Vec<usize>, OperationError> {
        let Some(step) = self.steps.get(depth) else {
            return Ok(Vec::new());
        };
        let condition = step.condition;
        let kind = match &step.takes {
            Takes::All(kind, _) => *kind,
            Takes::One(step) if step.by == By::Key => StepKind::Map,
            Takes::One(step) => step.kind,
            Takes::Keys(_) => StepKind::Map,
        };
        if matches!(
            (kind, container.is_map),
            (StepKind::List, true) | (StepKind::Map, false)
        ) {
            return Err(malformed(
                "a step of the path is for lists and meets a map, or the reverse",
            ));
        }
        let (places, condition, unknown_is_false) = match &step.takes {
            Takes::All(_, built) => ((0..items.count).collect(), *built, false),
            Takes::One(step) => {
                let unknown_is_false = matches!(step.by, By::Index | By::Rank);
                let place = step.find(container, self.work).map_err(|error| {
                    if error.code == ResultCode::OP_NOT_APPLICABLE {
                        malformed(&error.cause)
                    } else {
                        error
                    }
                })?;
                (place.into_iter().collect(), condition, unknown_is_false)
            }
            Takes::Keys(keys) => {
                let mut places = Vec::new();
                for (number, key) in keys.iter().enumerate() {
                    if number % 16 == 0 {
                        self.work.steps(128)?;
                    }
                    let found = super::map::find_among(items, key)?;
                    if found.there {
                        places.push(found.place);
                    }
                }
                places.sort_unstable();
                places.dedup();
                (places, condition, false)
            }
        };
        self.work.steps(places.len())?;
        let Some(built) = condition else {
            return Ok(places);
        };
        let mut kept = Vec::with_capacity(places.len());
        for place in places {
            if self.holds(built, child(container, items, place), unknown_is_false)? {
                kept.push(place);
            }
        }
        Ok(kept)
    }

    /// The list or map with only what matches.
    fn tree(&mut self, container: &Stored<'_>, depth: usize) -> Result<Vec<u8>, OperationError> {
        let items = container.items(self.work)?;
        let places = self.children(container, &items, depth)?;
        let mut out = Vec::new();
        write_head(&mut out, container.is_map, places.len(), 0);
        for place in places {
            let (key, value) = parts(container, &items, place);
            out.extend_from_slice(key);
            match Stored::read(value) {
                Some(inner) if !self.is_last(depth) => {
                    let tree = self.tree(&inner, depth + 1)?;
                    out.extend_from_slice(&tree);
                }
                _ => out.extend_from_slice(value),
            }
        }
        self.work.bytes(out.len())?;
        Ok(out)
    }

    /// Puts the selected values or keys behind each other.
    fn flat(
        &mut self,
        container: &Stored<'_>,
        depth: usize,
        out: &mut Vec<u8>,
        count: &mut usize,
    ) -> Result<(), OperationError> {
        let last = self.is_last(depth);
        if last && !container.is_map && self.form != Form::Values {
            return if container.count == 0 || self.no_fail {
                Ok(())
            } else {
                Err(OperationError::new(
                    ResultCode::INCOMPATIBLE_TYPE,
                    "the elements of a list have no keys",
                ))
            };
        }
        let items = container.items(self.work)?;
        for place in self.children(container, &items, depth)? {
            let (key, value) = parts(container, &items, place);
            if last {
                if self.form != Form::Values {
                    out.extend_from_slice(key);
                    *count += 1;
                }
                if self.form != Form::Keys {
                    out.extend_from_slice(value);
                    *count += 1;
                }
                self.work.bytes(value.len())?;
            } else if let Some(inner) = Stored::read(value) {
                self.flat(&inner, depth + 1, out, count)?;
            }
        }
        Ok(())
    }

    /// The list or map with the selected values replaced; `None` when it stays as it is.
    fn modified<'b>(
        &mut self,
        container: &Stored<'b>,
        depth: usize,
    ) -> Result<Option<Rebuilt<'b>>, OperationError> {
        let items = container.items(self.work)?;
        let places = self.children(container, &items, depth)?;
        let mut parts_of_all: Vec<Cow<'b, [u8]>> = Vec::new();
        let mut count = container.count;
        let mut changed = false;
        let mut from = 0;
        for place in places {
            let (key, value) = parts(container, &items, place);
            let new = if self.is_last(depth) {
                match self.replacement(child(container, &items, place))? {
                    Replacement::Same => continue,
                    Replacement::Removed => None,
                    Replacement::Value(value) => Some(value),
                }
            } else {
                let inner = Stored::read(value);
                let inner = match inner {
                    Some(inner) => self.modified(&inner, depth + 1)?,
                    None => None,
                };
                let Some(inner) = inner else {
                    continue;
                };
                let mut out = Vec::with_capacity(inner.body_size() + 9);
                inner.write_nested(&mut out);
                Some(out)
            };
            changed = true;
            parts_of_all.push(Cow::Borrowed(items.range(from, place - from)));
            match new {
                Some(value) => {
                    parts_of_all.push(Cow::Borrowed(key));
                    parts_of_all.push(Cow::Owned(value));
                }
                None => count -= 1,
            }
            from = place + 1;
        }
        if !changed {
            return Ok(None);
        }
        parts_of_all.push(Cow::Borrowed(items.range(from, items.count - from)));
        let rebuilt = Rebuilt::of(container, count, parts_of_all);
        self.work.bytes(rebuilt.body_size())?;
        if container.is_map || !container.is_ordered() {
            return Ok(Some(rebuilt));
        }
        self.sorted(rebuilt).map(Some)
    }

    /// An ordered list whose elements have changed.
    fn sorted<'b>(&mut self, list: Rebuilt<'b>) -> Result<Rebuilt<'b>, OperationError> {
        let body = list.parts.concat();
        let unsorted = Stored::of_body(&list, &body);
        let items = unsorted.items(self.work)?;
        let order = sort::element_order(&items, self.work)?;
        let parts = order
            .into_iter()
            .map(|place| Cow::Owned(items.get(place as usize).to_vec()))
            .collect();
        Ok(Rebuilt { parts, ..list })
    }

    fn replacement(&mut self, child: Child<'_>) -> Result<Replacement, OperationError> {
        let Some(built) = self.modify else {
            return Ok(Replacement::Same);
        };
        match self.evaluate(built, child)? {
            Evaluated::Remove => Ok(Replacement::Removed),
            Evaluated::Unknown if self.no_fail => Ok(Replacement::Same),
            Evaluated::Unknown => Err(OperationError::new(
                ResultCode::UNKNOWN,
                "the modifying expression is unknown",
            )),
            Evaluated::Value(value) => {
                if element::is_special(&value) {
                    return Err(malformed("a wildcard cannot be stored"));
                }
                if element::has_special(&value) {
                    return Err(OperationError::new(
                        ResultCode::INCOMPATIBLE_TYPE,
                        "a wildcard inside of a value cannot be stored",
                    ));
                }
                let value = element::stored(&value)?.into_owned();
                self.added += value.len();
                if self.added > self.max_bytes {
                    return Err(OperationError::new(
                        ResultCode::RECORD_TOO_BIG,
                        "the new values of a path are larger than a record",
                    ));
                }
                Ok(Replacement::Value(value))
            }
        }
    }
}

enum Replacement {
    Same,
    Removed,
    Value(Vec<u8>),
}

/// Key and value; the key of an element is empty.
fn parts<'b>(container: &Stored<'_>, items: &Items<'b>, place: usize) -> (&'b [u8], &'b [u8]) {
    if container.is_map {
        items.pair(place)
    } else {
        (&[], items.get(place))
    }
}

fn child<'b>(container: &Stored<'_>, items: &Items<'b>, place: usize) -> Child<'b> {
    let (key, value) = parts(container, items, place);
    if container.is_map {
        Child::Pair { key, value }
    } else {
        Child::Element {
            index: place,
            value,
        }
    }
}
