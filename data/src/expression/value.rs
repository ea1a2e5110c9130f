//! Values while an expression runs.

use std::cmp::Ordering;
use std::ops::Deref;

use bytes::Bytes;
use protocol::msgpack::{self, MsgpackError, Reader, Token, order};
use protocol::particle::{Particle, ParticleRef, ParticleType};

use super::ExpressionType;
use crate::geo::Geometry;
use crate::operation::collection;

/// Bytes of a record or of the expression, or made while it runs. Cloning never copies.
#[derive(Clone, Debug)]
pub(super) enum Data<'r> {
    Borrowed(&'r [u8]),
    Shared(Bytes),
}

impl Deref for Data<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl Data<'_> {
    fn to_bytes(&self) -> Bytes {
        match self {
            Self::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
            Self::Shared(bytes) => bytes.clone(),
        }
    }
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum StackValue<'r> {
    Unknown,
    Remove,
    Nil,
    Bool(bool),
    Integer(i64),
    Float(f64),
    /// String, blob or sketch.
    Text(ParticleType, Data<'r>),
    /// GeoJSON text, and what it says when it is a literal.
    Place(Data<'r>, Option<&'r Geometry>),
    /// In the stored form, in which an index may be in front.
    List(Data<'r>),
    /// In the stored form, in which an index may be in front.
    Map(Data<'r>),
    /// Wildcard or infinity, encoded.
    Special(Data<'r>),
}

impl<'r> StackValue<'r> {
    /// A bin's value, when it is of this type.
    pub(super) fn of_particle(kind: ExpressionType, particle: ParticleRef<'r>) -> Self {
        if kind.particle() != Some(particle.kind) {
            return Self::Unknown;
        }
        let data = Data::Borrowed(particle.data);
        let value = match kind {
            ExpressionType::Integer => particle.as_integer().map(Self::Integer),
            ExpressionType::Bool => particle.as_bool().map(Self::Bool),
            ExpressionType::Float => particle.as_float().map(Self::Float),
            ExpressionType::GeoJson => particle
                .as_geojson()
                .map(|text| Self::Place(Data::Borrowed(text), None)),
            ExpressionType::List => Some(Self::List(data)),
            ExpressionType::Map => Some(Self::Map(data)),
            _ => Some(Self::Text(particle.kind, data)),
        };
        value.unwrap_or(Self::Unknown)
    }

    /// A value that an operation gave, when it is of this type.
    pub(super) fn of_owned(kind: ExpressionType, particle: Particle) -> Self {
        if particle.kind == ParticleType::NIL {
            return match kind {
                ExpressionType::Nil => Self::Nil,
                _ => Self::Unknown,
            };
        }
        if kind.particle() != Some(particle.kind) {
            return Self::Unknown;
        }
        match kind {
            ExpressionType::List => Self::List(Data::Shared(particle.data)),
            ExpressionType::Map => Self::Map(Data::Shared(particle.data)),
            ExpressionType::GeoJson => match particle.as_ref().as_geojson() {
                Some(text) => Self::Place(Data::Shared(particle.data.slice_ref(text)), None),
                None => Self::Unknown,
            },
            ExpressionType::String | ExpressionType::Blob | ExpressionType::Sketch => {
                Self::Text(particle.kind, Data::Shared(particle.data))
            }
            _ => match StackValue::of_particle(kind, particle.as_ref()) {
                StackValue::Integer(value) => Self::Integer(value),
                StackValue::Float(value) => Self::Float(value),
                StackValue::Bool(value) => Self::Bool(value),
                _ => Self::Unknown,
            },
        }
    }

    /// An encoded element of a collection, when it is of this type.
    pub(super) fn of_element(kind: ExpressionType, element: &'r [u8]) -> Self {
        let Ok(token) = Reader::new(element).token() else {
            return Self::Unknown;
        };
        let value = match token {
            Token::Nil => Self::Nil,
            Token::Bool(value) => Self::Bool(value),
            Token::Integer(value) => Self::Integer(value),
            Token::Double(value) => Self::Float(value),
            Token::Float(value) => Self::Float(value.into()),
            Token::Text([kind, content @ ..]) => {
                let content = Data::Borrowed(content);
                match ParticleType(*kind) {
                    ParticleType::GEOJSON => Self::Place(content, None),
                    kind => Self::Text(kind, content),
                }
            }
            Token::List(_) => Self::List(Data::Borrowed(element)),
            Token::Map(_) => Self::Map(Data::Borrowed(element)),
            _ => Self::Unknown,
        };
        if value.kind() == Some(kind) {
            value
        } else {
            Self::Unknown
        }
    }

    /// Bytes that were made for it.
    pub(super) fn made_bytes(&self) -> usize {
        match self {
            Self::Text(_, Data::Shared(bytes))
            | Self::Place(Data::Shared(bytes), _)
            | Self::List(Data::Shared(bytes))
            | Self::Map(Data::Shared(bytes))
            | Self::Special(Data::Shared(bytes)) => bytes.len(),
            _ => 0,
        }
    }

    /// The type, unless it is unknown or none that expressions know.
    pub(super) fn kind(&self) -> Option<ExpressionType> {
        Some(match self {
            Self::Unknown => return None,
            Self::Remove => ExpressionType::Remove,
            Self::Nil => ExpressionType::Nil,
            Self::Bool(_) => ExpressionType::Bool,
            Self::Integer(_) => ExpressionType::Integer,
            Self::Float(_) => ExpressionType::Float,
            Self::Text(ParticleType::STRING, _) => ExpressionType::String,
            Self::Text(ParticleType::BLOB, _) => ExpressionType::Blob,
            Self::Text(ParticleType::HLL, _) => ExpressionType::Sketch,
            Self::Text(..) => return None,
            Self::Place(..) => ExpressionType::GeoJson,
            Self::List(_) => ExpressionType::List,
            Self::Map(_) => ExpressionType::Map,
            Self::Special(_) => ExpressionType::Special,
        })
    }

    /// Bytes that the value holds, for counting work.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Text(_, data)
            | Self::Place(data, _)
            | Self::List(data)
            | Self::Map(data)
            | Self::Special(data) => data.len(),
            _ => 0,
        }
    }

    /// Calls `use_particle` with the value as a particle in its stored form; not for unknown, nil, remove and special ones.
    pub(super) fn with_particle<T>(
        &self,
        use_particle: impl FnOnce(ParticleRef<'_>) -> T,
    ) -> Option<T> {
        let owned = match self {
            Self::Unknown | Self::Remove | Self::Nil | Self::Special(_) => return None,
            Self::Text(kind, data) => return Some(use_particle(ParticleRef::new(*kind, data))),
            Self::List(data) => {
                return Some(use_particle(ParticleRef::new(ParticleType::LIST, data)));
            }
            Self::Map(data) => {
                return Some(use_particle(ParticleRef::new(ParticleType::MAP, data)));
            }
            Self::Bool(value) => Particle::bool(*value),
            Self::Integer(value) => Particle::integer(*value),
            Self::Float(value) => Particle::float(*value),
            Self::Place(text, _) => Particle::geojson(text),
        };
        Some(use_particle(owned.as_ref()))
    }

    /// The particle that a client gets; nil for nil. `None` for what is no value.
    pub(super) fn to_particle(&self) -> Option<Particle> {
        Some(match self {
            Self::Unknown | Self::Remove | Self::Special(_) => return None,
            Self::Nil => Particle::NIL,
            Self::Bool(value) => Particle::bool(*value),
            Self::Integer(value) => Particle::integer(*value),
            Self::Float(value) => Particle::float(*value),
            Self::Text(kind, data) => Particle::new(*kind, data.to_bytes()),
            Self::Place(text, _) => Particle::geojson(text),
            Self::List(data) => shown(ParticleType::LIST, data),
            Self::Map(data) => shown(ParticleType::MAP, data),
        })
    }

    /// Writes the value as an element of a collection. `false`: it is none.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Unknown | Self::Remove => return false,
            Self::Nil => msgpack::write_nil(out),
            Self::Bool(value) => msgpack::write_bool(out, *value),
            Self::Integer(value) => msgpack::write_integer(out, *value),
            Self::Float(value) => msgpack::write_float(out, *value),
            Self::Text(kind, data) => msgpack::write_text(out, *kind, data),
            Self::Place(text, _) => msgpack::write_text(out, ParticleType::GEOJSON, text),
            Self::List(data) => {
                let list = ParticleRef::new(ParticleType::LIST, data);
                out.extend_from_slice(&collection::visible(list));
            }
            Self::Map(data) => {
                let map = ParticleRef::new(ParticleType::MAP, data);
                out.extend_from_slice(&collection::visible(map));
            }
            Self::Special(data) => out.extend_from_slice(data),
        }
        true
    }

    /// Whether the two are in order; `None` when that is unknown: one of them is, or a map without order is met, or they
    /// are of types that do not compare. `Some(None)` is that of NaN.
    #[expect(
        clippy::option_option,
        reason = "not comparable and not ordered are two different answers"
    )]
    pub(super) fn compare(&self, other: &Self) -> Option<Option<Ordering>> {
        Some(match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Nil, Self::Nil) => Some(Ordering::Equal),
            (Self::Text(x, a), Self::Text(y, b)) if x == y => Some(a[..].cmp(&b[..])),
            (Self::List(a), Self::List(b)) => Some(compare_collections(ParticleType::LIST, a, b)?),
            (Self::Map(a), Self::Map(b)) => Some(compare_collections(ParticleType::MAP, a, b)?),
            _ => return None,
        })
    }
}

