//! Expressions.

use super::Why;
use super::lexer::Token;
use super::parser::{Parser, Result};
use super::tree::{Binary, ExpressionId, Field, Name, Shape, Span, Unary};

/// Operators of two operands: how strongly they bind to the left and to the right.
const BINARY: [(&str, Binary, u8, u8); 21] = [
    ("or", Binary::Or, 1, 1),
    ("and", Binary::And, 2, 2),
    ("<", Binary::Order, 3, 3),
    (">", Binary::Order, 3, 3),
    ("<=", Binary::Order, 3, 3),
    (">=", Binary::Order, 3, 3),
    ("~=", Binary::Equality, 3, 3),
    ("==", Binary::Equality, 3, 3),
    ("|", Binary::Bitwise, 4, 4),
    ("~", Binary::Bitwise, 5, 5),
    ("&", Binary::Bitwise, 6, 6),
    ("<<", Binary::Bitwise, 7, 7),
    (">>", Binary::Bitwise, 7, 7),
    ("..", Binary::Concat, 9, 8),
    ("+", Binary::Arithmetic, 10, 10),
    ("-", Binary::Arithmetic, 10, 10),
    ("*", Binary::Arithmetic, 11, 11),
    ("/", Binary::Fraction, 11, 11),
    ("//", Binary::Division, 11, 11),
    ("%", Binary::Division, 11, 11),
    ("^", Binary::Fraction, 14, 13),
];

/// Operators of one operand.
const UNARY: [(&str, Unary); 4] = [
    ("-", Unary::Minus),
    ("not", Unary::Not),
    ("#", Unary::Length),
    ("~", Unary::BitwiseNot),
];

/// How strongly those bind.
const UNARY_STRENGTH: u8 = 12;

impl<'s> Parser<'s> {
    pub(super) fn expression(&mut self) -> Result<ExpressionId> {
        self.operation(0)
    }

    pub(super) fn expressions(&mut self) -> Result<Vec<ExpressionId>> {
        let mut expressions = vec![self.expression()?];
        while self.take(",")? {
            expressions.push(self.expression()?);
        }
        Ok(expressions)
    }

    /// An expression whose operators bind stronger than `limit`.
    fn operation(&mut self, limit: u8) -> Result<ExpressionId> {
        self.enter()?;
        let start = self.span;
        let unary = UNARY.iter().find(|(sign, _)| self.is(sign));
        let mut left = match unary {
            Some((_, operator)) => {
                self.advance()?;
                let operand = self.operation(UNARY_STRENGTH)?;
                let span = start.to(self.tree.span(operand));
                let height = self.height(&[operand]) + 1;
                let operator = *operator;
                self.add(Shape::Unary { operator, operand }, span, height)?
            }
            None => self.simple()?,
        };
        while let Token::Sign(sign) = self.token
            && let Some((_, operator, to_left, to_right)) = BINARY.iter().find(|row| row.0 == sign)
            && *to_left > limit
        {
            self.advance()?;
            let right = self.operation(*to_right)?;
            let span = self.tree.span(left).to(self.tree.span(right));
            let height = self.height(&[left, right]) + 1;
            let shape = Shape::Binary {
                operator: *operator,
                left,
                right,
            };
            left = self.add(shape, span, height)?;
        }
        self.leave();
        Ok(left)
    }

    fn simple(&mut self) -> Result<ExpressionId> {
        let span = self.span;
        let shape = match &self.token {
            Token::Integer(value) => Shape::Integer(*value),
            Token::Float(value) => Shape::Float(*value),
            Token::Text(_) => {
                return match self.advance()? {
                    Token::Text(text) => self.add(Shape::Text(text), span, 0),
                    _ => self.unexpected(),
                };
            }
            Token::Sign("nil") => Shape::Nil,
            Token::Sign("true") => Shape::Boolean(true),
            Token::Sign("false") => Shape::Boolean(false),
            Token::Sign("...") => Shape::Vararg,
            Token::Sign("{") => return self.table(),
            Token::Sign("function") => {
                self.advance()?;
                let function = self.function_body(span, false)?;
                let span = Span {
                    start: span.start,
                    end: self.before,
                };
                let height = self.function_height();
                return self.add(Shape::Function(function), span, height);
            }
            _ => return self.suffixed(),
        };
        self.advance()?;
        self.add(shape, span, 0)
    }

