use protocol::msgpack::{Reader, Token};
use protocol::result_code::ResultCode;

use super::MAX_BYTES;
use crate::operation::arguments::{Arguments, malformed};
use crate::operation::{Applied, OperationError};

/// What is done to a region of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Resize,
    Insert,
    Remove,
    Set,
    Or,
    Xor,
    And,
    Not,
    LeftShift,
    RightShift,
    Add,
    Subtract,
    SetInteger,
    Get,
    Count,
    LeftScan,
    RightScan,
    GetInteger,
}

/// The kinds of arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ArgumentKind {
    ByteOffset,
    BitOffset,
    ByteSize,
    /// May be 0.
    NewSize,
    BitSize,
    IntegerSize,
    Buffer,
    Shift,
    Value,
    Truth,
}

use Action as A;
use ArgumentKind as K;

type Row = (i64, Action, &'static [ArgumentKind], u64, Option<u64>);

/// Number, what it does, its arguments, its flags, its sub-flags.
///
/// Modify operations may leave out flags and sub-flags; reading ones have no flags.
const TABLE: &[Row] = &[
    (0, A::Resize, &[K::NewSize], 7, Some(7)),
    (1, A::Insert, &[K::ByteOffset, K::Buffer], 7, None),
    (2, A::Remove, &[K::ByteOffset, K::ByteSize], 14, None),
    (3, A::Set, &[K::BitOffset, K::BitSize, K::Buffer], 14, None),
    (4, A::Or, &[K::BitOffset, K::BitSize, K::Buffer], 14, None),
    (5, A::Xor, &[K::BitOffset, K::BitSize, K::Buffer], 14, None),
    (6, A::And, &[K::BitOffset, K::BitSize, K::Buffer], 14, None),
    (7, A::Not, &[K::BitOffset, K::BitSize], 14, None),
    (
        8,
        A::LeftShift,
        &[K::BitOffset, K::BitSize, K::Shift],
        14,
        None,
    ),
    (
        9,
        A::RightShift,
        &[K::BitOffset, K::BitSize, K::Shift],
        14,
        None,
    ),
    (
        10,
        A::Add,
        &[K::BitOffset, K::IntegerSize, K::Value],
        6,
        Some(7),
    ),
    (
        11,
        A::Subtract,
        &[K::BitOffset, K::IntegerSize, K::Value],
        6,
        Some(7),
    ),
    (
        12,
        A::SetInteger,
        &[K::BitOffset, K::IntegerSize, K::Value],
        6,
        None,
    ),
    (50, A::Get, &[K::BitOffset, K::BitSize], 0, None),
    (51, A::Count, &[K::BitOffset, K::BitSize], 0, None),
    (
        52,
        A::LeftScan,
        &[K::BitOffset, K::BitSize, K::Truth],
        0,
        None,
    ),
    (
        53,
        A::RightScan,
        &[K::BitOffset, K::BitSize, K::Truth],
        0,
        None,
    ),
    (
        54,
        A::GetInteger,
        &[K::BitOffset, K::IntegerSize],
        0,
        Some(1),
    ),
];

/// First number of the reading operations.
const FIRST_READ: i64 = 50;

/// A checked operation.
#[derive(Clone, Debug)]
pub(super) struct BitCall<'a> {
    pub(super) action: Action,
    /// In bits, or in bytes for insert and remove. Negative counts from the end.
    pub(super) offset: i64,
    /// In bits, or in bytes for resize and remove.
    pub(super) size: usize,
    /// Without its type byte.
    pub(super) buffer: &'a [u8],
    /// Value of the integer operations, or count of shifts.
    pub(super) value: i64,
    /// What scans look for.
    pub(super) truth: bool,
    pub(super) sub_flags: u64,
    flags: u64,
}

impl<'a> BitCall<'a> {
    pub(super) const CREATE_ONLY: u64 = 1;
    pub(super) const UPDATE_ONLY: u64 = 2;
    pub(super) const NO_FAIL: u64 = 4;
    pub(super) const PARTIAL: u64 = 8;

    /// Resize: at the front instead of the end.
    pub(super) const FROM_FRONT: u64 = 1;
    /// Resize: never to fewer bytes.
    pub(super) const GROW_ONLY: u64 = 2;
    /// Resize: never to more bytes.
    pub(super) const SHRINK_ONLY: u64 = 4;

    /// Integers: two's complement.
    pub(super) const SIGNED: u64 = 1;
    /// Integers: overflow stops at the largest or smallest.
    pub(super) const SATURATE: u64 = 2;
    /// Integers: overflow wraps.
    pub(super) const WRAP: u64 = 4;

