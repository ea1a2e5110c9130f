//! Regular expressions as the C library of the real server reads them: POSIX, basic and extended, with its extensions, in
//! the "C" locale, over bytes.
//!
//! Patterns are read by our own parser, because only that refuses and understands what the C library does. What it reads is
//! matched by the automata below the crate `regex`, whose time grows with the text and never explodes. Only whether there
//! is a match is asked, so leftmost-longest or leftmost-first makes no difference. References to groups (`\1`) are beyond
//! them: patterns with these are matched by backtracking, with bounded steps.

mod automaton;
mod backtrack;
mod parser;
mod set;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::work::{Meter, TimeIsUp};
use automaton::Automaton;
use set::ByteSet;

/// Flags on the wire, which go to the C library as they are; so 4 and 8 mean what they mean there.
const EXTENDED: i64 = 1;
const IGNORE_CASE: i64 = 2;
const NEWLINE: i64 = 4;

/// Deepest nesting of what a pattern is made of: compiling recurses.
const MAX_NESTING: usize = 250;

/// Most work of one match, in steps of one state over one byte. Beyond, the answer is unknown.
const MAX_STEPS: usize = 1 << 30;

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// A parenthesis without its other half.
    #[error("unmatched parenthesis")]
    Parenthesis,
    /// A bracket that is not closed.
    #[error("unmatched bracket")]
    Bracket,
    /// A range whose end comes before its start, or whose end is none.
    #[error("bad range in brackets")]
    Range,
    /// A class or collating element that there is not.
    #[error("no such character class")]
    Class,
    /// An interval that is not closed or no pair of numbers.
    #[error("bad interval in braces")]
    Interval,
    /// Nothing to repeat.
    #[error("nothing to repeat")]
    Repeat,
    /// A reference to a group that is not there, or not complete.
    #[error("reference to a group that is not complete")]
    Reference,
    /// A backslash at the end.
    #[error("backslash at the end")]
    Backslash,
    /// More than is compiled.
    #[error("too large")]
    TooLarge,
}

/// A parsed pattern.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    Empty,
    Set(ByteSet),
    Assert(Assertion),
    Group(usize, Box<Node>),
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    /// So many times; no end is any number.
    Repeat(Box<Node>, u32, Option<u32>),
    Reference(usize),
}

/// A condition on a place in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Assertion {
    LineStart,
    LineEnd,
    Start,
    End,
    WordStart,
    WordEnd,
    WordEdge,
    NotWordEdge,
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    engine: Engine,
    /// States that one byte of a text may touch.
    states: usize,
}

#[derive(Clone, Debug)]
enum Engine {
    Linear(Arc<Automaton>),
    /// The text's case is taken off first, if it is ignored.
    Backtracking(backtrack::Program, bool),
}

impl Pattern {
    /// Compiles a pattern, which ends at its first zero byte. `flags`: 1 extended syntax, 2 ignore case, 4 lines are
    /// texts of their own; others change nothing.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn new(pattern: &[u8], flags: i64) -> Result<Self, PatternError> {
        let options = parser::Options {
            extended: flags & EXTENDED != 0,
            ignore_case: flags & IGNORE_CASE != 0,
            newline: flags & NEWLINE != 0,
        };
        let parsed = parser::parse(until_zero(pattern), options)?;
        let states = parsed.states(0)?;
        if parsed.has_references() {
            return Ok(Self {
                engine: Engine::Backtracking(backtrack::compile(&parsed)?, options.ignore_case),
                states,
            });
        }
        let automaton = Automaton::new(&parsed).ok_or(PatternError::TooLarge)?;
        Ok(Self {
            engine: Engine::Linear(Arc::new(automaton)),
            states,
        })
    }

    /// States of an automaton for it, repeats written out: at least one, and in proportion to its size.
    pub(super) fn states(&self) -> usize {
        self.states
    }

    /// Whether there is a match anywhere in the text, which ends at its first zero byte. `None`: that takes too long.
    ///
    /// # Errors
    /// The time is up.
    pub fn is_match(&self, text: &[u8], work: &mut dyn Meter) -> Result<Option<bool>, TimeIsUp> {
        let text = until_zero(text);
        match &self.engine {
            Engine::Linear(automaton) => {
                work.spend(text.len())?;
                if text.len().saturating_mul(self.states) > MAX_STEPS {
                    return Ok(None);
                }
                Ok(Some(automaton.is_match(text)))
            }
            Engine::Backtracking(program, false) => program.is_match(text, work),
            Engine::Backtracking(program, true) => {
                program.is_match(&text.to_ascii_uppercase(), work)
            }
        }
    }
}

fn until_zero(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

impl Node {
    fn has_references(&self) -> bool {
        match self {
            Self::Reference(_) => true,
            Self::Group(_, inner) | Self::Repeat(inner, ..) => inner.has_references(),
            Self::Sequence(nodes) | Self::Either(nodes) => nodes.iter().any(Self::has_references),
            Self::Empty | Self::Set(_) | Self::Assert(_) => false,
        }
    }

    /// States of an automaton for it, repeats written out.
    fn states(&self, depth: usize) -> Result<usize, PatternError> {
        if depth > MAX_NESTING {
            return Err(PatternError::TooLarge);
        }
        let states = match self {
            Self::Empty | Self::Set(_) | Self::Assert(_) | Self::Reference(_) => 1,
            Self::Group(_, inner) => inner.states(depth + 1)?,
            Self::Sequence(nodes) | Self::Either(nodes) => {
                let mut sum = 1_usize;
                for node in nodes {
                    sum = sum.saturating_add(node.states(depth + 1)?);
                }
                sum
            }
            Self::Repeat(inner, least, most) => {
                let times = most.unwrap_or(*least).max(1) as usize;
                inner.states(depth + 1)?.saturating_mul(times)
            }
        };
        match states {
            0..=0x8000 => Ok(states),
            _ => Err(PatternError::TooLarge),
        }
    }
}
