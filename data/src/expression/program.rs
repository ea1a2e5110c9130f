//! What an expression is built into: instructions for a machine with a stack.
//!
//! Arguments come before what uses them, jumps go forward only. So a program runs as many steps as it has instructions
//! at most, and neither building nor running it recurses, however deep the expression is.

use bytes::Bytes;
use protocol::bounds::Within as _;
use protocol::particle::ParticleType;

use super::number::Arithmetic;
use super::{ExpressionType, Pattern};
use crate::bin::BinName;
use crate::geo::Geometry;
use crate::operation::System;

/// Bytes of the expression's encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// What is known of a record besides its bins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    DeviceSize,
    LastUpdate,
    SinceUpdate,
    VoidTime,
    TimeToLive,
    SetName,
    KeyExists,
    IsTombstone,
    MemorySize,
    RecordSize,
}

/// Part of the child that a path operation looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChildPart {
    Key,
    Value,
    Index,
}

/// One of the six comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// One step. "Pops" and "pushes" are of the stack.
#[derive(Clone, Debug)]
pub(super) enum Instruction {
    Unknown,
    Nil,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(ParticleType, Span),
    /// A literal of [`Program::places`].
    Place(u32),
    List(Span),
    Map(Span),
    Special(Span),
    Remove,
    Bin(ExpressionType, BinName),
    BinType(BinName),
    Key(ExpressionType),
    Field(Field),
    DigestModulo(u32),
    Child(ExpressionType, ChildPart),
    /// Pops two values.
    Compare(Comparison),
    /// Compares an integer bin with a number: the most frequent three steps in one.
    CompareBin(Comparison, BinName, i64),
    /// Pops a string.
    Matches(u32),
    /// Pops two places or regions.
    Within,
    /// Pops a list, then a value.
    InList,
    /// After the first argument of `and` (false) or `or` (true): goes on at `end` if it decides.
    Decide {
        on: bool,
        end: u32,
    },
    /// After each further one: pops it and joins it with what is below; goes on at `end` if that decides.
    Join {
        on: bool,
        end: u32,
    },
    Not,
    /// Pops so many.
    Exclusive(u32),
    /// Pops so many.
    Arithmetic(Arithmetic, u32),
    /// Pops into a variable.
    Store(u32),
    Load(u32),
    /// Pops a condition: goes on if true, at `otherwise` if false; if unknown, pushes that and goes on at `end`.
    Branch {
        otherwise: u32,
        end: u32,
    },
    Jump(u32),
    MapKeys,
    MapValues,
    /// Pops the value that [`Program::calls`] works on, then its arguments.
    Call(u32),
}

/// A call of an operation on a list, map, blob or sketch.
#[derive(Clone, Debug)]
pub(super) struct CallTemplate {
    pub(super) kind: ExpressionType,
    pub(super) system: System,
    pub(super) write: bool,
    /// The payload: bytes of the encoding, and holes where arguments are put.
    pub(super) payload: Vec<Piece>,
    /// How many holes.
    pub(super) arguments: usize,
}

/// Part of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Bytes(Span),
    Argument,
}

/// A built expression.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) source: Bytes,
    pub(super) code: Vec<Instruction>,
    pub(super) places: Vec<(Span, Geometry)>,
    pub(super) patterns: Vec<Pattern>,
    pub(super) calls: Vec<CallTemplate>,
    /// Most variables that are visible at the same time.
    pub(super) variables: usize,
    pub(super) kind: ExpressionType,
    /// It asks for bins or the key.
    pub(super) reads_bins: bool,
    /// It asks for what is known without them.
    pub(super) reads_metadata: bool,
}

impl Program {
    /// Bytes of the encoding.
    pub(super) fn bytes(&self, span: Span) -> &[u8] {
        // Spans were taken from the source.
        self.source.within(span.start as usize..span.end as usize)
    }
}
