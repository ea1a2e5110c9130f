//! What names mean: locals, upvalues, globals; who reads and writes them. Found once, in one walk over the tree.

mod walk;

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::syntax::tree::{ExpressionId, FunctionId, Name, Span, Tree};

/// The place of a local in [`Scopes::locals`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LocalId(pub(crate) u32);

/// How a local came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `local name`
    Variable,
    /// `local name <const>` or `<close>`
    Attribute,
    /// `local function name`
    Function,
    /// A parameter.
    Parameter,
    /// A variable of a `for`.
    Loop,
}

/// What is assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// The value of an expression.
    Expression(ExpressionId),
    /// One of several results of a call, counted from 0; or of `...`.
    Result(ExpressionId, usize),
    /// A function that is declared under the name.
    Function(FunctionId),
    /// Nothing: `local name`
    Nothing,
    /// A number of a `for`.
    Number,
    /// Not known.
    Unknown,
}

/// A local.
#[derive(Clone, Debug)]
pub(crate) struct Local<'s> {
    /// Its name, where it is declared.
    pub(crate) name: Name<'s>,
    /// How it came to be.
    pub(crate) origin: Origin,
    /// The function that it belongs to.
    pub(crate) function: FunctionId,
    /// The block that it belongs to.
    pub(crate) block: u32,
    /// Where the first name stands that is declared together with it.
    pub(crate) statement: usize,
    /// Where it is read.
    pub(crate) reads: Vec<ExpressionId>,
    /// What it is given; the declaration first.
    pub(crate) values: Vec<Value>,
    /// Where it is assigned to, after its declaration.
    pub(crate) writes: Vec<ExpressionId>,
    /// The local of the same name that it hides.
    pub(crate) hides: Option<LocalId>,
}

/// A global where it is used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    /// The name.
    pub(crate) expression: ExpressionId,
    /// The function that uses it.
    pub(crate) function: FunctionId,
}

/// A global.
#[derive(Clone, Debug, Default)]
pub(crate) struct Global {
    /// Where it is read.
    pub(crate) reads: Vec<Use>,
    /// Where it is written, and what.
    pub(crate) writes: Vec<(Use, Value)>,
}

/// What the names of a module mean.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scopes<'s> {
    /// All locals, in order of their declarations.
    pub(crate) locals: Vec<Local<'s>>,
    /// All globals.
    pub(crate) globals: BTreeMap<&'s str, Global>,
    /// The local that a name means, by expression; none for globals.
    local_of: Vec<Option<LocalId>>,
    /// The function in which an expression stands.
    function_of: Vec<FunctionId>,
    /// Around each function, the one that it stands in.
    around: Vec<FunctionId>,
    /// Expressions whose value is only looked at: conditions, operands of `and`, `or`, `not` and `==`.
    looked_at: HashSet<ExpressionId>,
    /// Fields that are assigned to: the index expressions, and the values.
    pub(crate) field_writes: Vec<(ExpressionId, Value)>,
    /// Parameters by where they stand.
    parameters: HashMap<usize, LocalId>,
    /// Calls that stand as statements.
    pub(crate) statement_calls: HashSet<ExpressionId>,
}

impl<'s> Scopes<'s> {
    /// Finds them.
    #[must_use]
    pub(crate) fn of(tree: &Tree<'s>) -> Self {
        walk::Walk::new(tree).run()
    }

    /// The local that a name means; none if it is a global, or no name.
    #[must_use]
    pub(crate) fn local_of(&self, id: ExpressionId) -> Option<LocalId> {
        self.local_of.get(id.0 as usize).copied().flatten()
    }

    /// A local.
    #[must_use]
    pub(crate) fn local(&self, id: LocalId) -> Option<&Local<'s>> {
        self.locals.get(id.0 as usize)
    }

    /// The function in which an expression stands.
    #[must_use]
    pub(crate) fn function_of(&self, id: ExpressionId) -> FunctionId {
        let found = self.function_of.get(id.0 as usize);
        found.copied().unwrap_or(crate::syntax::tree::MAIN)
    }

    /// The function in which another stands; the main chunk stands in itself.
    #[must_use]
    pub(crate) fn around(&self, id: FunctionId) -> FunctionId {
        let found = self.around.get(id.0 as usize);
        found.copied().unwrap_or(crate::syntax::tree::MAIN)
    }

    /// Whether the value is only looked at, so that nil does no harm.
    #[must_use]
    pub(crate) fn is_looked_at(&self, id: ExpressionId) -> bool {
        self.looked_at.contains(&id)
    }

    /// The local of a parameter.
    #[must_use]
    pub(crate) fn parameter(&self, name: Name<'_>) -> Option<&Local<'s>> {
        self.local(*self.parameters.get(&name.span.start)?)
    }

    /// All locals with their ids.
    pub(crate) fn all_locals(&self) -> impl Iterator<Item = (LocalId, &Local<'s>)> {
        (0..).map(LocalId).zip(&self.locals)
    }
}

impl Global {
    /// Whether the module assigns to it.
    #[must_use]
    pub(crate) fn is_written(&self) -> bool {
        !self.writes.is_empty()
    }

    /// The functions that are declared under the name.
    pub(crate) fn functions(&self) -> impl Iterator<Item = (Use, FunctionId)> {
        self.writes.iter().filter_map(|(place, value)| match value {
            Value::Function(function) => Some((*place, *function)),
            _ => None,
        })
    }
}

/// Whether a name says that its value does not matter.
#[must_use]
pub(crate) fn is_placeholder(name: Name<'_>) -> bool {
    name.text.starts_with('_') || name.span == Span::default()
}
