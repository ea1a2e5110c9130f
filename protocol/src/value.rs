//! Bin values as owned Rust values, for people and tools. Hot paths read [`crate::msgpack`] instead.

use std::cmp::Ordering;
use std::fmt;

use bytes::BufMut;

use crate::limits::MAX_DEPTH;
use crate::msgpack::{
    self, MsgpackError, Rank, Reader, Token, order, write_bool, write_float, write_integer,
    write_list_header, write_map_header, write_nil, write_order, write_text,
};
use crate::particle::{Particle, ParticleError, ParticleRef, ParticleType};

/// A value of a bin, or inside a list or map.
///
/// Values read here are nested at most [`MAX_DEPTH`] deep. Deeper ones that a program builds are refused when written.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value.
    Nil,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// A double.
    Float(f64),
    /// A string, UTF-8 by convention.
    String(Vec<u8>),
    /// Opaque bytes.
    Blob {
        /// Blob, the blob of a programming language, HLL, or any type without a meaning of its own here.
        kind: ParticleType,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// GeoJSON text.
    GeoJson(Vec<u8>),
    /// A list.
    List {
        /// See [`order`]; 0 is unordered.
        flags: u8,
        /// The elements.
        items: Vec<Value>,
    },
    /// A map.
    Map {
        /// See [`order`]; 0 is unordered.
        flags: u8,
        /// The pairs, in any order; they are written sorted by key.
        entries: Vec<(Value, Value)>,
    },
}

impl Value {
    /// A list without order.
    pub fn list(items: impl IntoIterator<Item = Value>) -> Self {
        Self::List {
            flags: 0,
            items: items.into_iter().collect(),
        }
    }

    /// A map without order.
    pub fn map(entries: impl IntoIterator<Item = (Value, Value)>) -> Self {
        Self::Map {
            flags: 0,
            entries: entries.into_iter().collect(),
        }
    }

    /// A blob of the plain type.
    pub fn blob(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Blob {
            kind: ParticleType::BLOB,
            bytes: bytes.into(),
        }
    }

    /// Reads one value that must be all there is.
    ///
    /// Floats of 4 bytes become doubles; a string without a type byte becomes an empty blob.
    ///
    /// Errors: malformed bytes, map keys other than integer, string, blob, extensions, and nesting that is too deep.
    pub fn from_msgpack(bytes: &[u8]) -> Result<Self, MsgpackError> {
        let mut reader = Reader::new(bytes);
        let value = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }

