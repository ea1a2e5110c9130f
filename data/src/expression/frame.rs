//! Operations that are open while an expression is built: which arguments they take, and what they become.

use protocol::bounds::{Fit as _, Within as _};

use super::build::{Builder, Built, comparison};
use super::number::{Arithmetic, Shape};
use super::program::{CallTemplate, Instruction, Piece, Span};
use super::{Cause, ExpressionError, ExpressionType};
use crate::operation::System;

/// Most arguments of a call that are expressions.
const MAX_CALL_ARGUMENTS: usize = 16;

/// Bit of a call's system: the operation changes what it works on.
const WRITE: i64 = 0x40;

/// An operation that waits for arguments.
pub(super) struct Frame {
    code: i64,
    /// Arguments that it has, expressions or not.
    count: usize,
    /// Those that are complete.
    done: usize,
    state: Partial,
}

/// What is known of the arguments so far.
pub(super) enum Partial {
    Compare {
        /// Steps that were there before.
        start: usize,
        /// Steps with the first argument, and its type.
        first: Option<(usize, ExpressionType)>,
    },
    Matches(u32),
    Within,
    InList,
    Join {
        on: bool,
        jumps: Vec<usize>,
    },
    Not,
    Exclusive,
    Entries(Instruction),
    Arithmetic {
        operation: Arithmetic,
        shape: Shape,
        first: Option<ExpressionType>,
    },
    /// Conditions and results in turn, then the default.
    Conditional {
        results: Option<ExpressionType>,
        branch: Option<usize>,
        jumps: Vec<usize>,
        pending: Vec<usize>,
    },
    /// Names and values in turn, then the body.
    Variables {
        /// The name whose value comes next, as bytes of the encoding.
        name: Option<Span>,
        defined: Vec<Span>,
        body: Option<Built>,
    },
    Call(Call),
}

/// A call of which parts are read.
pub(super) struct Call {
    template: CallTemplate,
    /// Arguments of the inner operation that are not read yet.
    left: usize,
    /// Where the bytes begin that are not part of the payload yet.
    open: usize,
    /// The payload is complete; what it works on comes next.
    is_payload_done: bool,
    /// The type of that.
    works_on: Option<ExpressionType>,
}

impl Partial {
    pub(super) fn conditional() -> Self {
        Self::Conditional {
            results: None,
            branch: None,
            jumps: Vec::new(),
            pending: Vec::new(),
        }
    }

    pub(super) fn variables() -> Self {
        Self::Variables {
            name: None,
            defined: Vec::new(),
            body: None,
        }
    }
}

/// Fails unless the argument is of this type.
fn expect(
    builder: &Builder<'_>,
    built: Built,
    kind: ExpressionType,
) -> Result<(), ExpressionError> {
    if built.kind == kind {
        return Ok(());
    }
    Err(builder.error(Cause::Type {
        expected: kind.name(),
        found: built.kind,
    }))
}

impl Frame {
    pub(super) fn new(code: i64, count: usize, state: Partial) -> Self {
        Self {
            code,
            count,
            done: 0,
            state,
        }
    }

    /// Whether the operation may have so many arguments.
    pub(super) fn count_fits(&self) -> bool {
        match &self.state {
            Partial::Compare { .. } | Partial::Within | Partial::InList => self.count == 2,
            Partial::Matches(_) | Partial::Not | Partial::Entries(_) => self.count == 1,
            Partial::Join { .. } | Partial::Exclusive => self.count >= 2,
            Partial::Conditional { .. } | Partial::Variables { .. } => {
                self.count >= 3 && self.count % 2 == 1
            }
            Partial::Arithmetic { shape, .. } => match shape {
                Shape::Same(0) | Shape::Integers(0) => self.count >= 1,
                Shape::Same(count) | Shape::Integers(count) | Shape::Floats(count) => {
                    self.count == *count
                }
                Shape::FloatToInteger | Shape::IntegerToFloat => self.count == 1,
                Shape::IntegerAndBool => self.count == 2,
            },
            Partial::Call(_) => true,
        }
    }

    /// Begins a call whose type and system are read.
    pub(super) fn call(
        builder: &mut Builder<'_>,
        kind: ExpressionType,
        system: i64,
    ) -> Result<Self, ExpressionError> {
        let write = system & WRITE != 0;
        let system = match system & !WRITE {
            0 => System::Collection,
            1 => System::Bit,
            2 => System::Sketch,
            _ => return Err(builder.error(Cause::Argument("a system of operations"))),
        };
        let open = builder.at();
        let template = CallTemplate {
            kind,
            system,
            write,
            payload: Vec::new(),
            arguments: 0,
        };
        let mut call = Call {
            template,
            left: 0,
            open,
            is_payload_done: false,
            works_on: None,
        };
        call.head(builder)?;
        Ok(Self::new(127, 1, Partial::Call(call)))
    }

