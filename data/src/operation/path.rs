//! Selecting and modifying by path.

use super::OperationError;
use crate::work::Meter;

/// A child of a list or map, as the built-in variables of an expression see it. Values are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Child<'c> {
    /// A pair of a map: variables 0 and 1.
    Pair {
        /// The key.
        key: &'c [u8],
        /// The value.
        value: &'c [u8],
    },
    /// An element of a list: variables 2 and 1.
    Element {
        /// Its place.
        index: usize,
        /// The element.
        value: &'c [u8],
    },
}

/// What an expression gives for a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evaluated {
    /// This encoded value.
    Value(Vec<u8>),
    /// The third truth value.
    Unknown,
    /// The child is to be removed.
    Remove,
}

/// Evaluates the expressions inside a path operation, for the record at hand.
pub trait PathExpressions {
    /// Builds an expression, which may then be evaluated by the number that this gives.
    ///
    /// Errors: it does not build, or the time is up.
    fn build(&mut self, expression: &[u8], work: &mut dyn Meter) -> Result<usize, OperationError>;

    /// Evaluates a built expression for one child.
    ///
    /// Errors: the time is up.
    fn evaluate(
        &mut self,
        built: usize,
        child: Child<'_>,
        work: &mut dyn Meter,
    ) -> Result<Evaluated, OperationError>;
}
