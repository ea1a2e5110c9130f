//! One line of input: from a line editor on a terminal, else from stdin as it comes.

use std::borrow::Cow;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, IsTerminal};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crossterm::terminal::enable_raw_mode;
use reedline::{
    ColumnarMenu, Completer, CompletionResult, DefaultHinter, EditCommand, Emacs,
    FileBackedHistory, History, HistoryItem, HistoryItemId, HistorySessionId, KeyCode,
    KeyModifiers, MenuBuilder, Prompt, PromptEditMode, PromptHistorySearch, Reedline,
    ReedlineEvent, ReedlineMenu, SearchQuery, Signal, Span, Suggestion, ValidationResult,
    Validator, default_emacs_keybindings,
};
use tokio::task::spawn_blocking;

use super::held::{self, Held};
use crate::output::Output;

/// How many lines the history keeps.
const HISTORY_LINES_MAX: usize = 1000;

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// A line without its line feed.
    Line(String),
    /// The end of input.
    End,
    /// Ctrl-C.
    Interrupted,
}

/// A word that can stand where the cursor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// What is put in, quoted where that is needed.
    pub text: String,
    /// Where the word begins that it replaces, in bytes of the line. It ends at the cursor.
    pub start: usize,
    /// Whether a blank follows; not after the folder of a path.
    pub ends: bool,
}

/// What a program knows about its lines.
pub trait Language: Clone + Send + 'static {
    /// What can stand before the cursor, which is a byte position of the line.
    fn completions(&self, line: &str, cursor: usize) -> Vec<Completion>;

    /// Whether the line goes on after its end: in a quotation, for example.
    fn is_unfinished(&self, line: &str) -> bool;

    /// Whether the line is kept for later sessions. One with a password is not.
    fn is_kept(&self, line: &str) -> bool;
}

/// Reads lines.
pub struct LineReader {
    editor: Option<Box<Reedline>>,
    /// Whether a line goes on after its end.
    is_unfinished: Box<dyn Fn(&str) -> bool + Send>,
    /// The terminal, where there is an editor.
    _held: Option<Held>,
}

impl LineReader {
    /// With an editor if stdin and stdout are a terminal. `history` is the file of earlier lines, which only its owner may
    /// read; without one, or where it cannot be written, the editor works as well.
    pub fn new(language: &impl Language, history: Option<&Path>, colour: bool) -> Self {
        let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        let held = terminal.then(Held::take).and_then(Result::ok);
        let editor = held
            .as_ref()
            .map(|_| Box::new(editor(language, history).with_ansi_colors(colour)));
        let language = language.clone();
        Self {
            editor,
            is_unfinished: Box::new(move |line| language.is_unfinished(line)),
            _held: held,
        }
    }

    /// Whether there is an editor.
    pub fn edits(&self) -> bool {
        self.editor.is_some()
    }

    /// The next line. The runtime is free meanwhile.
    pub async fn read(
        &mut self,
        prompt: &'static str,
        codes: &'static str,
        out: &mut Output,
    ) -> Read {
        let shown = out.styled(codes, prompt);
        let Some(mut editor) = self.editor.take() else {
            out.put(&shown);
            return match read_line().await {
                Some(line) => Read::Line(line.trim_end_matches(['\r', '\n']).to_owned()),
                None => Read::End,
            };
        };
        if let Some(line) = self.early_line() {
            out.put(&format!("{shown}{line}\n"));
            // A history that cannot be written is one of this session.
            let _ = editor
                .history_mut()
                .save(HistoryItem::from_command_line(&line));
            self.editor = Some(editor);
            return Read::Line(line);
        }
        if let Some(begun) = held::early_begun() {
            editor.run_edit_commands(&[EditCommand::InsertString(begun)]);
        }
        let edited = spawn_blocking(move || {
            let _keys = held::keys();
            let signal = enable_raw_mode()
                .and_then(|()| held::take_line_feeds_for_enter())
                .and_then(|()| editor.read_line(&Shown(shown)));
            (editor, signal)
        });
        let Ok((editor, signal)) = edited.await else {
            return Read::End;
        };
        self.editor = Some(editor);
        match signal {
            Ok(Signal::Success(line)) => Read::Line(line),
            Ok(Signal::CtrlC) => Read::Interrupted,
            _ => Read::End,
        }
    }

