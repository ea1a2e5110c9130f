//! A module as a tree. Expressions stand in one table and name each other by their places in it, so that neither dropping nor
//! copying recurses; statements nest at most as deep as Lua lets them.

/// Where something stands: bytes from `start` up to `end` of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
}

impl Span {
    /// From the beginning of this one to the end of another.
    #[must_use]
    pub(crate) fn to(self, other: Self) -> Self {
        Self {
            start: self.start,
            end: other.end,
        }
    }

    /// Whether another one lies within.
    #[must_use]
    pub(crate) fn holds(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// The place of an expression in [`Tree::expressions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ExpressionId(pub(crate) u32);

/// The place of a function in [`Tree::functions`]; the main chunk is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FunctionId(pub(crate) u32);

/// The main chunk.
pub(crate) const MAIN: FunctionId = FunctionId(0);

/// A name where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name<'s> {
    /// The name.
    pub(crate) text: &'s str,
    /// Where it stands.
    pub(crate) span: Span,
}

/// An operator of two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    /// `+ - *`
    Arithmetic,
    /// `/ ^`, which give floats.
    Fraction,
    /// `// %`, which fail on the integer zero.
    Division,
    /// `& | ~ << >>`
    Bitwise,
    /// `..`
    Concat,
    /// `==` and `~=`
    Equality,
    /// `< > <= >=`
    Order,
    /// `and`
    And,
    /// `or`
    Or,
}

/// An operator of one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unary {
    /// `-`
    Minus,
    /// `~`
    BitwiseNot,
    /// `#`
    Length,
    /// `not`
    Not,
}

/// An entry of a table constructor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    /// `name =` or `[key] =`; none for a value alone.
    pub(crate) key: Option<ExpressionId>,
    /// The value.
    pub(crate) value: ExpressionId,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub(crate) enum Shape<'s> {
    /// `nil`
    Nil,
    /// `true` or `false`
    Boolean(bool),
    /// `...`
    Vararg,
    /// An integer.
    Integer(i64),
    /// A float.
    Float(f64),
    /// A string, its escapes resolved.
    Text(Box<[u8]>),
    /// A variable.
    Name(&'s str),
    /// `object.key` or `object[key]`
    Index {
        /// What is indexed.
        object: ExpressionId,
        /// The key; a string after a dot.
        key: ExpressionId,
    },
    /// `callee(arguments)`
    Call {
        /// What is called.
        callee: ExpressionId,
        /// With what.
        arguments: Vec<ExpressionId>,
    },
    /// `object:name(arguments)`
    Method {
        /// Whose method.
        object: ExpressionId,
        /// Which one.
        name: Name<'s>,
        /// Where the colon stands.
        colon: usize,
        /// With what.
        arguments: Vec<ExpressionId>,
    },
    /// `function … end`
    Function(FunctionId),
    /// `left operator right`
    Binary {
        /// The operator.
        operator: Binary,
        /// Its left operand.
        left: ExpressionId,
        /// Its right operand.
        right: ExpressionId,
    },
    /// `operator operand`
    Unary {
        /// The operator.
        operator: Unary,
        /// Its operand.
        operand: ExpressionId,
    },
    /// `(inner)`
    Parentheses(ExpressionId),
    /// `{…}`
    Table(Vec<Field>),
}

/// An expression where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Expression<'s> {
    /// What it is.
    pub(crate) shape: Shape<'s>,
    /// Where it stands.
    pub(crate) span: Span,
    /// How many expressions lie within each other from here on.
    pub(crate) height: u32,
}

/// Statements that run one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Block<'s> {
    /// They.
    pub(crate) statements: Vec<Statement<'s>>,
}

