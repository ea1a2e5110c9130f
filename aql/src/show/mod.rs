//! How results are printed: the four modes. Rows are printed as they come; only tables keep some, for their widths.

pub mod cell;
mod document;
mod insert;
pub mod json;
mod progress;
mod row;
mod table;

use std::io::{self, Write};
use std::time::Duration;

pub use document::Pointer;
pub use insert::name;
pub use progress::Progress;
pub use row::{Metadata, Row};

use crate::settings::Mode;
use document::Document;
use table::Table;

/// Prints results to one place and errors to another.
pub struct Printer<'w> {
    out: &'w mut dyn Write,
    err: &'w mut dyn Write,
    mode: Mode,
    types: bool,
    /// Rows of the result that is being printed.
    rows: usize,
    table: Option<Table>,
    /// In JSON: arrays of the statement that were printed.
    arrays: usize,
    /// Takes everything in place of stdout.
    document: Option<Document>,
    progress: Option<Progress>,
    /// A statement failed.
    pub failed: bool,
}

impl<'w> Printer<'w> {
    /// Prints to `out`, and errors of tables to `err`.
    pub fn new(out: &'w mut dyn Write, err: &'w mut dyn Write) -> Self {
        Self {
            out,
            err,
            mode: Mode::Table,
            types: true,
            rows: 0,
            table: None,
            arrays: 0,
            document: None,
            progress: None,
            failed: false,
        }
    }

    /// Prints all of the run as one document.
    #[must_use]
    pub fn as_document(mut self) -> Self {
        self.document = Some(Document::new());
        self
    }

