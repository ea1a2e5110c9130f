//! Arithmetic of integers and doubles.

use super::value::StackValue;

/// An operation on numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Logarithm,
    Modulo,
    Absolute,
    Floor,
    Ceiling,
    ToInteger,
    ToFloat,
    And,
    Or,
    Xor,
    Not,
    ShiftLeft,
    ShiftRight,
    ShiftRightSigned,
    CountOnes,
    ScanLeft,
    ScanRight,
    Min,
    Max,
}

/// What an operation takes and gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// So many numbers of one type (0: one or more), the result is of that type.
    Same(usize),
    /// So many integers (0: one or more); an integer.
    Integers(usize),
    /// So many doubles; a double.
    Floats(usize),
    /// A double; an integer.
    FloatToInteger,
    /// An integer; a double.
    IntegerToFloat,
    /// An integer and a truth value; an integer.
    IntegerAndBool,
}

impl Arithmetic {
    /// The operation with this code, and its name in index definitions.
    pub(super) fn of_code(code: i64) -> Option<(Self, Shape, &'static str)> {
        Some(match code {
            20 => (Self::Add, Shape::Same(0), "add"),
            21 => (Self::Subtract, Shape::Same(0), "sub"),
            22 => (Self::Multiply, Shape::Same(0), "mul"),
            23 => (Self::Divide, Shape::Same(0), "div"),
            24 => (Self::Power, Shape::Floats(2), "pow"),
            25 => (Self::Logarithm, Shape::Floats(2), "log"),
            26 => (Self::Modulo, Shape::Integers(2), "mod"),
            27 => (Self::Absolute, Shape::Same(1), "abs"),
            28 => (Self::Floor, Shape::Floats(1), "floor"),
            29 => (Self::Ceiling, Shape::Floats(1), "ceil"),
            30 => (Self::ToInteger, Shape::FloatToInteger, "to_int"),
            31 => (Self::ToFloat, Shape::IntegerToFloat, "to_float"),
            32 => (Self::And, Shape::Integers(0), "int_and"),
            33 => (Self::Or, Shape::Integers(0), "int_or"),
            34 => (Self::Xor, Shape::Integers(0), "int_xor"),
            35 => (Self::Not, Shape::Integers(1), "int_not"),
            36 => (Self::ShiftLeft, Shape::Integers(2), "int_lshift"),
            37 => (Self::ShiftRight, Shape::Integers(2), "int_rshift"),
            38 => (Self::ShiftRightSigned, Shape::Integers(2), "int_arshift"),
            39 => (Self::CountOnes, Shape::Integers(1), "int_count"),
            40 => (Self::ScanLeft, Shape::IntegerAndBool, "int_lscan"),
            41 => (Self::ScanRight, Shape::IntegerAndBool, "int_rscan"),
            50 => (Self::Min, Shape::Same(0), "min"),
            51 => (Self::Max, Shape::Same(0), "max"),
            _ => return None,
        })
    }

