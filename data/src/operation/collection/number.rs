//! What increments make of a number.

use crate::operation::OperationError;
use crate::operation::arguments::malformed;
use crate::operation::element::{self, Number};

/// The number after an increment, or with `subtract` a decrement.
///
/// | element | delta integer | delta double | no delta |
/// |---------|---------------|--------------|----------|
/// | integer | sum, wraps | delta is truncated first | 1 |
/// | double | sum | sum | 1.0 |
/// | missing | delta | delta | 1 |
///
/// Errors: another type of element or delta.
pub(super) fn number_of(
    old: Option<&[u8]>,
    delta: Option<&[u8]>,
    subtract: bool,
) -> Result<Number, OperationError> {
    let delta = match delta {
        None | Some(element::NIL) => Number::Integer(1),
        Some(delta) => element::number(delta).ok_or_else(|| malformed("the delta is no number"))?,
    };
    let delta = match delta {
        Number::Integer(delta) if subtract => Number::Integer(delta.wrapping_neg()),
        Number::Float(delta) if subtract => Number::Float(-delta),
        delta => delta,
    };
    let old = match old {
        None => return Ok(delta),
        Some(old) => element::number(old).ok_or_else(|| malformed("the element is no number"))?,
    };
    Ok(match (old, delta) {
        (Number::Integer(old), Number::Integer(delta)) => Number::Integer(old.wrapping_add(delta)),
        // Truncated; what does not fit is the nearest that does.
        (Number::Integer(old), Number::Float(delta)) => {
            Number::Integer(old.wrapping_add(delta as i64))
        }
        (Number::Float(old), Number::Integer(delta)) => Number::Float(old + delta as f64),
        (Number::Float(old), Number::Float(delta)) => Number::Float(old + delta),
    })
}
