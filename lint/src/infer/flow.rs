//! Where control goes: how functions end, and what is never reached.

use super::Facts;
use crate::syntax::tree::{Action, Binary, Block, ExpressionId, Shape, Span, Statement};

/// One way in which a function ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Its last statement was run.
    End,
    /// It returns these.
    Return(Vec<ExpressionId>),
}

/// How a function's body runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flow {
    /// The ways in which it ends.
    pub(crate) exits: Vec<Exit>,
    /// What is never reached, because of what stands before it.
    pub(crate) unreached: Vec<Span>,
}

impl Flow {
    /// Finds out; functions within are not looked into.
    #[must_use]
    pub(crate) fn of(facts: &Facts<'_, '_>, body: &Block<'_>) -> Self {
        let mut flow = Self::default();
        if flow.block(facts, body).goes_on {
            flow.exits.push(Exit::End);
        }
        flow
    }

    fn block(&mut self, facts: &Facts<'_, '_>, block: &Block<'_>) -> Way {
        let mut way = Way {
            goes_on: true,
            breaks: false,
        };
        let mut statements = block.statements.iter().peekable();
        while let Some(statement) = statements.next() {
            let step = self.statement(facts, statement);
            way.breaks |= step.breaks;
            if step.goes_on {
                continue;
            }
            way.goes_on = false;
            // A label is reached from elsewhere.
            let mut rest = statements.clone();
            if let Some(label) = rest.position(|next| matches!(next.action, Action::Label)) {
                statements.nth(label);
                way.goes_on = true;
                continue;
            }
            // `error(…) return`: some write it for the reader.
            let for_reader = |next: &Statement<'_>| {
                matches!(statement.action, Action::Call(_))
                    && matches!(next.action, Action::Return(_))
            };
            if let Some(next) = statements.peek().filter(|next| !for_reader(next)) {
                let last = block.statements.last().map_or(next.span, |last| last.span);
                self.unreached.push(next.span.to(last));
            }
            break;
        }
        way
    }

    fn statement(&mut self, facts: &Facts<'_, '_>, statement: &Statement<'_>) -> Way {
        match &statement.action {
            Action::Local { .. }
            | Action::Assign { .. }
            | Action::Function { .. }
            | Action::LocalFunction { .. }
            | Action::Label => Way::ON,
            Action::Call(call) => Way {
                goes_on: !ends(facts, *call),
                breaks: false,
            },
            Action::Do(body) => self.block(facts, body),
            Action::While(condition, body) => {
                let within = self.block(facts, body);
                Way {
                    goes_on: !is_true(facts, *condition) || within.breaks,
                    breaks: false,
                }
            }
            Action::Repeat(body, condition) => {
                let within = self.block(facts, body);
                let never = matches!(
                    facts.tree.shape(*condition),
                    Shape::Boolean(false) | Shape::Nil
                );
                Way {
                    goes_on: within.breaks || within.goes_on && !never,
                    breaks: false,
                }
            }
            Action::If { arms, otherwise } => {
                let mut all = Way {
                    goes_on: otherwise.is_none(),
                    breaks: false,
                };
                let bodies = arms.iter().map(|(_, body)| body).chain(otherwise);
                for body in bodies {
                    let within = self.block(facts, body);
                    all.goes_on |= within.goes_on;
                    all.breaks |= within.breaks;
                }
                all
            }
            Action::NumericFor { body, .. } | Action::GenericFor { body, .. } => {
                self.block(facts, body);
                Way::ON
            }
            Action::Return(values) => {
                self.exits.push(Exit::Return(values.clone()));
                Way {
                    goes_on: false,
                    breaks: false,
                }
            }
            Action::Break => Way {
                goes_on: false,
                breaks: true,
            },
            Action::Goto => Way {
                goes_on: false,
                // It may leave any loop around it.
                breaks: true,
            },
        }
    }
}

/// Where control goes from a statement.
struct Way {
    /// To the next one.
    goes_on: bool,
    /// Out of the loop around it.
    breaks: bool,
}

impl Way {
    const ON: Self = Self {
        goes_on: true,
        breaks: false,
    };
}

/// A call that does not come back: `error(…)`, `assert(false, …)`.
fn ends(facts: &Facts<'_, '_>, call: ExpressionId) -> bool {
    let Shape::Call { callee, arguments } = facts.tree.shape(call) else {
        return false;
    };
    match facts.path(*callee).as_deref() {
        Some("error") => true,
        Some("assert") => arguments.first().is_some_and(|first| {
            matches!(facts.tree.shape(*first), Shape::Boolean(false) | Shape::Nil)
        }),
        _ => false,
    }
}

/// A condition that always holds: a constant, or something that a constant makes true.
fn is_true(facts: &Facts<'_, '_>, condition: ExpressionId) -> bool {
    match facts.tree.shape(facts.tree.bare(condition)) {
        Shape::Boolean(true) | Shape::Integer(_) | Shape::Float(_) | Shape::Text(_) => true,
        Shape::Binary {
            operator: Binary::Or,
            left,
            right,
        } => is_true(facts, *left) || is_true(facts, *right),
        _ => false,
    }
}