    /// Reads the next value.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, MsgpackError> {
        Self::read_at(reader, 0)
    }

    fn read_at(reader: &mut Reader<'_>, depth: usize) -> Result<Self, MsgpackError> {
        Ok(match reader.token()? {
            Token::Nil => Self::Nil,
            Token::Bool(value) => Self::Bool(value),
            Token::Integer(value) => Self::Integer(value),
            Token::Double(value) => Self::Float(value),
            Token::Float(value) => Self::Float(value.into()),
            Token::Text(content) => Self::from_text(content),
            Token::List(_) | Token::Map(_) if depth >= MAX_DEPTH => {
                return Err(MsgpackError::Depth);
            }
            Token::List(count) => {
                let (flags, count) = reader.list_order(count)?;
                // Grown as elements are found: a value takes far more memory than its encoding, so a count that the
                // bytes could just hold is no measure.
                let mut items = Vec::with_capacity(count.min(64));
                for _ in 0..count {
                    items.push(Self::read_at(reader, depth + 1)?);
                }
                Self::List {
                    flags: flags & order::KEY,
                    items,
                }
            }
            Token::Map(count) => {
                let (flags, count) = reader.map_order(count)?;
                let mut entries = Vec::with_capacity(count.min(64));
                for _ in 0..count {
                    let key = Self::read_at(reader, MAX_DEPTH).map_err(|error| match error {
                        MsgpackError::Depth => MsgpackError::Key,
                        error => error,
                    })?;
                    if !matches!(key.rank(), Rank::Integer | Rank::String | Rank::Blob) {
                        return Err(MsgpackError::Key);
                    }
                    entries.push((key, Self::read_at(reader, depth + 1)?));
                }
                Self::Map {
                    flags: flags & (order::KEY | order::VALUE),
                    entries,
                }
            }
            Token::Extension { .. } => return Err(MsgpackError::Extension),
            Token::Order(_) => return Err(MsgpackError::Order),
        })
    }

    fn from_text(content: &[u8]) -> Self {
        match content.split_first() {
            None => Self::blob([]),
            Some((kind, content)) => match ParticleType(*kind) {
                ParticleType::STRING => Self::String(content.to_vec()),
                ParticleType::GEOJSON => Self::GeoJson(content.to_vec()),
                kind => Self::Blob {
                    kind,
                    bytes: content.to_vec(),
                },
            },
        }
    }

    /// Writes the value in its smallest form. Order metadata is written for flags that mean an order; a list that has
    /// them must be sorted.
    ///
    /// Errors: [`MsgpackError::Depth`]; `out` then holds a part.
    pub fn write(&self, out: &mut impl BufMut) -> Result<(), MsgpackError> {
        self.write_at(out, 0)
    }

    fn write_at(&self, out: &mut impl BufMut, depth: usize) -> Result<(), MsgpackError> {
        match self {
            Self::Nil => write_nil(out),
            Self::Bool(value) => write_bool(out, *value),
            Self::Integer(value) => write_integer(out, *value),
            Self::Float(value) => write_float(out, *value),
            Self::String(content) => write_text(out, ParticleType::STRING, content),
            Self::Blob { kind, bytes } => write_text(out, *kind, bytes),
            Self::GeoJson(content) => write_text(out, ParticleType::GEOJSON, content),
            Self::List { .. } | Self::Map { .. } if depth >= MAX_DEPTH => {
                return Err(MsgpackError::Depth);
            }
            Self::List { flags, items } => {
                let ordered = flags & order::KEY != 0;
                write_list_header(out, items.len() + usize::from(ordered));
                if ordered {
                    write_order(out, order::KEY);
                }
                for item in items {
                    item.write_at(out, depth + 1)?;
                }
            }
            Self::Map { flags, entries } => {
                let flags = flags & (order::KEY | order::VALUE);
                write_map_header(out, entries.len() + usize::from(flags != 0));
                if flags != 0 {
                    write_order(out, flags);
                    write_nil(out);
                }
                let mut pairs: Vec<_> = entries.iter().collect();
                pairs.sort_by(|(a, _), (b, _)| a.compare(b));
                for (key, value) in pairs {
                    key.write_at(out, depth + 1)?;
                    value.write_at(out, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    /// The value's encoding, see [`Value::write`].
    pub fn to_msgpack(&self) -> Result<Vec<u8>, MsgpackError> {
        let mut out = Vec::new();
        self.write(&mut out)?;
        Ok(out)
    }

    /// The value of a particle.
    pub fn from_particle(particle: ParticleRef<'_>) -> Result<Self, ParticleError> {
        let malformed = ParticleError::Malformed {
            kind: particle.kind,
            size: particle.data.len(),
        };
        match particle.kind {
            ParticleType::NIL => Ok(Self::Nil),
            ParticleType::INTEGER => particle.as_integer().map(Self::Integer).ok_or(malformed),
            ParticleType::FLOAT => particle.as_float().map(Self::Float).ok_or(malformed),
            ParticleType::BOOL => particle.as_bool().map(Self::Bool).ok_or(malformed),
            ParticleType::STRING => Ok(Self::String(particle.data.to_vec())),
            ParticleType::GEOJSON => particle
                .as_geojson()
                .map(|text| Self::GeoJson(text.to_vec()))
                .ok_or(malformed),
            ParticleType::LIST | ParticleType::MAP => {
                match (Self::from_msgpack(particle.data)?, particle.kind) {
                    (value @ Self::List { .. }, ParticleType::LIST)
                    | (value @ Self::Map { .. }, ParticleType::MAP) => Ok(value),
                    _ => Err(MsgpackError::Kind.into()),
                }
            }
            kind => Ok(Self::Blob {
                kind,
                bytes: particle.data.to_vec(),
            }),
        }
    }

    /// The particle of a value. Errors: [`MsgpackError::Depth`].
    pub fn to_particle(&self) -> Result<Particle, MsgpackError> {
        Ok(match self {
            Self::Nil => Particle::NIL,
            Self::Bool(value) => Particle::bool(*value),
            Self::Integer(value) => Particle::integer(*value),
            Self::Float(value) => Particle::float(*value),
            Self::String(content) => Particle::string(content.clone()),
            Self::Blob { kind, bytes } => Particle::new(*kind, bytes.clone()),
            Self::GeoJson(content) => Particle::geojson(content),
            Self::List { .. } => Particle::new(ParticleType::LIST, self.to_msgpack()?),
            Self::Map { .. } => Particle::new(ParticleType::MAP, self.to_msgpack()?),
        })
    }

    /// Where the value stands among the types.
    pub fn rank(&self) -> Rank {
        match self {
            Self::Nil => Rank::Nil,
            Self::Bool(_) => Rank::Bool,
            Self::Integer(_) => Rank::Integer,
            Self::Float(_) => Rank::Float,
            Self::String(_) => Rank::String,
            Self::Blob { .. } => Rank::Blob,
            Self::GeoJson(_) => Rank::GeoJson,
            Self::List { .. } => Rank::List,
            Self::Map { .. } => Rank::Map,
        }
    }

    /// The order of [`msgpack::compare`]: total, and it agrees with the order of the encodings.
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::String(a), Self::String(b)) | (Self::GeoJson(a), Self::GeoJson(b)) => a.cmp(b),
            (Self::Blob { kind: k, bytes: a }, Self::Blob { kind: l, bytes: b }) => {
                (k.0, a).cmp(&(l.0, b))
            }
            (Self::List { items: a, .. }, Self::List { items: b, .. }) => {
                let mut pairs = a.iter().zip(b).map(|(a, b)| a.compare(b));
                pairs
                    .find(|order| order.is_ne())
                    .unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (Self::Map { entries: a, .. }, Self::Map { entries: b, .. }) => {
                a.len().cmp(&b.len()).then_with(|| compare_sorted(a, b))
            }
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }
}

fn compare_sorted(a: &[(Value, Value)], b: &[(Value, Value)]) -> Ordering {
    let sorted = |entries: &[(Value, Value)]| {
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_by(|x, y| match (entries.get(*x), entries.get(*y)) {
            (Some((a, _)), Some((b, _))) => a.compare(b),
            _ => Ordering::Equal,
        });
        order
    };
    for (x, y) in sorted(a).into_iter().zip(sorted(b)) {
        if let (Some((k, v)), Some((l, w))) = (a.get(x), b.get(y)) {
            let order = k.compare(l).then_with(|| v.compare(w));
            if order.is_ne() {
                return order;
            }
        }
    }
    Ordering::Equal
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

/// For people: strings quoted, blobs in hexadecimal, `[1, "a"]`, `{"k": 1}`. What is nested too deeply prints as `…`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self, f, 0)
    }
}

fn show(value: &Value, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
    match value {
        Value::List { .. } | Value::Map { .. } if depth >= MAX_DEPTH => f.write_str("…"),
        Value::Nil => f.write_str("nil"),
        Value::Bool(value) => write!(f, "{value}"),
        Value::Integer(value) => write!(f, "{value}"),
        Value::Float(value) => write!(f, "{value:?}"),
        Value::String(bytes) => write!(f, "{:?}", String::from_utf8_lossy(bytes)),
        Value::GeoJson(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
        Value::Blob { bytes, .. } => {
            f.write_str("0x")?;
            bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        }
        Value::List { items, .. } => {
            f.write_str("[")?;
            for (index, item) in items.iter().enumerate() {
                f.write_str(if index == 0 { "" } else { ", " })?;
                show(item, f, depth + 1)?;
            }
            f.write_str("]")
        }
        Value::Map { entries, .. } => {
            f.write_str("{")?;
            for (index, (key, value)) in entries.iter().enumerate() {
                f.write_str(if index == 0 { "" } else { ", " })?;
                show(key, f, depth + 1)?;
                f.write_str(": ")?;
                show(value, f, depth + 1)?;
            }
            f.write_str("}")
        }
    }
}

/// Reads the argument list of a UDF as servers do: no bytes, bytes that are not msgpack, or anything but a list mean no
/// arguments; bytes after the list are ignored.
pub fn read_arguments(arglist: &[u8]) -> Vec<Value> {
    match msgpack::first_value(arglist).and_then(|(value, _)| Value::from_msgpack(value)) {
        Ok(Value::List { items, .. }) => items,
        _ => Vec::new(),
    }
}
