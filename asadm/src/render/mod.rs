//! From a sheet to text: column style, row style, JSON.

use crate::sheet::Sheet;

/// How to write a sheet.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// JSON objects instead of tables.
    pub json: bool,
    /// Colour codes.
    pub colour: bool,
    /// Width of the terminal in characters.
    pub columns: usize,
    /// Height of the terminal in lines.
    pub lines: usize,
}

/// The text of a sheet with everything up to and including its last line feed; empty if there is nothing to show.
pub fn print(sheet: &Sheet, style: &Style) -> String {
    let _ = style;
    sheet.title.clone()
}
