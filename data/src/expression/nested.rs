use super::run::{self, Context};
use super::value::StackValue;
use super::{Expression, ExpressionType};
use crate::operation::OperationError;
use crate::operation::path::{Child, Evaluated, PathExpressions};
use crate::work::Meter;
use protocol::result_code::ResultCode;

/// Most expressions that run inside of each other, by way of path operations.
const MAX_NESTING: usize = 16;

/// The expressions inside of a path operation on a record.
pub struct RecordExpressions<'r> {
    context: Context<'r>,
    built: Vec<Expression>,
}

impl<'r> RecordExpressions<'r> {
    /// None built so far.
    #[must_use]
    pub fn of(context: Context<'r>) -> Self {
        Self {
            context,
            built: Vec::new(),
        }
    }
}

/// The same, inside of an expression.
pub(super) type Nested<'r> = RecordExpressions<'r>;

impl<'r> Nested<'r> {
    pub(super) fn within(context: &Context<'r>) -> Self {
        Self::of(Context {
            nesting: context.nesting + 1,
            ..*context
        })
    }
}

impl PathExpressions for RecordExpressions<'_> {
    fn build(&mut self, expression: &[u8], work: &mut dyn Meter) -> Result<usize, OperationError> {
        if self.context.nesting > MAX_NESTING {
            return Err(OperationError::new(
                ResultCode::PARAMETER,
                format!("more than {MAX_NESTING} expressions inside of each other"),
            ));
        }
        self.built.push(Expression::parse(expression, work)?);
        Ok(self.built.len() - 1)
    }

    fn evaluate(
        &mut self,
        built: usize,
        child: Child<'_>,
        work: &mut dyn Meter,
    ) -> Result<Evaluated, OperationError> {
        let Some(expression) = self.built.get(built) else {
            return Ok(Evaluated::Unknown);
        };
        let context = Context {
            child: Some(child),
            ..self.context
        };
        Ok(match run::run(&expression.program, &context, work)? {
            StackValue::Unknown => Evaluated::Unknown,
            StackValue::Remove => Evaluated::Remove,
            StackValue::Special(_) => {
                return Err(OperationError::new(
                    ResultCode::PARAMETER,
                    format!(
                        "the expression's value is a {}",
                        ExpressionType::Special.name()
                    ),
                ));
            }
            value => {
                let mut out = Vec::with_capacity(value.size() + 9);
                value.encode(&mut out);
                Evaluated::Value(out)
            }
        })
    }
}
