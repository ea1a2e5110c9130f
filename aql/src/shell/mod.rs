//! The interactive session on a terminal: lines with history, hints and completion; Ctrl-C ends a statement, not the shell.

mod complete;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tools::output::Output;
use tools::render::Style;
use tools::terminal::line::{Language as _, LineReader, Read};

use crate::run::{Flow, Session};
use crate::show::Printer;
use complete::Statements;

const PROMPT: &str = "aql> ";

fn history() -> Option<PathBuf> {
    std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".aql_history"))
}

/// Makes the file of earlier lines, for its owner only. Where that cannot be, there is none.
pub(crate) fn make_history() {
    if let Some(path) = history() {
        drop(open_history(&path));
    }
}

fn open_history(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600).open(path)
}

/// Keeps a line that came from elsewhere than a terminal for later sessions, unless a password stands in it.
pub(crate) fn remember(line: &str) {
    if !Statements::default().is_kept(line) {
        return;
    }
    if let Some(path) = history()
        && let Ok(mut file) = open_history(&path)
        && let Err(error) = writeln!(file, "{line}")
    {
        // Nothing depends on it.
        drop(error);
    }
}

/// Runs the shell until it is left.
///
/// # Errors
/// Nobody reads what is printed.
pub(crate) async fn run(session: &mut Session, printer: &mut Printer<'_>) -> io::Result<()> {
    let language = Statements::default();
    let mut reader = LineReader::new(&language, history().as_deref(), false);
    let mut out = Output::new(Style::default());
    loop {
        language.set_vocabulary(session.vocabulary(&language.vocabulary()).await);
        match reader.read(PROMPT, "", &mut out).await {
            Read::Line(line) => {
                tokio::select! {
                    flow = session.line(&line, printer) => {
                        if flow? == Flow::Exit {
                            return Ok(());
                        }
                    }
                    // The connection of a query is closed, which ends it on the nodes too.
                    _ = tokio::signal::ctrl_c() => {
                        session.give_up();
                        printer.give_up()?;
                        printer.text("^C\n")?;
                    }
                }
                printer.flush()?;
            }
            Read::Interrupted => {}
            Read::End => return Ok(()),
        }
    }
}
