//! The interactive session on a terminal: lines with history, hints and completion; Ctrl-C ends a statement, not the shell.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tools::output::Output;
use tools::render::Style;
use tools::terminal::line::{Completion, Language, LineReader, Read};

use crate::help;
use crate::language::lexer::{Lexer, Stop};
use crate::run::{Flow, Session};
use crate::settings;
use crate::show::Printer;

const PROMPT: &str = "aql> ";

/// Words that can stand in statements, besides their first ones.
const WORDS: &[&str] = &[
    "INTO",
    "VALUES",
    "FROM",
    "WHERE",
    "AND",
    "BETWEEN",
    "WITHIN",
    "CONTAINS",
    "LIMIT",
    "IN",
    "LIST",
    "MAPKEYS",
    "MAPVALUES",
    "PK",
    "DIGEST",
    "EDIGEST",
    "ON",
    "MODULE",
    "MODULES",
    "NAMESPACES",
    "SETS",
    "BINS",
    "INDEXES",
    "INDEX",
    "SYSTEM",
    "NAMESPACE",
    "NUMERIC",
    "STRING",
    "GEO2DSPHERE",
    "UPTO",
    "TRUE",
    "FALSE",
    "NULL",
    "CAST",
    "AS",
    "ALL",
];

/// What can be typed.
#[derive(Clone, Debug, Default)]
struct Statements {
    /// Namespaces, sets, bins, modules and functions of the cluster, as of the last look.
    names: Vec<String>,
}

impl Language for Statements {
    fn completions(&self, line: &str, cursor: usize) -> Vec<Completion> {
        let before = line.get(..cursor).unwrap_or(line);
        let start = before
            .rfind([' ', '\t', ',', '(', '.', '=', ';'])
            .map_or(0, |at| at + 1);
        let typed = before.get(start..).unwrap_or("");
        let statement = before
            .rfind(';')
            .map_or(before, |at| before.get(at + 1..).unwrap_or(""));
        let is_first = statement.trim_start().len() == typed.len();
        let first = statement.split_whitespace().next().unwrap_or("");
        let is_setting = ["SET", "GET", "RESET"]
            .iter()
            .any(|word| first.eq_ignore_ascii_case(word));
        let words: Vec<&str> = if is_first {
            help::TABLE.iter().map(|entry| entry.word).collect()
        } else if is_setting {
            settings::TABLE.iter().map(|setting| setting.name).collect()
        } else {
            WORDS
                .iter()
                .copied()
                .chain(self.names.iter().map(String::as_str))
                .collect()
        };
        let fits = |word: &&str| {
            word.get(..typed.len())
                .is_some_and(|front| front.eq_ignore_ascii_case(typed))
        };
        words
            .into_iter()
            .filter(fits)
            .map(|word| Completion {
                // A word that is typed in small letters goes on in small letters.
                text: match typed.chars().next().is_some_and(char::is_lowercase) {
                    true => word.to_lowercase(),
                    false => word.to_owned(),
                },
                start,
                ends: true,
            })
            .collect()
    }

    fn is_unfinished(&self, line: &str) -> bool {
        let mut lexer = Lexer::new(line);
        loop {
            match lexer.next_token() {
                Ok(_) => {}
                Err(Stop::End) => return false,
                Err(Stop::Unreadable(at)) => {
                    return matches!(line.as_bytes().get(at), Some(b'\'' | b'"'));
                }
            }
        }
    }

    fn is_kept(&self, line: &str) -> bool {
        !line.to_uppercase().contains("PASSWORD")
    }
}

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
    let language = Statements {
        names: session.names().await,
    };
    let mut reader = LineReader::new(&language, history().as_deref(), false);
    let mut out = Output::new(Style::default());
    loop {
        match reader.read(PROMPT, "", &mut out).await {
            Read::Line(line) => {
                tokio::select! {
                    flow = session.line(&line, printer) => {
                        if flow? == Flow::Exit {
                            return Ok(());
                        }
                    }
                    // The connection of a query is closed, which ends it on the nodes too.
                    _ = tokio::signal::ctrl_c() => printer.text("^C\n")?,
                }
                printer.flush()?;
            }
            Read::Interrupted => {}
            Read::End => return Ok(()),
        }
    }
}
