//! Tables of gauges: what a report says of the moment, in the order of the reference.

use std::fmt::{self, Display};

use protocol::bounds::Fit as _;

use super::fields::Fields;

/// A row of a table. `Say` is the function that takes what the table is about and gives a value.
pub(super) enum Gauge<Say> {
    /// Gauges of features that are not here, or of things that never happen here: always this value.
    Fixed(&'static str, &'static [&'static str]),
    /// A name, and what it says now.
    Says(&'static str, Say),
}

/// What a gauge says.
pub(super) enum Said {
    Number(u64),
    Flag(bool),
    Text(String),
    /// It does not apply, and its name is not there either.
    Nothing,
}

impl Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::Text(text) => text.fmt(f),
            Self::Nothing => Ok(()),
        }
    }
}

impl From<u64> for Said {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Said {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<usize> for Said {
    fn from(number: usize) -> Self {
        Self::Number(number.fit())
    }
}

impl From<bool> for Said {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// Writes the gauges of a table; `ask` has each function say its value.
pub(super) fn put<Say>(
    table: &[Gauge<Say>],
    fields: &mut Fields<'_>,
    mut ask: impl FnMut(&Say) -> Said,
) {
    for gauge in table {
        match gauge {
            Gauge::Fixed(value, names) => {
                for name in *names {
                    fields.put(name, value);
                }
            }
            Gauge::Says(name, say) => match ask(say) {
                Said::Nothing => {}
                said => fields.put(name, said),
            },
        }
    }
}
