use std::fmt;

use thiserror::Error;

use crate::cursor::{Cursor, length};
use crate::limits::MAX_OPS;
use crate::message::field_type::FieldType;
use crate::result_code::ResultCode;

/// Why a message cannot be understood. The connection stays usable: the frame around it was sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The row of a batch, counted from 0.
    pub row: Option<u32>,
    /// The part that is wrong.
    pub part: Part,
    /// Bytes before that part: of the message, or in a row of the field that holds the rows.
    pub offset: usize,
    /// What was expected, and found.
    pub mistake: Mistake,
}

/// A part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The fixed part.
    Header,
    /// A field, counted from 0.
    Field(u16),
    /// The data of a field of this type.
    Data(FieldType),
    /// The number of ops.
    OpCount,
    /// An op, counted from 0.
    Op(u16),
    /// The fixed part of a row.
    Row,
    /// What follows the last op.
    End,
}

/// What was expected of a part, and what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Mistake {
    /// Less than must be there, or than was announced.
    #[error("expected {expected} bytes, found {found}")]
    Short {
        /// Bytes.
        expected: usize,
        /// Bytes.
        found: usize,
    },
    /// Data of another shape than it must have.
    #[error("expected {expected}, found {found} bytes")]
    Shape {
        /// In words.
        expected: &'static str,
        /// Bytes of the data.
        found: usize,
    },
    /// More ops than a request may have.
    #[error("expected at most {MAX_OPS} ops, found {0}")]
    TooManyOps(u16),
    /// A row that repeats the one before, and there is none, or none that can be repeated.
    #[error("expected a full row without a key before a row that repeats, found none")]
    NothingToRepeat,
    /// Bytes after the last op.
    #[error("expected the end, found {0} bytes")]
    Trailing(usize),
}

impl ParseError {
    /// The code with which a server answers.
    pub fn result_code(self) -> ResultCode {
        ResultCode::PARAMETER
    }
}

impl std::error::Error for ParseError {}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(row) = self.row {
            write!(f, "batch row {row}, ")?;
        }
        write!(f, "{} at byte {}: {}", self.part, self.offset, self.mistake)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("message header"),
            Self::Field(index) => write!(f, "field {index}"),
            Self::Data(kind) => write!(f, "data of field type {kind:?}"),
            Self::OpCount => f.write_str("number of ops"),
            Self::Op(index) => write!(f, "op {index}"),
            Self::Row => f.write_str("fixed part"),
            Self::End => f.write_str("after the last op"),
        }
    }
}

/// What is wrong with a size of four bytes and what it announces; nothing when so much is there.
#[cold]
pub(crate) fn wrong_size(mut cursor: Cursor<'_>) -> Option<Mistake> {
    let found = cursor.len();
    let Some(size) = cursor.u32().map(length) else {
        return Some(Mistake::Short { expected: 4, found });
    };
    (cursor.len() < size).then(|| Mistake::Short {
        expected: size,
        found: cursor.len(),
    })
}
