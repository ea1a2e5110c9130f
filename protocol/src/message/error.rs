use thiserror::Error;

use crate::result_code::ResultCode;

/// Why a message cannot be understood. The connection stays usable: the frame around it was sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// Fewer bytes than a message header has.
    #[error("message of {0} bytes is shorter than its header")]
    Header(usize),
    /// A field whose size is 0 or reaches beyond the message.
    #[error("field {0} of the message is malformed")]
    Field(u16),
    /// An op whose size is too small for its parts or reaches beyond the message.
    #[error("op {0} of the message is malformed")]
    Op(u16),
    /// More ops than a request may have.
    #[error("{0} ops in one request are too many")]
    TooManyOps(u16),
    /// Bytes after the last op.
    #[error("{0} bytes after the last op")]
    Trailing(usize),
    /// A field whose data does not have the shape that its type demands.
    #[error("data of field type {0} is malformed")]
    FieldData(u8),
    /// A batch row that is malformed.
    #[error("batch row {0} is malformed")]
    BatchRow(u32),
}

impl ParseError {
    /// The code with which a server answers.
    pub fn result_code(self) -> ResultCode {
        ResultCode::PARAMETER
    }
}
