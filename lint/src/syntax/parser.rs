//! Statements.

use super::lexer::{Lexer, Token};
use super::tree::{
    Action, Block, Expression, ExpressionId, Function, FunctionId, Name, Shape, Span, Statement,
    Tree,
};
use super::{MOST_LEVELS, Refusal, Why};

pub(super) type Result<T> = std::result::Result<T, Refusal>;

/// Reads a module from its first word to its last.
pub(super) struct Parser<'s> {
    lexer: Lexer<'s>,
    /// The word at hand, and where it stands.
    pub(super) token: Token<'s>,
    pub(super) span: Span,
    /// The word after it, once that was asked for.
    ahead: Option<(Token<'s>, Span)>,
    /// Where the word before it ended.
    pub(super) before: usize,
    levels: u32,
    /// The height of the highest expression since the function at hand began.
    tallest: u32,
    pub(super) tree: Tree<'s>,
}

impl<'s> Parser<'s> {
    pub(super) fn new(source: &'s [u8]) -> Result<Self> {
        let mut lexer = Lexer::new(source);
        let (token, span) = lexer.next()?;
        Ok(Self {
            lexer,
            token,
            span,
            ahead: None,
            before: 0,
            levels: 0,
            tallest: 0,
            tree: Tree::default(),
        })
    }

