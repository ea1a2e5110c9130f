//! What can be typed: words, and names of the cluster where they fit.

use std::sync::Arc;

use parking_lot::Mutex;
use protocol::bounds::Within as _;
use tools::terminal::line::{Completion, Language};

use crate::help;
use crate::language::lexer::{Lexer, Stop, Token, TokenKind};
use crate::language::secret::holds_password;
use crate::language::value::type_names;
use crate::run::Vocabulary;
use crate::settings;

/// What can be typed; clones are the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Statements {
    vocabulary: Arc<Mutex<Vocabulary>>,
}

/// A word that can stand somewhere, and what follows it.
struct Candidate {
    text: String,
    /// A name of the cluster, which keeps its letters; else a word, which is written as it was begun.
    is_name: bool,
    ends: bool,
}

fn words<'w>(of: impl IntoIterator<Item = &'w str>) -> Vec<Candidate> {
    of.into_iter()
        .map(|text| Candidate {
            text: text.to_owned(),
            is_name: false,
            ends: true,
        })
        .collect()
}

fn names<'n>(of: impl IntoIterator<Item = &'n str>, behind: &str) -> Vec<Candidate> {
    of.into_iter()
        .map(|text| Candidate {
            text: format!("{text}{behind}"),
            is_name: true,
            ends: behind.is_empty(),
        })
        .collect()
}

impl Statements {
    pub(super) fn vocabulary(&self) -> Vocabulary {
        self.vocabulary.lock().clone()
    }

    pub(super) fn set_vocabulary(&self, vocabulary: Vocabulary) {
        *self.vocabulary.lock() = vocabulary;
    }

    /// What can stand behind these tokens, of which the first is the statement's.
    fn fitting(&self, before: &[String]) -> Vec<Candidate> {
        let known = self.vocabulary.lock();
        let upper: Vec<String> = before.iter().map(|word| word.to_uppercase()).collect();
        let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
        let bins = || names(known.bins.iter().map(String::as_str), "");
        match upper.as_slice() {
            [] => words(help::TABLE.iter().map(|entry| entry.word)),
            ["SET" | "GET" | "RESET"] => words(settings::TABLE.iter().map(|setting| setting.name)),
            ["HELP"] => words(help::TABLE.iter().map(|entry| entry.word)),
            ["SHOW"] => words([
                "NAMESPACES",
                "SETS",
                "BINS",
                "MODULES",
                "INDEXES",
                "USERS",
                "ROLES",
            ]),
            ["DESC" | "REMOVE" | "REGISTER"] => words(["MODULE"]),
            ["DESC" | "REMOVE", "MODULE" | "PACKAGE"] => {
                let files: Vec<String> =
                    known.modules().map(|name| format!("{name}.lua")).collect();
                names(files.iter().map(String::as_str), "")
            }
            ["EXECUTE" | "AGGREGATE"] => names(known.modules(), "."),
            ["EXECUTE" | "AGGREGATE", _, "."] => {
                let module = before.get(1).map_or("", String::as_str);
                names(known.functions(module), "(")
            }
            ["EXPLAIN"] => words(["SELECT"]),
            ["INSERT"] => words(["INTO"]),
            ["DELETE"] => words(["FROM"]),
            ["CREATE"] => words(["INDEX", "LIST", "MAPKEYS", "MAPVALUES", "USER", "ROLE"]),
            ["DROP"] => words(["INDEX", "USER", "ROLE"]),
            ["STAT"] => words(["SYSTEM", "NAMESPACE", "INDEX"]),
            ["DROP", "INDEX"] | ["TRUNCATE"] | ["STAT", "NAMESPACE" | "INDEX"] => {
                names(known.sets.keys().map(String::as_str), "")
            }
            ["SHOW", "INDEXES"] => names(known.sets.keys().map(String::as_str), ""),
            ["DROP", "INDEX", ..] | ["STAT", "INDEX", ..] => {
                names(known.indexes.iter().map(String::as_str), "")
            }
            [.., "FROM" | "INTO" | "ON"] => names(known.sets.keys().map(String::as_str), ""),
            [.., "FROM" | "INTO" | "ON", _, "."] | ["TRUNCATE", _, "."] => {
                let namespace = before.iter().rev().nth(1);
                let sets = namespace.and_then(|namespace| known.sets.get(namespace));
                names(sets.into_iter().flatten().map(String::as_str), "")
            }
            [.., "WHERE"] => {
                let mut found = words(["PK", "DIGEST", "EDIGEST"]);
                found.extend(bins());
                found
            }
            ["SELECT"] | ["EXPLAIN", "SELECT"] => bins(),
            ["SELECT", .., ","] | ["INSERT", .., ","] if !upper.contains(&"VALUES") => {
                let mut found = bins();
                found.extend(words(["FROM"]));
                found
            }
            _ => {
                let mut found = words(help::WORDS.iter().copied());
                found.extend(words(type_names()));
                found.extend(bins());
                found
            }
        }
    }
}

