//! Where text goes: stdout or a file, messages to stderr, and the memory of what failed.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::document::Document;
use crate::exit::Exit;
use crate::render::{self, Style};
use crate::sheet::Sheet;

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

/// One part of a command's output, in order.
#[derive(Debug, Clone)]
pub enum Piece {
    /// A table.
    Sheet(Box<Sheet>),
    /// Plain text for stdout, printed as it is, also with `--json`.
    Text(String),
    /// `ERROR: text` for stderr; the exit status becomes 2.
    Error(String),
    /// `WARNING: text` for stderr.
    Warning(String),
}

impl Piece {
    /// A table.
    pub fn sheet(sheet: Sheet) -> Self {
        Self::Sheet(Box::new(sheet))
    }
}

/// The way out.
#[derive(Debug, Default)]
pub struct Output {
    file: Option<File>,
    /// What is kept back while a command is watched, or its heading is undecided.
    captured: Option<String>,
    /// Takes everything in place of stdout.
    document: Option<Document>,
    /// Colour of stdout.
    pub style: Style,
    /// How sheets are shown.
    pub pager: Pager,
    /// The worst that has happened.
    pub exit: Exit,
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

    /// Sends text to a file from now on, without colour.
    pub fn to_file(&mut self, path: &Path) -> io::Result<()> {
        let file = File::create(path)?;
        match &self.document {
            Some(document) => document.to_file(file),
            None => self.file = Some(file),
        }
        self.style.colour = false;
        Ok(())
    }

    /// Text as it is.
    pub fn text(&mut self, text: &str) {
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

    /// Text that a person has to see before typing something; where stdout is collected it goes to stderr.
    pub fn question(&mut self, text: &str) {
        if self.document.is_some() {
            let _ = write!(io::stderr(), "{text}");
        } else {
            self.text(text);
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

    /// `ERROR: text`; the run has failed.
    pub fn error(&mut self, text: &str) {
        self.exit = self.exit.max(Exit::Command);
        self.message("31;91", "ERROR", text);
    }

    /// `ERROR: text` about options or configuration.
    pub fn setup_error(&mut self, text: &str) {
        self.exit = self.exit.max(Exit::Setup);
        self.message("31;91", "ERROR", text);
    }

    /// `WARNING: text`.
    pub fn warning(&mut self, text: &str) {
        self.message("33;93", "WARNING", text);
    }

    fn message(&mut self, codes: &str, level: &str, text: &str) {
        if let Some(document) = &self.document {
            document.message(level, text);
        }
        let line = self.styled(codes, &format!("{level}: {text}"));
        // Nothing helps when there is no stderr.
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// A line on stderr that is no problem.
    pub fn note(&self, text: &str) {
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// One part of a view's output.
    pub fn piece(&mut self, piece: &Piece) {
        match piece {
            Piece::Sheet(sheet) => self.sheet(sheet),
            Piece::Text(text) => self.text(text),
            Piece::Error(text) => self.error(text),
            Piece::Warning(text) => self.warning(text),
        }
    }

    /// A sheet, through the pager.
    pub fn sheet(&mut self, sheet: &Sheet) {
        if let (Some(document), None) = (&self.document, &self.captured) {
            let style = Style {
                json: true,
                ..self.style
            };
            document.sheet(&render::print(sheet, &style));
            return;
        }
        let text = render::print(sheet, &self.style);
        if text.is_empty() {
            return;
        }
        match self.pager {
            Pager::Off => self.text(&text),
            Pager::On if page(&text) => {}
            Pager::On => self.text(&text),
            Pager::Scroll => {
                for line in text.split_inclusive('\n') {
                    self.text(line);
                    std::thread::sleep(SCROLL_PAUSE);
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

    /// Whether text goes to a file.
    pub fn is_file(&self) -> bool {
        self.file.is_some()
    }
}

/// Whether `less` showed the text.
fn page(text: &str) -> bool {
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
