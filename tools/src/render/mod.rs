//! From a sheet to text: column style, row style, JSON.
//!
//! Everything here is a function of the sheet and the [`Style`]: no terminal is asked, no clock is read.

mod columns;
mod json;
mod paint;
mod rows;

use unicode_width::UnicodeWidthChar;

use crate::sheet::{Layout, Sheet, Table, resolve};
use crate::terminal::safe;

/// How to write a sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// JSON objects instead of tables.
    pub json: bool,
    /// Colour codes.
    pub colour: bool,
    /// Width of the terminal in characters.
    pub columns: usize,
    /// What acts on a terminal is written out: see [`safe`].
    pub safe: bool,
    /// Cells that are wider than the terminal are cut.
    pub cut: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            json: false,
            colour: false,
            columns: 160,
            safe: true,
            cut: false,
        }
    }
}

/// The narrowest width to which cells are cut.
const CELL_WIDTH_MIN: usize = 20;

/// The text of a sheet up to and including the line feed of its last line; empty if there is nothing to show.
///
/// A table ends with `Number of rows: N` and an empty line, a JSON object has nothing after it.
pub fn print(sheet: &Sheet, style: &Style) -> String {
    let Some(mut table) = resolve(sheet) else {
        return String::new();
    };
    if style.json {
        // A table has no keys that are no texts, so that this does not fail.
        return crate::json::text(&table)
            .map_or_else(|error| error.to_string(), |text| text + "\n");
    }
    if style.safe {
        make_safe(&mut table);
    }
    if style.cut {
        cut(&mut table, style.columns);
    }
    match table.layout {
        Layout::Columns => columns::write(&table, style),
        Layout::Rows => rows::write(&table, style),
    }
}

fn make_safe(table: &mut Table) {
    let safe = |text: &mut String| {
        if let std::borrow::Cow::Owned(shown) = safe::line(text) {
            *text = shown;
        }
    };
    safe(&mut table.title);
    table
        .leaves
        .iter_mut()
        .for_each(|leaf| safe(&mut leaf.title));
    for group in &mut table.groups {
        let aggregates = group.aggregates.iter_mut().flatten().flatten();
        let cells = group.rows.iter_mut().flatten().chain(aggregates);
        cells.for_each(|cell| safe(&mut cell.text));
    }
}

/// Cuts cells that do not fit behind the first column of a terminal.
fn cut(table: &mut Table, columns: usize) {
    let first = match table.layout {
        Layout::Rows => rows::names_width(table),
        Layout::Columns => table
            .groups
            .iter()
            .flat_map(|group| group.rows.iter())
            .filter_map(|row| Some(paint::width(&row.first()?.text)))
            .max()
            .unwrap_or(0),
    };
    let most = columns.saturating_sub(first + 1).max(CELL_WIDTH_MIN);
    for cell in table
        .groups
        .iter_mut()
        .flat_map(|group| group.rows.iter_mut().flatten())
    {
        if paint::width(&cell.text) > most {
            cell.text = shortened(&cell.text, most);
        }
    }
}

/// The beginning of a text, and `…`.
fn shortened(text: &str, to: usize) -> String {
    let mut width = 1;
    let mut short: String = text
        .chars()
        .take_while(|c| {
            width += c.width().unwrap_or(0);
            width <= to
        })
        .collect();
    short.push('…');
    short
}
