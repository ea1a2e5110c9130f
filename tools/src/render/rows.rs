//! Row style: one line per field, one column per record, a rule between groups.

use std::borrow::Cow;

use super::Style;
use super::paint::{BLUE, BOLD, DIM, codes, pad, paint, title, width};
use crate::sheet::{Leaf, Table, TableGroup};

pub(super) fn write(table: &Table, style: &Style) -> String {
    let names = names_width(table);
    let total = table
        .groups
        .iter()
        .map(|group| visible_width(group, names))
        .max()
        .unwrap_or(0);
    let separator = paint("|", DIM, style.colour);
    let mut out = paint(&title(&table.title, total, usize::MAX), BOLD, style.colour) + "\n";
    for (number, group) in table.groups.iter().enumerate() {
        if number > 0 {
            out += &"-".repeat(total);
            out.push('\n');
        }
        let widths = record_widths(group);
        for (position, leaf) in table.leaves.iter().enumerate() {
            let mut cells = vec![paint(&pad(&name(leaf), names, false), BOLD, style.colour)];
            cells.extend(group.rows.iter().zip(&widths).filter_map(|(row, to)| {
                let cell = row.get(position)?;
                Some(paint(
                    &pad(cell.text.trim_end(), *to, false),
                    codes(cell),
                    style.colour,
                ))
            }));
            if let Some(aggregates) = &group.aggregates {
                let cell = aggregates.get(position).and_then(Option::as_ref);
                cells.push(paint(
                    cell.map_or("", |cell| &cell.text),
                    BLUE,
                    style.colour,
                ));
            }
            out += &cells.join(&separator);
            out.push('\n');
        }
    }
    let lines = table.leaves.len() * table.groups.len();
    out += &paint(&format!("Number of rows: {lines}"), DIM, style.colour);
    out + "\n\n"
}

/// The widest name.
pub(super) fn names_width(table: &Table) -> usize {
    let names = table.leaves.iter().map(|leaf| width(&name(leaf)));
    names.max().unwrap_or(0)
}

/// What begins the line: the heading, behind the one that it shares with its neighbours.
fn name(leaf: &Leaf) -> Cow<'_, str> {
    match &leaf.group {
        Some(group) => Cow::Owned(format!("{group} {}", leaf.title)),
        None => Cow::Borrowed(&leaf.title),
    }
}

/// The widest value of each record.
fn record_widths(group: &TableGroup) -> Vec<usize> {
    let widest = |row: &Vec<_>| {
        row.iter()
            .map(|cell: &crate::sheet::Cell| width(cell.text.trim_end()))
            .max()
    };
    group
        .rows
        .iter()
        .map(|row| widest(row).unwrap_or(0))
        .collect()
}

/// The width of the title: everything in a line, and two more.
fn visible_width(group: &TableGroup, names: usize) -> usize {
    let totals = group
        .aggregates
        .iter()
        .flatten()
        .flatten()
        .map(|cell| width(&cell.text))
        .max()
        .unwrap_or(0);
    names
        + record_widths(group)
            .iter()
            .map(|width| width + 1)
            .sum::<usize>()
        + totals
        + 2
}
