//! One line of input: from a line editor on a terminal, else from stdin as it comes.

use std::borrow::Cow;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use reedline::{
    ColumnarMenu, DefaultHinter, Emacs, FileBackedHistory, HistoryItem, KeyCode, KeyModifiers,
    MenuBuilder, Prompt, PromptEditMode, PromptHistorySearch, Reedline, ReedlineEvent,
    ReedlineMenu, Signal, ValidationResult, Validator, default_emacs_keybindings,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::complete::Words;
use super::vocabulary::Vocabulary;
use crate::output::Output;
use crate::parse;
use crate::session::read_line;

/// How many lines the history keeps.
const HISTORY_LINES_MAX: usize = 1000;

/// What came.
pub(super) enum Read {
    /// A line without its line feed.
    Line(String),
    /// The end of input.
    End,
    /// Ctrl-C.
    Interrupted,
}

/// Reads lines.
pub(super) struct Reader {
    editor: Option<Box<Reedline>>,
    vocabulary: Arc<Mutex<Vocabulary>>,
}

impl Reader {
    /// With an editor and a history file if stdin and stdout are a terminal.
    pub(super) fn new(home: Option<&Path>, colour: bool) -> Self {
        let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        let vocabulary = Arc::default();
        Self {
            editor: terminal.then(|| Box::new(editor(home, &vocabulary).with_ansi_colors(colour))),
            vocabulary,
        }
    }

    /// Whether there is completion.
    pub(super) fn completes(&self) -> bool {
        self.editor.is_some()
    }

    /// Completes these names from now on.
    pub(super) fn learn(&self, vocabulary: Vocabulary) {
        *self.vocabulary.lock() = vocabulary;
    }

    /// The next line.
    pub(super) async fn read(
        &mut self,
        prompt: &'static str,
        codes: &'static str,
        out: &mut Output,
    ) -> Read {
        let Some(editor) = &mut self.editor else {
            let shown = out.styled(codes, prompt);
            out.text(&shown);
            return match read_line().await {
                Some(line) => Read::Line(line.trim_end_matches(['\r', '\n']).to_owned()),
                None => Read::End,
            };
        };
        let shown = Shown(out.styled(codes, prompt));
        if typed_ahead() {
            return match read_line().await {
                Some(line) => {
                    let line = line.trim_end_matches(['\r', '\n']).to_owned();
                    out.text(&format!("{}{line}\n", shown.0));
                    // A history that cannot be written is one of this session.
                    let _ = editor
                        .history_mut()
                        .save(HistoryItem::from_command_line(&line));
                    Read::Line(line)
                }
                None => Read::End,
            };
        }
        match editor.read_line(&shown) {
            Ok(Signal::Success(line)) => Read::Line(line),
            Ok(Signal::CtrlC) => Read::Interrupted,
            _ => Read::End,
        }
    }
}

/// Whether whole lines were typed while the last command ran. The editor would take the first of them only, so they are
/// taken one by one before it has the terminal again.
fn typed_ahead() -> bool {
    let stdin = io::stdin();
    let mut waiting = [PollFd::new(&stdin, PollFlags::IN)];
    matches!(poll(&mut waiting, Some(&Timespec::default())), Ok(1..))
}

fn editor(home: Option<&Path>, vocabulary: &Arc<Mutex<Vocabulary>>) -> Reedline {
    let mut keys = default_emacs_keybindings();
    keys.add_binding(
        KeyModifiers::NONE,
        KeyCode::Tab,
        ReedlineEvent::UntilFound(vec![
            ReedlineEvent::Menu("words".to_owned()),
            ReedlineEvent::MenuNext,
        ]),
    );
    let menu = ColumnarMenu::default().with_name("words").with_marker("");
    let editor = Reedline::create()
        .with_completer(Box::new(Words(Arc::clone(vocabulary))))
        .with_hinter(Box::<DefaultHinter>::default())
        .with_validator(Box::new(Quotations))
        // What is pasted is shown and runs when Enter is pressed, however many lines it has.
        .use_bracketed_paste(true)
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
        .with_quick_completions(true)
        .with_partial_completions(true)
        .with_edit_mode(Box::new(Emacs::new(keys)));
    match history(home) {
        Some(history) => editor.with_history(Box::new(history)),
        None => editor,
    }
}

/// The history of earlier sessions; without one the shell works as well.
fn history(home: Option<&Path>) -> Option<FileBackedHistory> {
    let directory = home?.join(".aerospike");
    fs::create_dir_all(&directory).ok()?;
    let file = directory.join("admin_live_cluster_history");
    FileBackedHistory::with_file(HISTORY_LINES_MAX, file).ok()
}

struct Shown(String);

impl Prompt for Shown {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0)
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        Cow::Owned(format!("(search: {}) ", search.term))
    }
}

/// A line goes on after its end while a quotation is open.
struct Quotations;

impl Validator for Quotations {
    fn validate(&self, line: &str) -> ValidationResult {
        match parse::lines(line) {
            Err(parse::ParseError::OpenQuote | parse::ParseError::OpenEscape) => {
                ValidationResult::Incomplete
            }
            _ => ValidationResult::Complete,
        }
    }
}
