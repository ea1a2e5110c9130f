//! ```text
//! | u32 size | u8 op | u8 particle type | u8 flags | u8 n | n bytes name | [8 bytes lut] | value |
//! ```

use crate::cursor::{Cursor, length};
use crate::limits::MAX_OPS;
use crate::message::ParseError;
use crate::particle::{ParticleRef, ParticleType};

/// What an op does, as one byte on the wire. Numbers without a name are kept; a server refuses them with result 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OpCode(pub u8);

macro_rules! op_codes {
    ($($number:literal = $name:ident, $kind:ident, $text:literal;)*) => {
        impl OpCode {
            $(#[doc = concat!("Op ", stringify!($number), ": ", $text, ".")]
            pub const $name: Self = Self($number);)*

            /// Whether the number is one that a server knows.
            pub fn is_known(self) -> bool {
                matches!(self.0, $($number)|*)
            }

            /// Whether the op changes the record.
            pub fn is_write(self) -> bool {
                match self.0 {
                    $($number => op_codes!(@$kind),)*
                    _ => false,
                }
            }

            /// Whether the op only reads.
            pub fn is_read(self) -> bool {
                self.is_known() && !self.is_write()
            }
        }
    };
    (@read) => { false };
    (@write) => { true };
}

op_codes! {
    1 = READ, read, "read a bin, or with an empty name all bins; also the op of plain replies";
    2 = WRITE, write, "write a bin; nil removes it";
    3 = CDT_READ, read, "read from a list or map";
    4 = CDT_MODIFY, write, "change a list or map, may return a value";
    5 = INCR, write, "add to a number";
    7 = EXP_READ, read, "evaluate an expression";
    8 = EXP_MODIFY, write, "write the value of an expression";
    9 = APPEND, write, "append to a string or blob";
    10 = PREPEND, write, "prepend to a string or blob";
    11 = TOUCH, write, "set the record's time to live; no bin";
    12 = BITS_READ, read, "read bits of a blob";
    13 = BITS_MODIFY, write, "change bits of a blob";
    14 = DELETE_ALL, write, "remove all bins; no bin";
    15 = HLL_READ, read, "read a sketch";
    16 = HLL_MODIFY, write, "change a sketch, may return a value";
}

/// One op of a request, or one bin of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op<'a> {
    /// What to do.
    pub op: OpCode,
    /// Type of the value.
    pub particle: ParticleType,
    /// Bit 0: a time of 8 bytes stood after the name (it is skipped). Otherwise 0.
    pub flags: u8,
    /// Bin name; bytes, because nothing says that it is UTF-8. Up to 255 of them: whether a bin can have the name is for
    /// who looks for it to say.
    pub name: &'a [u8],
    /// Bytes of the value.
    pub value: &'a [u8],
}

impl<'a> Op<'a> {
    const HAS_LUT: u8 = 0x01;

    /// The op that reads a bin.
    #[must_use]
    pub fn reading(name: &'a [u8]) -> Self {
        Self {
            op: OpCode::READ,
            particle: ParticleType::NIL,
            flags: 0,
            name,
            value: &[],
        }
    }

    /// Type and bytes of the value together.
    pub fn particle_ref(&self) -> ParticleRef<'a> {
        ParticleRef {
            kind: self.particle,
            data: self.value,
        }
    }

    fn read(cursor: &mut Cursor<'a>, index: u16) -> Result<Self, ParseError> {
        Self::split(cursor).ok_or(ParseError::Op(index))
    }

    fn split(cursor: &mut Cursor<'a>) -> Option<Self> {
        let size = length(cursor.u32()?);
        let mut body = Cursor::new(cursor.take(size)?);
        let [op, particle, flags, name_len] = body.array()?;
        let name = body.take(name_len.into())?;
        if flags & Self::HAS_LUT != 0 {
            body.take(8)?;
        }
        Some(Self {
            op: OpCode(op),
            particle: ParticleType(particle),
            flags,
            name,
            value: body.rest(),
        })
    }
}

/// The ops of a checked message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ops<'a> {
    pub(crate) count: u16,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Ops<'a> {
    /// No ops.
    pub const EMPTY: Self = Self {
        count: 0,
        bytes: &[],
    };

    /// Takes `count` ops off the cursor, checking each.
    pub(crate) fn read(cursor: &mut Cursor<'a>, count: u16) -> Result<Self, ParseError> {
        if count > MAX_OPS {
            return Err(ParseError::TooManyOps(count));
        }
        let all = cursor.rest();
        for index in 0..count {
            Op::read(cursor, index)?;
        }
        let used = all.len() - cursor.len();
        Ok(Self {
            count,
            bytes: all.get(..used).unwrap_or_default(),
        })
    }

    /// The bytes of the ops, as they stand in the message.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Number of ops.
    pub fn len(&self) -> usize {
        self.count.into()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All ops in the order of the message.
    pub fn iter(&self) -> impl Iterator<Item = Op<'a>> + use<'a> {
        let mut cursor = Cursor::new(self.bytes);
        std::iter::from_fn(move || Op::split(&mut cursor))
    }

    /// The first op on this bin.
    pub fn find(&self, name: &[u8]) -> Option<Op<'a>> {
        self.iter().find(|op| op.name == name)
    }
}
