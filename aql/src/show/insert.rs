//! Records as statements that insert them again, and all else as comments, so that the output of a run can be run.

use protocol::value::Value;

use super::row::Row;
use crate::language::notation::{key_literal, literal, text_literal};

/// A name as a statement has it: in quotes where it is no word.
#[must_use]
pub fn name(name: &str) -> String {
    let mut signs = name.chars();
    let is_word = signs
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && signs.all(|sign| sign.is_ascii_alphanumeric() || matches!(sign, '_' | '-'));
    match is_word {
        true => name.to_owned(),
        false => text_literal(name.as_bytes()),
    }
}

/// Lines of text as comments. A `;` would end one.
pub(super) fn comment(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| match line.trim().is_empty() {
            true => line.to_owned(),
            false => format!("-- {}", line.replace(';', ",")),
        })
        .collect()
}

/// A row as a statement; a comment where it is no record that one can make.
pub(super) fn statement(row: &Row) -> String {
    let bins: Vec<(&String, &Value)> = row
        .bins
        .iter()
        .filter_map(|(name, value)| Some((name, value.as_ref()?)))
        .collect();
    if let (Some(place), Some(key), [_, ..]) = (&row.place, &row.key, bins.as_slice()) {
        let names: Vec<String> = bins.iter().map(|(bin, _)| name(bin)).collect();
        let values: Vec<String> = bins.iter().map(|(_, value)| literal(value)).collect();
        return format!(
            "INSERT INTO {place} (PK, {}) VALUES ({}, {})\n",
            names.join(", "),
            key_literal(key),
            values.join(", ")
        );
    }
    let what = match (&row.place, &row.key) {
        (Some(_), None) => "a record whose key is not stored: ",
        _ => "",
    };
    let key = row
        .key
        .iter()
        .map(|key| format!("PK = {}", key_literal(key)));
    let digest = row
        .digest
        .iter()
        .map(|digest| format!("DIGEST = '{digest}'"));
    let bins = bins
        .iter()
        .map(|(bin, value)| format!("{} = {}", name(bin), literal(value)));
    let all: Vec<String> = key.chain(digest).chain(bins).collect();
    comment(&format!("{what}{}\n", all.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_become_statements_and_other_rows_comments() {
        let bins = vec![
            ("a".to_owned(), Some(Value::Integer(1))),
            ("b c".to_owned(), Some(Value::String("it's".into()))),
            ("none".to_owned(), None),
        ];
        let row = |place: Option<&str>, key: Option<Value>| Row {
            key,
            bins: bins.clone(),
            place: place.map(str::to_owned),
            ..Row::default()
        };
        for (row, expected) in [
            (
                row(Some("test.demo"), Some("k".into())),
                "INSERT INTO test.demo (PK, a, 'b c') VALUES ('k', 1, \"it's\")\n",
            ),
            (
                row(Some("test"), None),
                "-- a record whose key is not stored: a = 1, 'b c' = \"it's\"\n",
            ),
            (row(None, None), "-- a = 1, 'b c' = \"it's\"\n"),
        ] {
            assert_eq!(statement(&row), expected);
        }
        assert_eq!(comment("a; b\n\nc\n"), "-- a, b\n\n-- c\n");
    }
}