    /// Shows how far results are.
    #[must_use]
    pub fn with_progress(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Whether the run becomes one document.
    #[must_use]
    pub fn is_document(&self) -> bool {
        self.document.is_some()
    }

    /// A statement begins. Only a document is told of it; text has the echo.
    ///
    /// # Errors
    /// Nobody reads it.
    pub fn begin_statement(&mut self, text: &str) -> io::Result<()> {
        match &mut self.document {
            Some(document) => document.statement(text, &mut self.out),
            None => Ok(()),
        }
    }

    /// The statement is over.
    ///
    /// # Errors
    /// Nobody reads it.
    pub fn end_statement(&mut self) -> io::Result<()> {
        match &mut self.document {
            Some(document) => document.end_statement(&mut self.out),
            None => Ok(()),
        }
    }

    /// The statement was given up by the person: what was printed of it gets its end.
    ///
    /// # Errors
    /// Nobody reads it.
    pub fn give_up(&mut self) -> io::Result<()> {
        self.clear_progress()?;
        if let Some(mut table) = self.table.take() {
            table.flush(&mut self.out)?;
        }
        if std::mem::take(&mut self.arrays) > 0 {
            self.text("\n    ]\n]\n\n")?;
        }
        Ok(())
    }

    /// A line for people: stderr, or a message of the document.
    ///
    /// # Errors
    /// Nobody reads it.
    pub fn warn(&mut self, text: &str) -> io::Result<()> {
        if let Some(document) = &mut self.document {
            document.message("warning", text);
        }
        self.clear_progress()?;
        self.out.flush()?;
        writeln!(self.err, "WARNING: {text}")
    }

    /// The end of the run.
    ///
    /// # Errors
    /// Nobody reads it.
    pub fn finish(&mut self, status: u8) -> io::Result<()> {
        match &mut self.document {
            Some(document) => document.finish(status, &mut self.out)?,
            None => self.out.write_all(b"\n")?,
        }
        self.out.flush()
    }

    fn clear_progress(&mut self) -> io::Result<()> {
        match &mut self.progress {
            Some(progress) => progress.clear(&mut self.err),
            None => Ok(()),
        }
    }

    /// The mode in which statements are printed.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// How the next statement is printed.
    pub fn set_mode(&mut self, mode: Mode, types: bool) {
        (self.mode, self.types) = (mode, types);
    }

    /// Text of its own on stdout.
    ///
    /// # Errors
    /// Nobody reads it.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        if let Some(document) = &mut self.document {
            document.text(text);
            return Ok(());
        }
        if self.mode == Mode::Insert {
            return self.out.write_all(insert::comment(text).as_bytes());
        }
        self.out.write_all(text.as_bytes())
    }

    /// Bytes on stderr.
    ///
    /// # Errors
    /// Nobody reads it.
    pub fn complain(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(document) = &mut self.document {
            document.message("error", &String::from_utf8_lossy(bytes));
        }
        self.clear_progress()?;
        self.out.flush()?;
        self.err.write_all(bytes)?;
        self.err.flush()
    }

    /// Has everything printed.
    ///
    /// # Errors
    /// Nobody reads it.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn open_array(&mut self) -> io::Result<()> {
        let start = if self.arrays == 0 {
            "\n[\n    [\n"
        } else {
            ",\n    [\n"
        };
        self.arrays += 1;
        self.text(start)
    }

    /// Begins a result. `named`: the bins that were asked for by name.
    ///
    /// # Errors
    /// Nobody reads it.
    pub fn begin(&mut self, named: &[String]) -> io::Result<()> {
        self.rows = 0;
        if let Some(progress) = &mut self.progress {
            progress.begin();
        }
        if let Some(document) = &mut self.document {
            return document.begin(&mut self.out);
        }
        match self.mode {
            Mode::Json => self.open_array(),
            Mode::Table => {
                self.table = Some(Table::new(named, self.types));
                Ok(())
            }
            Mode::Raw | Mode::Mute | Mode::Insert => Ok(()),
        }
    }

    /// Prints a row.
    ///
    /// # Errors
    /// Nobody reads it.
    pub fn row(&mut self, row: Row) -> io::Result<()> {
        self.rows += 1;
        let is_beside = self.progress.is_some_and(|progress| progress.is_beside());
        if let Some(document) = &mut self.document {
            document.row(&row, &mut self.out)?;
        } else {
            match self.mode {
                Mode::Mute => {}
                Mode::Table => {
                    if is_beside && self.table.as_ref().is_some_and(Table::is_almost_full) {
                        self.clear_progress()?;
                    }
                    if let Some(table) = &mut self.table {
                        table.row(&row.flattened(), &mut self.out)?;
                    }
                }
                Mode::Raw => self.raw(row)?,
                Mode::Json => self.json(&row)?,
                Mode::Insert => self.out.write_all(insert::statement(&row).as_bytes())?,
            }
        }
        // Rows that appear one by one on the same terminal need no count.
        if is_beside && matches!(self.mode, Mode::Raw | Mode::Json | Mode::Insert) {
            return Ok(());
        }
        match &mut self.progress {
            Some(progress) => progress.row(self.rows, &mut self.err),
            None => Ok(()),
        }
    }

    fn raw(&mut self, row: Row) -> io::Result<()> {
        const STARS: &str = "***************************";
        let only_digest = row.digest.is_some();
        let row = row.flattened();
        let mut text = Vec::new();
        if let Some(key) = &row.key {
            text.extend_from_slice(b"PK: ");
            text.extend(cell::cell(key, self.types));
            text.push(b'\n');
        }
        if !only_digest {
            text.extend(format!("{STARS} {}. row {STARS}\n", self.rows).into_bytes());
        }
        for (name, value) in &row.bins {
            let value = value.as_ref().map(|value| cell::cell(value, self.types));
            text.extend_from_slice(name.as_bytes());
            text.extend_from_slice(b": ");
            match value.filter(|value| !value.is_empty()) {
                Some(value) => text.extend(value),
                None => text.extend_from_slice(b"(null)"),
            }
            text.push(b'\n');
        }
        self.out.write_all(&text)
    }

    fn json(&mut self, row: &Row) -> io::Result<()> {
        let mut text = String::new();
        if self.rows > 1 {
            text.push_str(",\n");
        }
        text.push_str("        {");
        let mut first = true;
        let mut member = |name: &str, text: &mut String, value: &dyn Fn(&mut String) -> bool| {
            let mut shown = String::new();
            if value(&mut shown) {
                text.push_str(if first {
                    "\n          "
                } else {
                    ",\n          "
                });
                first = false;
                json::string(name, text);
                text.push_str(": ");
                text.push_str(&shown);
            }
        };
        if let Some(key) = &row.key {
            member("PK", &mut text, &|out| json::write(key, 10, out));
        }
        if let Some(digest) = &row.digest {
            member("digest", &mut text, &|out| {
                json::string(digest, out);
                true
            });
        } else if let Some(metadata) = &row.metadata {
            let digest = metadata.digest.as_deref().unwrap_or("N/A");
            member("edigest", &mut text, &|out| {
                json::string(digest, out);
                true
            });
            if let Some(set) = &metadata.set {
                member("set", &mut text, &|out| {
                    json::string(set, out);
                    true
                });
            }
            member("ttl", &mut text, &|out| {
                out.push_str(&metadata.ttl.to_string());
                true
            });
            member("gen", &mut text, &|out| {
                out.push_str(&metadata.generation.to_string());
                true
            });
            member("bins", &mut text, &|out| {
                bins(row, 12, out);
                true
            });
        } else {
            for (name, value) in &row.bins {
                member(name, &mut text, &|out| match value {
                    Some(value) => json::write(value, 10, out),
                    None => {
                        out.push_str("null");
                        true
                    }
                });
            }
        }
        text.push_str(if first { "}" } else { "\n        }" });
        self.text(&text)
    }

    /// Ends a result with its footer; `node` is the address of the node that it is of, where it is of one.
    ///
    /// # Errors
    /// Nobody reads it.
    pub fn end(&mut self, node: Option<&str>, took: Duration) -> io::Result<()> {
        let rows = self.rows;
        self.clear_progress()?;
        if let Some(document) = &mut self.document {
            return document.end(node, Some(took), &mut self.out);
        }
        match self.mode {
            Mode::Json => {
                let mut text = String::new();
                if let Some(node) = node {
                    if rows > 0 {
                        text.push_str(",\n");
                    }
                    text.push_str("        {\n            \"node\": ");
                    json::string(node, &mut text);
                    text.push_str("\n        }");
                }
                if rows > 0 || node.is_some() {
                    text.push('\n');
                }
                text.push_str("    ]");
                self.text(&text)
            }
            Mode::Table | Mode::Raw | Mode::Mute | Mode::Insert => {
                if let Some(mut table) = self.table.take() {
                    table.flush(&mut self.out)?;
                }
                if self.mode == Mode::Raw {
                    self.text("\n")?;
                }
                let node = node.map_or(String::new(), |node| format!("[{node}] "));
                let rows_word = if rows == 1 { "row" } else { "rows" };
                let seconds = format!("{:.3}", took.as_secs_f64());
                let unit = if seconds == "1.000" { "sec" } else { "secs" };
                self.text(&format!(
                    "{node}{rows} {rows_word} in set ({seconds} {unit})\n\n"
                ))
            }
        }
    }

    /// The statement is done; with a message, instead of rows.
    ///
    /// # Errors
    /// Nobody reads it.
    pub fn done(&mut self, message: Option<&str>) -> io::Result<()> {
        if let Some(document) = &mut self.document {
            document.done(message);
            return Ok(());
        }
        match (self.mode, message) {
            (Mode::Json, _) => self.status(message, 0),
            (_, Some(message)) => self.text(&format!("OK, {message}\n\n")),
            (_, None) => self.text("OK\n\n"),
        }
    }

    /// The statement failed; rows that came before stay.
    ///
    /// # Errors
    /// Nobody reads it.
    pub fn error(&mut self, code: i64, message: &str) -> io::Result<()> {
        self.mistake(code, message, Pointer::default())
    }

    /// The statement failed, at a place of its text; only a document shows that here.
    ///
    /// # Errors
    /// Nobody reads it.
    pub fn mistake(&mut self, code: i64, message: &str, pointer: Pointer<'_>) -> io::Result<()> {
        self.failed = true;
        self.clear_progress()?;
        if let Some(document) = &mut self.document {
            document.error(code, message, pointer);
            return writeln!(self.err, "Error: ({code}) {message}");
        }
        if let Some(mut table) = self.table.take() {
            table.flush(&mut self.out)?;
        }
        if self.mode == Mode::Json {
            let message = (!message.is_empty()).then_some(message);
            return self.status(message, code);
        }
        let text = match message {
            "" => format!("Error: ({code})\n\n"),
            message => format!("Error: ({code}) {message}\n\n"),
        };
        match self.mode {
            Mode::Table | Mode::Insert => self.complain(text.as_bytes()),
            _ => self.text(&text),
        }
    }

    fn status(&mut self, message: Option<&str>, code: i64) -> io::Result<()> {
        self.open_array()?;
        let mut text = "        {\n".to_owned();
        if let Some(message) = message {
            text.push_str("          \"Message\": ");
            json::string(message, &mut text);
            text.push_str(",\n");
        }
        text += &format!("          \"Status\": {code}\n        }}\n    ]\n]\n\n");
        self.arrays = 0;
        self.text(&text)
    }

    /// Ends a result that is cut off by an error, where its form needs an end.
    ///
    /// # Errors
    /// Nobody reads it.
    pub fn cut_off(&mut self) -> io::Result<()> {
        if let Some(document) = &mut self.document {
            return document.end(None, None, &mut self.out);
        }
        match (self.mode, self.arrays) {
            (Mode::Json, 1..) => self.text(if self.rows > 0 { "\n    ]" } else { "    ]" }),
            _ => Ok(()),
        }
    }
}

fn bins(row: &Row, indent: usize, out: &mut String) {
    let entries = row.bins.iter().filter_map(|(name, value)| {
        let value = value.clone()?;
        Some((
            protocol::value::Value::String(name.clone().into_bytes()),
            value,
        ))
    });
    json::write(&protocol::value::Value::map(entries), indent - 2, out);
}
