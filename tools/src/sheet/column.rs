//! Declared columns: label, source key, conversion, aggregate, formats.

use std::borrow::Cow;

use super::format::Rule;
use super::value::{Value, decimal, round};

/// How a column reads and writes its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convert {
    /// As it is, left.
    Text,
    /// As it is, right.
    RightText,
    /// Whole number; decimals are cut off.
    Integer,
    /// Decimal number in its shortest form.
    Decimal,
    /// `True` or `False`; every text except `false` (any case) is true.
    Boolean,
    /// Count with factor 1000: `2.293 K`, `0.000  `.
    Count,
    /// Bytes with factor 1024: `19.438 KB`, `0.000 B `.
    Bytes,
    /// A percentage: `90.0 %`.
    Percent,
    /// A share of one, shown as a percentage.
    Share,
    /// Seconds as `HH:MM:SS`.
    Seconds,
    /// Milliseconds as `HH:MM:SS`.
    Milliseconds,
}

impl Convert {
    /// True for what stands at the right of its cell.
    pub fn is_right(self) -> bool {
        !matches!(self, Self::Text | Self::Boolean)
    }

    /// The typed value of what a record holds. What cannot be read stays as it is.
    pub fn read(self, value: Value) -> Value {
        match (self, value) {
            (Self::Text | Self::RightText, value) => value,
            (Self::Boolean, Value::Text(text)) => {
                Value::Boolean(!text.eq_ignore_ascii_case("false"))
            }
            (Self::Decimal | Self::Share, Value::Text(text)) => read_number(text),
            (Self::Decimal | Self::Share, value) => value,
            (Self::Integer, Value::Decimal(number)) => whole(number),
            (_, Value::Text(text)) => read_integer(text),
            (_, value) => value,
        }
    }

    /// The text of a typed value.
    pub fn write(self, value: &Value) -> String {
        match (value, self) {
            (Value::Missing, _) => "--".to_owned(),
            (Value::Error, _) => "~~".to_owned(),
            (Value::Boolean(true), _) => "True".to_owned(),
            (Value::Boolean(false), _) => "False".to_owned(),
            (Value::Text(text) | Value::Shown(_, text), _) => text.clone(),
            (Value::Node(text, marker), _) => format!("{}{text}", marker.prefix()),
            (Value::List(items), _) if items.is_empty() => "--".to_owned(),
            (Value::List(items), _) => items.join(","),
            (Value::Integers(items), _) if items.is_empty() => "--".to_owned(),
            (Value::Integers(items), _) => {
                let items: Vec<_> = items.iter().map(ToString::to_string).collect();
                items.join(",")
            }
            (Value::Integer(number), Self::Text | Self::RightText | Self::Integer) => {
                number.to_string()
            }
            (
                Value::Decimal(number),
                Self::Text | Self::RightText | Self::Integer | Self::Decimal,
            ) => decimal(*number),
            (Value::Integer(_) | Value::Decimal(_), _) => {
                self.write_number(value.number().unwrap_or(0.0))
            }
        }
    }

    fn write_number(self, number: f64) -> String {
        match self {
            Self::Count => scaled(number, 1000.0, &["  ", " K", " M", " G", " T", " P"]),
            Self::Bytes => bytes(number),
            Self::Percent => percent(number),
            Self::Share => percent(number * 100.0),
            Self::Seconds => duration(number),
            Self::Milliseconds => duration(number / 1000.0),
            _ => decimal(number),
        }
    }
}

/// What servers send is a whole number in almost all columns; decimals are cut off.
fn read_integer(text: String) -> Value {
    match read_number(text) {
        Value::Decimal(number) => whole(number),
        value => value,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the cast saturates, and decimals are cut off on purpose"
)]
fn whole(number: f64) -> Value {
    Value::Integer(number as i128)
}

/// A number if the text is one; else the text.
pub fn read_number(text: String) -> Value {
    if let Ok(number) = text.parse() {
        return Value::Integer(number);
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Value::Decimal(number),
        _ => Value::Text(text),
    }
}

fn scaled(number: f64, factor: f64, units: &[&str]) -> String {
    let (mut number, mut unit) = (number, 0);
    while number.abs() >= factor && unit + 1 < units.len() {
        number /= factor;
        unit += 1;
    }
    format!(
        "{number:.3}{}",
        units.get(unit).copied().unwrap_or_default()
    )
}

/// Bytes in the largest unit that leaves at least one.
pub fn bytes(number: f64) -> String {
    scaled(number, 1024.0, &[" B ", " KB", " MB", " GB", " TB", " PB"])
}

