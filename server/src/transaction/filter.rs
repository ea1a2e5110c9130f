//! Filter expressions, as far as they are understood: the constants.

use protocol::msgpack::{Reader, Token, skip_value};
use protocol::result_code::ResultCode;

/// A filter expression (field 43).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Holds for every record, or for none.
    Constant(bool),
}

impl Filter {
    /// Reads the bare msgpack of an expression.
    ///
    /// Errors: 4 when it is malformed or cannot be a truth value, 16 for calls (msgpack lists), which this server does
    /// not evaluate. Refusing is the safe answer: a filter that is ignored would write what it was to protect.
    pub(crate) fn parse(data: &[u8]) -> Result<Self, ResultCode> {
        skip_value(data).map_err(|_| ResultCode::PARAMETER)?;
        match Reader::new(data).token() {
            Ok(Token::Bool(value)) => Ok(Self::Constant(value)),
            Ok(Token::List(_)) => Err(ResultCode::UNSUPPORTED_FEATURE),
            _ => Err(ResultCode::PARAMETER),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_understood_and_calls_refused() {
        let cases: [(&[u8], Result<Filter, ResultCode>); 7] = [
            (b"\xc3", Ok(Filter::Constant(true))),
            (b"\xc2", Ok(Filter::Constant(false))),
            (b"\x93\x01\x02\x03", Err(ResultCode::UNSUPPORTED_FEATURE)),
            (b"\x05", Err(ResultCode::PARAMETER)),
            (b"", Err(ResultCode::PARAMETER)),
            (b"\x93\x01", Err(ResultCode::PARAMETER)),
            (b"\xc3\xc3", Err(ResultCode::PARAMETER)),
        ];
        for (data, expected) in cases {
            assert_eq!(Filter::parse(data), expected, "{data:?}");
        }
    }
}
