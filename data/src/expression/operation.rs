//! Operations that read an expression's value, or write it into a bin.

use protocol::msgpack::{Reader, Token};
use protocol::particle::{Particle, ParticleType, is_sketch};
use protocol::result_code::ResultCode;

use super::run::Context;
use super::{Answer, Expression, ExpressionType};
use crate::operation::{Applied, Change, OperationError, element};
use crate::particle;
use crate::work::Meter;

/// The bin must not exist.
const CREATE_ONLY: i64 = 1;
/// The bin must exist.
const UPDATE_ONLY: i64 = 2;
/// A nil result removes the bin.
const ALLOW_DELETE: i64 = 4;
/// Where the flags above refuse, nothing happens.
const POLICY_NO_FAIL: i64 = 8;
/// Where the value is unknown, nothing happens.
const EVAL_NO_FAIL: i64 = 16;

/// EXP_READ: answers an expression's value.
#[derive(Clone, Debug)]
pub struct ReadExpression {
    expression: Expression,
    flags: i64,
}

/// EXP_MODIFY: stores it.
#[derive(Clone, Debug)]
pub struct ModifyExpression {
    expression: Expression,
    flags: i64,
}

/// `[expression, flags]`; no flags are 0, and so is what is no integer.
fn parse(
    payload: &[u8],
    allowed: i64,
    work: &mut dyn Meter,
) -> Result<(Expression, i64), OperationError> {
    let refused = |cause: &str| OperationError::new(ResultCode::PARAMETER, cause);
    let mut reader = Reader::new(payload);
    let count = match reader.token() {
        Ok(Token::List(count @ 1..=2)) => count,
        _ => return Err(refused("the payload is no list of an expression and flags")),
    };
    let rest = reader.rest();
    // Nesting is bounded by the expression's size alone, so the end is not looked for with a reader.
    let Some(expression) = element::end(rest, 0).and_then(|end| rest.split_at_checked(end)) else {
        return Err(refused("the payload ends inside the expression"));
    };
    let (expression, rest) = expression;
    let flags = match (count, Reader::new(rest).token()) {
        (2, Ok(Token::Integer(flags))) => flags,
        (2, Err(_)) => return Err(refused("the payload ends before the flags")),
        _ => 0,
    };
    if flags & !allowed != 0 {
        return Err(refused(&format!(
            "flags {flags:#x} are not those of the operation"
        )));
    }
    let expression = Expression::parse(expression, work)?;
    if expression.kind() == ExpressionType::Special {
        return Err(refused("the expression is a wildcard or infinity"));
    }
    Ok((expression, flags))
}

fn unknown() -> OperationError {
    OperationError::new(
        ResultCode::OP_NOT_APPLICABLE,
        "the expression's value is unknown",
    )
}

impl ReadExpression {
    /// Reads the value of the op.
    ///
    /// # Errors
    /// 4 when the payload is malformed, the flags are not those of reads, or the expression does not build.
    pub fn parse(payload: &[u8], work: &mut dyn Meter) -> Result<Self, OperationError> {
        let (expression, flags) = parse(payload, EVAL_NO_FAIL, work)?;
        Ok(Self { expression, flags })
    }

    /// The value for a record; nil is none.
    ///
    /// # Errors
    /// 26 when it is unknown, unless the flags let that be nil; 9 when the time is up.
    pub fn apply(
        &self,
        context: &Context<'_>,
        work: &mut dyn Meter,
    ) -> Result<Option<Particle>, OperationError> {
        match self.expression.evaluate(context, work)? {
            Answer::Value(particle) if particle.kind == ParticleType::NIL => Ok(None),
            Answer::Value(particle) => Ok(Some(particle)),
            _ if self.flags & EVAL_NO_FAIL != 0 => Ok(None),
            _ => Err(unknown()),
        }
    }
}

impl ModifyExpression {
    /// Reads the value of the op.
    ///
    /// # Errors
    /// 4 when the payload is malformed, there are unknown flags, or the expression does not build.
    pub fn parse(payload: &[u8], work: &mut dyn Meter) -> Result<Self, OperationError> {
        let (expression, flags) = parse(
            payload,
            CREATE_ONLY | UPDATE_ONLY | ALLOW_DELETE | POLICY_NO_FAIL | EVAL_NO_FAIL,
            work,
        )?;
        Ok(Self { expression, flags })
    }

    /// What becomes of the bin, which `exists` or not. The answer is always nil.
    ///
    /// # Errors
    /// 6, 17 and 26 as the flags say; 26 when the value is unknown; 4 when it cannot be stored; 9 when the time is up.
    pub fn apply(
        &self,
        exists: bool,
        context: &Context<'_>,
        work: &mut dyn Meter,
    ) -> Result<Applied, OperationError> {
        let has = |flag| self.flags & flag != 0;
        let refused = if exists && has(CREATE_ONLY) {
            Some((ResultCode::BIN_EXISTS, "the bin exists"))
        } else if !exists && has(UPDATE_ONLY) {
            Some((ResultCode::BIN_NOT_FOUND, "the bin does not exist"))
        } else {
            None
        };
        let change = match refused {
            Some(_) if has(POLICY_NO_FAIL) => Change::Keep,
            Some((code, cause)) => return Err(OperationError::new(code, cause)),
            None => match self.expression.evaluate(context, work)? {
                Answer::Value(particle) if particle.kind == ParticleType::NIL => {
                    self.removal(exists)?
                }
                Answer::Value(particle) => Change::Set(stored(particle, work)?),
                _ if has(EVAL_NO_FAIL) => Change::Keep,
                _ => return Err(unknown()),
            },
        };
        Ok(Applied {
            change,
            reply: None,
        })
    }

    fn removal(&self, exists: bool) -> Result<Change, OperationError> {
        if !exists {
            Ok(Change::Keep)
        } else if self.flags & ALLOW_DELETE != 0 {
            Ok(Change::Remove)
        } else if self.flags != 0 {
            // Any flag makes a refused removal silent; so does the real server.
            Ok(Change::Keep)
        } else {
            Err(OperationError::new(
                ResultCode::OP_NOT_APPLICABLE,
                "the expression's value is nil, and the bin may not be removed",
            ))
        }
    }
}

/// The form in which a value is stored. Lists and maps are stored as they stand, if they hold no wildcard or infinity.
fn stored(particle: Particle, work: &mut dyn Meter) -> Result<Particle, OperationError> {
    let refused = |cause: &str| OperationError::new(ResultCode::PARAMETER, cause);
    match particle.kind {
        ParticleType::GEOJSON => particle::stored(particle.as_ref(), work)
            .map_err(|error| OperationError::new(error.result_code(), error.to_string())),
        ParticleType::HLL if !is_sketch(&particle.data) => {
            Err(refused("the expression's value is no sketch"))
        }
        ParticleType::LIST | ParticleType::MAP if element::has_special(&particle.data) => Err(
            refused("the expression's value holds a wildcard or infinity"),
        ),
        _ => Ok(particle),
    }
}
