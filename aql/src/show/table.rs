//! Tables: rows are gathered until there are enough for one, then widths are known.

use std::io::{self, Write};

use super::cell::cell;
use super::row::Row;

/// Rows of a table at most; more begin another.
const ROWS_MAX: usize = 99;
/// Columns at most; more are left out.
const COLUMNS_MAX: usize = 64;
/// Bytes of a cell at most.
const CELL_BYTES_MAX: usize = 254;

struct Column {
    name: String,
    width: usize,
}

/// The table that is being gathered.
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<(usize, Vec<u8>)>>,
    types: bool,
}

impl Table {
    /// With these columns at the front, for bins that were named.
    pub(super) fn new(named: &[String], types: bool) -> Self {
        let mut table = Self {
            columns: Vec::new(),
            rows: Vec::new(),
            types,
        };
        for name in named.iter().take(COLUMNS_MAX) {
            // The original counts one more for the names that it was given. A name that stands twice has two columns, of
            // which the first one is filled.
            table.columns.push(Column {
                name: name.clone(),
                width: name.len() + 1,
            });
        }
        table
    }

    fn column(&mut self, name: &str) -> Option<usize> {
        if let Some(at) = self.columns.iter().position(|column| column.name == name) {
            return Some(at);
        }
        (self.columns.len() < COLUMNS_MAX).then(|| {
            self.columns.push(Column {
                name: name.to_owned(),
                width: name.len(),
            });
            self.columns.len() - 1
        })
    }

    /// Whether the next row makes it full, so that it is printed.
    pub(super) fn is_almost_full(&self) -> bool {
        self.rows.len() + 1 >= ROWS_MAX
    }

    /// Takes a row, and prints the table when it is full.
    pub(super) fn row(&mut self, row: &Row, out: &mut impl Write) -> io::Result<()> {
        let mut cells = Vec::new();
        for (name, value) in row.columns() {
            let Some(at) = self.column(&name) else {
                continue;
            };
            let text = cut(value.map_or_else(Vec::new, |value| cell(value, self.types)));
            if let Some(column) = self.columns.get_mut(at) {
                column.width = column.width.max(text.len());
            }
            cells.push((at, text));
        }
        self.rows.push(cells);
        match self.rows.len() >= ROWS_MAX {
            true => self.flush(out),
            false => Ok(()),
        }
    }

    /// Prints what was gathered.
    pub(super) fn flush(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.rows.is_empty() || self.rows.iter().all(Vec::is_empty) {
            return Ok(());
        }
        let line: String = self
            .columns
            .iter()
            .map(|column| format!("+{}", "-".repeat(column.width + 2)))
            .collect::<String>()
            + "+\n";
        out.write_all(line.as_bytes())?;
        let header: Vec<(usize, Vec<u8>)> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| (at, column.name.clone().into_bytes()))
            .collect();
        self.print_cells(&header, out)?;
        out.write_all(line.as_bytes())?;
        for row in &self.rows {
            self.print_cells(row, out)?;
        }
        out.write_all(line.as_bytes())?;
        self.rows.clear();
        self.columns.clear();
        Ok(())
    }

    fn print_cells(&self, cells: &[(usize, Vec<u8>)], out: &mut impl Write) -> io::Result<()> {
        for (at, column) in self.columns.iter().enumerate() {
            let text = cells
                .iter()
                .find(|(of, _)| *of == at)
                .map_or(&[][..], |(_, text)| text);
            // Widths are bytes.
            let padding = column.width.saturating_sub(text.len());
            out.write_all(b"| ")?;
            out.write_all(text)?;
            write!(out, "{:padding$} ", "")?;
        }
        out.write_all(b"|\n")
    }
}

/// A cell's text, cut where it is too long, at the end of a character.
fn cut(mut text: Vec<u8>) -> Vec<u8> {
    /// Bytes that go on with a character begin with these bits.
    const GOES_ON: u8 = 0b1000_0000;
    if text.len() > CELL_BYTES_MAX {
        let mut end = CELL_BYTES_MAX;
        while end > 0
            && text
                .get(end)
                .is_some_and(|byte| byte & 0b1100_0000 == GOES_ON)
        {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}
