//! ```text
//! | 0         | 1     | 2     | 3     | 4     | 5      | 6          | 10         | 14              | 18       | 20    |
//! | header_sz | info1 | info2 | info3 | info4 | result | generation | record_ttl | transaction_ttl | n_fields | n_ops |
//! ```

use bitflags::bitflags;

use crate::cursor::Cursor;
use crate::message::error::{Mistake, ParseError, Part};
use crate::result_code::ResultCode;

/// Size of the message header, in bytes.
pub const MESSAGE_HEADER_SIZE: usize = 22;

bitflags! {
    /// Read bits of the message header.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Info1: u8 {
        /// The request reads, or has a part that reads.
        const READ = 0x01;
        /// All bins are wanted.
        const GET_ALL = 0x02;
        /// The query is expected to be small.
        const SHORT_QUERY = 0x04;
        /// The body is a batch request.
        const BATCH = 0x08;
        /// Internal to servers.
        const XDR = 0x10;
        /// Only metadata is wanted.
        const GET_NO_BINS = 0x20;
        /// All replicas are to be consulted.
        const CONSISTENCY_ALL = 0x40;
        /// The client accepts compressed replies.
        const COMPRESS_RESPONSE = 0x80;
        // Bits without a name are kept.
        const _ = !0;
    }
}

bitflags! {
    /// Write bits of the message header.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Info2: u8 {
        /// The request writes, calls a UDF, or is a background query.
        const WRITE = 0x01;
        /// The record is to be deleted.
        const DELETE = 0x02;
        /// The generation must be equal.
        const GENERATION = 0x04;
        /// The given generation must be greater than the record's.
        const GENERATION_GT = 0x08;
        /// A delete leaves a tombstone.
        const DURABLE_DELETE = 0x10;
        /// The record must not exist.
        const CREATE_ONLY = 0x20;
        /// A long query may read during migrations.
        const RELAX_AP_LONG_QUERY = 0x40;
        /// Every op gets a reply op.
        const RESPOND_ALL_OPS = 0x80;
        // Bits without a name are kept.
        const _ = !0;
    }
}

bitflags! {
    /// Further bits of the message header.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Info3: u8 {
        /// Final message of a reply of several.
        const LAST = 0x01;
        /// Replicas need not be waited for.
        const COMMIT_MASTER = 0x02;
        /// Request: partition replies are understood; reply: about the partition in `generation`.
        const PARTITION_DONE = 0x04;
        /// The record must exist, bins are merged.
        const UPDATE_ONLY = 0x08;
        /// All bins are replaced.
        const CREATE_OR_REPLACE = 0x10;
        /// All bins are replaced, the record must exist.
        const REPLACE_ONLY = 0x20;
        /// Strong consistency: linearise, or with the next bit allow unavailable.
        const SC_READ_TYPE = 0x40;
        /// Strong consistency: allow replica, or with the bit before allow unavailable.
        const SC_READ_RELAX = 0x80;
        // Bits without a name are kept.
        const _ = !0;
    }
}

bitflags! {
    /// Transaction bits of the message header.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Info4: u8 {
        /// Verify a read of a transaction.
        const MRT_VERIFY_READ = 0x01;
        /// Roll a transaction forward.
        const MRT_ROLL_FORWARD = 0x02;
        /// Roll a transaction back.
        const MRT_ROLL_BACK = 0x04;
        /// Internal to transactions.
        const MRT_MONITOR = 0x08;
        /// Only for records that the transaction locks.
        const MRT_ON_LOCKING_ONLY = 0x10;
        // Bits without a name are kept.
        const _ = !0;
    }
}

/// The fixed part of a record message. `n_fields` and `n_ops` are counted by the writers, not taken from here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageHeader {
    /// Read bits.
    pub info1: Info1,
    /// Write bits.
    pub info2: Info2,
    /// Further bits.
    pub info3: Info3,
    /// Transaction bits.
    pub info4: Info4,
    /// How the request ended; 0 in requests.
    pub result: ResultCode,
    /// Request: expected generation. Reply: the record's, a 16-bit number; or the partition with `PARTITION_DONE`.
    pub generation: u32,
    /// Request: seconds to live, 0 the default, `u32::MAX` never expire, `u32::MAX - 1` keep; in reads a percentage.
    /// Reply: when the record expires, in seconds since 2010-01-01 UTC; 0 never.
    pub record_ttl: u32,
    /// Request: time limit in milliseconds, 0 the server's default. Reply to a batch: index of the row.
    pub transaction_ttl: u32,
    /// Number of fields.
    pub n_fields: u16,
    /// Number of ops.
    pub n_ops: u16,
}

impl MessageHeader {
    /// Reads the first 22 bytes. The size that they state for themselves is ignored, as the reference does.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        Self::read(&mut Cursor::new(bytes)).ok_or(Self::too_short(bytes.len()))
    }

    /// A message of so many bytes has no header.
    pub(crate) fn too_short(found: usize) -> ParseError {
        ParseError {
            row: None,
            part: Part::Header,
            offset: 0,
            mistake: Mistake::Short {
                expected: MESSAGE_HEADER_SIZE,
                found,
            },
        }
    }

    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        if cursor.len() < MESSAGE_HEADER_SIZE {
            return None;
        }
        let [_, info1, info2, info3, info4, result] = cursor.array()?;
        Some(Self {
            info1: Info1::from_bits_retain(info1),
            info2: Info2::from_bits_retain(info2),
            info3: Info3::from_bits_retain(info3),
            info4: Info4::from_bits_retain(info4),
            result: ResultCode(result),
            generation: cursor.u32()?,
            record_ttl: cursor.u32()?,
            transaction_ttl: cursor.u32()?,
            n_fields: cursor.u16()?,
            n_ops: cursor.u16()?,
        })
    }

    /// The 22 bytes.
    pub fn to_bytes(self) -> [u8; MESSAGE_HEADER_SIZE] {
        let [g0, g1, g2, g3] = self.generation.to_be_bytes();
        let [r0, r1, r2, r3] = self.record_ttl.to_be_bytes();
        let [t0, t1, t2, t3] = self.transaction_ttl.to_be_bytes();
        let [f0, f1] = self.n_fields.to_be_bytes();
        let [o0, o1] = self.n_ops.to_be_bytes();
        let (i1, i2, i3, i4) = (
            self.info1.bits(),
            self.info2.bits(),
            self.info3.bits(),
            self.info4.bits(),
        );
        #[rustfmt::skip]
        let bytes = [
            22, i1, i2, i3, i4, self.result.0,
            g0, g1, g2, g3, r0, r1, r2, r3, t0, t1, t2, t3,
            f0, f1, o0, o1,
        ];
        bytes
    }
}
