//! `--format json`: all that a run prints as one JSON document.
//!
//! ```text
//! { "version": 1,                          of this format
//!   "exit_status": 0,                      that of the program
//!   "messages": [MESSAGE],                 before the first command
//!   "commands": [{
//!     "command": "show udfs",              its words, passwords hidden
//!     "failed": false,                     there is a message of level "error"
//!     "output": [OUTPUT],                  in the order in which it was printed
//!     "messages": [MESSAGE] }] }
//!
//! MESSAGE  { "level": "error" | "warning" | "note", "text": "…" }
//! OUTPUT   { "sheet": … }                  the object that --json prints for the table
//!          { "answers": [{ "node": "…", "address": "…", "answer": "…" }] }   of asinfo; "error" in place of "answer"
//!          { "text": "…" }                 anything else
//! ```
//!
//! Members may be added within a version; one that changes or goes makes a new version.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::rc::Rc;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::exit::Exit;
use crate::json;
use crate::output::NodeAnswer;
use crate::sheet::{Sheet, Table, resolve};

/// The version of the format.
const VERSION: u32 = 1;

#[derive(Debug, Serialize)]
struct Message {
    level: String,
    text: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Output {
    Sheet(Table),
    Answers(Vec<NodeAnswer>),
    Text(String),
}

impl Serialize for NodeAnswer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(3))?;
        object.serialize_entry("node", &self.node)?;
        object.serialize_entry("address", &self.address)?;
        match &self.answer {
            Ok(text) => object.serialize_entry("answer", text)?,
            Err(reason) => object.serialize_entry("error", reason)?,
        }
        object.end()
    }
}

#[derive(Debug, Default, Serialize)]
struct Section {
    command: String,
    failed: bool,
    output: Vec<Output>,
    messages: Vec<Message>,
}

#[derive(Debug, Default)]
struct Content {
    /// What comes before the first command.
    before: Section,
    commands: Vec<Section>,
    file: Option<File>,
}

#[derive(Serialize)]
struct Whole<'a> {
    version: u32,
    exit_status: u8,
    messages: &'a [Message],
    commands: &'a [Section],
}

/// A document that grows while the program runs; clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Document(Rc<RefCell<Content>>);

impl Document {
    fn with(&self, change: impl FnOnce(&mut Section)) {
        let content = &mut *self.0.borrow_mut();
        change(content.commands.last_mut().unwrap_or(&mut content.before));
    }

    /// A command begins; what follows belongs to it.
    pub fn begin(&self, command: &str) {
        self.0.borrow_mut().commands.push(Section {
            command: command.to_owned(),
            ..Section::default()
        });
    }

    /// Text, added to that before it. Before the first command it is a message of level `note`.
    pub fn text(&self, text: &str) {
        if self.0.borrow().commands.is_empty() {
            self.message("note", text.trim_end());
            return;
        }
        self.with(|section| match section.output.last_mut() {
            Some(Output::Text(before)) => before.push_str(text),
            _ if text.is_empty() => {}
            _ => section.output.push(Output::Text(text.to_owned())),
        });
    }

    /// A table, in the form in which `--json` prints it; nothing if there is nothing to show.
    pub fn sheet(&self, sheet: &Sheet) {
        if let Some(table) = resolve(sheet) {
            self.with(|section| section.output.push(Output::Sheet(table)));
        }
    }

    /// What nodes answered.
    pub fn answers(&self, answers: &[NodeAnswer]) {
        self.with(|section| section.output.push(Output::Answers(answers.to_vec())));
    }

    /// A message; one of level `error` makes its command a failed one.
    pub fn message(&self, level: &str, text: &str) {
        let level = level.to_ascii_lowercase();
        self.with(|section| {
            section.failed |= level == "error";
            section.messages.push(Message {
                level,
                text: text.to_owned(),
            });
        });
    }

    /// Where it goes instead of stdout.
    pub fn to_file(&self, file: File) {
        self.0.borrow_mut().file = Some(file);
    }

    /// Writes it.
    ///
    /// # Errors
    /// The output cannot be written; a reader of stdout that is gone is an error as well.
    pub fn write(&self, exit: Exit) -> io::Result<()> {
        let content = &mut *self.0.borrow_mut();
        let whole = Whole {
            version: VERSION,
            exit_status: exit.code(),
            messages: &content.before.messages,
            commands: &content.commands,
        };
        let text = json::text(&whole)? + "\n";
        match &mut content.file {
            Some(file) => file.write_all(text.as_bytes()),
            None => io::stdout().lock().write_all(text.as_bytes()),
        }
    }
}
