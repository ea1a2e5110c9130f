//! Patterns with references to groups, tried out one way after the other.

use protocol::bounds::Within as _;

use super::set::{ByteSet, is_word};
use super::{Assertion, Node, PatternError};
use crate::work::{Meter, TimeIsUp};

/// Most steps of a pattern with its repeats written out.
const MAX_CODE: usize = 1 << 15;

/// Most steps of one match, and most ways that are kept for later.
const MAX_STEPS: usize = 10_000_000;

/// Units of work that a step takes.
const STEP: usize = 8;

/// Steps between two looks at the work.
const BLOCK: usize = 1024;

#[derive(Clone, Debug)]
enum Step {
    Set(ByteSet),
    Assert(Assertion),
    /// Keeps the place in the text.
    Save(usize),
    /// What the group holds comes again.
    Reference(usize),
    /// Goes on at the first, and later at the second.
    Split(usize, usize),
    Jump(usize),
    /// Leaves a loop, for this place in the program, when the place in the text is still the one that was saved.
    Progress(usize, usize),
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(super) struct Program {
    code: Vec<Step>,
    slots: usize,
}

/// Compiles a pattern.
pub(super) fn compile(node: &Node) -> Result<Program, PatternError> {
    let mut program = Program {
        code: Vec::new(),
        // Two for each group that can be referred to.
        slots: 20,
    };
    program.add(node)?;
    Ok(program)
}

/// What is done when a way fails.
enum Undo {
    /// Go on here.
    Try { code: usize, at: usize },
    /// Put this back first.
    Slot { slot: usize, value: Option<usize> },
}

impl Program {
    fn push(&mut self, step: Step) -> Result<usize, PatternError> {
        if self.code.len() >= MAX_CODE {
            return Err(PatternError::TooLarge);
        }
        self.code.push(step);
        Ok(self.code.len() - 1)
    }

    fn set(&mut self, at: usize, step: Step) {
        if let Some(place) = self.code.get_mut(at) {
            *place = step;
        }
    }

    fn add(&mut self, node: &Node) -> Result<(), PatternError> {
        match node {
            Node::Empty => {}
            Node::Set(set) => {
                self.push(Step::Set(*set))?;
            }
            Node::Assert(assertion) => {
                self.push(Step::Assert(*assertion))?;
            }
            Node::Reference(group) => {
                self.push(Step::Reference(*group))?;
            }
            Node::Group(number, inner) if *number < 10 => {
                self.push(Step::Save(2 * number))?;
                self.add(inner)?;
                self.push(Step::Save(2 * number + 1))?;
            }
            Node::Group(_, inner) => self.add(inner)?,
            Node::Sequence(nodes) => {
                for node in nodes {
                    self.add(node)?;
                }
            }
            Node::Either(nodes) => {
                let mut ends = Vec::new();
                for (place, node) in nodes.iter().enumerate() {
                    if place + 1 == nodes.len() {
                        self.add(node)?;
                        break;
                    }
                    let split = self.push(Step::Jump(0))?;
                    self.add(node)?;
                    ends.push(self.push(Step::Jump(0))?);
                    let next = self.code.len();
                    self.set(split, Step::Split(split + 1, next));
                }
                let end = self.code.len();
                for jump in ends {
                    self.set(jump, Step::Jump(end));
                }
            }
            Node::Repeat(inner, least, most) => {
                for _ in 0..*least {
                    self.add(inner)?;
                }
                match most {
                    None => self.any_number(inner)?,
                    Some(most) => {
                        let mut splits = Vec::new();
                        for _ in *least..*most {
                            splits.push(self.push(Step::Jump(0))?);
                            self.add(inner)?;
                        }
                        let end = self.code.len();
                        for split in splits {
                            self.set(split, Step::Split(split + 1, end));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn any_number(&mut self, inner: &Node) -> Result<(), PatternError> {
        let slot = self.slots;
        self.slots += 1;
        let split = self.push(Step::Jump(0))?;
        self.push(Step::Save(slot))?;
        self.add(inner)?;
        let progress = self.push(Step::Jump(0))?;
        self.push(Step::Jump(split))?;
        let end = self.code.len();
        self.set(progress, Step::Progress(slot, end));
        self.set(split, Step::Split(split + 1, end));
        Ok(())
    }

    /// Whether there is a match; `None` when that takes too many steps.
    pub(super) fn is_match(
        &self,
        text: &[u8],
        work: &mut dyn Meter,
    ) -> Result<Option<bool>, TimeIsUp> {
        let mut steps = 0_usize;
        let mut slots: Vec<Option<usize>> = Vec::new();
        let mut undo: Vec<Undo> = Vec::new();
        for start in 0..=text.len() {
            slots.clear();
            slots.resize(self.slots, None);
            undo.clear();
            undo.push(Undo::Try { code: 0, at: start });
            while let Some(last) = undo.pop() {
                let (mut code, mut at) = match last {
                    Undo::Try { code, at } => (code, at),
                    Undo::Slot { slot, value } => {
                        if let Some(place) = slots.get_mut(slot) {
                            *place = value;
                        }
                        continue;
                    }
                };
                loop {
                    steps += 1;
                    if steps.is_multiple_of(BLOCK) {
                        work.spend(BLOCK * STEP)?;
                    }
                    if steps > MAX_STEPS {
                        return Ok(None);
                    }
                    let Some(step) = self.code.get(code) else {
                        return Ok(Some(true));
                    };
                    code += 1;
                    let holds = match step {
                        Step::Set(set) => {
                            let fits = text.get(at).is_some_and(|byte| set.contains(*byte));
                            at += 1;
                            fits
                        }
                        Step::Assert(assertion) => assertion.holds(text, at),
                        Step::Save(slot) => {
                            if let Some(place) = slots.get_mut(*slot) {
                                undo.push(Undo::Slot {
                                    slot: *slot,
                                    value: place.replace(at),
                                });
                            }
                            true
                        }
                        Step::Reference(group) => {
                            let mark = |slot: usize| slots.get(slot).copied().flatten();
                            match (mark(2 * group), mark(2 * group + 1)) {
                                (Some(from), Some(to)) => {
                                    let held = text.within(from..to);
                                    steps += held.len() / 8;
                                    let fits =
                                        text.get(at..).is_some_and(|rest| rest.starts_with(held));
                                    at += held.len();
                                    fits
                                }
                                _ => false,
                            }
                        }
                        Step::Split(first, second) => {
                            undo.push(Undo::Try { code: *second, at });
                            code = *first;
                            true
                        }
                        Step::Jump(target) => {
                            code = *target;
                            true
                        }
                        Step::Progress(slot, end) => {
                            if slots.get(*slot).copied().flatten() == Some(at) {
                                code = *end;
                            }
                            true
                        }
                    };
                    if !holds {
                        break;
                    }
                }
            }
        }
        Ok(Some(false))
    }
}

impl Assertion {
    fn holds(self, text: &[u8], at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|at| text.get(at)).copied();
        let after = text.get(at).copied();
        let word = |byte: Option<u8>| byte.is_some_and(is_word);
        match self {
            Self::Start => before.is_none(),
            Self::End => after.is_none(),
            Self::LineStart => matches!(before, None | Some(b'\n')),
            Self::LineEnd => matches!(after, None | Some(b'\n')),
            Self::WordStart => !word(before) && word(after),
            Self::WordEnd => word(before) && !word(after),
            Self::WordEdge => word(before) != word(after),
            Self::NotWordEdge => word(before) == word(after),
        }
    }
}
