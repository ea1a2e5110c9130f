//! Operations on lists and maps, also on those inside of others.
//!
//! Stored bytes are read in place, a change copies them once. Every list or map in storage is normalised
//! ([`protocol::msgpack::normalize`]): smallest encodings, maps sorted by key; what is put in here is, too.

mod answer;
mod by_path;
mod context;
mod list;
mod look;
mod map;
mod number;
mod sort;
mod stored;
mod table;
mod wanted;

use std::borrow::Cow;

pub use look::{Part, each, element_at};

use protocol::particle::{Particle, ParticleRef, ParticleType};
use protocol::result_code::ResultCode;

use self::answer::Reply;
use self::number::number_of;
use self::stored::{Rebuilt, Stored};
use self::table::{Missing, Row};
use super::arguments::{Arguments, Payload, malformed};
use super::{Applied, Change, Environment, OperationError};
use crate::work::Meter;

/// Most nils that fill the gap before an index: one byte each, and no record is that large.
const MAX_NILS: usize = 8 * 1024 * 1024;

/// What an operation makes: a new list or map, if it changes, and the answer.
type Done<'a> = (Option<Rebuilt<'a>>, Reply<'a>);

fn unchanged(reply: Reply<'_>) -> Result<Done<'_>, OperationError> {
    Ok((None, reply))
}

/// The form in which clients and scripts see a particle: a list or map without the index that it may carry in storage.
#[must_use]
pub fn visible(stored: ParticleRef<'_>) -> Cow<'_, [u8]> {
    stored::visible(stored.kind, stored.data)
}

/// Applies an operation on lists or maps.
pub(crate) fn apply(
    payload: &Result<Payload<'_>, OperationError>,
    write: bool,
    bin: Option<ParticleRef<'_>>,
    environment: &mut Environment<'_>,
) -> Result<Applied, OperationError> {
    match payload.as_ref().map_err(Clone::clone)? {
        Payload::Plain(arguments) => plain(arguments, write, bin, environment),
        Payload::Nested { pairs, arguments } => {
            context::apply(pairs, arguments, write, bin, environment)
        }
        Payload::Path(path) => by_path::apply(path, write, bin, environment),
    }
}

fn plain(
    arguments: &Arguments<'_>,
    write: bool,
    bin: Option<ParticleRef<'_>>,
    environment: &mut Environment<'_>,
) -> Result<Applied, OperationError> {
    let work = &mut *environment.work;
    let stored = match bin {
        Some(bin) => {
            let stored = Stored::read(bin.data).filter(|_| is_kind(bin, arguments.number));
            let stored = stored.ok_or_else(|| wrong_type(bin.kind, arguments.number))?;
            Some(stored.with_landmarks(environment.landmarks))
        }
        None => None,
    };
    let row = row(arguments, write)?;
    let made = match (stored, row.missing) {
        (Some(stored), _) => stored,
        (None, Missing::Nothing) => return Ok(Applied::default()),
        (None, Missing::WrongType) => return Err(wrong_type(ParticleType::NIL, row.number)),
        (None, Missing::Created | Missing::NoElement) => fresh(row, arguments),
    };
    let (changed, reply) = run(row, &made, arguments, work)?;
    let reply = reply.into_particle()?;
    let change = match changed {
        Some(changed) => Change::Set(particle(changed, work)?),
        None => Change::Keep,
    };
    Ok(Applied { change, reply })
}

/// The particle of a changed list or map.
fn particle(changed: Rebuilt<'_>, work: &mut dyn Meter) -> Result<Particle, OperationError> {
    let kind = if changed.is_map {
        ParticleType::MAP
    } else {
        ParticleType::LIST
    };
    Ok(Particle::new(kind, changed.into_particle(work)?))
}

/// Whether a bin is what an operation with this number works on.
fn is_kind(bin: ParticleRef<'_>, number: i64) -> bool {
    let kind = if table::is_map(number) {
        ParticleType::MAP
    } else {
        ParticleType::LIST
    };
    bin.kind == kind
}

fn wrong_type(kind: ParticleType, number: i64) -> OperationError {
    let name = table::row(number).map_or("operation on a list or map", |row| row.name);
    OperationError::new(
        ResultCode::INCOMPATIBLE_TYPE,
        format!("{name} on a value of type {kind}"),
    )
}

/// The operation, which must be one that the op may hold.
fn row(arguments: &Arguments<'_>, write: bool) -> Result<&'static Row, OperationError> {
    let row = table::row(arguments.number).ok_or_else(|| {
        malformed(&format!(
            "there is no operation {} on lists or maps",
            arguments.number
        ))
    })?;
    if row.write != write {
        return Err(malformed(&format!(
            "{} stands in the wrong op: a read in a modify or the reverse",
            row.name
        )));
    }
    Ok(row)
}

/// The empty list or map that an operation begins with where there is none.
fn fresh<'a>(row: &Row, arguments: &Arguments<'_>) -> Stored<'a> {
    let place = match row.number {
        1 | 2 | 66 | 68 => Some(1),
        12 | 65 | 67 | 73 | 74 => Some(2),
        _ => None,
    };
    let flags = place
        .and_then(|place| arguments.get(place))
        .and_then(super::element::unsigned)
        .and_then(|flags| {
            if row.is_map() {
                map::order_flags(flags)
            } else {
                list::order_flags(flags)
            }
        });
    // Flags that there are not count as none.
    Stored::empty(row.is_map(), flags.unwrap_or(0))
}

fn run<'a>(
    row: &Row,
    stored: &Stored<'a>,
    arguments: &Arguments<'a>,
    work: &mut dyn Meter,
) -> Result<Done<'a>, OperationError> {
    row.check(arguments)?;
    if row.is_map() {
        map::apply(stored, arguments, work)
    } else {
        list::apply(stored, arguments, work)
    }
}
