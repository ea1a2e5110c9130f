//! `--format json`: all that a run prints as one JSON document. It is written as results come, so that a long one takes no
//! memory.
//!
//! ```text
//! { "version": 1,                          of this format
//!   "statements": [{
//!     "statement": "show modules",         as it was written, passwords hidden
//!     "results": [RESULT],                 where it has rows: one, or one a node
//!     "text": "…",                         where it prints text: settings, help
//!     "message": "1 record affected.",     where it says so
//!     "error": ERROR,                      where it failed
//!     "messages": [MESSAGE],               where there are any
//!     "failed": false }],
//!   "messages": [MESSAGE],                 outside of statements
//!   "exit_status": 0 }                     that of the program
//!
//! RESULT   { "rows": [ROW], "node": "127.0.0.1:3000", "seconds": 0.001 }   the node where it is of one
//! ROW      { "key": VALUE, "digest": "…", "edigest": "…", "set": "…", "ttl": -1, "generation": 1, "bins": { "a": VALUE } }
//! ERROR    { "code": 2, "text": "…", "column": 8, "did_you_mean": "FROM" }
//! MESSAGE  { "level": "error" | "warning" | "note", "text": "…" }
//! VALUE    see `tools::bin_json`
//! ```
//!
//! Members may be added within a version; one that changes or goes makes a new version.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Map, Value as Json, json};
use tools::bin_json;

use super::row::Row;

/// The version of the format.
const VERSION: u32 = 1;

/// What is known of a statement that is being run.
#[derive(Default)]
struct OpenStatement {
    results: usize,
    /// Rows of the result that is being written; none: no result is.
    rows: Option<usize>,
    text: String,
    message: Option<String>,
    error: Option<Json>,
    messages: Vec<Json>,
    failed: bool,
}

/// The document.
pub(super) struct Document {
    begun: bool,
    statements: usize,
    open: Option<OpenStatement>,
    messages: Vec<Json>,
}

/// What a mistake in a statement is told with, besides its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pointer<'p> {
    /// Its column, in characters from 1.
    pub column: Option<usize>,
    /// The word that was likely meant.
    pub meant: Option<&'p str>,
}

impl Document {
    pub(super) fn new() -> Self {
        Self {
            begun: false,
            statements: 0,
            open: None,
            messages: Vec::new(),
        }
    }

    fn head(&mut self, out: &mut impl Write) -> io::Result<()> {
        if !self.begun {
            self.begun = true;
            write!(out, "{{\"version\": {VERSION},\n \"statements\": [")?;
        }
        Ok(())
    }

    /// A statement begins; one that is open ends.
    pub(super) fn statement(&mut self, text: &str, out: &mut impl Write) -> io::Result<()> {
        self.end_statement(out)?;
        self.head(out)?;
        let comma = if self.statements > 0 { "," } else { "" };
        self.statements += 1;
        self.open = Some(OpenStatement::default());
        let text = Json::from(text);
        write!(out, "{comma}\n  {{\"statement\": {text}")
    }

