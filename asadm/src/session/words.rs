//! Words that are not understood, and what may have been meant.

use std::iter;

use tools::suggest;

use super::Session;
use crate::command::{self, Command, help};
use crate::outcome::Outcome;
use crate::view::Modifiers;

impl Session {
    /// A word at the place of a command that none begins with.
    pub(super) fn unknown(&mut self, group: &[&'static str], words: &[String]) -> Outcome {
        self.out.text(&help(group));
        let text = format!("{}: command not found.", words.join(" "));
        let outcome = self.fail(Outcome::Misunderstood, &text);
        if let Some(word) = words.first() {
            self.hint(word, command::children(group));
        }
        outcome
    }

    /// What may have been meant by a word, on stderr and nowhere else. It is never run.
    pub(super) fn hint(&self, word: &str, known: Vec<&'static str>) {
        if let Some(near) = suggest::nearest(word, known) {
            self.out.note(&format!("Did you mean `{near}`?"));
        }
    }

    /// Refuses words behind a command that mean nothing there.
    ///
    /// Behind a command that has subcommands a strange word is ignored, as scripts know it, unless it is close to one that
    /// means something. So is what stands behind `|`: there are no pipes.
    pub(super) fn stray_words(
        &mut self,
        command: &Command,
        modifiers: &Modifiers,
    ) -> Option<Outcome> {
        let stray = modifiers.words.get(command.words_max..)?;
        let pipe = stray.iter().position(|word| word == "|");
        if pipe.is_some() {
            self.out
                .warning("there are no pipes here, what stands behind `|` is ignored");
        }
        let word = stray.get(..pipe.unwrap_or(stray.len()))?.first()?;
        let below = command::children(command.path);
        let flags = command.flags.iter().flat_map(|flag| flag.names);
        let known = below.iter().chain(command.keywords).chain(flags).copied();
        // A modifier that is mistyped is taken for a word that has its place, if the command has one.
        let near = iter::once(word)
            .chain(
                modifiers
                    .words
                    .get(..command.words_max)
                    .into_iter()
                    .flatten(),
            )
            .find_map(|word| suggest::nearest(word, known.clone()));
        let path = command.path.join(" ");
        if near.is_none() && !below.is_empty() {
            self.out.warning(&format!(
                "`{word}` means nothing to `{path}` and is ignored"
            ));
            return None;
        }
        let text = format!("`{word}` is not understood behind `{path}`, so nothing was done");
        let outcome = self.fail(Outcome::Misunderstood, &text);
        if let Some(near) = near {
            self.out.note(&format!("Did you mean `{near}`?"));
        }
        Some(outcome)
    }
}
