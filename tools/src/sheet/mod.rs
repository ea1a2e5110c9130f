//! Sheets: tables as values, not yet text.
//!
//! A view fills [`Record`]s with what the nodes answered, mostly still as text, and declares the columns; [`resolve`]
//! types the values, groups and orders the records, and adds aggregates. [`crate::render`] writes the result.

mod column;
mod format;
mod table;
mod value;

use std::borrow::Cow;
use std::collections::BTreeMap;

pub use column::{
    Aggregate, Column, Convert, Dynamic, Field, boolean, byte_count, bytes, count, group, integer,
    node, percent, percentage, read_number, right, seconds, share, text,
};
pub use format::{Format, Rule};
pub use table::{Cell, Leaf, Table, TableGroup, resolve};
pub use value::{Marker, Value, decimal, round};

/// The key of a record's node name. Keys that start with a blank never come from a server.
pub const NODE: &str = " node";

/// A key that keeps a sheet of dynamic fields although no field is left.
pub const KEEP: &str = " keep";

/// One record: values by key. A key that is absent is [`Value::Missing`].
#[derive(Debug, Clone, Default)]
pub struct Record {
    values: BTreeMap<Cow<'static, str>, Value>,
}

impl Record {
    /// Put a value.
    pub fn set(&mut self, key: impl Into<Cow<'static, str>>, value: Value) {
        self.values.insert(key.into(), value);
    }

    /// The same record with one more value.
    #[must_use]
    pub fn with(mut self, key: impl Into<Cow<'static, str>>, value: Value) -> Self {
        self.set(key, value);
        self
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> &Value {
        self.values.get(key).unwrap_or(&Value::Missing)
    }

    /// The number under a key.
    pub fn number(&self, key: &str) -> Option<f64> {
        self.get(key).number()
    }

    /// The text under a key; `None` if there is none.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Value::Text(text) | Value::Node(text, _) => Some(text),
            _ => None,
        }
    }

    /// The number under the first key that has one.
    pub fn first_number(&self, keys: &[&str]) -> Option<f64> {
        keys.iter().find_map(|key| self.number(key))
    }

    /// All keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(AsRef::as_ref)
    }

    /// Keep the keys that the test is true for, and those that no server has.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.values
            .retain(|key, _| key.starts_with(' ') || keep(key));
    }

    /// True if there is a key that comes from a server.
    pub fn has_fields(&self) -> bool {
        self.values.keys().any(|key| !key.starts_with(' '))
    }
}

/// How a sheet is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// One line per record.
    #[default]
    Columns,
    /// One line per field, one column per record.
    Rows,
}

/// A table: title, declared columns, records.
#[derive(Debug, Clone, Default)]
pub struct Sheet {
    /// The title, with the time if it has one.
    pub title: String,
    /// One or two sentences below the title.
    pub description: Option<String>,
    /// Lines or columns.
    pub layout: Layout,
    /// The columns.
    pub fields: Vec<Field>,
    /// Keys by which records are grouped; the groups stand in the order of their values.
    pub groups: Vec<&'static str>,
    /// Keys by which the records of a group are ordered.
    pub order: Vec<&'static str>,
    /// True: the aggregate line repeats the group's values.
    pub repeat_groups: bool,
    /// True: over a table that is several terminals wide the title stands several times.
    pub repeat_title: bool,
    /// The data.
    pub records: Vec<Record>,
}

impl Sheet {
    /// An empty sheet in column style, ordered by node name.
    pub fn new(title: impl Into<String>, fields: Vec<Field>) -> Self {
        Self {
            title: title.into(),
            fields,
            order: vec![NODE],
            repeat_groups: true,
            ..Self::default()
        }
    }

    /// Grouped by these keys.
    #[must_use]
    pub fn grouped(mut self, groups: &[&'static str]) -> Self {
        self.groups = groups.to_vec();
        self
    }

    /// Ordered by these keys.
    #[must_use]
    pub fn ordered(mut self, order: &[&'static str]) -> Self {
        self.order = order.to_vec();
        self
    }

    /// With these records.
    #[must_use]
    pub fn records(mut self, records: Vec<Record>) -> Self {
        self.records = records;
        self
    }
}