    /// The statement that is open ends.
    pub(super) fn end_statement(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|open| open.rows.is_some()) {
            self.end(None, None, out)?;
        }
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        if open.results > 0 {
            write!(out, "]")?;
        }
        let mut members = Map::new();
        if !open.text.is_empty() {
            members.insert("text".to_owned(), open.text.into());
        }
        members.extend(open.message.map(|text| ("message".to_owned(), text.into())));
        members.extend(open.error.map(|error| ("error".to_owned(), error)));
        if !open.messages.is_empty() {
            members.insert("messages".to_owned(), open.messages.into());
        }
        members.insert("failed".to_owned(), open.failed.into());
        for (name, value) in members {
            write!(out, ",\n   {}: {value}", Json::from(name))?;
        }
        write!(out, "}}")
    }

    /// Text of the statement, or a note.
    pub(super) fn text(&mut self, text: &str) {
        match &mut self.open {
            Some(open) => open.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => self.message("note", text),
        }
    }

    pub(super) fn message(&mut self, level: &str, text: &str) {
        let message = json!({ "level": level, "text": text.trim_end() });
        match &mut self.open {
            Some(open) => {
                open.failed |= level == "error";
                open.messages.push(message);
            }
            None => self.messages.push(message),
        }
    }

    pub(super) fn begin(&mut self, out: &mut impl Write) -> io::Result<()> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        open.rows = Some(0);
        open.results += 1;
        match open.results {
            1 => write!(out, ",\n   \"results\": [{{\"rows\": ["),
            _ => write!(out, ",\n    {{\"rows\": ["),
        }
    }

    pub(super) fn row(&mut self, row: &Row, out: &mut impl Write) -> io::Result<()> {
        let Some(rows) = self.open.as_mut().and_then(|open| open.rows.as_mut()) else {
            return Ok(());
        };
        let comma = if *rows > 0 { "," } else { "" };
        *rows += 1;
        write!(out, "{comma}\n     {}", of_row(row))
    }

    /// The result ends; `took` is not known of one that was cut off.
    pub(super) fn end(
        &mut self,
        node: Option<&str>,
        took: Option<Duration>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        if let Some(open) = &mut self.open {
            open.rows = None;
        }
        write!(out, "]")?;
        if let Some(node) = node {
            write!(out, ", \"node\": {}", Json::from(node))?;
        }
        if let Some(took) = took {
            write!(out, ", \"seconds\": {:.6}", took.as_secs_f64())?;
        }
        write!(out, "}}")
    }

    pub(super) fn done(&mut self, message: Option<&str>) {
        if let Some(open) = &mut self.open {
            open.message = message.map(str::to_owned);
        }
    }

    pub(super) fn error(&mut self, code: i64, text: &str, pointer: Pointer<'_>) {
        let mut error = Map::new();
        error.insert("code".to_owned(), code.into());
        error.insert("text".to_owned(), text.into());
        error.extend(
            pointer
                .column
                .map(|column| ("column".to_owned(), column.into())),
        );
        error.extend(
            pointer
                .meant
                .map(|meant| ("did_you_mean".to_owned(), meant.into())),
        );
        match &mut self.open {
            Some(open) => {
                open.failed = true;
                // The first one is the cause.
                open.error.get_or_insert_with(|| error.into());
            }
            None => self.message("error", text),
        }
    }

    /// Writes the end.
    pub(super) fn finish(&mut self, status: u8, out: &mut impl Write) -> io::Result<()> {
        self.end_statement(out)?;
        self.head(out)?;
        let messages = Json::from(std::mem::take(&mut self.messages));
        writeln!(
            out,
            "],\n \"messages\": {messages},\n \"exit_status\": {status}}}"
        )
    }
}

fn of_row(row: &Row) -> Json {
    let mut members = Map::new();
    let mut add = |name: &str, value: Json| {
        members.insert(name.to_owned(), value);
    };
    if let Some(key) = &row.key {
        add("key", bin_json::to_json(key));
    }
    if let Some(digest) = &row.digest {
        add("digest", digest.clone().into());
    }
    if let Some(metadata) = &row.metadata {
        if let Some(digest) = &metadata.digest {
            add("edigest", digest.clone().into());
        }
        if let Some(set) = &metadata.set {
            add("set", set.clone().into());
        }
        add("ttl", metadata.ttl.into());
        add("generation", metadata.generation.into());
    }
    if row.digest.is_none() {
        let bins = row.bins.iter().map(|(name, value)| {
            let value = value.as_ref().map_or(Json::Null, bin_json::to_json);
            (name.clone(), value)
        });
        add("bins", bins.collect::<Map<_, _>>().into());
    }
    members.into()
}

#[cfg(test)]
mod tests {
    use protocol::value::Value;

    use super::*;

    #[test]
    fn a_run_is_one_document() {
        let mut out = Vec::new();
        let mut document = Document::new();
        document.message("warning", "before");
        document.statement("select 1", &mut out).unwrap();
        document.begin(&mut out).unwrap();
        for number in 0..2 {
            let row = Row {
                key: Some(Value::Integer(number)),
                bins: vec![("a".to_owned(), None)],
                ..Row::default()
            };
            document.row(&row, &mut out).unwrap();
        }
        // Cut off by an error, and followed by another statement.
        document.error(9, "timeout", Pointer::default());
        document.statement("get echo", &mut out).unwrap();
        document.text("DONE\n");
        document.done(Some("ok"));
        document.finish(2, &mut out).unwrap();
        let parsed: Json = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            parsed,
            json!({
                "version": 1,
                "statements": [
                    {
                        "statement": "select 1",
                        "results": [{ "rows": [
                            { "key": 0, "bins": { "a": null } },
                            { "key": 1, "bins": { "a": null } },
                        ] }],
                        "error": { "code": 9, "text": "timeout" },
                        "failed": true,
                    },
                    {
                        "statement": "get echo",
                        "text": "DONE\n",
                        "message": "ok",
                        "failed": false,
                    },
                ],
                "messages": [{ "level": "warning", "text": "before" }],
                "exit_status": 2,
            })
        );
        let mut out = Vec::new();
        Document::new().finish(255, &mut out).unwrap();
        let parsed: Json = serde_json::from_slice(&out).unwrap();
        assert_eq!(parsed["statements"], json!([]));
    }
}