    /// Checks the arguments, without a look at the bin.
    pub(super) fn check(arguments: &Arguments<'a>, write: bool) -> Result<Self, OperationError> {
        let number = arguments.number;
        let row = TABLE.iter().find(|row| row.0 == number);
        let Some(&(_, action, kinds, flags, sub_flags)) = row else {
            return Err(malformed(&format!("there is no bit operation {number}")));
        };
        if write == (number >= FIRST_READ) {
            return Err(malformed(&format!(
                "bit operation {number} stands in the wrong op: a read in a modify or the reverse"
            )));
        }
        let optional = usize::from(write) + usize::from(sub_flags.is_some());
        arguments.expect(kinds.len(), kinds.len() + optional)?;
        let mut call = Self {
            action,
            offset: 0,
            size: 0,
            buffer: &[],
            value: 0,
            truth: false,
            sub_flags: 0,
            flags: 0,
        };
        for (place, kind) in kinds.iter().enumerate() {
            call.take(arguments, place, *kind)?;
        }
        let mut place = kinds.len();
        if write {
            call.flags = Self::bits(arguments, place, flags)?;
            place += 1;
        }
        if let Some(allowed) = sub_flags {
            call.sub_flags = Self::bits(arguments, place, allowed)?;
        }
        if call.flags & 3 == 3 || call.sub_flags & 6 == 6 {
            return Err(malformed("flags that exclude each other"));
        }
        Ok(call)
    }

    fn bits(arguments: &Arguments<'_>, place: usize, allowed: u64) -> Result<u64, OperationError> {
        match arguments.optional_unsigned(place)? {
            Some(flags) if flags & !allowed != 0 => Err(arguments.wrong(place, "among its flags")),
            Some(flags) => Ok(flags),
            None => Ok(0),
        }
    }

    fn take(
        &mut self,
        arguments: &Arguments<'a>,
        place: usize,
        kind: ArgumentKind,
    ) -> Result<(), OperationError> {
        let within = |low: i64, high: i64| -> Result<i64, OperationError> {
            let number = arguments.integer(place)?;
            if (low..=high).contains(&number) {
                Ok(number)
            } else {
                Err(arguments.wrong(place, &format!("in {low} to {high}")))
            }
        };
        let size =
            |number: i64| usize::try_from(number).map_err(|_| arguments.wrong(place, "a size"));
        match kind {
            ArgumentKind::ByteOffset => self.offset = within(-MAX_BYTES, MAX_BYTES)?,
            ArgumentKind::BitOffset => self.offset = within(-MAX_BYTES * 8, MAX_BYTES * 8)?,
            ArgumentKind::ByteSize => self.size = size(within(1, MAX_BYTES)?)?,
            ArgumentKind::NewSize => self.size = size(within(0, MAX_BYTES)?)?,
            ArgumentKind::BitSize => self.size = size(within(1, MAX_BYTES * 8)?)?,
            ArgumentKind::IntegerSize => self.size = size(within(1, 64)?)?,
            ArgumentKind::Shift => self.value = within(0, MAX_BYTES * 8)?,
            ArgumentKind::Value => self.value = arguments.integer(place)?,
            ArgumentKind::Truth => {
                let token = arguments.get(place).map(|value| Reader::new(value).token());
                let Some(Ok(Token::Bool(truth))) = token else {
                    return Err(arguments.wrong(place, "a bool"));
                };
                self.truth = truth;
            }
            ArgumentKind::Buffer => {
                let token = arguments.get(place).map(|value| Reader::new(value).token());
                self.buffer = match token {
                    Some(Ok(Token::Text([_, content @ ..]))) if !content.is_empty() => content,
                    _ => return Err(arguments.wrong(place, "a blob with content")),
                };
                if self.size > self.buffer.len() * 8 {
                    return Err(arguments.wrong(place, "as long as the region"));
                }
            }
        }
        Ok(())
    }

    pub(super) fn has(&self, flag: u64) -> bool {
        self.flags & flag != 0
    }

    /// Whether the operation makes a missing bin.
    pub(super) fn creates(&self) -> bool {
        matches!(self.action, Action::Resize | Action::Insert)
    }

    /// The error, or no change where the request says that it may not fail.
    pub(super) fn forgive(&self, code: ResultCode, cause: &str) -> Result<Applied, OperationError> {
        if self.has(Self::NO_FAIL) {
            Ok(Applied::default())
        } else {
            Err(OperationError::new(code, cause))
        }
    }
}
