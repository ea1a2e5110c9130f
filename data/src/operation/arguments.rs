//! The payload of an op, split into its arguments without copying.

use protocol::bounds::Within as _;
use protocol::msgpack::{Reader, Token};
use protocol::result_code::ResultCode;

use super::call::System;
use super::{OperationError, element};

/// Most arguments that any operation takes.
const MAX_ARGUMENTS: usize = 5;

/// First number of a payload that reaches a nested list or map.
const CONTEXT: i64 = 255;

/// First number of a payload that selects by path.
const BY_PATH: i64 = 254;

/// What a payload holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Payload<'a> {
    /// `[number, argument, …]`.
    Plain(Arguments<'a>),
    /// `[255, pairs, [number, argument, …]]`.
    Nested {
        /// The encoded list of pairs.
        pairs: &'a [u8],
        /// The inner operation. What is wrong with it is known only once the way to it was gone.
        arguments: Result<Arguments<'a>, OperationError>,
    },
    /// `[254, pairs, flags, expression?]`.
    Path(PathPayload<'a>),
}

/// The parts of a path operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathPayload<'a> {
    /// The encoded list of pairs.
    pub(crate) pairs: &'a [u8],
    /// Result form and conditions.
    pub(crate) flags: u64,
    /// The expression whose value replaces what is selected.
    pub(crate) modify: Option<&'a [u8]>,
}

impl<'a> Payload<'a> {
    /// Splits a payload. Bytes after it are ignored.
    pub(crate) fn split(system: System, bytes: &'a [u8]) -> Result<Self, OperationError> {
        if let (System::Collection, [0, low, list @ ..]) = (system, bytes) {
            // The legacy form: the number in two bytes, then the arguments as a list, which may be absent.
            let arguments = if list.is_empty() {
                Arguments::of(i64::from(*low), &[])?
            } else {
                Arguments::after(i64::from(*low), list)?
            };
            return Ok(Self::Plain(arguments));
        }
        let (number, rest, count) = head(bytes)?;
        if system == System::Collection && number == CONTEXT {
            if count != 2 {
                return Err(malformed("a context has three parts"));
            }
            let mut reader = Reader::new(rest);
            let pairs = reader.value().map_err(|_| truncated())?;
            reader.value().map_err(|_| truncated())?;
            return Ok(Self::Nested {
                pairs,
                arguments: Arguments::split(after(rest, pairs)),
            });
        }
        if system == System::Collection && number == BY_PATH {
            return PathPayload::split(rest, count).map(Self::Path);
        }
        Arguments::read(number, rest, count).map(Self::Plain)
    }
}

impl<'a> PathPayload<'a> {
    fn split(rest: &'a [u8], count: usize) -> Result<Self, OperationError> {
        if !(2..=3).contains(&count) {
            return Err(malformed("a path operation has three or four parts"));
        }
        let mut reader = Reader::new(rest);
        let pairs = reader.value().map_err(|_| truncated())?;
        let flags = reader.value().map_err(|_| truncated())?;
        let Some(flags) = element::unsigned(flags) else {
            return Err(malformed("the flags of a path operation are no integer"));
        };
        let modify = match count {
            3 => Some(reader.value().map_err(|_| truncated())?),
            _ => None,
        };
        Ok(Self {
            pairs,
            flags,
            modify,
        })
    }
}

/// An operation's number and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arguments<'a> {
    /// The number of the operation.
    pub(crate) number: i64,
    values: [&'a [u8]; MAX_ARGUMENTS],
    /// How many arguments the payload has; only the first five are kept.
    count: usize,
}

