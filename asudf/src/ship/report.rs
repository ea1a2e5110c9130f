//! What a run says: lines for people as it goes, or one JSON document at its end.
//!
//! ```text
//! { "version": 1,                 of this format
//!   "command": "apply",
//!   "cluster": "near",            as it was named
//!   "exit_status": 1,
//!   "result": "changed",          same, changed, would-change, failed, interrupted
//!   "nodes": [{ "id": "…", "address": "…", "build": "…" }],
//!   "modules": [{ "name": "a.lua", "action": "change",      same, add, change, remove, leave; "why" with the last
//!                 "sha256": "…",                            of what is wanted, or null
//!                 "nodes": [{ "state": "other", "sha256": "…" }] }],   in the order of "nodes": same, other, absent, unreadable
//!   "others": 3,                  modules that are not the project's
//!   "kept": "asudf-kept-….tar",   the file with what was there before, or null
//!   "steps": [{ "step": "put", "module": "a.lua" }],          what was done: put, removed
//!   "messages": [{ "level": "error" | "warning" | "note", "text": "…" }] }
//! ```
//!
//! Members may be added within a version; one that changes or goes makes a new version.

use std::io::{self, Write};
use std::path::Path;

use clap::ValueEnum;
use serde::Serialize;
use tools::json;
use tools::terminal::safe;

use super::nodes::Picture;
use super::plan::{Action, Cell, Plan, Row};
use crate::status::{FAILED, Failure, Status};

/// The version of the document.
const VERSION: u32 = 1;

/// How a run tells what it has to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines for people
    #[default]
    Pretty,
    /// One JSON document at the end
    Json,
}

#[derive(Debug, Serialize)]
struct Node {
    id: String,
    address: String,
    build: String,
}

#[derive(Debug, Serialize)]
struct Served {
    state: &'static str,
    sha256: Option<String>,
}

#[derive(Debug, Serialize)]
struct ModuleRow {
    name: String,
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
    sha256: Option<String>,
    nodes: Vec<Served>,
}

#[derive(Debug, Serialize)]
struct Step {
    step: &'static str,
    module: String,
}

#[derive(Debug, Serialize)]
struct Message {
    level: &'static str,
    text: String,
}

#[derive(Debug, Serialize)]
struct Document {
    version: u32,
    command: &'static str,
    cluster: String,
    exit_status: u8,
    result: &'static str,
    nodes: Vec<Node>,
    modules: Vec<ModuleRow>,
    others: usize,
    kept: Option<String>,
    steps: Vec<Step>,
    messages: Vec<Message>,
}

/// The way out of one run.
#[derive(Debug)]
pub(crate) struct Report {
    format: Format,
    document: Document,
}

impl Report {
    /// Of a command.
    pub(crate) fn new(command: &'static str, format: Format) -> Self {
        Self {
            format,
            document: Document {
                version: VERSION,
                command,
                cluster: String::new(),
                exit_status: FAILED,
                result: "failed",
                nodes: Vec::new(),
                modules: Vec::new(),
                others: 0,
                kept: None,
                steps: Vec::new(),
                messages: Vec::new(),
            },
        }
    }

    /// A line for people. A reader that is gone does not stop a change that has begun.
    pub(crate) fn line(&self, text: &str) {
        if self.format == Format::Pretty {
            let _ = writeln!(io::stdout(), "{}", safe::line(text));
        }
    }

    fn message(&mut self, level: &'static str, text: &str) {
        self.document.messages.push(Message {
            level,
            text: text.to_owned(),
        });
    }

    /// Something that may be wrong.
    pub(crate) fn warning(&mut self, text: &str) {
        self.message("warning", text);
        // Nothing helps when there is no stderr.
        let _ = writeln!(io::stderr(), "asudf: warning: {}", safe::text(text));
    }

    /// Something worth knowing.
    pub(crate) fn note(&mut self, text: &str) {
        self.message("note", text);
        self.line(text);
    }

    /// The cluster, and how it was named.
    pub(crate) fn cluster(&mut self, name: &str) {
        name.clone_into(&mut self.document.cluster);
    }

    /// The nodes that were asked.
    pub(crate) fn nodes(&mut self, picture: &Picture) {
        let nodes = picture.nodes.iter().map(|node| Node {
            id: node.id.clone(),
            address: node.name.clone(),
            build: node.build.clone(),
        });
        self.document.nodes = nodes.collect();
    }