/// A percentage, rounded to two decimals.
pub fn percent(number: f64) -> String {
    format!("{} %", decimal(round(number, 2)))
}

fn duration(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates; negative durations show as none"
    )]
    let seconds = seconds.max(0.0) as u64;
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// What stands below a column at the end of each group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// The sum.
    Sum,
    /// The sum, rounded to two decimals.
    RoundedSum,
    /// The average of a share, weighted with what the records hold under a key; 0 if the weights are.
    Average(&'static str),
    /// The same, rounded to two decimals.
    RoundedAverage(&'static str),
    /// `--`: the reference declares one here and never has a value for it.
    Unknown,
}

/// One declared column.
#[derive(Debug, Clone)]
pub struct Column {
    /// The heading.
    pub title: Cow<'static, str>,
    /// Keys of the record; the first that has an entry counts.
    pub keys: Vec<Cow<'static, str>>,
    /// Reading and writing.
    pub convert: Convert,
    /// What stands below.
    pub aggregate: Option<Aggregate>,
    /// Formats; the first that applies wins.
    pub rules: &'static [Rule],
}

impl Column {
    /// A column of one key.
    pub fn new(
        title: impl Into<Cow<'static, str>>,
        key: impl Into<Cow<'static, str>>,
        convert: Convert,
    ) -> Self {
        Self {
            title: title.into(),
            keys: vec![key.into()],
            convert,
            aggregate: None,
            rules: &[],
        }
    }

    /// Another key, for servers that have the value under another name.
    #[must_use]
    pub fn or(mut self, key: &'static str) -> Self {
        self.keys.push(key.into());
        self
    }

    /// With the sum below.
    #[must_use]
    pub fn sum(self) -> Self {
        self.below(Aggregate::Sum)
    }

    /// With an aggregate below.
    #[must_use]
    pub fn below(mut self, aggregate: Aggregate) -> Self {
        self.aggregate = Some(aggregate);
        self
    }

    /// With formats.
    #[must_use]
    pub fn rules(mut self, rules: &'static [Rule]) -> Self {
        self.rules = rules;
        self
    }
}

/// Columns that come from the data: every key of the records that no declared column uses, sorted by code point.
#[derive(Debug, Clone, Copy)]
pub struct Dynamic {
    /// The conversion for a key; `None`: by what the values are.
    pub convert: fn(&str) -> Option<Convert>,
    /// True: numbers have their sum below (in row style: at the end of the line).
    pub total: bool,
}

/// One entry of a sheet's declaration.
#[derive(Debug, Clone)]
pub enum Field {
    /// A column.
    Column(Column),
    /// Columns under a common title.
    Group(Cow<'static, str>, Vec<Column>),
    /// Columns that come from the data.
    Dynamic(Dynamic),
}

impl From<Column> for Field {
    fn from(column: Column) -> Self {
        Self::Column(column)
    }
}

/// A text column.
pub fn text(title: &'static str, key: &'static str) -> Column {
    Column::new(title, key, Convert::Text)
}

/// A text column at the right.
pub fn right(title: &'static str, key: &'static str) -> Column {
    Column::new(title, key, Convert::RightText)
}

/// A column of whole numbers.
pub fn integer(title: &'static str, key: &'static str) -> Column {
    Column::new(title, key, Convert::Integer)
}

/// A column of truth values.
pub fn boolean(title: &'static str, key: &'static str) -> Column {
    Column::new(title, key, Convert::Boolean)
}

/// A column of counts.
pub fn count(title: &'static str, key: &'static str) -> Column {
    Column::new(title, key, Convert::Count)
}

/// A column of byte counts.
pub fn byte_count(title: &'static str, key: &'static str) -> Column {
    Column::new(title, key, Convert::Bytes)
}

/// A column of percentages.
pub fn percentage(title: &'static str, key: &'static str) -> Column {
    Column::new(title, key, Convert::Percent)
}

/// A column of shares of one.
pub fn share(title: &'static str, key: &'static str) -> Column {
    Column::new(title, key, Convert::Share)
}

/// A column of durations in seconds.
pub fn seconds(title: &'static str, key: &'static str) -> Column {
    Column::new(title, key, Convert::Seconds)
}

/// Columns under a common title.
pub fn group(title: &'static str, columns: Vec<Column>) -> Field {
    Field::Group(title.into(), columns)
}

/// The column of node names; the key is [`super::NODE`].
pub fn node() -> Column {
    text("Node", super::NODE)
}
