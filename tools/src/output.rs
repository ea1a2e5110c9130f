//! Where events go: as text to stdout or a file, or into a document; messages to stderr.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::document::Document;
use crate::render::{self, Style};
use crate::sheet::Sheet;
use crate::terminal::held::lend;
use crate::terminal::safe;

/// What a command has to say, in order.
#[derive(Debug, Clone)]
pub enum Event {
    /// A table.
    Sheet(Box<Sheet>),
    /// Text for stdout, with its line feeds; also with `--json`.
    Text(String),
    /// What nodes answered to one info command.
    Answers(Answers),
    /// `ERROR: text` for stderr; the command has failed.
    Error(String),
    /// `WARNING: text` for stderr.
    Warning(String),
    /// A line for stderr that is no problem.
    Note(String),
}

impl Event {
    /// A table.
    pub fn sheet(sheet: Sheet) -> Self {
        Self::Sheet(Box::new(sheet))
    }

    /// Whether it tells of a failure.
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }
}

/// The answers of nodes.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// Node by node.
    pub nodes: Vec<NodeAnswer>,
    /// Whether text names the node above each answer.
    pub named: bool,
}

/// What one node said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAnswer {
    /// How the node is shown.
    pub node: String,
    /// Its address without the port.
    pub address: String,
    /// The answer as received, or why there is none.
    pub answer: Result<String, String>,
    /// The answer as text shows it.
    pub shown: String,
}

/// How sheets are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pager {
    /// As they are.
    #[default]
    Off,
    /// Each through `less`.
    On,
    /// Line by line.
    Scroll,
}

/// Time between two lines of [`Pager::Scroll`].
const SCROLL_PAUSE: Duration = Duration::from_millis(50);
/// Codes of errors.
const RED: &str = "31;91";
/// Codes of warnings.
const YELLOW: &str = "33;93";

/// The way out.
#[derive(Debug, Default)]
pub struct Output {
    file: Option<File>,
    /// What is kept back while a command is watched.
    captured: Option<String>,
    /// Takes everything in place of stdout.
    document: Option<Document>,
    /// Colour and more of stdout.
    pub style: Style,
    /// How sheets are shown.
    pub pager: Pager,
    /// The reader of stdout is gone.
    pub closed: bool,
}

impl Output {
    /// To stdout.
    pub fn new(style: Style) -> Self {
        Self {
            style,
            ..Self::default()
        }
    }

    /// Collects in a document what would go to stdout.
    pub fn to_document(&mut self, document: Document) {
        self.document = Some(document);
        self.style.colour = false;
    }

    /// The document that collects the output.
    pub fn document(&self) -> Option<&Document> {
        self.document.as_ref()
    }