    /// The modules and what is to be done with each. Those that are the same are shown if `all`.
    pub(crate) fn plan(&mut self, plan: &Plan, picture: &Picture, all: bool) {
        self.nodes(picture);
        self.document.modules = plan.rows.iter().map(module_row).collect();
        self.document.others = plan.others;
        for warning in &plan.warnings {
            self.warning(warning);
        }
        let names: Vec<&str> = picture
            .nodes
            .iter()
            .map(|node| node.name.as_str())
            .collect();
        let width = plan.rows.iter().map(|row| row.name.chars().count()).max();
        let width = width.unwrap_or(0);
        for row in &plan.rows {
            if all || row.action != Action::Same {
                self.line(&shown(row, &names, width));
            }
        }
        let same = plan
            .rows
            .iter()
            .filter(|row| row.action == Action::Same)
            .count();
        if same > 0 && !all {
            self.line(&format!("  = {} the same on every node", modules(same)));
        }
        if plan.others > 0 {
            self.line(&format!(
                "    {} left alone",
                counted(plan.others, "other module")
            ));
        }
    }

    /// What was there is in this file.
    pub(crate) fn kept(&mut self, path: &Path) {
        let path = path.strip_prefix(".").unwrap_or(path).display().to_string();
        self.line(&format!("What was there is kept in {path}"));
        self.document.kept = Some(path);
    }

    /// That file was removed again: nothing was changed.
    pub(crate) fn forget_kept(&mut self) {
        self.document.kept = None;
    }

    /// Something was done.
    pub(crate) fn step(&mut self, step: &'static str, module: &str, on: usize) {
        self.line(&format!("{step} {module} on {}", nodes(on)));
        self.document.steps.push(Step {
            step,
            module: module.to_owned(),
        });
    }

    /// The end of the run: writes the document.
    ///
    /// # Errors
    /// That of the run, or the document cannot be written.
    pub(crate) fn end(mut self, result: Result<Status, Failure>) -> Result<Status, Failure> {
        let (code, word) = match &result {
            Ok(Status::Fine) => (Status::Fine.code(), "same"),
            Ok(status @ Status::Something) => (status.code(), "changed"),
            Ok(status @ Status::Interrupted) => (status.code(), "interrupted"),
            Ok(status @ Status::WouldChange) => (status.code(), "would-change"),
            Err(failure) => {
                self.message("error", &failure.to_string());
                (FAILED, "failed")
            }
        };
        if self.format == Format::Json {
            self.document.exit_status = code;
            self.document.result = word;
            let text = json::text(&self.document).map_err(Failure::of)? + "\n";
            match io::stdout().write_all(text.as_bytes()) {
                // A reader that has seen enough is no failure.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    return Err(Failure::of(format!("cannot write the document: {error}")));
                }
                _ => {}
            }
        }
        result
    }
}

/// `1 module`, `2 modules`.
pub(crate) fn modules(count: usize) -> String {
    counted(count, "module")
}

/// `1 node`, `2 nodes`.
pub(crate) fn nodes(count: usize) -> String {
    counted(count, "node")
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// A row as a line: `  ~ orders.lua  differs on 1 of 3 nodes: 10.0.0.2:3000 (absent)`.
fn shown(row: &Row, nodes: &[&str], width: usize) -> String {
    let count = row.cells.len();
    let differing = row.differing();
    let (sign, what) = match &row.action {
        Action::Same => ("=", "the same on every node".to_owned()),
        Action::Add => ("+", "new".to_owned()),
        Action::Change if differing == count => ("~", "differs on every node".to_owned()),
        Action::Change => (
            "~",
            format!("differs on {differing} of {}", self::nodes(count)),
        ),
        Action::Remove => ("-", "no longer wanted".to_owned()),
        Action::Leave(why) => ("?", (*why).to_owned()),
    };
    let mut line = format!("  {sign} {:width$}  {what}", row.name);
    if row.action == Action::Change && differing < count {
        let differing = row
            .cells
            .iter()
            .zip(nodes)
            .filter_map(|(cell, node)| match cell {
                Cell::Same => None,
                Cell::Other(digest) => Some(format!("{node} ({})", digest.short())),
                Cell::Absent => Some(format!("{node} (absent)")),
                Cell::Unreadable(reason) => Some(format!("{node} ({reason})")),
            });
        line += &format!(": {}", differing.collect::<Vec<_>>().join(", "));
    }
    line
}

fn module_row(row: &Row) -> ModuleRow {
    let (action, why) = match row.action {
        Action::Same => ("same", None),
        Action::Add => ("add", None),
        Action::Change => ("change", None),
        Action::Remove => ("remove", None),
        Action::Leave(why) => ("leave", Some(why)),
    };
    let wanted = row.wanted.map(|digest| digest.to_string());
    let nodes = row.cells.iter().map(|cell| {
        let (state, sha256) = match cell {
            Cell::Same => ("same", wanted.clone()),
            Cell::Other(digest) => ("other", Some(digest.to_string())),
            Cell::Absent => ("absent", None),
            Cell::Unreadable(_) => ("unreadable", None),
        };
        Served { state, sha256 }
    });
    ModuleRow {
        name: row.name.clone(),
        action,
        why,
        nodes: nodes.collect(),
        sha256: wanted,
    }
}