    /// One whole line that was typed before the terminal was held, with those that it goes on in.
    fn early_line(&self) -> Option<String> {
        let mut line = held::early_line()?;
        while (self.is_unfinished)(&line) {
            let Some(next) = held::early_line() else {
                break;
            };
            line.push('\n');
            line.push_str(&next);
        }
        Some(line)
    }
}

/// The next line of stdin that is no terminal with an editor; `None` at its end. The runtime is free meanwhile, so that an
/// interrupt is seen.
pub(super) async fn read_line() -> Option<String> {
    let read = spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|size| (size, line))
    });
    match read.await {
        Ok(Ok((size, line))) if size > 0 => Some(line),
        _ => None,
    }
}

fn editor(language: &impl Language, history: Option<&Path>) -> Reedline {
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
        .with_completer(Box::new(Words(language.clone())))
        .with_hinter(Box::<DefaultHinter>::default())
        .with_validator(Box::new(Ends(language.clone())))
        // What is pasted is shown and runs when Enter is pressed, however many lines it has.
        .use_bracketed_paste(true)
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
        .with_quick_completions(true)
        .with_partial_completions(true)
        .with_edit_mode(Box::new(Emacs::new(keys)));
    let kept = history
        .and_then(private)
        .and_then(|file| FileBackedHistory::with_file(HISTORY_LINES_MAX, file).ok())
        // Else lines are kept in memory.
        .unwrap_or_default();
    editor.with_history(Box::new(Discreet {
        kept,
        language: language.clone(),
    }))
}

/// The file and its folder, made where they are not there, for nobody but their owner.
fn private(file: &Path) -> Option<PathBuf> {
    let folder = file.parent()?;
    if !folder.is_dir() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .ok()?;
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(file)
        .ok()?;
    // They may be older than this rule. Whoever cannot change them does not own them.
    fs::set_permissions(folder, Permissions::from_mode(0o700)).ok();
    fs::set_permissions(file, Permissions::from_mode(0o600)).ok()?;
    Some(file.to_owned())
}

/// Completes the word before the cursor.
struct Words<L>(L);

impl<L: Language> Completer for Words<L> {
    fn complete(&mut self, line: &str, position: usize) -> CompletionResult {
        let found = self.0.completions(line, position);
        CompletionResult::fresh(
            found
                .into_iter()
                .map(|completion| Suggestion {
                    value: completion.text,
                    span: Span::new(completion.start, position),
                    append_whitespace: completion.ends,
                    ..Suggestion::default()
                })
                .collect::<Vec<_>>(),
        )
    }
}

/// A line goes on after its end where the language says so.
struct Ends<L>(L);

impl<L: Language> Validator for Ends<L> {
    fn validate(&self, line: &str) -> ValidationResult {
        if self.0.is_unfinished(line) {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Complete
        }
    }
}

/// Earlier lines without those that are not kept. The editor still offers such a line once, from its own memory.
struct Discreet<L> {
    kept: FileBackedHistory,
    language: L,
}

impl<L: Language> History for Discreet<L> {
    fn save(&mut self, item: HistoryItem) -> reedline::Result<HistoryItem> {
        if self.language.is_kept(&item.command_line) {
            self.kept.save(item)
        } else {
            Err(io::Error::other("a line that is not kept").into())
        }
    }

    fn load(&self, id: HistoryItemId) -> reedline::Result<HistoryItem> {
        self.kept.load(id)
    }

    fn count(&self, query: SearchQuery) -> reedline::Result<i64> {
        self.kept.count(query)
    }

    fn search(&self, query: SearchQuery) -> reedline::Result<Vec<HistoryItem>> {
        self.kept.search(query)
    }

    fn update(
        &mut self,
        id: HistoryItemId,
        updater: &dyn Fn(HistoryItem) -> HistoryItem,
    ) -> reedline::Result<()> {
        self.kept.update(id, updater)
    }

    fn clear(&mut self) -> reedline::Result<()> {
        self.kept.clear()
    }

    fn delete(&mut self, id: HistoryItemId) -> reedline::Result<()> {
        self.kept.delete(id)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.kept.sync()
    }

    fn session(&self) -> Option<HistorySessionId> {
        self.kept.session()
    }
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
