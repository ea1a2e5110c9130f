//! HyperLogLog: how many different elements were added, about, and what sketches have in common.
//!
//! | step | violated |
//! |------|----------|
//! | the bin is a sketch | 12 |
//! | the arguments are well-formed and within their limits | 4 |
//! | create-only and the bin is there; update-only and it is not | 6, 17; with no-fail no change |
//! | the shapes fit together | 26 |

mod estimate;
mod hash;
mod sketch;

use protocol::msgpack::{Reader, Token, write_integer, write_list_header};
use protocol::particle::{Particle, ParticleRef, ParticleType};
use protocol::result_code::ResultCode;

use self::sketch::{Shape, Sketch, SketchBuilder, place};
use super::arguments::{Arguments, Payload, malformed};
use super::{Applied, Change, Environment, OperationError, element};

const CREATE_ONLY: u64 = 1;
const UPDATE_ONLY: u64 = 2;
const NO_FAIL: u64 = 4;
const ALLOW_FOLD: u64 = 8;

/// "Not set" for index and minhash bits.
const UNSET: i64 = -1;

/// Most sketches of one operation, each some kilobytes.
const MAX_SKETCHES: usize = 1024;

/// Applies an operation on sketches.
pub(crate) fn apply(
    payload: &Result<Payload<'_>, OperationError>,
    write: bool,
    bin: Option<ParticleRef<'_>>,
    environment: &mut Environment<'_>,
) -> Result<Applied, OperationError> {
    let own = match bin {
        None => None,
        Some(bin) if bin.kind == ParticleType::HLL => Some(
            Sketch::read(bin.data).ok_or_else(|| inapplicable("the stored sketch is malformed"))?,
        ),
        Some(bin) => {
            return Err(OperationError::new(
                ResultCode::INCOMPATIBLE_TYPE,
                format!("sketch operation on a {}", bin.kind),
            ));
        }
    };
    let Payload::Plain(arguments) = payload.as_ref().map_err(Clone::clone)? else {
        return Err(malformed("sketch operations have no context"));
    };
    match (write, arguments.number) {
        (true, 0) => init(arguments, own),
        (true, 1) => add(arguments, own, environment),
        (true, 2) => set_union(arguments, own, environment),
        (true, 3) => refresh(arguments, own, environment),
        (true, 4) => fold(arguments, own, environment),
        (false, 50..=56) => match own {
            Some(own) => read(arguments, &own, environment).map(|reply| Applied {
                change: Change::Keep,
                reply: Some(reply),
            }),
            None => Ok(Applied::default()),
        },
        (_, number) => Err(malformed(&format!(
            "there is no sketch operation {number} of this kind"
        ))),
    }
}

fn inapplicable(cause: &str) -> OperationError {
    OperationError::new(ResultCode::OP_NOT_APPLICABLE, cause)
}

fn stored(sketch: SketchBuilder, reply: Option<Particle>) -> Applied {
    Applied {
        change: Change::Set(Particle::new(ParticleType::HLL, sketch.into_bytes())),
        reply,
    }
}

fn number(count: u64) -> Particle {
    Particle::integer(count.cast_signed())
}

/// The flags at this place.
fn flags(arguments: &Arguments<'_>, place: usize, allowed: u64) -> Result<u64, OperationError> {
    match arguments.optional_unsigned(place)? {
        Some(flags) if flags & !allowed != 0 || flags & 3 == 3 => {
            Err(arguments.wrong(place, "among its flags"))
        }
        Some(flags) => Ok(flags),
        None => Ok(0),
    }
}

/// Whether nothing is to be done, because the bin is there or not and the operation may not fail.
fn skipped(flags: u64, own: Option<&Sketch<'_>>) -> Result<bool, OperationError> {
    let (code, cause) = match own {
        Some(_) if flags & CREATE_ONLY != 0 => (ResultCode::BIN_EXISTS, "the bin exists already"),
        None if flags & UPDATE_ONLY != 0 => (ResultCode::BIN_NOT_FOUND, "the bin is missing"),
        _ => return Ok(false),
    };
    if flags & NO_FAIL != 0 {
        Ok(true)
    } else {
        Err(OperationError::new(code, cause))
    }
}

/// Index and minhash bits, each [`UNSET`] or within its limits.
fn shape_arguments(arguments: &Arguments<'_>, at: usize) -> Result<(i64, i64), OperationError> {
    let index_bits = arguments.optional_integer(at)?.unwrap_or(UNSET);
    let minhash_bits = arguments.optional_integer(at + 1)?.unwrap_or(UNSET);
    let likely = (
        if index_bits == UNSET { 4 } else { index_bits },
        if minhash_bits == UNSET {
            0
        } else {
            minhash_bits
        },
    );
    match Shape::new(likely.0, likely.1) {
        Some(_) => Ok((index_bits, minhash_bits)),
        None => Err(arguments.wrong(at, "a number of index bits that fits the minhash bits")),
    }
}

