//! Tables as JSON objects.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::sheet::{Cell, Leaf, Table, TableGroup, Value};

/// A table: title, groups of records and, if there is one, the description.
impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("title", &self.title)?;
        let groups: Vec<_> = self
            .groups
            .iter()
            .map(|group| Group {
                leaves: &self.leaves,
                group,
            })
            .collect();
        object.serialize_entry("groups", &groups)?;
        if let Some(text) = &self.description {
            object.serialize_entry("description", text)?;
        }
        object.end()
    }
}

struct Group<'a> {
    leaves: &'a [Leaf],
    group: &'a TableGroup,
}

impl Serialize for Group<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        let rows = self.group.rows.iter();
        let records: Vec<_> = rows
            .map(|row| record(self.leaves, row.iter().map(Some)))
            .collect();
        object.serialize_entry("records", &records)?;
        if let Some(cells) = &self.group.aggregates {
            let aggregates = record(self.leaves, cells.iter().map(Option::as_ref));
            object.serialize_entry("aggregates", &aggregates)?;
        }
        object.end()
    }
}

/// The members of a record: a cell, or cells under a common title.
struct Members<'a>(Vec<(&'a str, Member<'a>)>);

enum Member<'a> {
    Cell(&'a Cell),
    Group(Members<'a>),
}

fn record<'a>(leaves: &'a [Leaf], cells: impl Iterator<Item = Option<&'a Cell>>) -> Members<'a> {
    let mut members: Vec<(&str, Member<'_>)> = Vec::new();
    for (leaf, cell) in leaves.iter().zip(cells) {
        let Some(cell) = cell else { continue };
        let entry = (leaf.title.as_str(), Member::Cell(cell));
        let Some(group) = leaf.group.as_deref() else {
            members.push(entry);
            continue;
        };
        match members.last_mut() {
            Some((name, Member::Group(inner))) if *name == group => inner.0.push(entry),
            _ => members.push((group, Member::Group(Members(vec![entry])))),
        }
    }
    Members(members)
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        for (name, member) in &self.0 {
            match member {
                Member::Cell(cell) => object.serialize_entry(name, cell)?,
                Member::Group(members) => object.serialize_entry(name, members)?,
            }
        }
        object.end()
    }
}

/// A cell: its value, its text and, if it has one, its format.
impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("raw", &self.raw)?;
        object.serialize_entry("converted", self.text.trim())?;
        if let Some(format) = self.format {
            object.serialize_entry("format", format.name())?;
        }
        object.end()
    }
}

/// A value as it is before it is written. Where there is none, a word says so.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Shown(value, _) => value.serialize(serializer),
            Self::Missing => serializer.serialize_str("null"),
            Self::Error => serializer.serialize_str("error"),
            Self::Integer(number) => serializer.serialize_i128(*number),
            Self::Decimal(number) if number.is_finite() => serializer.serialize_f64(*number),
            // JSON has no form for a sum that overflowed.
            Self::Decimal(number) => serializer.serialize_str(&number.to_string()),
            Self::Boolean(truth) => serializer.serialize_bool(*truth),
            Self::Text(text) | Self::Node(text, _) => serializer.serialize_str(text),
            Self::Integers(items) => items.serialize(serializer),
            Self::List(items) => items.serialize(serializer),
        }
    }
}