    /// Takes an argument that is complete.
    pub(super) fn accept(
        &mut self,
        builder: &mut Builder<'_>,
        built: Built,
    ) -> Result<(), ExpressionError> {
        if let Partial::Call(call) = &mut self.state {
            call.accept(builder, built)?;
            self.done = usize::from(call.works_on.is_some());
            return Ok(());
        }
        let place = self.done;
        self.done += 1;
        match &mut self.state {
            Partial::Compare { first, .. } => {
                if !built.kind.is_compared() {
                    return Err(builder.error(Cause::Type {
                        expected: "a type with an order",
                        found: built.kind,
                    }));
                }
                let (_, kind) = *first.get_or_insert((builder.code.len(), built.kind));
                if kind == built.kind {
                    return Ok(());
                }
                Err(builder.error(Cause::Type {
                    expected: "the type of the other side",
                    found: built.kind,
                }))
            }
            Partial::Matches(_) => expect(builder, built, ExpressionType::String),
            Partial::Within => expect(builder, built, ExpressionType::GeoJson),
            Partial::InList if place == 0 => Ok(()),
            Partial::InList => expect(builder, built, ExpressionType::List),
            Partial::Join { on, jumps } => {
                expect(builder, built, ExpressionType::Bool)?;
                let on = *on;
                jumps.push(builder.code.len());
                builder.emit(match place {
                    0 => Instruction::Decide { on, end: 0 },
                    _ => Instruction::Join { on, end: 0 },
                })
            }
            Partial::Not | Partial::Exclusive => expect(builder, built, ExpressionType::Bool),
            Partial::Entries(_) => Ok(()),
            Partial::Arithmetic { shape, first, .. } => {
                let expected = match (*shape, *first) {
                    (Shape::Same(_), Some(first)) => first,
                    (Shape::Same(_), None) if built.kind == ExpressionType::Float => {
                        ExpressionType::Float
                    }
                    (Shape::Floats(_) | Shape::FloatToInteger, _) => ExpressionType::Float,
                    (Shape::IntegerAndBool, Some(_)) => ExpressionType::Bool,
                    _ => ExpressionType::Integer,
                };
                first.get_or_insert(built.kind);
                expect(builder, built, expected)
            }
            Partial::Conditional {
                results,
                branch,
                jumps,
                pending,
            } => {
                let is_default = place + 1 == self.count;
                if place.is_multiple_of(2) && !is_default {
                    expect(builder, built, ExpressionType::Bool)?;
                    *branch = Some(builder.code.len());
                    pending.push(builder.code.len());
                    return builder.emit(Instruction::Branch {
                        otherwise: 0,
                        end: 0,
                    });
                }
                if !built.is_unknown {
                    let kind = *results.get_or_insert(built.kind);
                    if kind != built.kind {
                        return Err(builder.error(Cause::Type {
                            expected: "the type of the other results",
                            found: built.kind,
                        }));
                    }
                }
                if is_default {
                    return Ok(());
                }
                jumps.push(builder.code.len());
                builder.emit(Instruction::Jump(0))?;
                let next = builder.here();
                if let Some(Instruction::Branch { otherwise, .. }) =
                    branch.take().and_then(|at| builder.code.get_mut(at))
                {
                    *otherwise = next;
                }
                Ok(())
            }
            Partial::Variables {
                name,
                defined,
                body,
            } => {
                let Some(taken) = name.take() else {
                    *body = Some(built);
                    return Ok(());
                };
                // The name was read as an argument before its value.
                self.done += 1;
                let place = builder.define(taken, built.kind)?;
                defined.push(taken);
                builder.emit(Instruction::Store(place))
            }
            Partial::Call(_) => Ok(()),
        }
    }

    /// Goes on to the next expression among the arguments; gives what the operation is once there is none.
    pub(super) fn advance(
        &mut self,
        builder: &mut Builder<'_>,
    ) -> Result<Option<Built>, ExpressionError> {
        if let Partial::Call(call) = &mut self.state {
            return match self.done {
                0 => call.advance(builder).map(|()| None),
                _ => call.finish(builder).map(Some),
            };
        }
        if let Partial::Variables { name, .. } = &mut self.state
            && self.done + 1 < self.count
            && name.is_none()
        {
            *name = Some(builder.name()?);
            return Ok(None);
        }
        if self.done < self.count {
            return Ok(None);
        }
        self.finish(builder).map(Some)
    }

