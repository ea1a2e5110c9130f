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

use serde_json::{Map, Value, json};

use crate::exit::Exit;

/// The version of the format.
const VERSION: u32 = 1;

/// What one node said to `asinfo`.
#[derive(Debug)]
pub struct NodeAnswer {
    /// How the node is shown.
    pub node: String,
    /// Its address without the port.
    pub address: String,
    /// The answer, or why there is none.
    pub answer: Result<String, String>,
}

#[derive(Debug, Default)]
struct Section {
    command: String,
    failed: bool,
    output: Vec<Value>,
    messages: Vec<Value>,
}

#[derive(Debug, Default)]
struct Content {
    /// What comes before the first command.
    before: Section,
    commands: Vec<Section>,
    file: Option<File>,
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
        self.with(|section| {
            if let Some(Value::String(before)) = section
                .output
                .last_mut()
                .and_then(|last| last.get_mut("text"))
            {
                before.push_str(text);
            } else if !text.is_empty() {
                section.output.push(json!({ "text": text }));
            }
        });
    }

    /// A table, in the form in which `--json` prints it.
    pub fn sheet(&self, printed: &str) {
        if printed.is_empty() {
            return;
        }
        // It was written a moment ago; were it no JSON, it would still be its text.
        let sheet = serde_json::from_str(printed).unwrap_or_else(|_| json!(printed));
        self.with(|section| section.output.push(json!({ "sheet": sheet })));
    }

    /// What nodes answered.
    pub fn answers(&self, answers: &[NodeAnswer]) {
        let answers: Vec<Value> = answers
            .iter()
            .map(|answer| {
                let (name, text) = match &answer.answer {
                    Ok(text) => ("answer", text),
                    Err(reason) => ("error", reason),
                };
                let mut object = Map::new();
                object.insert("node".to_owned(), json!(answer.node));
                object.insert("address".to_owned(), json!(answer.address));
                object.insert(name.to_owned(), json!(text));
                Value::Object(object)
            })
            .collect();
        self.with(|section| section.output.push(json!({ "answers": answers })));
    }

    /// A message; one of level `error` makes its command a failed one.
    pub fn message(&self, level: &str, text: &str) {
        let level = level.to_ascii_lowercase();
        self.with(|section| {
            section.failed |= level == "error";
            section
                .messages
                .push(json!({ "level": level, "text": text }));
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
        let commands: Vec<Value> = content
            .commands
            .iter()
            .map(|section| {
                json!({
                    "command": section.command,
                    "failed": section.failed,
                    "output": section.output,
                    "messages": section.messages,
                })
            })
            .collect();
        let whole = json!({
            "version": VERSION,
            "exit_status": exit.code(),
            "messages": content.before.messages,
            "commands": commands,
        });
        let text = format!("{whole:#}\n");
        match &mut content.file {
            Some(file) => file.write_all(text.as_bytes()),
            None => io::stdout().lock().write_all(text.as_bytes()),
        }
    }
}
