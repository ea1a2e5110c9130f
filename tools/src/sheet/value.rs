//! Values of a record, before and after a column has given them a type.

use std::cmp::Ordering;

/// Where a node stands in the cluster, as a prefix of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// No prefix.
    None,
    /// `*`, green: the expected principal.
    Principal,
    /// `@`, bold cyan: the node that was reached first.
    This,
}

impl Marker {
    /// The prefix.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Principal => "*",
            Self::This => "@",
        }
    }
}

/// One value of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No entry: the key is absent or the node was not reached. Shown as `--`.
    Missing,
    /// The command that would have given it failed on that node. Shown as `~~`.
    Error,
    /// A whole number; wide enough for unsigned 64-bit transaction ids.
    Integer(i128),
    /// A decimal number.
    Decimal(f64),
    /// A truth value.
    Boolean(bool),
    /// Text, or a value of info text that no column has typed yet.
    Text(String),
    /// A list; an empty one is shown as `--` but counts as an entry.
    List(Vec<String>),
    /// Several whole numbers.
    Integers(Vec<i128>),
    /// A value with a text of its own, for columns whose cells are written in different ways.
    Shown(Box<Value>, String),
    /// A node's name or id with its marker. The marker belongs neither to the sort key nor to the raw value.
    Node(String, Marker),
}

impl Value {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A value with a text of its own.
    pub fn shown(value: Self, text: impl Into<String>) -> Self {
        Self::Shown(Box::new(value), text.into())
    }

    /// The value, or [`Value::Missing`].
    pub fn or_missing(value: Option<Self>) -> Self {
        value.unwrap_or(Self::Missing)
    }

    /// The number in it: numbers as they are, text that reads as a number.
    pub fn number(&self) -> Option<f64> {
        match self {
            #[expect(
                clippy::cast_precision_loss,
                reason = "counters; shown with three decimals at most"
            )]
            Self::Integer(number) => Some(*number as f64),
            Self::Decimal(number) => Some(*number),
            Self::Text(text) => text
                .trim()
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite()),
            _ => None,
        }
    }

    /// False only for [`Value::Missing`].
    pub fn is_entry(&self) -> bool {
        *self != Self::Missing
    }

    /// The order of rows and groups: no entry and errors first, then numbers, then text by code point.
    pub fn order(&self, other: &Self) -> Ordering {
        fn rank(value: &Value) -> u8 {
            match value {
                Value::Shown(value, _) => rank(value),
                Value::Missing => 0,
                Value::Error => 1,
                Value::Boolean(_) => 2,
                Value::Integer(_) | Value::Decimal(_) => 3,
                Value::Text(_) | Value::List(_) | Value::Integers(_) | Value::Node(..) => 4,
            }
        }
        fn words(value: &Value) -> &[String] {
            match value {
                Value::Shown(value, _) => words(value),
                Value::Text(text) | Value::Node(text, _) => std::slice::from_ref(text),
                Value::List(items) => items,
                _ => &[],
            }
        }
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (a, b) if rank(a) == 3 && rank(b) == 3 => {
                let (a, b) = (a.number().unwrap_or(0.0), b.number().unwrap_or(0.0));
                a.total_cmp(&b)
            }
            (a, b) => rank(a).cmp(&rank(b)).then_with(|| words(a).cmp(words(b))),
        }
    }
}

/// A decimal in its shortest form that reads back equal, with at least one decimal; very small and very large ones with
/// an exponent (`3.7e-05`).
pub fn decimal(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent
            .strip_prefix('-')
            .map_or(('+', exponent), |rest| ('-', rest));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let text = number.to_string();
    if text.contains('.') || !number.is_finite() {
        text
    } else {
        text + ".0"
    }
}

/// Rounded to a number of decimals.
pub fn round(number: f64, decimals: usize) -> f64 {
    format!("{number:.decimals$}").parse().unwrap_or(number)
}
