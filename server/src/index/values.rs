//! The values that a record has by an index.

/// Values in order, each once. One is nearly always all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Values {
    /// The record has no entry.
    #[default]
    None,
    /// It has one.
    One(u64),
    /// It has these.
    Several(Vec<u64>),
}

impl Values {
    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[u64] {
        match self {
            Self::None => &[],
            Self::One(value) => std::slice::from_ref(value),
            Self::Several(values) => values,
        }
    }

    /// Adds one, out of order.
    pub(super) fn push(&mut self, value: u64) {
        match self {
            Self::None => *self = Self::One(value),
            Self::One(first) => *self = Self::Several(vec![*first, value]),
            Self::Several(values) => values.push(value),
        }
    }

    /// Brings what was added in order.
    pub(super) fn in_order(mut self) -> Self {
        if let Self::Several(values) = &mut self {
            values.sort_unstable();
            values.dedup();
            if let [only] = values[..] {
                return Self::One(only);
            }
        }
        self
    }
}
