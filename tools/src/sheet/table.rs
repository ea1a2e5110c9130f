//! From a sheet to a table: dynamic columns named, values typed, records grouped and ordered, aggregates computed.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};

use super::column::{Aggregate, Column, Convert, Dynamic, Field, read_number};
use super::format::{self, Format};
use super::value::{Value, round};
use super::{Layout, Record, Sheet};

/// One cell.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The typed value.
    pub raw: Value,
    /// Its text; blanks at the end belong to it.
    pub text: String,
    /// Its format.
    pub format: Option<Format>,
}

/// One visible column.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// The heading.
    pub title: String,
    /// The common title with its neighbours.
    pub group: Option<String>,
    /// Cells stand at the right.
    pub right: bool,
    /// The records are grouped by it.
    pub is_group_key: bool,
    /// It has an aggregate.
    pub has_aggregate: bool,
}

/// The records of one group.
#[derive(Debug, Clone)]
pub struct TableGroup {
    /// Cells by record and column.
    pub rows: Vec<Vec<Cell>>,
    /// The aggregate line by column; `None` if the sheet has no aggregates.
    pub aggregates: Option<Vec<Option<Cell>>>,
}

/// A table ready to be written.
#[derive(Debug, Clone)]
pub struct Table {
    /// The title.
    pub title: String,
    /// The sentence below the title.
    pub description: Option<String>,
    /// Lines or columns.
    pub layout: Layout,
    /// Repeat the title over a wide table.
    pub repeat_title: bool,
    /// The visible columns.
    pub leaves: Vec<Leaf>,
    /// The groups; one if the sheet has no groups.
    pub groups: Vec<TableGroup>,
    /// Number of records.
    pub records: usize,
}

/// A column with its typed values, one for each record.
struct Typed {
    column: Column,
    group: Option<Cow<'static, str>>,
    values: Vec<Value>,
}

/// The table of a sheet; `None` if there is nothing to show: no record, or no field from the data although the sheet is
/// made of them.
pub fn resolve(sheet: &Sheet) -> Option<Table> {
    if sheet.records.is_empty() {
        return None;
    }
    let mut columns = typed_columns(sheet)?;
    columns.retain(|typed| typed.values.iter().any(Value::is_entry));
    let groups = grouped(sheet)
        .into_iter()
        .map(|members| TableGroup {
            rows: members
                .iter()
                .map(|index| row(sheet, &columns, *index))
                .collect(),
            aggregates: aggregates(sheet, &columns, &members),
        })
        .collect();
    Some(Table {
        title: sheet.title.clone(),
        description: sheet.description.clone(),
        layout: sheet.layout,
        repeat_title: sheet.repeat_title,
        leaves: columns
            .iter()
            .map(|typed| Leaf {
                title: typed.column.title.to_string(),
                group: typed.group.as_ref().map(ToString::to_string),
                right: typed.column.convert.is_right(),
                is_group_key: is_group_key(sheet, &typed.column),
                has_aggregate: typed.column.aggregate.is_some(),
            })
            .collect(),
        groups,
        records: sheet.records.len(),
    })
}

fn is_group_key(sheet: &Sheet, column: &Column) -> bool {
    column
        .keys
        .iter()
        .any(|key| sheet.groups.contains(&key.as_ref()))
}

fn typed_columns(sheet: &Sheet) -> Option<Vec<Typed>> {
    let mut columns = Vec::new();
    let mut used = HashSet::new();
    for field in &sheet.fields {
        match field {
            Field::Column(column) => {
                used.extend(column.keys.iter().map(ToString::to_string));
                columns.push(typed(sheet, column.clone(), None));
            }
            Field::Group(title, members) => {
                for column in members {
                    columns.push(typed(sheet, column.clone(), Some(title.clone())));
                }
            }
            Field::Dynamic(dynamic) => {
                // With a filter by difference there may be no field left although there were some: the sheet stays.
                let any = sheet
                    .records
                    .iter()
                    .any(|record| record.has_fields() || record.get(super::KEEP).is_entry());
                if !any {
                    return None;
                }
                columns.extend(dynamic_columns(sheet, *dynamic, &used));
            }
        }
    }
    Some(columns)
}

fn dynamic_columns(sheet: &Sheet, dynamic: Dynamic, used: &HashSet<String>) -> Vec<Typed> {
    let names: BTreeSet<&str> = sheet
        .records
        .iter()
        .flat_map(Record::keys)
        .filter(|name| !name.starts_with(' ') && !used.contains(*name))
        .collect();
    names
        .into_iter()
        .map(|name| {
            let convert = (dynamic.convert)(name).unwrap_or_else(|| inferred(sheet, name));
            let mut column = Column::new(name.to_owned(), name.to_owned(), convert);
            if dynamic.total && convert != Convert::Text {
                column = column.sum();
            }
            typed(sheet, column, None)
        })
        .collect()
}

/// The type of a dynamic field: whole numbers, or decimals too (digits and dots only), or text.
fn inferred(sheet: &Sheet, name: &str) -> Convert {
    let mut convert = Convert::Integer;
    for record in &sheet.records {
        match record.get(name) {
            Value::Text(text) => match read_number(text.clone()) {
                Value::Integer(_) => {}
                Value::Decimal(_) if text.chars().all(|c| c.is_ascii_digit() || c == '.') => {
                    convert = Convert::Decimal;
                }
                _ => return Convert::Text,
            },
            Value::Missing | Value::Integer(_) => {}
            Value::Decimal(_) => convert = Convert::Decimal,
            _ => return Convert::Text,
        }
    }
    convert
}

