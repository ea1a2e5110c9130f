//! From bytes to a program: what is read, of which type it is, and in which order it is done.
//!
//! Expressions that are open stand on a list of [`Frame`]s, so nothing recurses.

use std::collections::HashMap;

use bytes::Bytes;
use protocol::bounds::{Fit as _, Within as _};
use protocol::msgpack::{MsgpackError, Reader, Token};
use protocol::particle::ParticleType;

use super::frame::{Frame, Partial};
use super::number::Arithmetic;
use super::program::{CallTemplate, ChildPart, Comparison, Field, Instruction, Program, Span};
use super::{Cause, ExpressionError, ExpressionType, Pattern};
use crate::bin::BinName;
use crate::geo::Geometry;
use crate::work::Meter;

/// Most bytes of an expression without the values in it, and sixteen times as many as it has steps: as the real server
/// bounds its compiled form, in which values stay where they are. They are bounded by the message.
const MAX_BYTES: usize = 1 << 20;

/// Most steps.
const MAX_STEPS: usize = MAX_BYTES / 16;

/// Most states of all patterns together: twice as many as one may have.
const MAX_PATTERN_STATES: usize = 1 << 16;

/// What a pattern takes besides its states, as so many of them.
const PATTERN_OVERHEAD: usize = 32;

/// What has been built of an expression when it is complete.
#[derive(Clone, Copy, Debug)]
pub(super) struct Built {
    pub(super) kind: ExpressionType,
    /// It is the operation `unknown` itself, which may stand for a value of any type in a condition's results.
    pub(super) is_unknown: bool,
}

impl Built {
    pub(super) fn of(kind: ExpressionType) -> Self {
        Self {
            kind,
            is_unknown: false,
        }
    }
}

/// What reading an element leads to.
enum Read {
    Complete(Built),
    Open(Frame),
}

pub(super) struct Builder<'e> {
    bytes: &'e [u8],
    work: &'e mut dyn Meter,
    pub(super) reader: Reader<'e>,
    pub(super) code: Vec<Instruction>,
    pub(super) calls: Vec<CallTemplate>,
    places: Vec<(Span, Geometry)>,
    patterns: Vec<Pattern>,
    /// States of all of these.
    pattern_states: usize,
    /// Bytes of values so far.
    value_bytes: usize,
    /// Visible variables.
    pub(super) names: HashMap<&'e [u8], (u32, ExpressionType)>,
    pub(super) variables: usize,
    reads_bins: bool,
    reads_metadata: bool,
}

/// Builds the expression that these bytes are, all of them.
pub(super) fn build(bytes: &[u8], work: &mut dyn Meter) -> Result<Program, ExpressionError> {
    let mut builder = Builder {
        bytes,
        work,
        reader: Reader::new(bytes),
        code: Vec::new(),
        calls: Vec::new(),
        places: Vec::new(),
        patterns: Vec::new(),
        pattern_states: 0,
        value_bytes: 0,
        names: HashMap::new(),
        variables: 0,
        reads_bins: false,
        reads_metadata: false,
    };
    let built = builder.whole()?;
    if !builder.reader.is_empty() {
        return Err(builder.error(Cause::Trailing));
    }
    Ok(Program {
        source: Bytes::copy_from_slice(bytes),
        code: builder.code,
        places: builder.places,
        patterns: builder.patterns,
        calls: builder.calls,
        variables: builder.variables,
        kind: built.kind,
        reads_bins: builder.reads_bins,
        reads_metadata: builder.reads_metadata,
    })
}

impl<'e> Builder<'e> {
    /// Where reading is.
    pub(super) fn at(&self) -> usize {
        self.bytes.len() - self.reader.rest().len()
    }

    pub(super) fn error(&self, cause: Cause) -> ExpressionError {
        ExpressionError {
            byte: self.at(),
            cause,
        }
    }

    fn unreadable(&self, error: MsgpackError) -> ExpressionError {
        self.error(Cause::Msgpack(error))
    }