/// The tokens in front of the word that is being typed, and where that begins.
fn tokens(line: &str) -> (Vec<String>, usize) {
    let mut lexer = Lexer::new(line);
    let mut found: Vec<Token> = Vec::new();
    while let Ok(token) = lexer.next_token() {
        found.push(token);
    }
    let text = |token: &Token| line.get(token.span.clone()).unwrap_or("").to_owned();
    // A word that the cursor stands at is being typed.
    let typed = found.pop_if(|token| {
        token.span.end == line.len() && matches!(token.kind, TokenKind::Word | TokenKind::MixedWord)
    });
    let start = typed.map_or(line.len(), |token| token.span.start);
    let last = found
        .iter()
        .rposition(|token| text(token) == ";")
        .map_or(0, |at| at + 1);
    (found.iter().skip(last).map(text).collect(), start)
}

impl Language for Statements {
    fn completions(&self, line: &str, cursor: usize) -> Vec<Completion> {
        let before = line.get(..cursor).unwrap_or(line);
        if self.is_unfinished(before) {
            return Vec::new();
        }
        let (tokens, start) = tokens(before);
        let typed = before.within(start..);
        let is_small = typed.chars().next().is_some_and(char::is_lowercase);
        let fits = |word: &Candidate| match word.is_name {
            true => word.text.starts_with(typed),
            false => word
                .text
                .get(..typed.len())
                .is_some_and(|front| front.eq_ignore_ascii_case(typed)),
        };
        self.fitting(&tokens)
            .into_iter()
            .filter(fits)
            .map(|word| Completion {
                // A word that is typed in small letters goes on in small letters.
                text: match is_small && !word.is_name {
                    true => word.text.to_lowercase(),
                    false => word.text,
                },
                start,
                ends: word.ends,
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
        !holds_password(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(line: &str) -> Vec<String> {
        let statements = Statements::default();
        let mut vocabulary = Vocabulary::default();
        vocabulary
            .sets
            .insert("test".to_owned(), ["demo".to_owned()].into());
        vocabulary.sets.insert("bar".to_owned(), [].into());
        vocabulary.bins.insert("Age".to_owned());
        vocabulary.indexes.insert("age_idx".to_owned());
        vocabulary.add_module("counter", &["add", "reset"]);
        statements.set_vocabulary(vocabulary);
        let found = statements.completions(line, line.len());
        found.into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn words_and_names_complete_where_they_fit() {
        for (line, expected) in [
            ("sel", &["select"][..]),
            ("SEL", &["SELECT"]),
            ("get echo; exec", &["execute"]),
            ("show mo", &["modules"]),
            ("select A", &["Age"]),
            ("select * from t", &["test"]),
            ("select * from ", &["bar", "test"]),
            ("select * from test.", &["demo"]),
            ("select * from test.d", &["demo"]),
            ("insert into b", &["bar"]),
            ("execute c", &["counter."]),
            ("execute counter.", &["add(", "reset("]),
            ("execute counter.a", &["add("]),
            ("execute counter.add() on te", &["test"]),
            ("select * from test.demo whe", &["where"]),
            ("select * from test.demo where A", &["Age"]),
            ("remove module c", &["counter.lua"]),
            ("drop index test a", &["age_idx"]),
            ("set key_", &["key_send"]),
            ("select * from test where s = 'fr", &[]),
        ] {
            assert_eq!(completed(line), expected, "{line}");
        }
    }
}