fn typed(sheet: &Sheet, column: Column, group: Option<Cow<'static, str>>) -> Typed {
    let values = sheet
        .records
        .iter()
        .map(|record| {
            let value = column
                .keys
                .iter()
                .map(|key| record.get(key))
                .find(|value| value.is_entry());
            let value = column
                .convert
                .read(value.cloned().unwrap_or(Value::Missing));
            match (column.convert, value) {
                (Convert::Decimal, value @ Value::Integer(_)) => {
                    Value::Decimal(value.number().unwrap_or_default())
                }
                (_, value) => value,
            }
        })
        .collect();
    Typed {
        column,
        group,
        values,
    }
}

/// Positions of the records of each group, groups and records in order.
fn grouped(sheet: &Sheet) -> Vec<Vec<usize>> {
    let compare = |keys: &[&str], a: &Record, b: &Record| {
        keys.iter()
            .map(|key| ordered(a.get(key), b.get(key)))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    };
    let mut records: Vec<(usize, &Record)> = sheet.records.iter().enumerate().collect();
    records.sort_by(|(_, a), (_, b)| {
        compare(&sheet.groups, a, b).then_with(|| compare(&sheet.order, a, b))
    });
    records
        .chunk_by(|(_, a), (_, b)| compare(&sheet.groups, a, b).is_eq())
        .map(|members| members.iter().map(|(index, _)| *index).collect())
        .collect()
}

/// The order of two untyped values: as numbers if both are.
fn ordered(a: &Value, b: &Value) -> Ordering {
    let number = |value: &Value| match value {
        Value::Text(text) => read_number(text.clone()),
        value => value.clone(),
    };
    match (number(a), number(b)) {
        (
            a @ (Value::Integer(_) | Value::Decimal(_)),
            b @ (Value::Integer(_) | Value::Decimal(_)),
        ) => a.order(&b),
        _ => a.order(b),
    }
}

fn row(sheet: &Sheet, columns: &[Typed], index: usize) -> Vec<Cell> {
    let empty = Record::default();
    let record = sheet.records.get(index).unwrap_or(&empty);
    columns
        .iter()
        .map(|typed| {
            let raw = typed.values.get(index).cloned().unwrap_or(Value::Missing);
            Cell {
                text: typed.column.convert.write(&raw),
                format: format::of(&raw, record, typed.column.rules),
                raw,
            }
        })
        .collect()
}

fn aggregates(sheet: &Sheet, columns: &[Typed], members: &[usize]) -> Option<Vec<Option<Cell>>> {
    if columns.iter().all(|typed| typed.column.aggregate.is_none()) {
        return None;
    }
    let cell = |typed: &Typed| {
        let raw = match typed.column.aggregate {
            Some(aggregate) => aggregated(sheet, typed, members, aggregate),
            None if sheet.repeat_groups && is_group_key(sheet, &typed.column) => members
                .first()
                .and_then(|index| typed.values.get(*index))?
                .clone(),
            None => return None,
        };
        Some(Cell {
            text: typed.column.convert.write(&raw),
            format: None,
            raw,
        })
    };
    Some(columns.iter().map(cell).collect())
}

fn aggregated(sheet: &Sheet, typed: &Typed, members: &[usize], aggregate: Aggregate) -> Value {
    let entries: Vec<(usize, &Value)> = members
        .iter()
        .filter_map(|index| Some((*index, typed.values.get(*index)?)))
        .filter(|(_, value)| value.is_entry())
        .collect();
    if entries.is_empty() || aggregate == Aggregate::Unknown {
        return Value::Missing;
    }
    if entries.iter().any(|(_, value)| **value == Value::Error) {
        return Value::Error;
    }
    let average = |weight: &str| {
        let weight_of = |index: usize| {
            sheet
                .records
                .get(index)
                .and_then(|record| record.number(weight))
                .unwrap_or(0.0)
        };
        let weights: f64 = entries.iter().map(|(index, _)| weight_of(*index)).sum();
        let total: f64 = entries
            .iter()
            .map(|(index, value)| value.number().unwrap_or(0.0) * weight_of(*index))
            .sum();
        if weights == 0.0 { 0.0 } else { total / weights }
    };
    match aggregate {
        Aggregate::Unknown => Value::Missing,
        Aggregate::Sum => sum(&entries),
        Aggregate::RoundedSum => match sum(&entries) {
            Value::Decimal(total) => Value::Decimal(round(total, 2)),
            total => total,
        },
        Aggregate::Average(weight) => Value::Decimal(average(weight)),
        Aggregate::RoundedAverage(weight) => Value::Decimal(round(average(weight), 2)),
    }
}

fn sum(entries: &[(usize, &Value)]) -> Value {
    let whole: Option<i128> = entries
        .iter()
        .try_fold(0i128, |total, (_, value)| match value {
            Value::Integer(number) => total.checked_add(*number),
            _ => None,
        });
    whole.map_or_else(
        || Value::Decimal(entries.iter().filter_map(|(_, value)| value.number()).sum()),
        Value::Integer,
    )
}
