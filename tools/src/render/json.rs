//! JSON: one object per sheet, two blanks of indent, characters beyond ASCII escaped.

use std::fmt::Write;

use crate::sheet::{Cell, Leaf, Table, TableGroup, Value, decimal};

/// What an object is made of.
enum Json {
    Text(String),
    /// A number, or `true`, `false`: written as it is.
    Literal(String),
    Object(Vec<(String, Json)>),
    List(Vec<Json>),
}

pub(super) fn write(table: &Table) -> String {
    let mut object = vec![
        ("title".to_owned(), Json::Text(table.title.clone())),
        (
            "groups".to_owned(),
            Json::List(
                table
                    .groups
                    .iter()
                    .map(|group| group_object(table, group))
                    .collect(),
            ),
        ),
    ];
    if let Some(text) = &table.description {
        object.push(("description".to_owned(), Json::Text(text.clone())));
    }
    let mut out = String::new();
    push(&Json::Object(object), 0, &mut out);
    out.push('\n');
    out
}

fn group_object(table: &Table, group: &TableGroup) -> Json {
    let records = group
        .rows
        .iter()
        .map(|row| record(&table.leaves, row.iter().map(Some)))
        .collect();
    let mut object = vec![("records".to_owned(), Json::List(records))];
    if let Some(cells) = &group.aggregates {
        object.push((
            "aggregates".to_owned(),
            record(&table.leaves, cells.iter().map(Option::as_ref)),
        ));
    }
    Json::Object(object)
}

fn record<'a>(leaves: &[Leaf], cells: impl Iterator<Item = Option<&'a Cell>>) -> Json {
    let mut members: Vec<(String, Json)> = Vec::new();
    for (leaf, cell) in leaves.iter().zip(cells) {
        let Some(cell) = cell else { continue };
        let entry = (leaf.title.clone(), cell_object(cell));
        let Some(group) = &leaf.group else {
            members.push(entry);
            continue;
        };
        match members.last_mut() {
            Some((name, Json::Object(inner))) if name == group => inner.push(entry),
            _ => members.push((group.clone(), Json::Object(vec![entry]))),
        }
    }
    Json::Object(members)
}

fn cell_object(cell: &Cell) -> Json {
    let mut object = vec![
        ("raw".to_owned(), raw(&cell.raw)),
        (
            "converted".to_owned(),
            Json::Text(cell.text.trim().to_owned()),
        ),
    ];
    if let Some(format) = cell.format {
        object.push(("format".to_owned(), Json::Text(format.name().to_owned())));
    }
    Json::Object(object)
}

fn raw(value: &Value) -> Json {
    match value {
        Value::Shown(value, _) => raw(value),
        Value::Missing => Json::Text("null".to_owned()),
        Value::Error => Json::Text("error".to_owned()),
        Value::Integer(number) => Json::Literal(number.to_string()),
        Value::Decimal(number) if number.is_finite() => Json::Literal(decimal(*number)),
        // JSON has no form for a sum that overflowed.
        Value::Decimal(number) => Json::Text(decimal(*number)),
        Value::Boolean(truth) => Json::Literal(truth.to_string()),
        Value::Text(text) | Value::Node(text, _) => Json::Text(text.clone()),
        Value::Integers(items) => Json::List(
            items
                .iter()
                .map(|item| Json::Literal(item.to_string()))
                .collect(),
        ),
        Value::List(items) => {
            Json::List(items.iter().map(|item| Json::Text(item.clone())).collect())
        }
    }
}

fn push(json: &Json, depth: usize, out: &mut String) {
    match json {
        Json::Text(text) => push_text(text, out),
        Json::Literal(text) => *out += text,
        Json::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| (Some(name.as_str()), value));
            push_block('{', '}', members, depth, out);
        }
        Json::List(items) => {
            push_block('[', ']', items.iter().map(|item| (None, item)), depth, out)
        }
    }
}

fn push_block<'a>(
    open: char,
    close: char,
    members: impl Iterator<Item = (Option<&'a str>, &'a Json)>,
    depth: usize,
    out: &mut String,
) {
    out.push(open);
    let mut separator = "";
    for (name, value) in members {
        *out += separator;
        *out += "\n";
        *out += &"  ".repeat(depth + 1);
        if let Some(name) = name {
            push_text(name, out);
            *out += ": ";
        }
        push(value, depth + 1, out);
        separator = ",";
    }
    if !separator.is_empty() {
        *out += "\n";
        *out += &"  ".repeat(depth);
    }
    out.push(close);
}

fn push_text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => *out += "\\\"",
            '\\' => *out += "\\\\",
            '\n' => *out += "\\n",
            '\r' => *out += "\\r",
            '\t' => *out += "\\t",
            ' '..='~' => out.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    // Writing to a string cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}