    fn finish(&mut self, builder: &mut Builder<'_>) -> Result<Built, ExpressionError> {
        let count = self.count.fit::<u32>();
        let (instruction, kind) = match &mut self.state {
            Partial::Compare { start, first } => {
                let operation = comparison(self.code);
                // A bin on one side and a number on the other, each a single step.
                let parts = builder.code.within(*start..);
                if let [
                    Instruction::Bin(ExpressionType::Integer, name),
                    Instruction::Integer(value),
                ] = *parts
                    && first.is_some_and(|(middle, _)| middle == *start + 1)
                {
                    builder.code.truncate(*start);
                    (
                        Instruction::CompareBin(operation, name, value),
                        ExpressionType::Bool,
                    )
                } else {
                    (Instruction::Compare(operation), ExpressionType::Bool)
                }
            }
            Partial::Matches(pattern) => (Instruction::Matches(*pattern), ExpressionType::Bool),
            Partial::Within => (Instruction::Within, ExpressionType::Bool),
            Partial::InList => (Instruction::InList, ExpressionType::Bool),
            Partial::Join { jumps, .. } => {
                let here = builder.here();
                for jump in jumps {
                    if let Some(Instruction::Decide { end, .. } | Instruction::Join { end, .. }) =
                        builder.code.get_mut(*jump)
                    {
                        *end = here;
                    }
                }
                return Ok(Built::of(ExpressionType::Bool));
            }
            Partial::Not => (Instruction::Not, ExpressionType::Bool),
            Partial::Exclusive => (Instruction::Exclusive(count), ExpressionType::Bool),
            Partial::Entries(instruction) => (instruction.clone(), ExpressionType::List),
            Partial::Arithmetic {
                operation,
                shape,
                first,
            } => {
                let kind = match shape {
                    Shape::Same(_) => first.unwrap_or(ExpressionType::Integer),
                    Shape::Integers(_) | Shape::FloatToInteger | Shape::IntegerAndBool => {
                        ExpressionType::Integer
                    }
                    Shape::Floats(_) | Shape::IntegerToFloat => ExpressionType::Float,
                };
                (Instruction::Arithmetic(*operation, count), kind)
            }
            Partial::Conditional {
                results,
                jumps,
                pending,
                ..
            } => {
                let here = builder.here();
                for at in jumps.iter().chain(pending.iter()) {
                    match builder.code.get_mut(*at) {
                        Some(Instruction::Jump(target)) => *target = here,
                        Some(Instruction::Branch { end, .. }) => *end = here,
                        _ => {}
                    }
                }
                return Ok(Built::of(results.unwrap_or(ExpressionType::Bool)));
            }
            Partial::Variables { defined, body, .. } => {
                for name in defined {
                    builder.forget(*name);
                }
                return body.ok_or_else(|| builder.error(Cause::Count));
            }
            Partial::Call(call) => return call.finish(builder),
        };
        builder.emit(instruction)?;
        Ok(Built::of(kind))
    }
}

impl Call {
    /// Reads the head of the payload: `[number, …]`, `[255, pairs, [number, …]]` or `[254, pairs, flags, …]`.
    fn head(&mut self, builder: &mut Builder<'_>) -> Result<(), ExpressionError> {
        let mut count = builder.list()?;
        let mut number = builder.integer()?;
        if self.template.system == System::Collection && number == 255 {
            if count < 3 {
                return Err(builder.error(Cause::Count));
            }
            builder.skip()?;
            if count > 3 {
                // Too many parts: the call fails when it runs.
                for _ in 2..count {
                    builder.skip()?;
                }
                self.left = 0;
                return Ok(());
            }
            count = builder.list()?;
            number = builder.integer()?;
        }
        if self.template.system == System::Collection && matches!(number, 254 | 255) {
            if count < 3 {
                return Err(builder.error(Cause::Count));
            }
            for _ in 1..count {
                builder.skip()?;
            }
            self.left = 0;
            return Ok(());
        }
        self.left = count - 1;
        Ok(())
    }

    /// Goes on to the next argument that is an expression, or to what the call works on.
    fn advance(&mut self, builder: &mut Builder<'_>) -> Result<(), ExpressionError> {
        while self.left > 0 {
            if crate::operation::element::is_list(builder.reader.rest()) {
                if self.template.arguments == MAX_CALL_ARGUMENTS {
                    return Err(builder.error(Cause::Count));
                }
                self.close(builder);
                self.template.payload.push(Piece::Argument);
                self.template.arguments += 1;
                return Ok(());
            }
            builder.skip()?;
            self.left -= 1;
        }
        if !self.is_payload_done {
            self.is_payload_done = true;
            self.close(builder);
        }
        Ok(())
    }

    /// The bytes up to here belong to the payload.
    fn close(&mut self, builder: &Builder<'_>) {
        if builder.at() > self.open {
            self.template
                .payload
                .push(Piece::Bytes(builder.span(self.open)));
        }
    }

    fn accept(&mut self, builder: &Builder<'_>, built: Built) -> Result<(), ExpressionError> {
        if !self.is_payload_done {
            self.left -= 1;
            self.open = builder.at();
            return Ok(());
        }
        let fits = match self.template.system {
            System::Collection => matches!(
                built.kind,
                ExpressionType::List | ExpressionType::Map | ExpressionType::Nil
            ),
            System::Bit => matches!(built.kind, ExpressionType::Blob | ExpressionType::Nil),
            System::Sketch => matches!(built.kind, ExpressionType::Sketch | ExpressionType::Nil),
        };
        if !fits {
            return Err(builder.error(Cause::Type {
                expected: "what the called operation works on",
                found: built.kind,
            }));
        }
        self.works_on = Some(built.kind);
        Ok(())
    }

    fn finish(&mut self, builder: &mut Builder<'_>) -> Result<Built, ExpressionError> {
        let kind = match self.works_on {
            Some(ExpressionType::Nil) => ExpressionType::Nil,
            _ => self.template.kind,
        };
        let number = builder.calls.len().fit::<u32>();
        builder.calls.push(self.template.clone());
        builder.emit(Instruction::Call(number))?;
        Ok(Built::of(kind))
    }
}
