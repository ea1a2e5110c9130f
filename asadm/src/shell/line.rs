//! One line of input: from a line editor on a terminal, else from stdin as it comes.

use std::borrow::Cow;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::Path;

use reedline::{
    ColumnarMenu, Completer, CompletionResult, Emacs, FileBackedHistory, KeyCode, KeyModifiers,
    MenuBuilder, Prompt, PromptEditMode, PromptHistorySearch, Reedline, ReedlineEvent,
    ReedlineMenu, Signal, Span, Suggestion, default_emacs_keybindings,
};

use crate::command;
use crate::output::Output;
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
}

impl Reader {
    /// With an editor and a history file if stdin and stdout are a terminal.
    pub(super) fn new(home: Option<&Path>) -> Self {
        let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        Self {
            editor: terminal.then(|| Box::new(editor(home))),
        }
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
        match editor.read_line(&shown) {
            Ok(Signal::Success(line)) => Read::Line(line),
            Ok(Signal::CtrlC) => Read::Interrupted,
            _ => Read::End,
        }
    }
}

fn editor(home: Option<&Path>) -> Reedline {
    let mut keys = default_emacs_keybindings();
    keys.add_binding(
        KeyModifiers::NONE,
        KeyCode::Tab,
        ReedlineEvent::UntilFound(vec![
            ReedlineEvent::Menu("words".to_owned()),
            ReedlineEvent::MenuNext,
        ]),
    );
    let menu = ColumnarMenu::default().with_name("words");
    let editor = Reedline::create()
        .with_completer(Box::new(Words))
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

/// Completes command words and modifiers.
struct Words;

impl Completer for Words {
    fn complete(&mut self, line: &str, position: usize) -> CompletionResult {
        CompletionResult::fresh(suggestions(line, position))
    }
}

fn suggestions(line: &str, position: usize) -> Vec<Suggestion> {
    let typed = line.get(..position).unwrap_or(line);
    let start = typed.rfind([' ', ';']).map_or(0, |at| at + 1);
    let word = typed.get(start..).unwrap_or_default();
    completions(typed.get(..start).unwrap_or_default())
        .into_iter()
        .filter(|name| name.starts_with(word))
        .map(|name| Suggestion {
            value: name.to_owned(),
            span: Span::new(start, position),
            append_whitespace: true,
            ..Suggestion::default()
        })
        .collect()
}

/// The words that can follow a line.
fn completions(before: &str) -> Vec<&'static str> {
    let last = before.rsplit(';').next().unwrap_or_default();
    let words: Vec<String> = last.split_whitespace().map(str::to_owned).collect();
    let skip = usize::from(
        words
            .first()
            .is_some_and(|word| "help" == word || "watch" == word),
    );
    match command::resolve(words.get(skip..).unwrap_or_default()) {
        command::Resolved::Command(command, rest) if rest.is_empty() => {
            let mut names = command::children(command.path);
            names.extend(command.keywords);
            names.extend(command.flags.iter().filter_map(|flag| flag.names.first()));
            names
        }
        command::Resolved::Command(command, _) => command.keywords.to_vec(),
        command::Resolved::Group(path) => command::children(&path),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completes_from_the_table() {
        for (line, expected) in [
            ("sho", "show"),
            ("show ud", "udfs"),
            ("enable; manage ud", "udfs"),
            ("manage udfs ", "add remove"),
            ("help manage udfs a", "add"),
            ("show udfs l", "like"),
            ("asinfo -v build w", "with"),
            ("nosuch x", ""),
        ] {
            let found: Vec<_> = suggestions(line, line.len())
                .into_iter()
                .map(|suggestion| suggestion.value)
                .collect();
            assert_eq!(found.join(" "), expected, "{line}");
        }
    }
}