    /// The result; unknown as soon as an argument is, and where there is none.
    pub(super) fn apply(self, arguments: &[StackValue<'_>]) -> StackValue<'static> {
        match arguments {
            [StackValue::Integer(first), rest @ ..] => match self.integers(*first, rest) {
                Some(value) => value,
                None => StackValue::Unknown,
            },
            [StackValue::Float(first), rest @ ..] => match self.floats(*first, rest) {
                Some(value) => value,
                None => StackValue::Unknown,
            },
            _ => StackValue::Unknown,
        }
    }

    fn integers(self, first: i64, rest: &[StackValue<'_>]) -> Option<StackValue<'static>> {
        let fold = |join: fn(i64, i64) -> i64| {
            rest.iter().try_fold(first, |sum, value| match value {
                StackValue::Integer(value) => Some(join(sum, *value)),
                _ => None,
            })
        };
        let second = || match rest {
            [StackValue::Integer(second)] => Some(*second),
            _ => None,
        };
        let count = || second().map(|count| (count & 63) as u32);
        let scan = |left: bool| {
            let wanted = match rest {
                [StackValue::Bool(wanted)] => *wanted,
                _ => return None,
            };
            let bits = if wanted { first } else { !first };
            Some(if bits == 0 {
                -1
            } else if left {
                bits.leading_zeros().into()
            } else {
                63 - i64::from(bits.trailing_zeros())
            })
        };
        Some(StackValue::Integer(match self {
            Self::Add => fold(i64::wrapping_add)?,
            Self::Subtract if rest.is_empty() => first.wrapping_neg(),
            Self::Subtract => fold(i64::wrapping_sub)?,
            Self::Multiply => fold(i64::wrapping_mul)?,
            Self::Divide => {
                let (dividend, divisor) = match rest {
                    [] => (1, first),
                    _ => (
                        first,
                        rest.iter().try_fold(1, |product: i64, value| match value {
                            StackValue::Integer(value) => Some(product.wrapping_mul(*value)),
                            _ => None,
                        })?,
                    ),
                };
                if divisor == 0 {
                    return None;
                }
                dividend.wrapping_div(divisor)
            }
            Self::Modulo => match second()? {
                0 => return None,
                divisor => first.wrapping_rem(divisor),
            },
            Self::Absolute => first.wrapping_abs(),
            Self::ToFloat => {
                #[expect(clippy::cast_precision_loss, reason = "that is the operation")]
                return Some(StackValue::Float(first as f64));
            }
            Self::And => fold(|a, b| a & b)?,
            Self::Or => fold(|a, b| a | b)?,
            Self::Xor => fold(|a, b| a ^ b)?,
            Self::Not => !first,
            Self::ShiftLeft => first.wrapping_shl(count()?),
            Self::ShiftRight => first.cast_unsigned().wrapping_shr(count()?).cast_signed(),
            Self::ShiftRightSigned => first.wrapping_shr(count()?),
            Self::CountOnes => first.count_ones().into(),
            Self::ScanLeft => scan(true)?,
            Self::ScanRight => scan(false)?,
            Self::Min => fold(i64::min)?,
            Self::Max => fold(i64::max)?,
            Self::Power | Self::Logarithm | Self::Floor | Self::Ceiling | Self::ToInteger => {
                return None;
            }
        }))
    }

    fn floats(self, first: f64, rest: &[StackValue<'_>]) -> Option<StackValue<'static>> {
        let fold = |start: f64, join: fn(f64, f64) -> f64| {
            rest.iter().try_fold(start, |sum, value| match value {
                StackValue::Float(value) => Some(join(sum, *value)),
                _ => None,
            })
        };
        let second = || match rest {
            [StackValue::Float(second)] => Some(*second),
            _ => None,
        };
        Some(StackValue::Float(match self {
            Self::Add => fold(first, |a, b| a + b)?,
            Self::Subtract if rest.is_empty() => 0.0 - first,
            Self::Subtract => fold(first, |a, b| a - b)?,
            Self::Multiply => fold(first, |a, b| a * b)?,
            Self::Divide if rest.is_empty() => 1.0 / first,
            Self::Divide => first / fold(1.0, |a, b| a * b)?,
            Self::Power => first.powf(second()?),
            Self::Logarithm => first.ln() / second()?.ln(),
            Self::Absolute => first.abs(),
            Self::Floor => first.floor(),
            Self::Ceiling => first.ceil(),
            Self::ToInteger => return Some(StackValue::Integer(to_integer(first))),
            // A value that is not a number is never the smaller or larger one.
            Self::Min => fold(first, |a, b| if b < a { b } else { a })?,
            Self::Max => fold(first, |a, b| if b > a { b } else { a })?,
            _ => return None,
        }))
    }
}

/// Cuts off; what is out of range, or not a number, is the smallest integer.
fn to_integer(value: f64) -> i64 {
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value) {
        #[expect(clippy::cast_possible_truncation, reason = "that is the operation")]
        return value as i64;
    }
    i64::MIN
}