    /// A name or something in parentheses, and what is done to it: fields, calls.
    pub(super) fn suffixed(&mut self) -> Result<ExpressionId> {
        let start = self.span;
        let mut object = match self.token {
            Token::Name(text) => {
                self.advance()?;
                self.add(Shape::Name(text), start, 0)?
            }
            Token::Sign("(") => {
                self.advance()?;
                let inner = self.expression()?;
                self.expect(")")?;
                let height = self.height(&[inner]) + 1;
                self.add(Shape::Parentheses(inner), self.from(start), height)?
            }
            _ => return self.unexpected(),
        };
        loop {
            let Some((shape, deepest)) = self.suffix(object)? else {
                return Ok(object);
            };
            object = self.add(shape, self.from(start), deepest + 1)?;
        }
    }

    /// From there to the word before the one at hand.
    fn from(&self, start: Span) -> Span {
        Span {
            start: start.start,
            end: self.before,
        }
    }

    /// What is done to the object, if anything; and how high that is.
    fn suffix(&mut self, object: ExpressionId) -> Result<Option<(Shape<'s>, u32)>> {
        let base = self.height(&[object]);
        match &self.token {
            Token::Sign(".") => {
                self.advance()?;
                let Name { text, span } = self.name()?;
                let key = self.add(Shape::Text(text.as_bytes().into()), span, 0)?;
                Ok(Some((Shape::Index { object, key }, base)))
            }
            Token::Sign("[") => {
                self.advance()?;
                let key = self.expression()?;
                self.expect("]")?;
                let height = self.height(&[object, key]);
                Ok(Some((Shape::Index { object, key }, height)))
            }
            Token::Sign(":") => {
                let colon = self.span.start;
                self.advance()?;
                let name = self.name()?;
                let arguments = self.arguments()?;
                let height = base.max(self.height(&arguments));
                let shape = Shape::Method {
                    object,
                    name,
                    colon,
                    arguments,
                };
                Ok(Some((shape, height)))
            }
            Token::Sign("(" | "{") | Token::Text(_) => {
                let arguments = self.arguments()?;
                let height = base.max(self.height(&arguments));
                let shape = Shape::Call {
                    callee: object,
                    arguments,
                };
                Ok(Some((shape, height)))
            }
            _ => Ok(None),
        }
    }

    fn arguments(&mut self) -> Result<Vec<ExpressionId>> {
        if self.take("(")? {
            let arguments = if self.is(")") {
                Vec::new()
            } else {
                self.expressions()?
            };
            self.expect(")")?;
            return Ok(arguments);
        }
        match self.token {
            Token::Text(_) | Token::Sign("{") => Ok(vec![self.simple()?]),
            _ => self.unexpected(),
        }
    }

    fn table(&mut self) -> Result<ExpressionId> {
        let start = self.span;
        self.advance()?;
        let (mut fields, mut height) = (Vec::new(), 0);
        while !self.is("}") {
            let key = if self.take("[")? {
                let key = self.expression()?;
                self.expect("]")?;
                self.expect("=")?;
                Some(key)
            } else if matches!(self.token, Token::Name(_)) && *self.ahead()? == Token::Sign("=") {
                let name = self.name()?;
                self.expect("=")?;
                Some(self.add(Shape::Text(name.text.as_bytes().into()), name.span, 0)?)
            } else {
                None
            };
            let value = self.expression()?;
            height = height
                .max(self.height(&[value]))
                .max(self.height(key.as_slice()));
            fields.push(Field { key, value });
            if !self.take(",")? && !self.take(";")? {
                break;
            }
        }
        self.expect("}")?;
        if height > super::MOST_HEIGHT {
            return self.refuse(Why::Deep);
        }
        self.add(Shape::Table(fields), self.from(start), height + 1)
    }
}
