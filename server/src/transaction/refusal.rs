//! Why a request is refused, for the log: its sender gets no more than a code. The log writes so many lines of one place.

use data::bin::BinName;
use data::operation::OperationError;
use protocol::message::OpCode;
use protocol::result_code::ResultCode;

/// Logs why an operation on a bin fails, where the code alone leaves that open, and gives the code.
pub(crate) fn of_operation(code: OpCode, bin: &BinName, error: &OperationError) -> ResultCode {
    let OperationError {
        code: answer,
        cause,
    } = error;
    match *answer {
        ResultCode::PARAMETER | ResultCode::INCOMPATIBLE_TYPE | ResultCode::OP_NOT_APPLICABLE => {
            tracing::info!(target: "rw", "refused with {answer:?}: operation {code:?} on bin `{bin}`: {cause}");
        }
        _ => {
            tracing::debug!(target: "rw", "refused with {answer:?}: operation {code:?} on bin `{bin}`: {cause}")
        }
    }
    *answer
}

/// Logs why a filter is none, and gives the code.
pub(crate) fn of_filter(error: &OperationError) -> ResultCode {
    tracing::info!(target: "exp", "refused with {:?}: filter: {}", error.code, error.cause);
    error.code
}
