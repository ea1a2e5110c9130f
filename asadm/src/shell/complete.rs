//! Completion: command words and modifiers from the table of commands, names from the cluster.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use parking_lot::Mutex;
use protocol::bounds::Within as _;
use tools::suggest;
use tools::terminal::line::{Completion, Language};

use super::vocabulary::Vocabulary;
use crate::command::{self, Command, Resolved};
use crate::parse;

/// The command language with the names of the cluster that are known so far.
#[derive(Clone, Default)]
pub(super) struct Words(Arc<Mutex<Vocabulary>>);

impl Words {
    /// Completes these names from now on.
    pub(super) fn learn(&self, vocabulary: Vocabulary) {
        *self.0.lock() = vocabulary;
    }
}

impl Language for Words {
    fn completions(&self, line: &str, cursor: usize) -> Vec<Completion> {
        suggestions(line, cursor, &self.0.lock())
    }

    fn is_unfinished(&self, line: &str) -> bool {
        matches!(
            parse::lines(line),
            Err(parse::ParseError::OpenQuote | parse::ParseError::OpenEscape)
        )
    }

    fn is_kept(&self, line: &str) -> bool {
        parse::lines(line)
            .is_ok_and(|commands| commands.iter().all(|words| !command::holds_password(words)))
    }
}

fn suggestions(line: &str, position: usize, vocabulary: &Vocabulary) -> Vec<Completion> {
    let typed = line.get(..position).unwrap_or(line);
    let Some(start) = parse::last_word(typed) else {
        return Vec::new();
    };
    let word = typed.within(start..);
    let before = typed.within(..start);
    let completion = |name: String, ends| Completion {
        text: parse::written(&name).into_owned(),
        start,
        ends,
    };
    match next(before) {
        Next::Path => paths(word)
            .into_iter()
            .map(|path| {
                let ends = !path.ends_with('/');
                completion(path, ends)
            })
            .collect(),
        // Most of them go on with parameters.
        Next::InfoCommand => suggest::info_commands()
            .filter(|name| name.starts_with(word))
            .map(|name| completion(name.to_owned(), false))
            .collect(),
        Next::Word => completions(before, vocabulary)
            .into_iter()
            .filter(|name| name.starts_with(word))
            .map(|name| completion(name, true))
            .collect(),
    }
}

/// What kind of word follows.
enum Next {
    Word,
    Path,
    InfoCommand,
}

fn next(before: &str) -> Next {
    match last_command(before).as_slice() {
        [family, udfs, add, .., modifier]
            if (family.as_str(), udfs.as_str(), add.as_str()) == ("manage", "udfs", "add")
                && modifier == "path" =>
        {
            Next::Path
        }
        [command, flag] if command == "asinfo" && flag == "-v" => Next::InfoCommand,
        _ => Next::Word,
    }
}

/// Files and folders that begin so, folders with a slash at their end. Hidden ones where the dot is typed.
fn paths(typed: &str) -> Vec<String> {
    let (folder, begin) = match typed.rsplit_once('/') {
        Some((folder, begin)) => (format!("{folder}/"), begin),
        None => (String::new(), typed),
    };
    let place = match folder.as_str() {
        "" => ".",
        folder => folder,
    };
    // A folder that cannot be read has nothing to offer.
    let Ok(entries) = fs::read_dir(place) else {
        return Vec::new();
    };
    let mut found: Vec<String> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?;
            let shown =
                name.starts_with(begin) && (begin.starts_with('.') || !name.starts_with('.'));
            let slash = if path.is_dir() { "/" } else { "" };
            shown.then(|| format!("{folder}{name}{slash}"))
        })
        .collect();
    found.sort_unstable();
    found
}

/// The words of the command that a line ends in.
fn last_command(before: &str) -> Vec<String> {
    let commands = parse::lines(before).unwrap_or_default();
    let ends = before.trim_end_matches([' ', '\t']).ends_with([';', '\n']);
    let last = commands.into_iter().next_back().filter(|_| !ends);
    last.unwrap_or_default()
}

