//! Filters: whether a request is about a record at all.
//!
//! A filter is checked once for a request and then asked about each record: first with what is known without its bins,
//! which often decides, then with them.

use protocol::result_code::ResultCode;

use crate::bin::Bins;
use crate::expression::{Context, Expression, ExpressionType, Truth};
use crate::metadata::Metadata;
use crate::operation::{Limits, OperationError};
use crate::work::{Meter, TimeIsUp, UnitsLeft};

/// Most bytes of a value that a filter makes on its way.
const MAX_VALUE_BYTES: usize = 8 << 20;

/// Most work for one record: about a tenth of a second.
pub const MAX_UNITS: u64 = 100_000_000;

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
pub struct Filter {
    expression: Expression,
}

impl Filter {
    /// Reads the bare msgpack of an expression.
    ///
    /// # Errors
    /// 4 when it is malformed or no truth value; 9 when the time is up.
    pub fn parse(data: &[u8], work: &mut dyn Meter) -> Result<Self, OperationError> {
        let expression = Expression::parse(data, work)?;
        if expression.kind() != ExpressionType::Bool {
            return Err(OperationError::new(
                ResultCode::PARAMETER,
                format!("filter of type {}", expression.kind().name()),
            ));
        }
        Ok(Self { expression })
    }

    /// Whether the filter holds for a record, at `now_ms` in milliseconds since 2010-01-01 UTC. Without `bins` it is
    /// unknown where they would be needed. What takes longer than a tenth of a second is unknown, too.
    #[must_use]
    pub fn holds(&self, metadata: &Metadata<'_>, bins: Option<&dyn Bins>, now_ms: u64) -> Holds {
        let mut work = UnitsLeft(MAX_UNITS);
        self.holds_within(metadata, bins, now_ms, &mut work)
            .unwrap_or(Holds::Unknown)
    }

    /// The same, counting the work.
    ///
    /// # Errors
    /// The time is up.
    pub fn holds_within(
        &self,
        metadata: &Metadata<'_>,
        bins: Option<&dyn Bins>,
        now_ms: u64,
        work: &mut dyn Meter,
    ) -> Result<Holds, TimeIsUp> {
        let limits = Limits {
            max_particle_bytes: MAX_VALUE_BYTES,
        };
        let context = Context::of_record(*metadata, bins, now_ms, limits);
        Ok(match self.expression.holds(&context, work)? {
            Truth::Yes => Holds::Yes,
            Truth::No => Holds::No,
            Truth::Unknown => Holds::Unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_expressions_of_truth_values() {
        let cases: [(&[u8], Option<ResultCode>); 8] = [
            (b"\xc3", None),
            (b"\xc2", None),
            (b"\x93\x01\x02\x03", None),
            (b"\x05", Some(ResultCode::PARAMETER)),
            (b"", Some(ResultCode::PARAMETER)),
            (b"\x93\x01", Some(ResultCode::PARAMETER)),
            (b"\xc3\xc3", Some(ResultCode::PARAMETER)),
            (b"\x91\xc3", Some(ResultCode::PARAMETER)),
        ];
        for (data, expected) in cases {
            let found = Filter::parse(data, &mut UnitsLeft(MAX_UNITS))
                .err()
                .map(|error| error.code);
            assert_eq!(found, expected, "{data:?}");
        }
    }
}
