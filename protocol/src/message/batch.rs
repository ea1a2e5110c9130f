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

use std::ops::{BitOr, BitOrAssign};

use super::header::bits;
use crate::cursor::Cursor;
use crate::key::Digest;
use crate::message::{
    FieldType, Fields, Info1, Info2, Info3, Info4, MessageHeader, Ops, ParseError,
};

bits! {
    /// Flags of a whole batch.
    BatchFlags {
        0x01 = INLINE, "rows of namespaces in memory may run on the connection's thread";
        0x02 = INLINE_DEVICE, "rows of namespaces on devices may too";
        0x04 = RESPOND_ALL, "all rows are run and answered, even after errors";
        0x08 = RETURN_ERROR_ROWS, "rows that failed are returned";
    }
}

bits! {
    /// Flags of a row: which parts follow.
    RowFlags {
        0x01 = REPEAT, "nothing follows: everything else is as in the previous full row";
        0x02 = INFO23, "info2 and info3 follow";
        0x04 = GENERATION, "a generation follows";
        0x08 = TTL, "a time to live follows";
        0x10 = INFO4, "info4 follows";
    }
}

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
    read: u32,
    template: Option<BatchRow<'a>>,
}

impl<'a> BatchRows<'a> {
    /// Reads count and flags. Bytes after the last row are ignored, as the reference does.
    pub fn parse(data: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(data);
        let (Some(count), Some(flags)) = (cursor.u32(), cursor.u8()) else {
            return Err(ParseError::FieldData(FieldType::BATCH_INDEX.0));
        };
        Ok(Self {
            count,
            flags: BatchFlags(flags),
            cursor,
            read: 0,
            template: None,
        })
    }

    /// How many rows can still come at most, by claimed count and bytes at hand: safe to allocate by.
    pub fn remaining_bound(&self) -> usize {
        const SMALLEST_ROW: usize = 25;
        let claimed = usize::try_from(self.count - self.read).unwrap_or(usize::MAX);
        claimed.min(self.cursor.len() / SMALLEST_ROW)
    }

    fn row(&mut self) -> Result<BatchRow<'a>, ParseError> {
        let malformed = ParseError::BatchRow(self.read);
        let cursor = &mut self.cursor;
        let index = cursor.u32().ok_or(malformed)?;
        let digest = Digest(cursor.array().ok_or(malformed)?);
        let flags = RowFlags(cursor.u8().ok_or(malformed)?);
        if flags.contains(RowFlags::REPEAT) {
            return match self.template {
                Some(template) if !template.fields.has(FieldType::KEY) => Ok(BatchRow {
                    index,
                    digest,
                    ..template
                }),
                _ => Err(malformed),
            };
        }
        let mut header = MessageHeader {
            info1: Info1(cursor.u8().ok_or(malformed)?),
            ..Default::default()
        };
        if flags.contains(RowFlags::INFO23) {
            header.info2 = Info2(cursor.u8().ok_or(malformed)?);
            header.info3 = Info3(cursor.u8().ok_or(malformed)?);
        }
        if flags.contains(RowFlags::INFO4) {
            header.info4 = Info4(cursor.u8().ok_or(malformed)?);
        }
        if flags.contains(RowFlags::GENERATION) {
            header.generation = cursor.u16().ok_or(malformed)?.into();
        }
        if flags.contains(RowFlags::TTL) {
            header.record_ttl = cursor.u32().ok_or(malformed)?;
        }
        // The namespace is required, so a count of 0 means the field that must be there.
        header.n_fields = cursor.u16().ok_or(malformed)?.max(1);
        header.n_ops = cursor.u16().ok_or(malformed)?;
        let fields = Fields::read(cursor, header.n_fields)?;
        let ops = Ops::read(cursor, header.n_ops)?;
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