    /// Sends text to a file from now on, without colour and with data as it is.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn to_file(&mut self, path: &Path) -> io::Result<()> {
        let file = File::create(path)?;
        match &self.document {
            Some(document) => document.to_file(file),
            None => self.file = Some(file),
        }
        self.style.colour = false;
        self.style.safe = false;
        self.style.cut = false;
        Ok(())
    }

    /// Whether text goes to a file.
    pub fn is_file(&self) -> bool {
        self.file.is_some()
    }

    /// Tells an event. A pager may take its time, in which the runtime is free.
    pub async fn tell(&mut self, event: Event) {
        match event {
            Event::Sheet(sheet) => self.sheet(&sheet).await,
            Event::Text(text) => self.text(&text),
            Event::Answers(answers) => self.answers(&answers),
            Event::Error(text) => self.error(&text),
            Event::Warning(text) => self.warning(&text),
            Event::Note(text) => self.note(&text),
        }
    }

    /// Text that may hold what servers sent.
    pub fn text(&mut self, text: &str) {
        let shown = self.safe(text);
        self.put(&shown);
    }

    /// Text whose codes are the program's own; what it holds of others went through [`Output::safe`].
    pub fn put(&mut self, text: &str) {
        if let Some(captured) = &mut self.captured {
            captured.push_str(text);
            return;
        }
        if let Some(document) = &self.document {
            document.text(text);
            return;
        }
        let written = match &mut self.file {
            Some(file) => file.write_all(text.as_bytes()),
            None => {
                let mut out = io::stdout().lock();
                out.write_all(text.as_bytes()).and_then(|()| out.flush())
            }
        };
        if written.is_err() {
            self.closed = true;
        }
    }

    /// The text as it may be shown where it goes.
    pub fn safe<'a>(&self, text: &'a str) -> Cow<'a, str> {
        // A document is JSON, which escapes by itself.
        if self.style.safe && self.document.is_none() {
            safe::text(text)
        } else {
            Cow::Borrowed(text)
        }
    }

    /// Text that a person has to see before typing something; where stdout is collected it goes to stderr.
    pub fn question(&mut self, text: &str) {
        if self.document.is_some() {
            // Nothing helps when there is no stderr.
            let _ = write!(io::stderr(), "{text}");
        } else {
            self.put(text);
        }
    }

    /// The text with a style around it, if there is colour.
    pub fn styled(&self, codes: &str, text: &str) -> String {
        if self.style.colour && !text.is_empty() {
            format!("\u{1b}[{codes}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// Bold, if there is colour.
    pub fn bold(&self, text: &str) -> String {
        self.styled("1", text)
    }

    /// `ERROR: text`.
    pub fn error(&mut self, text: &str) {
        self.message(RED, "ERROR", text);
    }

    /// `WARNING: text`.
    pub fn warning(&mut self, text: &str) {
        self.message(YELLOW, "WARNING", text);
    }

    fn message(&mut self, codes: &str, level: &str, text: &str) {
        if let Some(document) = &self.document {
            document.message(level, text);
        }
        let line = self.styled(codes, &format!("{level}: {}", safe::text(text)));
        // Nothing helps when there is no stderr.
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// A line on stderr that is no problem.
    pub fn note(&self, text: &str) {
        let _ = writeln!(io::stderr(), "{}", safe::text(text));
    }

    fn answers(&mut self, answers: &Answers) {
        if let (Some(document), None) = (&self.document, &self.captured) {
            document.answers(&answers.nodes);
            return;
        }
        let mut blocks = String::new();
        for node in &answers.nodes {
            let shown = match &node.answer {
                Ok(_) => self.safe(&node.shown).into_owned(),
                Err(reason) => self.styled(RED, &format!("FAILED: {}", safe::text(reason))),
            };
            if answers.named {
                let heading = format!("{} ({}) returned", node.node, node.address);
                let heading = self.bold(&safe::line(&heading));
                blocks.extend([&heading, ":\n", &shown, "\n\n"]);
            } else {
                blocks.extend([&shown, "\n"]);
            }
        }
        // One write, however many nodes there are.
        self.put(&blocks);
    }

    async fn sheet(&mut self, sheet: &Sheet) {
        if let (Some(document), None) = (&self.document, &self.captured) {
            document.sheet(sheet);
            return;
        }
        let text = render::print(sheet, &self.style);
        if text.is_empty() {
            return;
        }
        match self.pager {
            Pager::Off => self.put(&text),
            Pager::On => {
                let shown = text.clone();
                // A pager that does not start, or is killed, shows nothing.
                let paged = tokio::task::spawn_blocking(move || page(&shown));
                if !paged.await.unwrap_or(false) {
                    self.put(&text);
                }
            }
            Pager::Scroll => {
                for line in text.split_inclusive('\n') {
                    self.put(line);
                    tokio::time::sleep(SCROLL_PAUSE).await;
                }
            }
        }
    }

    /// Keeps text back from now on.
    pub fn capture(&mut self) {
        self.captured = Some(String::new());
    }

    /// What was kept back.
    pub fn captured(&mut self) -> String {
        self.captured.take().unwrap_or_default()
    }
}

/// Whether `less` showed the text.
fn page(text: &str) -> bool {
    let _lent = lend();
    let Ok(mut less) = Command::new("less")
        .arg("-RSX")
        .stdin(Stdio::piped())
        .spawn()
    else {
        return false;
    };
    if let Some(mut pipe) = less.stdin.take() {
        // A pager that is left early closes the pipe.
        let _ = pipe.write_all(text.as_bytes());
    }
    less.wait().is_ok_and(|status| status.success())
}