/// The shape of a new sketch: unset numbers are those of the present one.
fn new_shape(
    (index_bits, minhash_bits): (i64, i64),
    own: Option<&Sketch<'_>>,
) -> Result<Shape, OperationError> {
    let index_bits = match (index_bits, own) {
        (UNSET, Some(own)) => own.shape.index_bits.into(),
        (bits, _) => bits,
    };
    let minhash_bits = match (minhash_bits, own) {
        (UNSET, Some(own)) => own.shape.minhash_bits.into(),
        (UNSET, None) => 0,
        (bits, _) => bits,
    };
    Shape::new(index_bits, minhash_bits)
        .ok_or_else(|| inapplicable("a new sketch needs its number of index bits"))
}

fn init(arguments: &Arguments<'_>, own: Option<Sketch<'_>>) -> Result<Applied, OperationError> {
    arguments.expect(0, 3)?;
    let bits = shape_arguments(arguments, 0)?;
    let flags = flags(arguments, 2, CREATE_ONLY | UPDATE_ONLY | NO_FAIL)?;
    if skipped(flags, own.as_ref())? {
        return Ok(Applied::default());
    }
    let shape = new_shape(bits, own.as_ref())?;
    Ok(stored(SketchBuilder::empty(shape), None))
}

/// Calls `each` with every element of the list, in the form that is hashed.
fn elements(
    arguments: &Arguments<'_>,
    environment: &mut Environment<'_>,
    mut each: impl FnMut(&[u8]) -> bool,
) -> Result<(), OperationError> {
    let wrong = || arguments.wrong(0, "a list with scalar elements");
    let mut reader = Reader::new(arguments.get(0).ok_or_else(wrong)?);
    let Ok(Token::List(count)) = reader.token() else {
        return Err(wrong());
    };
    let (_, count) = reader.list_order(count).map_err(|_| wrong())?;
    if count == 0 {
        return Err(wrong());
    }
    let start = reader;
    let mut checked = reader;
    for _ in 0..count {
        let value = checked.value().map_err(|_| wrong())?;
        if element::is_list(value) || element::is_map(value) {
            return Err(wrong());
        }
        environment.work.steps(2)?;
        environment.work.bytes(value.len())?;
    }
    let mut reader = start;
    for _ in 0..count {
        let value = reader.value().map_err(|_| wrong())?;
        let compact = element::stored(value)?;
        if !each(&compact) {
            break;
        }
    }
    Ok(())
}

fn add(
    arguments: &Arguments<'_>,
    own: Option<Sketch<'_>>,
    environment: &mut Environment<'_>,
) -> Result<Applied, OperationError> {
    arguments.expect(1, 4)?;
    let bits = shape_arguments(arguments, 1)?;
    let flags = flags(arguments, 3, CREATE_ONLY | NO_FAIL)?;
    // The list is checked, too, before anything depends on the bin.
    let mut places = Vec::new();
    elements(arguments, environment, |_| false)?;
    if skipped(flags, own.as_ref())? {
        return Ok(Applied::default());
    }
    let mut sketch = match own {
        Some(own) => SketchBuilder::of(&own),
        None => SketchBuilder::empty(new_shape(bits, None)?),
    };
    let shape = sketch.as_sketch().shape;
    elements(arguments, environment, |value| {
        places.push(place(shape, value));
        true
    })?;
    let mut changed = 0_i64;
    for (index, value) in places {
        changed += i64::from(sketch.raise(index, value));
    }
    let reply = Some(Particle::integer(changed));
    if changed == 0 && own.is_some() {
        return Ok(Applied {
            change: Change::Keep,
            reply,
        });
    }
    sketch.cache(0);
    Ok(stored(sketch, reply))
}

/// The sketches of an argument: one, or a list of them.
fn sketches<'a>(
    arguments: &Arguments<'a>,
    own: Option<Sketch<'a>>,
) -> Result<Vec<Sketch<'a>>, OperationError> {
    let wrong = || arguments.wrong(0, "a sketch or a list of sketches");
    let value = arguments.get(0).ok_or_else(wrong)?;
    let sketch = |token| match token {
        Ok(Token::Text([_, content @ ..])) => Sketch::read(content).ok_or_else(wrong),
        _ => Err(wrong()),
    };
    let mut all: Vec<Sketch<'a>> = own.into_iter().collect();
    let mut reader = Reader::new(value);
    match reader.token() {
        Ok(Token::List(count)) => {
            let (_, count) = reader.list_order(count).map_err(|_| wrong())?;
            if count == 0 || count > MAX_SKETCHES {
                return Err(wrong());
            }
            for _ in 0..count {
                all.push(sketch(reader.token())?);
            }
        }
        token => all.push(sketch(token)?),
    }
    Ok(all)
}

