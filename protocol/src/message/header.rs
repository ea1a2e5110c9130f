//! ```text
//! | 0         | 1     | 2     | 3     | 4     | 5      | 6          | 10         | 14              | 18       | 20    |
//! | header_sz | info1 | info2 | info3 | info4 | result | generation | record_ttl | transaction_ttl | n_fields | n_ops |
//! ```

use std::ops::{BitOr, BitOrAssign};

use crate::cursor::Cursor;
use crate::message::ParseError;
use crate::result_code::ResultCode;

/// Size of the message header, in bytes.
pub const MESSAGE_HEADER_SIZE: usize = 22;

macro_rules! bits {
    ($(#[$doc:meta])* $type:ident { $($bit:literal = $name:ident, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $type(pub u8);

        impl $type {
            /// No bit.
            pub const NONE: Self = Self(0);
            $(#[doc = concat!("Bit ", stringify!($bit), ": ", $text, ".")]
            pub const $name: Self = Self($bit);)*

            /// Whether all bits of `other` are set.
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Whether any bit of `other` is set.
            pub const fn intersects(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }

            /// The bits of both; usable in constants.
            pub const fn union(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl BitOr for $type {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                self.union(other)
            }
        }

        impl BitOrAssign for $type {
            fn bitor_assign(&mut self, other: Self) {
                self.0 |= other.0;
            }
        }
    };
}
pub(crate) use bits;

bits! {
    /// Read bits of the message header.
    Info1 {
        0x01 = READ, "the request reads, or has a part that reads";
        0x02 = GET_ALL, "all bins are wanted";
        0x04 = SHORT_QUERY, "the query is expected to be small";
        0x08 = BATCH, "the body is a batch request";
        0x10 = XDR, "internal to servers";
        0x20 = GET_NO_BINS, "only metadata is wanted";
        0x40 = CONSISTENCY_ALL, "all replicas are to be consulted";
        0x80 = COMPRESS_RESPONSE, "the client accepts compressed replies";
    }
}

bits! {
    /// Write bits of the message header.
    Info2 {
        0x01 = WRITE, "the request writes, calls a UDF, or is a background query";
        0x02 = DELETE, "the record is to be deleted";
        0x04 = GENERATION, "the generation must be equal";
        0x08 = GENERATION_GT, "the given generation must be greater than the record's";
        0x10 = DURABLE_DELETE, "a delete leaves a tombstone";
        0x20 = CREATE_ONLY, "the record must not exist";
        0x40 = RELAX_AP_LONG_QUERY, "a long query may read during migrations";
        0x80 = RESPOND_ALL_OPS, "every op gets a reply op";
    }
}

bits! {
    /// Further bits of the message header.
    Info3 {
        0x01 = LAST, "final message of a reply of several";
        0x02 = COMMIT_MASTER, "replicas need not be waited for";
        0x04 = PARTITION_DONE, "request: partition replies are understood; reply: about the partition in `generation`";
        0x08 = UPDATE_ONLY, "the record must exist, bins are merged";
        0x10 = CREATE_OR_REPLACE, "all bins are replaced";
        0x20 = REPLACE_ONLY, "all bins are replaced, the record must exist";
        0x40 = SC_READ_TYPE, "strong consistency: linearise, or with the next bit allow unavailable";
        0x80 = SC_READ_RELAX, "strong consistency: allow replica, or with the bit before allow unavailable";
    }
}

bits! {
    /// Transaction bits of the message header.
    Info4 {
        0x01 = MRT_VERIFY_READ, "verify a read of a transaction";
        0x02 = MRT_ROLL_FORWARD, "roll a transaction forward";
        0x04 = MRT_ROLL_BACK, "roll a transaction back";
        0x08 = MRT_MONITOR, "internal to transactions";
        0x10 = MRT_ON_LOCKING_ONLY, "only for records that the transaction locks";
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
        Self::read(&mut Cursor::new(bytes)).ok_or(ParseError::Header(bytes.len()))
    }

    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        if cursor.len() < MESSAGE_HEADER_SIZE {
            return None;
        }
        let [_, info1, info2, info3, info4, result] = cursor.array()?;
        Some(Self {
            info1: Info1(info1),
            info2: Info2(info2),
            info3: Info3(info3),
            info4: Info4(info4),
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
        let (i1, i2, i3, i4) = (self.info1.0, self.info2.0, self.info3.0, self.info4.0);
        #[rustfmt::skip]
        let bytes = [
            22, i1, i2, i3, i4, self.result.0,
            g0, g1, g2, g3, r0, r1, r2, r3, t0, t1, t2, t3,
            f0, f1, o0, o1,
        ];
        bytes
    }
}
