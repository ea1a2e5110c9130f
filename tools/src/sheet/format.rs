//! Formats of cells: names in JSON, colours on a terminal.

use super::Record;
use super::value::{Marker, Value};

/// A named format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Something is wrong.
    RedAlert,
    /// Something needs attention.
    YellowAlert,
    /// Something is good, or the principal.
    GreenAlert,
    /// Emphasis.
    Bold,
    /// The node that was reached first.
    BoldCyanAlert,
}

impl Format {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::RedAlert => "red-alert",
            Self::YellowAlert => "yellow-alert",
            Self::GreenAlert => "green-alert",
            Self::Bold => "bold",
            Self::BoldCyanAlert => "bold-cyan-alert",
        }
    }

    /// The colour codes, as they stand between `ESC[` and `m`.
    pub fn codes(self) -> &'static str {
        match self {
            Self::RedAlert => "31;91",
            Self::YellowAlert => "33;93",
            Self::GreenAlert => "32;92",
            Self::Bold => "1",
            Self::BoldCyanAlert => "1;36;96",
        }
    }
}

/// A format and when it applies: to the column's typed value and the whole record.
#[derive(Debug, Clone, Copy)]
pub struct Rule(pub Format, pub fn(&Value, &Record) -> bool);

/// The format of a cell: its node marker, else the first rule that applies. Cells without a value have none.
pub(super) fn of(value: &Value, record: &Record, rules: &[Rule]) -> Option<Format> {
    match value {
        Value::Missing | Value::Error => return None,
        Value::Node(_, Marker::Principal) => return Some(Format::GreenAlert),
        Value::Node(_, Marker::This) => return Some(Format::BoldCyanAlert),
        _ => {}
    }
    rules
        .iter()
        .find(|Rule(_, applies)| applies(value, record))
        .map(|Rule(format, _)| *format)
}