fn set_union(
    arguments: &Arguments<'_>,
    own: Option<Sketch<'_>>,
    environment: &mut Environment<'_>,
) -> Result<Applied, OperationError> {
    arguments.expect(1, 2)?;
    let flags = flags(
        arguments,
        1,
        CREATE_ONLY | UPDATE_ONLY | NO_FAIL | ALLOW_FOLD,
    )?;
    let all = sketches(arguments, own)?;
    if skipped(flags, own.as_ref())? {
        return Ok(Applied::default());
    }
    let Some(common) = estimate::common(&all) else {
        return Err(arguments.wrong(0, "a sketch"));
    };
    let shape = match own {
        Some(own) if flags & ALLOW_FOLD == 0 => {
            if common.index_bits < own.shape.index_bits {
                return Err(inapplicable("a sketch of the union has fewer index bits"));
            }
            if own.shape.minhash_bits > 0 && common.minhash_bits != own.shape.minhash_bits {
                return Err(inapplicable("a sketch of the union has other minhash bits"));
            }
            own.shape
        }
        _ => common,
    };
    let union = estimate::union(&all, shape, environment.work)?;
    Ok(stored(union, None))
}

fn missing() -> OperationError {
    OperationError::new(ResultCode::BIN_NOT_FOUND, "the bin is missing")
}

fn refresh(
    arguments: &Arguments<'_>,
    own: Option<Sketch<'_>>,
    environment: &mut Environment<'_>,
) -> Result<Applied, OperationError> {
    arguments.expect(0, 0)?;
    let own = own.ok_or_else(missing)?;
    environment.work.steps(own.shape.registers())?;
    let count = estimate::count(&own);
    let mut sketch = SketchBuilder::of(&own);
    sketch.cache(count);
    Ok(stored(sketch, Some(number(count))))
}

fn fold(
    arguments: &Arguments<'_>,
    own: Option<Sketch<'_>>,
    environment: &mut Environment<'_>,
) -> Result<Applied, OperationError> {
    arguments.expect(1, 1)?;
    let index_bits = arguments.integer(0)?;
    if index_bits != UNSET && Shape::new(index_bits, 0).is_none() {
        return Err(arguments.wrong(0, "a number of index bits"));
    }
    let own = own.ok_or_else(missing)?;
    if own.shape.minhash_bits > 0 {
        return Err(inapplicable("a sketch with minhash bits cannot be folded"));
    }
    let shape = match Shape::new(index_bits, 0) {
        Some(shape) if shape.index_bits <= own.shape.index_bits => shape,
        _ => return Err(inapplicable("a sketch is only folded to fewer index bits")),
    };
    if shape == own.shape {
        return Ok(Applied::default());
    }
    let folded = estimate::union(&[own], shape, environment.work)?;
    Ok(stored(folded, None))
}

fn read(
    arguments: &Arguments<'_>,
    own: &Sketch<'_>,
    environment: &mut Environment<'_>,
) -> Result<Particle, OperationError> {
    match arguments.number {
        50 | 55 => arguments.expect(0, 0)?,
        _ => arguments.expect(1, 1)?,
    }
    environment.work.steps(own.shape.registers())?;
    Ok(match arguments.number {
        50 => number(estimate::count(own)),
        51 | 52 => {
            let all = sketches(arguments, Some(*own))?;
            let shape = estimate::common(&all).unwrap_or(own.shape);
            let union = estimate::union(&all, shape, environment.work)?;
            if arguments.number == 51 {
                Particle::new(ParticleType::HLL, union.into_bytes())
            } else {
                number(estimate::count(&union.as_sketch()))
            }
        }
        53 | 54 => {
            let others = sketches(arguments, None)?;
            if others.len() > 2 {
                let minhash_bits = others.first().map_or(0, |first| first.shape.minhash_bits);
                if minhash_bits == 0
                    || others
                        .iter()
                        .any(|other| other.shape.minhash_bits != minhash_bits)
                {
                    return Err(
                        arguments.wrong(0, "of sketches that all have the same minhash bits")
                    );
                }
                if own.shape.minhash_bits != minhash_bits {
                    return Err(inapplicable("the bin's sketch has other minhash bits"));
                }
            }
            let all = sketches(arguments, Some(*own))?;
            if arguments.number == 53 {
                number(estimate::intersect_count(&all, environment.work)?)
            } else {
                Particle::float(estimate::similarity(&all, environment.work)?)
            }
        }
        55 => {
            let mut out = Vec::with_capacity(3);
            write_list_header(&mut out, 2);
            write_integer(&mut out, own.shape.index_bits.into());
            write_integer(&mut out, own.shape.minhash_bits.into());
            Particle::new(ParticleType::LIST, out)
        }
        _ => {
            let mut all = true;
            elements(arguments, environment, |value| {
                let (index, value) = place(own.shape, value);
                all &= own.register(index) >= value;
                all
            })?;
            Particle::integer(all.into())
        }
    })
}
