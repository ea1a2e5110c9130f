//! Rows of a batch request (the data of field 41, or 42 of older clients).
//!
//! ```text
//! | u32 count | u8 flags | rows |
//!
//! row:  | u32 index | 20 bytes digest | u8 row flags |
//!       then, unless the row repeats the previous one:
//!       | u8 info1 | [u8 info2, u8 info3] | [u8 info4] | [u16 generation] | [u32 ttl] |
//!       | u16 n_fields | u16 n_ops | fields | ops |
//! ```

use crate::bounds::Fit as _;
use bitflags::bitflags;

use super::error::{Mistake, Part};
use crate::cursor::Cursor;
use crate::key::Digest;
use crate::message::{
    FieldType, Fields, Info1, Info2, Info3, Info4, MessageHeader, Ops, ParseError,
};

bitflags! {
    /// Flags of a whole batch.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct BatchFlags: u8 {
        /// Rows of namespaces in memory may run on the connection's thread.
        const INLINE = 0x01;
        /// Rows of namespaces on devices may too.
        const INLINE_DEVICE = 0x02;
        /// All rows are run and answered, even after errors.
        const RESPOND_ALL = 0x04;
        /// Rows that failed are returned.
        const RETURN_ERROR_ROWS = 0x08;
        // Bits without a name are kept.
        const _ = !0;
    }
}

bitflags! {
    /// Flags of a row: which parts follow.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct RowFlags: u8 {
        /// Nothing follows: everything else is as in the previous full row.
        const REPEAT = 0x01;
        /// Info2 and info3 follow.
        const INFO23 = 0x02;
        /// A generation follows.
        const GENERATION = 0x04;
        /// A time to live follows.
        const TTL = 0x08;
        /// Info4 follows.
        const INFO4 = 0x10;
        // Bits without a name are kept.
        const _ = !0;
    }
}

/// Bytes of a row that repeats another.
const SMALLEST_ROW: usize = 25;

/// One row: a request of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchRow<'a> {
    /// What the client numbers the row with; the reply carries it in `transaction_ttl`.
    pub index: u32,
    /// The record.
    pub digest: Digest,
    /// Bits, generation and time to live; counts are those of the row.
    pub header: MessageHeader,
    /// Namespace and so on.
    pub fields: Fields<'a>,
    /// The ops.
    pub ops: Ops<'a>,
}

/// The rows of a batch, read one after the other. After an error there are no more.
#[derive(Clone, Debug)]
pub struct BatchRows<'a> {
    /// Number of rows that the request claims. Not checked against the bytes: never allocate by it.
    pub count: u32,
    /// Flags of the whole batch.
    pub flags: BatchFlags,
    cursor: Cursor<'a>,
    /// Bytes of the whole field.
    size: usize,
    read: u32,
    template: Option<BatchRow<'a>>,
}

impl<'a> BatchRows<'a> {
    /// Reads count and flags. Bytes after the last row are ignored, as the reference does.
    pub fn parse(data: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(data);
        let (Some(count), Some(flags)) = (cursor.u32(), cursor.u8()) else {
            return Err(ParseError {
                row: None,
                part: Part::Data(FieldType::BATCH_INDEX),
                offset: 0,
                mistake: Mistake::Short {
                    expected: 5,
                    found: data.len(),
                },
            });
        };
        Ok(Self {
            count,
            flags: BatchFlags::from_bits_retain(flags),
            cursor,
            size: data.len(),
            read: 0,
            template: None,
        })
    }

    /// How many rows can still come at most, by claimed count and bytes at hand: safe to allocate by.
    pub fn remaining_bound(&self) -> usize {
        let claimed = (self.count - self.read).at_most::<usize>();
        claimed.min(self.cursor.len() / SMALLEST_ROW)
    }

    fn row(&mut self) -> Result<BatchRow<'a>, ParseError> {
        let (row, start) = (self.read, self.cursor);
        let offset = self.size - start.len();
        let wrong = |mistake| ParseError {
            row: Some(row),
            part: Part::Row,
            offset,
            mistake,
        };
        let short = |expected| {
            wrong(Mistake::Short {
                expected,
                found: start.len(),
            })
        };
        let cursor = &mut self.cursor;
        let (index, digest, flags) = row_head(cursor).ok_or_else(|| short(SMALLEST_ROW))?;
        if flags.contains(RowFlags::REPEAT) {
            return match self.template {
                Some(template) if !template.fields.has(FieldType::KEY) => Ok(BatchRow {
                    index,
                    digest,
                    ..template
                }),
                _ => Err(wrong(Mistake::NothingToRepeat)),
            };
        }
        let header = row_header(cursor, flags)
            .ok_or_else(|| short(SMALLEST_ROW + row_header_size(flags)))?;
        let of_row = |error| ParseError {
            row: Some(row),
            ..error
        };
        let at = self.size - cursor.len();
        let fields = Fields::read(cursor, header.n_fields, at).map_err(of_row)?;
        let at = self.size - cursor.len();
        let ops = Ops::read(cursor, header.n_ops, at).map_err(of_row)?;
        let row = BatchRow {
            index,
            digest,
            header,
            fields,
            ops,
        };
        self.template = Some(row);
        Ok(row)
    }
}

/// What every row begins with.
fn row_head(cursor: &mut Cursor<'_>) -> Option<(u32, Digest, RowFlags)> {
    let index = cursor.u32()?;
    let digest = Digest(cursor.array()?);
    Some((index, digest, RowFlags::from_bits_retain(cursor.u8()?)))
}

/// What follows in a full row, up to its fields.
fn row_header(cursor: &mut Cursor<'_>, flags: RowFlags) -> Option<MessageHeader> {
    let mut header = MessageHeader {
        info1: Info1::from_bits_retain(cursor.u8()?),
        ..Default::default()
    };
    if flags.contains(RowFlags::INFO23) {
        header.info2 = Info2::from_bits_retain(cursor.u8()?);
        header.info3 = Info3::from_bits_retain(cursor.u8()?);
    }
    if flags.contains(RowFlags::INFO4) {
        header.info4 = Info4::from_bits_retain(cursor.u8()?);
    }
    if flags.contains(RowFlags::GENERATION) {
        header.generation = cursor.u16()?.into();
    }
    if flags.contains(RowFlags::TTL) {
        header.record_ttl = cursor.u32()?;
    }
    // The namespace is required, so a count of 0 means the field that must be there.
    header.n_fields = cursor.u16()?.max(1);
    header.n_ops = cursor.u16()?;
    Some(header)
}

/// Bytes of that.
fn row_header_size(flags: RowFlags) -> usize {
    let parts = [
        (RowFlags::INFO23, 2),
        (RowFlags::INFO4, 1),
        (RowFlags::GENERATION, 2),
        (RowFlags::TTL, 4),
    ];
    let optional = parts.iter().filter(|(flag, _)| flags.contains(*flag));
    5 + optional.map(|(_, size)| size).sum::<usize>()
}

impl<'a> Iterator for BatchRows<'a> {
    type Item = Result<BatchRow<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.read == self.count {
            return None;
        }
        let row = self.row();
        self.read = if row.is_ok() {
            self.read + 1
        } else {
            self.count
        };
        Some(row)
    }
}