/// What a statement does.
#[derive(Clone, Debug)]
pub(crate) enum Action<'s> {
    /// `local names = values`
    Local {
        /// The names.
        names: Vec<Name<'s>>,
        /// The values.
        values: Vec<ExpressionId>,
        /// Some name is `<const>` or `<close>`: it may be there for what its end does.
        attribute: bool,
    },
    /// `targets = values`
    Assign {
        /// Names and fields.
        targets: Vec<ExpressionId>,
        /// The values.
        values: Vec<ExpressionId>,
    },
    /// A call.
    Call(ExpressionId),
    /// `do … end`
    Do(Block<'s>),
    /// `while condition do body end`
    While(ExpressionId, Block<'s>),
    /// `repeat body until condition`
    Repeat(Block<'s>, ExpressionId),
    /// `if … elseif … else … end`
    If {
        /// Conditions and what runs when they hold.
        arms: Vec<(ExpressionId, Block<'s>)>,
        /// What runs when none does.
        otherwise: Option<Block<'s>>,
    },
    /// `for name = range do body end`
    NumericFor {
        /// The variable.
        name: Name<'s>,
        /// From, to and step.
        range: Vec<ExpressionId>,
        /// The body.
        body: Block<'s>,
    },
    /// `for names in values do body end`
    GenericFor {
        /// The variables.
        names: Vec<Name<'s>>,
        /// What is gone through.
        values: Vec<ExpressionId>,
        /// The body.
        body: Block<'s>,
    },
    /// `function target(…) … end`
    Function {
        /// A name, or a field.
        target: ExpressionId,
        /// The function.
        function: FunctionId,
    },
    /// `local function name(…) … end`
    LocalFunction {
        /// Its name.
        name: Name<'s>,
        /// The function.
        function: FunctionId,
    },
    /// `return values`
    Return(Vec<ExpressionId>),
    /// `break`
    Break,
    /// `goto label`
    Goto,
    /// `::label::`
    Label,
}

/// A statement where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Statement<'s> {
    /// What it does.
    pub(crate) action: Action<'s>,
    /// Where it stands.
    pub(crate) span: Span,
}

/// A function.
#[derive(Clone, Debug, Default)]
pub(crate) struct Function<'s> {
    /// Its parameters; `self` of a method first, with an empty span.
    pub(crate) parameters: Vec<Name<'s>>,
    /// Its body.
    pub(crate) body: Block<'s>,
    /// From `function` to `end`.
    pub(crate) span: Span,
}

/// A comment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Comment {
    /// Where it stands, dashes included.
    pub(crate) span: Span,
    /// Nothing but space stands before it in its line.
    pub(crate) alone: bool,
}

/// A module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree<'s> {
    /// Every expression, each after those within it.
    pub(crate) expressions: Vec<Expression<'s>>,
    /// Every function; the main chunk first.
    pub(crate) functions: Vec<Function<'s>>,
    /// Every comment, in order.
    pub(crate) comments: Vec<Comment>,
}

impl<'s> Tree<'s> {
    /// What an expression is.
    #[must_use]
    pub(crate) fn shape(&self, id: ExpressionId) -> &Shape<'s> {
        self.get(id).map_or(&Shape::Nil, |found| &found.shape)
    }

    /// Where an expression stands.
    #[must_use]
    pub(crate) fn span(&self, id: ExpressionId) -> Span {
        self.get(id).map_or(Span::default(), |found| found.span)
    }

    fn get(&self, id: ExpressionId) -> Option<&Expression<'s>> {
        let found = self.expressions.get(id.0 as usize);
        debug_assert!(found.is_some(), "an id is of its tree");
        found
    }

    /// A function.
    #[must_use]
    pub(crate) fn function(&self, id: FunctionId) -> Option<&Function<'s>> {
        self.functions.get(id.0 as usize)
    }

    /// All expressions with their ids.
    pub(crate) fn all(&self) -> impl Iterator<Item = (ExpressionId, &Expression<'s>)> {
        (0..).map(ExpressionId).zip(&self.expressions)
    }

    /// The text of a string constant.
    #[must_use]
    pub(crate) fn text(&self, id: ExpressionId) -> Option<&[u8]> {
        match self.shape(id) {
            Shape::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The expression within any parentheses around it.
    #[must_use]
    pub(crate) fn bare(&self, mut id: ExpressionId) -> ExpressionId {
        while let Shape::Parentheses(inner) = self.shape(id) {
            id = *inner;
        }
        id
    }
}
