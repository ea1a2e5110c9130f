use bytes::{BufMut, BytesMut};

use super::batch::{BatchFlags, BatchRow, RowFlags};
use crate::key::Digest;
use crate::message::{BodyWriter, FieldType, MessageHeader, WriteError};

/// The rows of a batch request: the data of field 41.
///
/// Every row is written in full. Of its header go the bits, the generation and the time to live; the counts are those of
/// what is written.
///
/// ```
/// use protocol::key::{Digest, Key};
/// use protocol::message::{BatchFlags, BatchRows, BatchWriter, Info1, MessageHeader};
///
/// let mut batch = BatchWriter::new(BatchFlags::RESPOND_ALL);
/// let header = MessageHeader { info1: Info1::READ | Info1::GET_ALL, ..Default::default() };
/// let mut row = batch.row(7, &Digest::of("demo", &Key::Integer(1)), &header);
/// row.namespace("test").set("demo");
/// row.finish()?;
/// let data = batch.finish()?;
/// let row = BatchRows::parse(&data).unwrap().next().unwrap().unwrap();
/// assert_eq!((row.index, row.fields.namespace()), (7, Ok(Some("test"))));
/// # Ok::<(), protocol::message::WriteError>(())
/// ```
#[derive(Debug)]
#[must_use = "the number of rows is missing until `finish`"]
pub struct BatchWriter {
    out: BytesMut,
    rows: u32,
    unfit: bool,
}

impl BatchWriter {
    /// Begins a batch without rows.
    pub fn new(flags: BatchFlags) -> Self {
        let mut out = BytesMut::new();
        out.put_u32(0);
        out.put_u8(flags.bits());
        Self {
            out,
            rows: 0,
            unfit: false,
        }
    }

    /// Begins a row. One that does not end with [`BodyWriter::finish`] makes the batch unsound.
    pub fn row(&mut self, index: u32, digest: &Digest, header: &MessageHeader) -> BodyWriter<'_> {
        self.head(index, digest, header);
        BodyWriter::of_row(&mut self.out)
    }

    /// Appends a row that is, for another record, like the full row before it. A row with a key cannot be repeated.
    pub fn repeat(&mut self, index: u32, digest: &Digest) {
        self.out.put_u32(index);
        self.out.put_slice(&digest.0);
        self.out.put_u8(RowFlags::REPEAT.bits());
        self.rows = self.rows.saturating_add(1);
    }

    /// Appends a row that was read, with the same bytes, under another index.
    pub fn copy(&mut self, index: u32, row: &BatchRow<'_>) {
        self.head(index, &row.digest, &row.header);
        self.out.put_u16(row.header.n_fields);
        self.out.put_u16(row.header.n_ops);
        self.out.put_slice(row.fields.as_bytes());
        self.out.put_slice(row.ops.as_bytes());
    }

    /// Writes what stands before the counts.
    fn head(&mut self, index: u32, digest: &Digest, header: &MessageHeader) {
        let flags = RowFlags::INFO23 | RowFlags::INFO4 | RowFlags::GENERATION | RowFlags::TTL;
        let generation = u16::try_from(header.generation);
        self.unfit |= generation.is_err();
        let out = &mut self.out;
        out.put_u32(index);
        out.put_slice(&digest.0);
        out.put_u8(flags.bits());
        out.put_u8(header.info1.bits());
        out.put_u8(header.info2.bits());
        out.put_u8(header.info3.bits());
        out.put_u8(header.info4.bits());
        // One that does not fit makes `finish` fail.
        out.put_u16(generation.unwrap_or(u16::MAX));
        out.put_u32(header.record_ttl);
        self.rows = self.rows.saturating_add(1);
    }

    /// Fills in the number of rows: the data of a field [`FieldType::BATCH_INDEX`].
    ///
    /// # Errors
    /// [`WriteError::Part`] when a generation has more than 16 bits.
    pub fn finish(mut self) -> Result<BytesMut, WriteError> {
        if self.unfit {
            return Err(WriteError::Part);
        }
        if let Some((count, _)) = self.out.split_first_chunk_mut() {
            *count = self.rows.to_be_bytes();
        }
        Ok(self.out)
    }

    /// Fills in the number of rows and appends the field to a message.
    ///
    /// # Errors
    /// As for [`BatchWriter::finish`].
    pub fn finish_into(self, message: &mut BodyWriter<'_>) -> Result<(), WriteError> {
        let data = self.finish()?;
        message.field(FieldType::BATCH_INDEX, &data);
        Ok(())
    }
}