    pub(super) fn token(&mut self) -> Result<Token<'e>, ExpressionError> {
        let mut ahead = self.reader;
        let token = ahead.token().map_err(|error| self.unreadable(error))?;
        self.reader = ahead;
        Ok(token)
    }

    /// Steps over one value and says where it stands.
    pub(super) fn skip(&mut self) -> Result<Span, ExpressionError> {
        let start = self.at();
        let mut ahead = self.reader;
        ahead.value().map_err(|error| self.unreadable(error))?;
        self.reader = ahead;
        self.value_bytes += self.at() - start;
        Ok(self.span(start))
    }

    /// From `start` to where reading is. Messages are small enough for 32 bits.
    pub(super) fn span(&self, start: usize) -> Span {
        let number = |at: usize| at.fit::<u32>();
        Span {
            start: number(start),
            end: number(self.at()),
        }
    }

    pub(super) fn integer(&mut self) -> Result<i64, ExpressionError> {
        match self.token()? {
            Token::Integer(number) => Ok(number),
            _ => Err(self.error(Cause::Argument("an integer"))),
        }
    }

    /// A string without type byte: names and patterns.
    pub(super) fn raw(&mut self) -> Result<&'e [u8], ExpressionError> {
        match self.token()? {
            Token::Text(text) => Ok(text),
            _ => Err(self.error(Cause::Argument("a string"))),
        }
    }

    fn bin_name(&mut self) -> Result<BinName, ExpressionError> {
        let name = self.raw()?;
        BinName::new(name).ok_or_else(|| self.error(Cause::Argument("the name of a bin")))
    }

    fn kind(&mut self) -> Result<ExpressionType, ExpressionError> {
        let number = self.integer()?;
        ExpressionType::of_number(number).ok_or_else(|| self.error(Cause::Argument("a type")))
    }

    pub(super) fn emit(&mut self, instruction: Instruction) -> Result<(), ExpressionError> {
        if self.code.len() >= MAX_STEPS {
            return Err(self.error(Cause::TooLarge));
        }
        self.code.push(instruction);
        Ok(())
    }

    /// The number of the next instruction, for jumps to it.
    pub(super) fn here(&self) -> u32 {
        // There are at most MAX_STEPS.
        self.code.len().fit::<u32>()
    }

    fn whole(&mut self) -> Result<Built, ExpressionError> {
        let mut frames: Vec<Frame> = Vec::new();
        loop {
            if let Err(time) = self.work.steps(1) {
                return Err(self.error(Cause::Time(time)));
            }
            let mut complete = match self.element()? {
                Read::Complete(built) => Some(built),
                Read::Open(frame) => {
                    frames.push(frame);
                    None
                }
            };
            // A complete expression may complete those around it; a new one may have no inner expression.
            loop {
                let Some(frame) = frames.last_mut() else {
                    match complete {
                        Some(built) => return Ok(built),
                        None => return Err(self.error(Cause::Code)),
                    }
                };
                if let Some(built) = complete.take() {
                    frame.accept(self, built)?;
                }
                match frame.advance(self)? {
                    None => break,
                    Some(built) => {
                        frames.pop();
                        complete = Some(built);
                    }
                }
            }
        }
    }

    fn element(&mut self) -> Result<Read, ExpressionError> {
        let start = self.at();
        if start - self.value_bytes > MAX_BYTES {
            return Err(self.error(Cause::TooLarge));
        }
        let kind = match self.token()? {
            Token::Nil => {
                self.emit(Instruction::Nil)?;
                ExpressionType::Nil
            }
            Token::Bool(value) => {
                self.emit(Instruction::Bool(value))?;
                ExpressionType::Bool
            }
            Token::Integer(value) => {
                self.emit(Instruction::Integer(value))?;
                ExpressionType::Integer
            }
            Token::Double(value) => {
                self.emit(Instruction::Float(value))?;
                ExpressionType::Float
            }
            Token::Float(value) => {
                self.emit(Instruction::Float(value.into()))?;
                ExpressionType::Float
            }
            Token::Text(content) => self.text(content)?,
            Token::Map(_) => {
                self.reader = Reader::new(self.bytes.within(start..));
                let span = self.skip()?;
                self.emit(Instruction::Map(span))?;
                ExpressionType::Map
            }
            Token::Extension {
                kind: 0xff,
                data: [0 | 1],
            } => {
                let span = self.span(start);
                self.emit(Instruction::Special(span))?;
                ExpressionType::Special
            }
            Token::Extension { .. } | Token::Order(_) => {
                return Err(self.error(Cause::Argument("a value")));
            }
            Token::List(0) => return Err(self.error(Cause::Code)),
            Token::List(count) => return self.operation(count - 1),
        };
        Ok(Read::Complete(Built::of(kind)))
    }

    fn text(&mut self, content: &'e [u8]) -> Result<ExpressionType, ExpressionError> {
        let Some((kind, text)) = content.split_first() else {
            return Err(self.error(Cause::Argument("a string with its type byte")));
        };
        let span = self.span(self.at() - text.len());
        let kind = match ParticleType(*kind) {
            ParticleType::STRING => ExpressionType::String,
            ParticleType::BLOB => ExpressionType::Blob,
            ParticleType::HLL => ExpressionType::Sketch,
            ParticleType::GEOJSON => {
                let place = Geometry::parse(text, self.work);
                let place = place.map_err(|error| self.error(Cause::Geo(error)))?;
                let number = self.places.len().fit::<u32>();
                self.places.push((span, place));
                self.emit(Instruction::Place(number))?;
                return Ok(ExpressionType::GeoJson);
            }
            _ => return Err(self.error(Cause::Argument("a string, blob, sketch or GeoJSON"))),
        };
        self.value_bytes += text.len();
        self.emit(Instruction::Text(
            ParticleType(content.first().copied().unwrap_or(0)),
            span,
        ))?;
        Ok(kind)
    }

    /// An operation with so many arguments.
    fn operation(&mut self, count: usize) -> Result<Read, ExpressionError> {
        let code = match self.token()? {
            Token::Integer(code) => code,
            _ => return Err(self.error(Cause::Code)),
        };
        let state = match code {
            1..=6 => Partial::Compare {
                start: self.code.len(),
                first: None,
            },
            7 if count == 3 => {
                let flags = self.integer()?;
                let pattern = self.raw()?;
                let pattern = Pattern::new(pattern, flags)
                    .map_err(|error| self.error(Cause::Pattern(error)))?;
                self.pattern_states += pattern.states() + PATTERN_OVERHEAD;
                if self.pattern_states > MAX_PATTERN_STATES {
                    return Err(self.error(Cause::TooLarge));
                }
                self.patterns.push(pattern);
                return Ok(Read::Open(Frame::new(
                    code,
                    1,
                    Partial::Matches((self.patterns.len() - 1).fit::<u32>()),
                )));
            }
            8 => Partial::Within,
            9 => Partial::InList,
            16 => Partial::Join {
                on: false,
                jumps: Vec::new(),
            },
            17 => Partial::Join {
                on: true,
                jumps: Vec::new(),
            },
            18 => Partial::Not,
            19 => Partial::Exclusive,
            101 => Partial::Entries(Instruction::MapKeys),
            102 => Partial::Entries(Instruction::MapValues),
            123 => Partial::conditional(),
            125 => Partial::variables(),
            127 if count == 4 => return self.call().map(Read::Open),
            code => match Arithmetic::of_code(code) {
                Some((operation, shape, _)) => Partial::Arithmetic {
                    operation,
                    shape,
                    first: None,
                },
                None => return self.leaf(code, count).map(Read::Complete),
            },
        };
        let frame = Frame::new(code, count, state);
        if !frame.count_fits() {
            return Err(self.error(Cause::Count));
        }
        Ok(Read::Open(frame))
    }

    /// Operations without expressions inside.
    fn leaf(&mut self, code: i64, count: usize) -> Result<Built, ExpressionError> {
        let expected = match code {
            0 | 65..=74 | 100 => 0,
            64 | 80 | 82 | 124 | 126 => 1,
            81 | 122 => 2,
            7 => 3,
            127 => 4,
            _ => return Err(self.error(Cause::Code)),
        };
        if count != expected {
            return Err(self.error(Cause::Count));
        }
        let (instruction, kind) = match code {
            0 => {
                self.emit(Instruction::Unknown)?;
                return Ok(Built {
                    kind: ExpressionType::Bool,
                    is_unknown: true,
                });
            }
            64 => {
                // The low 32 bits, signed, without their sign.
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "the upper bits do not count"
                )]
                let modulus = (self.integer()? as i32).unsigned_abs();
                if modulus == 0 {
                    return Err(self.error(Cause::Argument("a number other than 0")));
                }
                self.reads_metadata = true;
                (Instruction::DigestModulo(modulus), ExpressionType::Integer)
            }
            65..=74 => {
                self.reads_metadata = true;
                let (field, kind) = field(code);
                (Instruction::Field(field), kind)
            }
            80 => {
                let kind = self.kind()?;
                if !matches!(
                    kind,
                    ExpressionType::Integer | ExpressionType::String | ExpressionType::Blob
                ) {
                    return Err(self.error(Cause::Argument("the type of a key")));
                }
                self.reads_bins = true;
                (Instruction::Key(kind), kind)
            }
            81 => {
                let kind = self.kind()?;
                self.reads_bins = true;
                (Instruction::Bin(kind, self.bin_name()?), kind)
            }
            82 => {
                self.reads_bins = true;
                (
                    Instruction::BinType(self.bin_name()?),
                    ExpressionType::Integer,
                )
            }
            100 => (Instruction::Remove, ExpressionType::Remove),
            122 => {
                let kind = self.kind()?;
                let part = match self.integer()? {
                    0 => ChildPart::Key,
                    1 => ChildPart::Value,
                    2 if kind == ExpressionType::Integer => ChildPart::Index,
                    _ => {
                        return Err(self.error(Cause::Argument("a built-in variable of this type")));
                    }
                };
                (Instruction::Child(kind, part), kind)
            }
            124 => {
                let name = self.raw()?;
                let Some((place, kind)) = self.names.get(name).copied() else {
                    return Err(self.error(Cause::Variable));
                };
                (Instruction::Load(place), kind)
            }
            126 => {
                let start = self.at();
                let span = self.skip()?;
                let first = self.bytes.within(start..);
                if !crate::operation::element::is_list(first) {
                    return Err(self.error(Cause::Argument("a list")));
                }
                (Instruction::List(span), ExpressionType::List)
            }
            _ => return Err(self.error(Cause::Code)),
        };
        self.emit(instruction)?;
        Ok(Built::of(kind))
    }

    /// The head of a list that is not empty.
    pub(super) fn list(&mut self) -> Result<usize, ExpressionError> {
        match self.token()? {
            Token::List(count) if count > 0 => Ok(count),
            _ => Err(self.error(Cause::Argument("a list with an operation"))),
        }
    }

    /// A new variable's name: a letter or underscore, then also digits; not visible yet.
    pub(super) fn name(&mut self) -> Result<Span, ExpressionError> {
        let name = self.raw()?;
        let fits = match name {
            [first, rest @ ..] => {
                (first.is_ascii_alphabetic() || *first == b'_')
                    && rest
                        .iter()
                        .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            }
            [] => false,
        };
        if !fits || self.names.contains_key(name) {
            return Err(self.error(Cause::Variable));
        }
        Ok(self.span(self.at() - name.len()))
    }

    fn name_at(&self, span: Span) -> &'e [u8] {
        self.bytes.within(span.start as usize..span.end as usize)
    }

    /// Makes a variable visible and gives its place.
    pub(super) fn define(
        &mut self,
        name: Span,
        kind: ExpressionType,
    ) -> Result<u32, ExpressionError> {
        let name = self.name_at(name);
        let place = self.names.len();
        self.variables = self.variables.max(place + 1);
        let place = place.fit::<u32>();
        // Its own value may have used the name for a variable that is gone by now.
        match self.names.insert(name, (place, kind)) {
            None => Ok(place),
            Some(_) => Err(self.error(Cause::Variable)),
        }
    }

    /// The name is free again.
    pub(super) fn forget(&mut self, name: Span) {
        let name = self.name_at(name);
        self.names.remove(name);
    }

    /// Begins a call: its type and system.
    fn call(&mut self) -> Result<Frame, ExpressionError> {
        let kind = self.kind()?;
        let system = self.integer()?;
        Frame::call(self, kind, system)
    }
}

fn field(code: i64) -> (Field, ExpressionType) {
    match code {
        65 => (Field::DeviceSize, ExpressionType::Integer),
        66 => (Field::LastUpdate, ExpressionType::Integer),
        67 => (Field::SinceUpdate, ExpressionType::Integer),
        68 => (Field::VoidTime, ExpressionType::Integer),
        69 => (Field::TimeToLive, ExpressionType::Integer),
        70 => (Field::SetName, ExpressionType::String),
        71 => (Field::KeyExists, ExpressionType::Bool),
        72 => (Field::IsTombstone, ExpressionType::Bool),
        73 => (Field::MemorySize, ExpressionType::Integer),
        _ => (Field::RecordSize, ExpressionType::Integer),
    }
}

/// The comparison with this code.
pub(super) fn comparison(code: i64) -> Comparison {
    match code {
        1 => Comparison::Equal,
        2 => Comparison::NotEqual,
        3 => Comparison::Greater,
        4 => Comparison::GreaterOrEqual,
        5 => Comparison::Less,
        _ => Comparison::LessOrEqual,
    }
}