fn shown(kind: ParticleType, data: &Data<'_>) -> Particle {
    match (collection::visible(ParticleRef::new(kind, data)), data) {
        (std::borrow::Cow::Borrowed(visible), Data::Shared(bytes)) => {
            Particle::new(kind, bytes.slice_ref(visible))
        }
        (visible, _) => Particle::new(kind, visible.into_owned()),
    }
}

fn compare_collections(kind: ParticleType, left: &[u8], right: &[u8]) -> Option<Ordering> {
    let left = collection::visible(ParticleRef::new(kind, left));
    let right = collection::visible(ParticleRef::new(kind, right));
    match next(&mut Reader::new(&left), &mut Reader::new(&right), 0) {
        Ok(order) => Some(order),
        Err(MsgpackError::Extension) => Some(Ordering::Equal),
        Err(_) => None,
    }
}

/// Orders the next value of each. Fails where the order is unknown: at a map without order that is not empty, and where
/// the bytes are no values. [`MsgpackError::Extension`] is a wildcard, which makes the two equal.
fn next(
    left: &mut Reader<'_>,
    right: &mut Reader<'_>,
    depth: usize,
) -> Result<Ordering, MsgpackError> {
    let (mut a, mut b) = (*left, *right);
    let (x, y) = (a.token()?, b.token()?);
    match (x, y) {
        (Token::List(m), Token::List(n)) => {
            let depth = deeper(depth)?;
            let (_, m) = a.list_order(m)?;
            let (_, n) = b.list_order(n)?;
            (*left, *right) = (a, b);
            for _ in 0..m.min(n) {
                let order = next(left, right, depth)?;
                if order.is_ne() {
                    return Ok(order);
                }
            }
            Ok(m.cmp(&n))
        }
        (Token::Map(m), Token::Map(n)) => {
            let depth = deeper(depth)?;
            if is_unordered(a, m)? || is_unordered(b, n)? {
                return Err(MsgpackError::Unsorted);
            }
            let (_, m) = a.map_order(m)?;
            let (_, n) = b.map_order(n)?;
            (*left, *right) = (a, b);
            if m != n {
                return Ok(m.cmp(&n));
            }
            for _ in 0..m * 2 {
                let order = next(left, right, depth)?;
                if order.is_ne() {
                    return Ok(order);
                }
            }
            Ok(Ordering::Equal)
        }
        (
            Token::Extension {
                kind: 0xff,
                data: [0],
            },
            _,
        )
        | (
            _,
            Token::Extension {
                kind: 0xff,
                data: [0],
            },
        ) => Err(MsgpackError::Extension),
        (Token::Map(count), _) if is_unordered(a, count)? => Err(MsgpackError::Unsorted),
        (_, Token::Map(count)) if is_unordered(b, count)? => Err(MsgpackError::Unsorted),
        _ => {
            let (a, b) = (left.value()?, right.value()?);
            crate::operation::element::compare(a, b).map_err(|_| MsgpackError::Kind)
        }
    }
}

/// Whether the map of so many pairs whose head was just read has pairs, but no order.
fn is_unordered(mut reader: Reader<'_>, count: usize) -> Result<bool, MsgpackError> {
    let (flags, count) = reader.map_order(count)?;
    Ok(flags & order::KEY == 0 && count > 0)
}

fn deeper(depth: usize) -> Result<usize, MsgpackError> {
    if depth < protocol::limits::MAX_DEPTH {
        Ok(depth + 1)
    } else {
        Err(MsgpackError::Depth)
    }
}
