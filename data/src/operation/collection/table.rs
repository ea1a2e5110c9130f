//! Every operation on lists and maps: its number, its name, its arguments.

use super::super::arguments::{Arguments, malformed};
use crate::operation::{OperationError, element};

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArgumentKind {
    /// Index or rank: any integer.
    Index,
    /// Number of elements, unsigned.
    Count,
    /// Flags or order.
    Flags,
    /// Return type.
    Return,
    /// A value to compare with.
    Value,
    /// A value to store: holds neither wildcard nor infinity.
    Stored,
    /// A list of values to compare with.
    Values,
    /// A list of values to store.
    Items,
    /// A map to store.
    Pairs,
}

/// What makes a bin, and what an operation that does not answers where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Makes the bin.
    Created,
    /// Nothing happens.
    Nothing,
    /// An error for an element that is not there.
    NoElement,
    /// Nothing happens where a path would have to be made; an error where there is no bin at all.
    WrongType,
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) number: i64,
    pub(super) name: &'static str,
    pub(super) write: bool,
    pub(super) missing: Missing,
    kinds: &'static [ArgumentKind],
    required: usize,
}

impl Row {
    /// Whether it is about maps; else it is about lists.
    pub(super) fn is_map(&self) -> bool {
        is_map(self.number)
    }

    /// Checks number and kinds of the arguments. Operations without arguments do not look at any.
    pub(super) fn check(&self, arguments: &Arguments<'_>) -> Result<(), OperationError> {
        if self.kinds.is_empty() {
            return Ok(());
        }
        arguments.expect(self.required, self.kinds.len())?;
        for (place, kind) in self.kinds.iter().enumerate() {
            let Some(value) = arguments.get(place) else {
                break;
            };
            let (right, expected) = match kind {
                ArgumentKind::Index
                | ArgumentKind::Count
                | ArgumentKind::Flags
                | ArgumentKind::Return => (element::integer(value).is_some(), "an integer"),
                ArgumentKind::Value => (true, ""),
                ArgumentKind::Stored => {
                    (!element::has_special(value), "a value that can be stored")
                }
                ArgumentKind::Values => (element::is_list(value), "a list"),
                ArgumentKind::Items => (
                    element::is_list(value) && !element::has_special(value),
                    "a list that can be stored",
                ),
                ArgumentKind::Pairs => (
                    element::is_map(value) && !element::has_special(value),
                    "a map that can be stored",
                ),
            };
            if !right {
                return Err(malformed(&format!(
                    "argument {} of {} is not {expected}",
                    place + 1,
                    self.name
                )));
            }
        }
        Ok(())
    }
}

/// Whether a number is that of a map operation, known or not.
pub(super) fn is_map(number: i64) -> bool {
    number >= 64
}

/// The operation with this number.
pub(super) fn row(number: i64) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.number == number)
}

macro_rules! table {
    ($($number:literal $name:literal $write:ident $missing:ident [$($kind:ident)*] [$($optional:ident)*],)*) => {
        const TABLE: &[Row] = &[$(Row {
            number: $number,
            name: $name,
            write: table!(@$write),
            missing: Missing::$missing,
            kinds: &[$(ArgumentKind::$kind,)* $(ArgumentKind::$optional,)*],
            required: <[ArgumentKind]>::len(&[$(ArgumentKind::$kind,)*]),
        },)*];
    };
    (@modify) => { true };
    (@read) => { false };
}

