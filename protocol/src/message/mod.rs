//! Record messages (type 3): a header of 22 bytes, fields, ops.
//!
//! ```text
//! | 8 bytes        | 22 bytes       | n_fields times             | n_ops times |
//! | frame header   | message header | field: size, type, data    | op          |
//! ```
//!
//! [`Message::parse`] checks the whole structure once, without allocating; the accessors then walk the checked bytes.
//! [`MessageWriter`], [`ReplyWriter`] and [`write_reply`] append to a `BytesMut`.

mod batch;
mod batch_write;
mod error;
mod field;
mod field_type;
mod header;
mod op;
mod parse;
mod write;

pub use batch::{BatchFlags, BatchRow, BatchRows, RowFlags};
pub use batch_write::BatchWriter;
pub use error::{Mistake, ParseError, Part};
pub use field::{Field, Fields, IndexRange};
pub use field_type::FieldType;
pub use header::{Info1, Info2, Info3, Info4, MESSAGE_HEADER_SIZE, MessageHeader};
pub use op::{Op, OpCode, Ops};
pub use parse::Message;
pub use write::{BodyWriter, MessageWriter, ReplyWriter, WriteError, write_reply};
