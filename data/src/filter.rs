//! Filters: whether a request is about a record at all.
//!
//! A filter is checked once for a request and then asked about each record: first with what is known without its bins,
//! which often decides, then with them.

use protocol::msgpack::{MsgpackError, Reader, Token, skip_value};
use protocol::result_code::ResultCode;

use crate::bin::Bins;
use crate::metadata::Metadata;
use crate::operation::OperationError;

/// What a filter says about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// The record is meant.
    Yes,
    /// It is not.
    No,
    /// It cannot be told: a bin that is not there, or, where only metadata was given, not without the bins. Who has
    /// given bins takes it for [`Holds::No`].
    Unknown,
}

/// A checked filter, the data of a FILTER_EXP field.
#[derive(Clone, Debug)]
pub enum Filter {
    /// Holds for every record, or for none.
    Constant(bool),
}

impl Filter {
    /// Reads the bare msgpack of an expression.
    ///
    /// # Errors
    /// 4 when it is malformed or cannot be a truth value, 16 for calls (msgpack lists), which are not evaluated yet.
    /// Refusing is the safe answer: a filter that is ignored would write what it was to protect.
    pub fn parse(data: &[u8]) -> Result<Self, OperationError> {
        let malformed = |error: MsgpackError| OperationError {
            code: ResultCode::PARAMETER,
            cause: format!("filter: {error}"),
        };
        skip_value(data).map_err(malformed)?;
        match Reader::new(data).token().map_err(malformed)? {
            Token::Bool(value) => Ok(Self::Constant(value)),
            Token::List(_) => Err(OperationError {
                code: ResultCode::UNSUPPORTED_FEATURE,
                cause: "filter: calls are not evaluated".to_owned(),
            }),
            _ => Err(OperationError {
                code: ResultCode::PARAMETER,
                cause: "filter: not a truth value".to_owned(),
            }),
        }
    }

    /// Whether the filter holds for a record, at `now_ms` in milliseconds since 2010-01-01 UTC. Without `bins` it is
    /// unknown where they would be needed.
    #[must_use]
    pub fn holds(&self, _metadata: &Metadata<'_>, _bins: Option<&dyn Bins>, _now_ms: u64) -> Holds {
        match self {
            Self::Constant(true) => Holds::Yes,
            Self::Constant(false) => Holds::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_understood_and_calls_refused() {
        let cases: [(&[u8], Result<bool, ResultCode>); 7] = [
            (b"\xc3", Ok(true)),
            (b"\xc2", Ok(false)),
            (b"\x93\x01\x02\x03", Err(ResultCode::UNSUPPORTED_FEATURE)),
            (b"\x05", Err(ResultCode::PARAMETER)),
            (b"", Err(ResultCode::PARAMETER)),
            (b"\x93\x01", Err(ResultCode::PARAMETER)),
            (b"\xc3\xc3", Err(ResultCode::PARAMETER)),
        ];
        for (data, expected) in cases {
            let found = Filter::parse(data)
                .map(|Filter::Constant(value)| value)
                .map_err(|error| error.code);
            assert_eq!(found, expected, "{data:?}");
        }
    }
}