table! {
    0 "list set-type" modify Created [Flags] [],
    1 "list append" modify Created [Stored] [Flags Flags],
    2 "list append-items" modify Created [Items] [Flags Flags],
    3 "list insert" modify Created [Index Stored] [Flags],
    4 "list insert-items" modify Created [Index Items] [Flags],
    5 "list pop" modify Nothing [Index] [],
    6 "list pop-range" modify Nothing [Index] [Count],
    7 "list remove" modify Nothing [Index] [],
    8 "list remove-range" modify Nothing [Index] [Count],
    9 "list set" modify Created [Index Stored] [Flags],
    10 "list trim" modify Nothing [Index Count] [],
    11 "list clear" modify Nothing [] [],
    12 "list increment" modify Created [Index] [Value Flags Flags],
    13 "list sort" modify WrongType [] [Flags],
    16 "list size" read Nothing [] [],
    17 "list get" read Nothing [Index] [],
    18 "list get-range" read Nothing [Index] [Count],
    19 "list get-by-index" read Nothing [Return Index] [],
    20 "list get-by-value" read Nothing [Return Value] [],
    21 "list get-by-rank" read Nothing [Return Index] [],
    22 "list get-all-by-value" read Nothing [Return Value] [],
    23 "list get-all-by-value-list" read Nothing [Return Values] [],
    24 "list get-by-index-range" read Nothing [Return Index] [Count],
    25 "list get-by-value-interval" read Nothing [Return Value] [Value],
    26 "list get-by-rank-range" read Nothing [Return Index] [Count],
    27 "list get-by-value-rel-rank-range" read Nothing [Return Value Index] [Count],
    32 "list remove-by-index" modify Nothing [Return Index] [],
    33 "list remove-by-value" modify Nothing [Return Value] [],
    34 "list remove-by-rank" modify Nothing [Return Index] [],
    35 "list remove-all-by-value" modify Nothing [Return Value] [],
    36 "list remove-all-by-value-list" modify Nothing [Return Values] [],
    37 "list remove-by-index-range" modify Nothing [Return Index] [Count],
    38 "list remove-by-value-interval" modify Nothing [Return Value] [Value],
    39 "list remove-by-rank-range" modify Nothing [Return Index] [Count],
    40 "list remove-by-value-rel-rank-range" modify Nothing [Return Value Index] [Count],
    64 "map set-type" modify Created [Flags] [],
    65 "map add" modify Created [Stored Stored] [Flags],
    66 "map add-items" modify Created [Pairs] [Flags],
    67 "map put" modify Created [Stored Stored] [Flags Flags],
    68 "map put-items" modify Created [Pairs] [Flags Flags],
    69 "map replace" modify NoElement [Stored Stored] [],
    70 "map replace-items" modify NoElement [Pairs] [],
    73 "map increment" modify Created [Value] [Value Flags],
    74 "map decrement" modify Created [Value] [Value Flags],
    75 "map clear" modify Nothing [] [],
    76 "map remove-by-key" modify Nothing [Return Value] [],
    77 "map remove-by-index" modify Nothing [Return Index] [],
    78 "map remove-by-value" modify Nothing [Return Value] [],
    79 "map remove-by-rank" modify Nothing [Return Index] [],
    81 "map remove-by-key-list" modify Nothing [Return Values] [],
    82 "map remove-all-by-value" modify Nothing [Return Value] [],
    83 "map remove-by-value-list" modify Nothing [Return Values] [],
    84 "map remove-by-key-interval" modify Nothing [Return Value] [Value],
    85 "map remove-by-index-range" modify Nothing [Return Index] [Count],
    86 "map remove-by-value-interval" modify Nothing [Return Value] [Value],
    87 "map remove-by-rank-range" modify Nothing [Return Index] [Count],
    88 "map remove-by-key-rel-index-range" modify Nothing [Return Value Index] [Count],
    89 "map remove-by-value-rel-rank-range" modify Nothing [Return Value Index] [Count],
    96 "map size" read Nothing [] [],
    97 "map get-by-key" read Nothing [Return Value] [],
    98 "map get-by-index" read Nothing [Return Index] [],
    99 "map get-by-value" read Nothing [Return Value] [],
    100 "map get-by-rank" read Nothing [Return Index] [],
    102 "map get-all-by-value" read Nothing [Return Value] [],
    103 "map get-by-key-interval" read Nothing [Return Value] [Value],
    104 "map get-by-index-range" read Nothing [Return Index] [Count],
    105 "map get-by-value-interval" read Nothing [Return Value] [Value],
    106 "map get-by-rank-range" read Nothing [Return Index] [Count],
    107 "map get-by-key-list" read Nothing [Return Values] [],
    108 "map get-by-value-list" read Nothing [Return Values] [],
    109 "map get-by-key-rel-index-range" read Nothing [Return Value Index] [Count],
    110 "map get-by-value-rel-rank-range" read Nothing [Return Value Index] [Count],
}
