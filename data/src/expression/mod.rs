//! Expressions: questions about a record, asked by filters, by operations that read or write their answer, and inside of
//! path operations.
//!
//! ```text
//! bytes ─ parse ─→ Expression        types are checked, nothing is known of a record
//!                     │ holds / evaluate (record, time)
//!                     ▼
//!                  yes, no, unknown; or a value
//! ```
//!
//! An expression is built once for a request. Truth has a third value, unknown: of a bin that is not there or of another
//! type, of a call that fails, of a division by zero. `and` and `or` go on past it where another argument decides.
//!
//! Neither building nor running recurses, except that a call may run expressions inside of its path; work is counted.

mod build;
mod frame;
mod kind;
mod nested;
mod number;
mod operation;
mod program;
mod regex;
mod run;
#[cfg(test)]
mod tests;
mod text;
mod value;

use protocol::msgpack::MsgpackError;
use protocol::particle::Particle;
use protocol::result_code::ResultCode;

pub use kind::ExpressionType;
pub use nested::RecordExpressions;
pub use operation::{ModifyExpression, ReadExpression};
pub use regex::{Pattern, PatternError};
pub use run::Context;
pub use text::describe;

use crate::geo::GeoError;
use crate::operation::OperationError;
use crate::work::{Meter, TimeIsUp};
use program::{Instruction, Program};

/// Why bytes are no expression. The answer is 4.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expression, byte {byte}: {cause}")]
pub struct ExpressionError {
    /// Where it was noticed, from the start of the expression.
    pub byte: usize,
    /// What is wrong.
    pub cause: Cause,
}

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// It is too large, in bytes or steps.
    #[error("too large")]
    TooLarge,
    /// Bytes follow.
    #[error("bytes follow the expression")]
    Trailing,
    /// Not msgpack.
    #[error("{0}")]
    Msgpack(MsgpackError),
    /// No operation has this code.
    #[error("no operation has this code")]
    Code,
    /// An operation with too few or too many arguments.
    #[error("the number of arguments does not fit the operation")]
    Count,
    /// An argument that is not what it must be.
    #[error("this is not {0}")]
    Argument(&'static str),
    /// An expression of another type than the operation takes.
    #[error("{} instead of {expected}", found.name())]
    Type {
        /// What the operation takes.
        expected: &'static str,
        /// What it gets.
        found: ExpressionType,
    },
    /// A variable that is not defined, is defined already, or whose name is none.
    #[error("no such variable, or no name for a new one")]
    Variable,
    /// A bad regular expression.
    #[error("regular expression: {0}")]
    Pattern(PatternError),
    /// Bad GeoJSON.
    #[error("GeoJSON: {0}")]
    Geo(GeoError),
    /// The time of the request is up.
    #[error("{0}")]
    Time(TimeIsUp),
}

impl ExpressionError {
    /// The code with which a server answers.
    #[must_use]
    pub fn result_code(&self) -> ResultCode {
        match self.cause {
            Cause::Time(time) | Cause::Geo(GeoError::Time(time)) => time.into(),
            _ => ResultCode::PARAMETER,
        }
    }
}

impl From<ExpressionError> for OperationError {
    fn from(error: ExpressionError) -> Self {
        Self::new(error.result_code(), error.to_string())
    }
}

/// The three truth values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// True.
    Yes,
    /// False.
    No,
    /// Neither can be told.
    Unknown,
}

/// What an expression gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This value, in the form that clients see; nil when its kind is nil.
    Value(Particle),
    /// Unknown.
    Unknown,
    /// The result of a path modification that removes; elsewhere as good as unknown.
    Remove,
}

/// A checked expression.
#[derive(Clone, Debug)]
pub struct Expression {
    program: Program,
}

impl Expression {
    /// Reads and checks the encoding of an expression, all of the bytes.
    ///
    /// # Errors
    /// [`ExpressionError`]; whatever the record would be. That the time is up, among others.
    pub fn parse(bytes: &[u8], work: &mut dyn Meter) -> Result<Self, ExpressionError> {
        build::build(bytes, work).map(|program| Self { program })
    }

    /// The type of its value.
    #[must_use]
    pub fn kind(&self) -> ExpressionType {
        self.program.kind
    }

    /// Whether anything can be told without bins and key: if not, [`Self::holds`] without bins is unknown at once.
    #[must_use]
    pub fn reads_metadata(&self) -> bool {
        self.program.reads_metadata
    }

    /// Whether it asks for bins or the key.
    #[must_use]
    pub fn reads_bins(&self) -> bool {
        self.program.reads_bins
    }

    /// Whether it asks for bins or the digest, at least one of them, and for nothing else of a record.
    #[must_use]
    pub fn is_of_bins_only(&self) -> bool {
        let code = &self.program.code;
        code.iter().any(|step| {
            matches!(
                step,
                Instruction::Bin(..)
                    | Instruction::BinType(_)
                    | Instruction::CompareBin(..)
                    | Instruction::DigestModulo(_)
            )
        }) && !code
            .iter()
            .any(|step| matches!(step, Instruction::Field(_) | Instruction::Key(_)))
    }

    /// Whether it holds for a record. Without bins, they and the key are unknown. What is no truth value is unknown.
    ///
    /// # Errors
    /// The time is up.
    pub fn holds(&self, context: &Context<'_>, work: &mut dyn Meter) -> Result<Truth, TimeIsUp> {
        if context.bins.is_none() && self.program.reads_bins && !self.program.reads_metadata {
            return Ok(Truth::Unknown);
        }
        Ok(match run::run(&self.program, context, work)? {
            value::StackValue::Bool(true) => Truth::Yes,
            value::StackValue::Bool(false) => Truth::No,
            _ => Truth::Unknown,
        })
    }

    /// Its value for a record.
    ///
    /// # Errors
    /// The time is up.
    pub fn evaluate(
        &self,
        context: &Context<'_>,
        work: &mut dyn Meter,
    ) -> Result<Answer, TimeIsUp> {
        let value = run::run(&self.program, context, work)?;
        Ok(match value {
            value::StackValue::Remove => Answer::Remove,
            value => value.to_particle().map_or(Answer::Unknown, Answer::Value),
        })
    }
}