impl<'a> Arguments<'a> {
    /// An operation whose arguments are encoded values.
    pub(crate) fn of(number: i64, arguments: &[&'a [u8]]) -> Result<Self, OperationError> {
        let mut values: [&'a [u8]; MAX_ARGUMENTS] = [&[]; MAX_ARGUMENTS];
        for (slot, argument) in values.iter_mut().zip(arguments) {
            let mut reader = Reader::new(argument);
            *slot = reader.value().map_err(|_| truncated())?;
        }
        Ok(Self {
            number,
            values,
            count: arguments.len(),
        })
    }

    fn split(bytes: &'a [u8]) -> Result<Self, OperationError> {
        let (number, rest, count) = head(bytes)?;
        Self::read(number, rest, count)
    }

    fn after(number: i64, list: &'a [u8]) -> Result<Self, OperationError> {
        let mut reader = Reader::new(list);
        match reader.token() {
            Ok(Token::List(count)) => Self::read(number, reader.rest(), count),
            _ => Err(malformed("the arguments are no list")),
        }
    }

    fn read(number: i64, rest: &'a [u8], count: usize) -> Result<Self, OperationError> {
        let mut values: [&'a [u8]; MAX_ARGUMENTS] = [&[]; MAX_ARGUMENTS];
        let mut reader = Reader::new(rest);
        for index in 0..count {
            let value = reader.value().map_err(|_| truncated())?;
            if let Some(slot) = values.get_mut(index) {
                *slot = value;
            }
        }
        Ok(Self {
            number,
            values,
            count,
        })
    }

    /// The encoded argument at this place.
    pub(crate) fn get(&self, place: usize) -> Option<&'a [u8]> {
        if place >= self.count {
            return None;
        }
        self.values.get(place).copied()
    }

    /// Fails unless there are between so many and so many.
    pub(crate) fn expect(&self, required: usize, most: usize) -> Result<(), OperationError> {
        if (required..=most).contains(&self.count) {
            return Ok(());
        }
        Err(malformed(&format!(
            "operation {} has {} arguments instead of {required} to {most}",
            self.number, self.count
        )))
    }

    /// A required signed integer.
    pub(crate) fn integer(&self, place: usize) -> Result<i64, OperationError> {
        self.get(place)
            .and_then(element::integer)
            .ok_or_else(|| self.wrong(place, "an integer"))
    }

    /// A signed integer that may be absent.
    pub(crate) fn optional_integer(&self, place: usize) -> Result<Option<i64>, OperationError> {
        match self.get(place) {
            Some(_) => self.integer(place).map(Some),
            None => Ok(None),
        }
    }

    /// An unsigned integer that may be absent.
    pub(crate) fn optional_unsigned(&self, place: usize) -> Result<Option<u64>, OperationError> {
        Ok(self.optional_integer(place)?.map(i64::cast_unsigned))
    }

    /// The error of an argument that is not what is expected.
    pub(crate) fn wrong(&self, place: usize, expected: &str) -> OperationError {
        malformed(&format!(
            "argument {} of operation {} is not {expected}",
            place + 1,
            self.number
        ))
    }
}

/// The number at the front of a payload, what follows it, and how many values that should be.
fn head(bytes: &[u8]) -> Result<(i64, &[u8], usize), OperationError> {
    let mut reader = Reader::new(bytes);
    let count = match reader.token() {
        Ok(Token::List(count)) => count,
        Ok(_) => return Err(malformed("the payload is no list")),
        Err(_) => return Err(truncated()),
    };
    let Some(count) = count.checked_sub(1) else {
        return Err(malformed("the payload is an empty list"));
    };
    match reader.token() {
        Ok(Token::Integer(number)) => Ok((number, reader.rest(), count)),
        _ => Err(malformed(
            "the payload does not begin with an operation's number",
        )),
    }
}

/// What follows the first value.
fn after<'a>(bytes: &'a [u8], first: &[u8]) -> &'a [u8] {
    bytes.within(first.len()..)
}

fn truncated() -> OperationError {
    malformed("the payload ends inside a value")
}

pub(crate) fn malformed(cause: &str) -> OperationError {
    OperationError::new(ResultCode::PARAMETER, cause)
}