fn owned(names: impl IntoIterator<Item = &'static str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

/// The words that can follow a line.
fn completions(before: &str, vocabulary: &Vocabulary) -> Vec<String> {
    let words = last_command(before);
    let skip = usize::from(
        words
            .first()
            .is_some_and(|word| "help" == word || "watch" == word),
    );
    match command::resolve(words.within(skip..)) {
        Resolved::Command(command, rest) => {
            let mut names = Vec::new();
            if rest.is_empty() {
                names.extend(owned(command::children(command.path)));
            }
            names.extend(values(&command, &rest, vocabulary));
            // A modifier stands once, and not where another one has no value yet.
            let lacks_value = rest
                .last()
                .is_some_and(|word| command.keywords.contains(&word.as_str()));
            let unused = command.keywords.iter().copied();
            let unused = unused.filter(|keyword| !rest.iter().any(|word| word == keyword));
            if !lacks_value || names.is_empty() {
                names.extend(owned(unused));
            }
            if rest.is_empty() {
                let flags = command.flags.iter().filter_map(|flag| flag.names.first());
                names.extend(owned(flags.copied()));
            }
            let mut seen = BTreeSet::new();
            names.retain(|name| seen.insert(name.clone()));
            names
        }
        Resolved::Group(path) => owned(command::children(&path)),
        _ => Vec::new(),
    }
}

/// Names of the cluster that can stand next.
fn values(command: &Command, rest: &[String], vocabulary: &Vocabulary) -> Vec<String> {
    let keyword_at = rest
        .iter()
        .rposition(|word| command.keywords.contains(&word.as_str()));
    let Some(at) = keyword_at else {
        return match (command.path, rest) {
            (["show", "udfs"] | ["manage", "udfs", "remove" | "run"], []) => {
                vocabulary.modules.clone()
            }
            (["manage", "config", .., "namespace"], []) => vocabulary.namespaces.clone(),
            _ => Vec::new(),
        };
    };
    let keyword = rest.get(at).map_or("", String::as_str);
    // Nothing follows a word that is still to come.
    let given = rest.get(at + 1..).unwrap_or_default();
    match (keyword, given) {
        ("with", _) => [vocabulary.nodes.clone(), vec!["all".to_owned()]].concat(),
        ("for" | "ns" | "namespace" | "on", []) => vocabulary.namespaces.clone(),
        ("for", [namespace]) => vocabulary.sets.get(namespace).cloned().unwrap_or_default(),
        ("set", []) => {
            let after = rest
                .iter()
                .position(|word| word == "ns" || word == "namespace")
                .and_then(|at| rest.get(at + 1));
            match after
                .or(rest.first())
                .and_then(|name| vocabulary.sets.get(name))
            {
                Some(sets) => sets.clone(),
                None => vocabulary.sets.values().flatten().cloned().collect(),
            }
        }
        ("param", []) => command
            .path
            .get(2)
            .and_then(|scope| vocabulary.parameters.get(scope))
            .cloned()
            .unwrap_or_default(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vocabulary {
        let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        Vocabulary {
            nodes: names("host:3000 BB9"),
            modules: names("counter.lua"),
            namespaces: names("test bar"),
            sets: [(
                "test".to_owned(),
                [names("demo users"), vec!["old users".to_owned()]].concat(),
            )]
            .into(),
            parameters: [
                ("service", names("proto-fd-max")),
                ("namespace", names("nsup-period")),
            ]
            .into(),
        }
    }

    #[test]
    fn completes_from_the_table_and_the_cluster() {
        for (line, expected) in [
            ("sho", "show"),
            ("show ud", "udfs"),
            ("enable; manage ud", "udfs"),
            ("enable\nmanage ud", "udfs"),
            ("manage udfs ", "add remove run"),
            ("help manage udfs a", "add"),
            ("show udfs l", "like"),
            ("show udfs c", "counter.lua"),
            ("manage udfs remove ", "counter.lua"),
            ("asinfo -v build w", "with"),
            ("asinfo -v build with h", "host:3000"),
            ("asinfo -v build with host:3000 B", "BB9"),
            ("show statistics namespace for t", "test"),
            ("show stop-writes for test u", "users"),
            ("manage truncate ns ba", "bar"),
            ("manage truncate ns test set d", "demo"),
            ("manage config service param p", "proto-fd-max"),
            ("manage config namespace te", "test"),
            ("manage config namespace test param n", "nsup-period"),
            ("nosuch x", ""),
            ("manage truncate ns test set o", "'old users'"),
            ("asinfo -v 'a;", ""),
            ("asinfo -v 'a; b' w", "with"),
            ("asinfo -v udf-l", "udf-list"),
            ("asinfo -v query-abort", "query-abort query-abort-all"),
            (
                "manage udfs add a path src/shell/v",
                "src/shell/vocabulary.rs",
            ),
            ("manage udfs add a path sr", "src/"),
            ("manage udfs add a path nosuch/", ""),
        ] {
            let found: Vec<_> = suggestions(line, line.len(), &vocabulary())
                .into_iter()
                .map(|suggestion| suggestion.text)
                .collect();
            assert_eq!(found.join(" "), expected, "{line}");
        }
    }
}