    pub(super) fn module(mut self) -> Result<Tree<'s>> {
        self.tree.functions.push(Function::default());
        let body = self.block()?;
        if self.token != Token::End {
            return self.unexpected();
        }
        let span = Span {
            start: 0,
            end: self.span.end,
        };
        if let Some(main) = self.tree.functions.first_mut() {
            main.body = body;
            main.span = span;
        }
        self.tree.comments = self.lexer.comments;
        Ok(self.tree)
    }

    // Words

    pub(super) fn advance(&mut self) -> Result<Token<'s>> {
        self.before = self.span.end;
        let (token, span) = match self.ahead.take() {
            Some(ahead) => ahead,
            None => self.lexer.next()?,
        };
        self.span = span;
        Ok(std::mem::replace(&mut self.token, token))
    }

    /// The word after the one at hand.
    pub(super) fn ahead(&mut self) -> Result<&Token<'s>> {
        let ahead = match self.ahead.take() {
            Some(ahead) => ahead,
            None => self.lexer.next()?,
        };
        Ok(&self.ahead.insert(ahead).0)
    }

    pub(super) fn is(&self, sign: &str) -> bool {
        matches!(&self.token, Token::Sign(found) if *found == sign)
    }

    /// Goes over the sign if it is at hand.
    pub(super) fn take(&mut self, sign: &str) -> Result<bool> {
        let found = self.is(sign);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    pub(super) fn expect(&mut self, sign: &str) -> Result<()> {
        if self.take(sign)? {
            Ok(())
        } else {
            self.unexpected()
        }
    }

    pub(super) fn unexpected<T>(&self) -> Result<T> {
        self.refuse(Why::Unexpected)
    }

    pub(super) fn refuse<T>(&self, why: Why) -> Result<T> {
        Err(Refusal {
            span: self.span,
            why,
        })
    }

    pub(super) fn name(&mut self) -> Result<Name<'s>> {
        match self.token {
            Token::Name(text) => {
                let span = self.span;
                self.advance()?;
                Ok(Name { text, span })
            }
            _ => self.unexpected(),
        }
    }

    // Depth

    pub(super) fn enter(&mut self) -> Result<()> {
        self.levels += 1;
        if self.levels > MOST_LEVELS {
            return self.refuse(Why::Deep);
        }
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.levels -= 1;
    }

    // Statements

    fn block_ends(&self) -> bool {
        match &self.token {
            Token::End => true,
            Token::Sign(sign) => matches!(*sign, "end" | "else" | "elseif" | "until"),
            _ => false,
        }
    }

    pub(super) fn block(&mut self) -> Result<Block<'s>> {
        let mut statements = Vec::new();
        while !self.block_ends() {
            if self.take(";")? {
                continue;
            }
            let start = self.span;
            let returns = self.is("return");
            self.enter()?;
            let action = self.statement()?;
            self.leave();
            let span = Span {
                start: start.start,
                end: self.before,
            };
            statements.push(Statement { action, span });
            if returns {
                break;
            }
        }
        Ok(Block { statements })
    }

    fn statement(&mut self) -> Result<Action<'s>> {
        let start = self.span;
        let Token::Sign(sign) = self.token else {
            return self.expression_statement();
        };
        match sign {
            "if" => self.branches(),
            "while" => {
                self.advance()?;
                let condition = self.expression()?;
                self.expect("do")?;
                Ok(Action::While(condition, self.block_to_end()?))
            }
            "do" => {
                self.advance()?;
                Ok(Action::Do(self.block_to_end()?))
            }
            "for" => self.for_loop(),
            "repeat" => {
                self.advance()?;
                let body = self.block()?;
                self.expect("until")?;
                Ok(Action::Repeat(body, self.expression()?))
            }
            "function" => self.function_statement(start),
            "local" => self.local(start),
            "return" => {
                self.advance()?;
                let values = if self.block_ends() || self.is(";") {
                    Vec::new()
                } else {
                    self.expressions()?
                };
                self.take(";")?;
                Ok(Action::Return(values))
            }
            "break" => {
                self.advance()?;
                Ok(Action::Break)
            }
            "goto" => {
                self.advance()?;
                self.name()?;
                Ok(Action::Goto)
            }
            "::" => {
                self.advance()?;
                self.name()?;
                self.expect("::")?;
                Ok(Action::Label)
            }
            _ => self.expression_statement(),
        }
    }

    fn block_to_end(&mut self) -> Result<Block<'s>> {
        let block = self.block()?;
        self.expect("end")?;
        Ok(block)
    }

    fn branches(&mut self) -> Result<Action<'s>> {
        let mut arms = Vec::new();
        while self.is("if") && arms.is_empty() || self.is("elseif") {
            self.advance()?;
            let condition = self.expression()?;
            self.expect("then")?;
            arms.push((condition, self.block()?));
        }
        let otherwise = if self.take("else")? {
            Some(self.block()?)
        } else {
            None
        };
        self.expect("end")?;
        Ok(Action::If { arms, otherwise })
    }

    fn for_loop(&mut self) -> Result<Action<'s>> {
        self.advance()?;
        let name = self.name()?;
        if self.take("=")? {
            let range = self.expressions()?;
            if range.len() < 2 || range.len() > 3 {
                return self.unexpected();
            }
            self.expect("do")?;
            let body = self.block_to_end()?;
            return Ok(Action::NumericFor { name, range, body });
        }
        let mut names = vec![name];
        while self.take(",")? {
            names.push(self.name()?);
        }
        self.expect("in")?;
        let values = self.expressions()?;
        self.expect("do")?;
        let body = self.block_to_end()?;
        Ok(Action::GenericFor {
            names,
            values,
            body,
        })
    }

    fn function_statement(&mut self, start: Span) -> Result<Action<'s>> {
        self.advance()?;
        let first = self.name()?;
        let mut target = self.add(Shape::Name(first.text), first.span, 0)?;
        let mut method = false;
        while !method && (self.is(".") || self.is(":")) {
            method = self.is(":");
            self.advance()?;
            let key = self.name()?;
            target = self.add_field(target, key)?;
        }
        let function = self.function_body(start, method)?;
        Ok(Action::Function { target, function })
    }

    fn local(&mut self, start: Span) -> Result<Action<'s>> {
        self.advance()?;
        if self.is("function") {
            self.advance()?;
            let name = self.name()?;
            let function = self.function_body(start, false)?;
            return Ok(Action::LocalFunction { name, function });
        }
        let (mut names, mut attribute) = (Vec::new(), false);
        loop {
            names.push(self.name()?);
            if self.take("<")? {
                attribute = true;
                self.name()?;
                self.expect(">")?;
            }
            if !self.take(",")? {
                break;
            }
        }
        let values = if self.take("=")? {
            self.expressions()?
        } else {
            Vec::new()
        };
        Ok(Action::Local {
            names,
            values,
            attribute,
        })
    }

    /// Parameters, body and `end`; the function begins at `start`.
    pub(super) fn function_body(&mut self, start: Span, method: bool) -> Result<FunctionId> {
        let around = std::mem::take(&mut self.tallest);
        let function = self.function_parts(start, method)?;
        self.tallest = self.tallest.max(around);
        Ok(function)
    }

    /// The height of a function as an expression, right after it was read.
    pub(super) fn function_height(&self) -> u32 {
        self.tallest + 1
    }

    fn function_parts(&mut self, start: Span, method: bool) -> Result<FunctionId> {
        let Ok(place) = u32::try_from(self.tree.functions.len()) else {
            return self.refuse(Why::Deep);
        };
        self.tree.functions.push(Function::default());
        let mut parameters = Vec::new();
        if method {
            parameters.push(Name {
                text: "self",
                span: Span {
                    start: start.start,
                    end: start.start,
                },
            });
        }
        self.expect("(")?;
        while !self.is(")") {
            if self.take("...")? {
                break;
            }
            parameters.push(self.name()?);
            if !self.take(",")? {
                break;
            }
            if self.is(")") {
                return self.unexpected();
            }
        }
        self.expect(")")?;
        self.enter()?;
        let body = self.block_to_end()?;
        self.leave();
        let span = Span {
            start: start.start,
            end: self.before,
        };
        if let Some(function) = self.tree.functions.get_mut(place as usize) {
            *function = Function {
                parameters,
                body,
                span,
            };
        }
        Ok(FunctionId(place))
    }

    /// A call, or an assignment.
    fn expression_statement(&mut self) -> Result<Action<'s>> {
        let first = self.suffixed()?;
        if !self.is("=") && !self.is(",") {
            return match self.tree.shape(first) {
                Shape::Call { .. } | Shape::Method { .. } => Ok(Action::Call(first)),
                _ => self.unexpected(),
            };
        }
        let mut targets = vec![first];
        while self.take(",")? {
            targets.push(self.suffixed()?);
        }
        let fits = |target: &ExpressionId| {
            matches!(
                self.tree.shape(*target),
                Shape::Name(_) | Shape::Index { .. }
            )
        };
        if !targets.iter().all(fits) {
            return self.unexpected();
        }
        self.expect("=")?;
        let values = self.expressions()?;
        Ok(Action::Assign { targets, values })
    }

    // The tree

    pub(super) fn add(
        &mut self,
        shape: Shape<'s>,
        span: Span,
        height: u32,
    ) -> Result<ExpressionId> {
        if height > super::MOST_HEIGHT {
            return Err(Refusal {
                span,
                why: Why::Deep,
            });
        }
        let Ok(place) = u32::try_from(self.tree.expressions.len()) else {
            return self.refuse(Why::Deep);
        };
        self.tallest = self.tallest.max(height);
        self.tree.expressions.push(Expression {
            shape,
            span,
            height,
        });
        Ok(ExpressionId(place))
    }

    /// How high the expressions are within each other that these are.
    pub(super) fn height(&self, of: &[ExpressionId]) -> u32 {
        let height = |id: &ExpressionId| {
            let found = self.tree.expressions.get(id.0 as usize);
            found.map_or(0, |found| found.height)
        };
        of.iter().map(height).max().unwrap_or(0)
    }

    /// `object.key`
    pub(super) fn add_field(
        &mut self,
        object: ExpressionId,
        key: Name<'s>,
    ) -> Result<ExpressionId> {
        let key_id = self.add(Shape::Text(key.text.as_bytes().into()), key.span, 0)?;
        let span = self.tree.span(object).to(key.span);
        let height = self.height(&[object]) + 1;
        self.add(
            Shape::Index {
                object,
                key: key_id,
            },
            span,
            height,
        )
    }
}
