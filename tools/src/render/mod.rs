//! From a sheet to text: column style, row style, JSON.
//!
//! Everything here is a function of the sheet and the [`Style`]: no terminal is asked, no clock is read.

mod columns;
mod json;
mod paint;
mod rows;

use crate::sheet::{Layout, Sheet, resolve};

/// How to write a sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// JSON objects instead of tables.
    pub json: bool,
    /// Colour codes.
    pub colour: bool,
    /// Width of the terminal in characters.
    pub columns: usize,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            json: false,
            colour: false,
            columns: 160,
        }
    }
}

/// The text of a sheet up to and including the line feed of its last line; empty if there is nothing to show.
///
/// A table ends with `Number of rows: N` and an empty line, a JSON object has nothing after it.
pub fn print(sheet: &Sheet, style: &Style) -> String {
    let Some(table) = resolve(sheet) else {
        return String::new();
    };
    match (style.json, table.layout) {
        (true, _) => json::write(&table),
        (false, Layout::Columns) => columns::write(&table, style),
        (false, Layout::Rows) => rows::write(&table, style),
    }
}
