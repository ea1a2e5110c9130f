//! ```text
//! | u32 size | u8 op | u8 particle type | u8 flags | u8 n | n bytes name | [8 bytes lut] | value |
//! ```

use crate::bounds::Within as _;
use crate::codes::codes;
use crate::cursor::{Cursor, length};
use crate::limits::MAX_OPS;
use crate::message::error::{Mistake, ParseError, Part, wrong_size};
use crate::particle::{ParticleRef, ParticleType};

codes! {
    /// What an op does, as one byte on the wire. Numbers without a name are kept; a server refuses them with result 4.
    OpCode: "operation", shown full;
    1 = READ: "read a bin, or with an empty name all bins; also the op of plain replies",
    2 = WRITE: "write a bin; nil removes it",
    3 = CDT_READ: "read from a list or map",
    4 = CDT_MODIFY: "change a list or map, may return a value",
    5 = INCR: "add to a number",
    7 = EXP_READ: "evaluate an expression",
    8 = EXP_MODIFY: "write the value of an expression",
    9 = APPEND: "append to a string or blob",
    10 = PREPEND: "prepend to a string or blob",
    11 = TOUCH: "set the record's time to live; no bin",
    12 = BITS_READ: "read bits of a blob",
    13 = BITS_MODIFY: "change bits of a blob",
    14 = DELETE_ALL: "remove all bins; no bin",
    15 = HLL_READ: "read a sketch",
    16 = HLL_MODIFY: "change a sketch, may return a value",
}

impl OpCode {
    /// Whether the number is one that a server knows.
    pub fn is_known(self) -> bool {
        self.name().is_some()
    }

    /// Whether the op changes the record.
    pub fn is_write(self) -> bool {
        matches!(
            self,
            Self::WRITE
                | Self::CDT_MODIFY
                | Self::INCR
                | Self::EXP_MODIFY
                | Self::APPEND
                | Self::PREPEND
                | Self::TOUCH
                | Self::BITS_MODIFY
                | Self::DELETE_ALL
                | Self::HLL_MODIFY
        )
    }

    /// Whether the op only reads.
    pub fn is_read(self) -> bool {
        self.is_known() && !self.is_write()
    }
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

    /// Why the bytes at the cursor are no op.
    #[cold]
    fn mistake(mut cursor: Cursor<'_>) -> Mistake {
        if let Some(mistake) = wrong_size(cursor) {
            return mistake;
        }
        let size = cursor.u32().map_or(0, length);
        let lut = |flags: u8| if flags & Self::HAS_LUT != 0 { 8 } else { 0 };
        let expected = match cursor.array() {
            Some([_, _, flags, name_len]) => 4 + usize::from(name_len) + lut(flags),
            None => 4,
        };
        Mistake::Short {
            expected,
            found: size,
        }
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

    /// Takes `count` ops off the cursor, which stands at byte `at` of what is read, checking each.
    pub(crate) fn read(cursor: &mut Cursor<'a>, count: u16, at: usize) -> Result<Self, ParseError> {
        if count > MAX_OPS {
            return Err(ParseError {
                row: None,
                part: Part::OpCount,
                offset: at,
                mistake: Mistake::TooManyOps(count),
            });
        }
        let all = cursor.rest();
        for index in 0..count {
            let op = *cursor;
            Op::split(cursor).ok_or_else(|| ParseError {
                row: None,
                part: Part::Op(index),
                offset: at + all.len() - op.len(),
                mistake: Op::mistake(op),
            })?;
        }
        let used = all.len() - cursor.len();
        Ok(Self {
            count,
            bytes: all.within(..used),
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
