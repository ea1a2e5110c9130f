//! Why a request is refused, for the log: its sender gets no more than a code. The log writes so many lines of one place.

use data::bin::BinName;
use data::operation::OperationError;
use protocol::message::OpCode;
use protocol::result_code::ResultCode;

use crate::log::peer;

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

/// Logs why a request is refused with 16 or 22, and gives the code.
pub(crate) fn because(code: ResultCode, why: &str) -> ResultCode {
    tracing::warn!(target: "rw", "refused with {}: {why}: peer={}", code.0, peer::shown());
    code
}

/// Logs why a time to live is refused, and gives the code.
pub(crate) fn of_ttl(code: ResultCode, namespace: &str, ttl: u32) -> ResultCode {
    match code {
        ResultCode::FORBIDDEN => because(
            code,
            &format!(
                "a ttl of {ttl} s in namespace `{namespace}`, which has `nsup-period 0`: nothing would remove the record; \
                 set nsup-period, or allow-ttl-without-nsup true"
            ),
        ),
        code => code,
    }
}

/// Logs why a filter is none, and gives the code.
pub(crate) fn of_filter(error: &OperationError) -> ResultCode {
    tracing::info!(target: "exp", "refused with {:?}: filter: {}", error.code, error.cause);
    error.code
}
