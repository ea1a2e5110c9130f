//! From words to a command. Words may be shortened as long as they are clear.

use super::{Command, GROUPS, all, find};
use crate::view::Flag;

/// What the words mean.
pub enum Resolved {
    /// A command and the words after its own.
    Command(Box<Command>, Vec<String>),
    /// A group without a subcommand, or a word that has to be written in full.
    Group(Vec<&'static str>),
    /// A word that no command of the group begins with.
    Unknown {
        /// The group.
        group: Vec<&'static str>,
        /// That word and all after it.
        words: Vec<String>,
    },
    /// A word after a command that stands for itself too.
    NotSubcommand {
        /// The command.
        group: Vec<&'static str>,
        /// The word.
        word: String,
    },
    /// More than one command begins so.
    Ambiguous(String),
}

/// Words that end a session or open privileges: never shortened.
const IN_FULL: &[&str] = &["enable", "exit", "quit", "EOF"];

/// The next words below a path, sorted, each once.
pub fn children(path: &[&str]) -> Vec<&'static str> {
    let mut names: Vec<_> = all()
        .filter(|command| command.path.starts_with(path))
        .filter_map(|command| command.path.get(path.len()).copied())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The words before a question mark that asks for help on them. An info command may hold one.
pub fn question(words: &[String]) -> Option<&[String]> {
    match words.split_last() {
        Some((mark, asked)) if mark == "?" && asked.iter().all(|word| !word.starts_with('-')) => {
            Some(asked)
        }
        _ => None,
    }
}

/// Finds the command.
pub fn resolve(words: &[String]) -> Resolved {
    let mut path: Vec<&'static str> = Vec::new();
    let mut rest = words;
    loop {
        let own = find(&path);
        let names = children(&path);
        let Some((word, after)) = rest.split_first().filter(|_| !names.is_empty()) else {
            return match own {
                Some(command) => Resolved::Command(Box::new(command), rest.to_vec()),
                None => Resolved::Group(path),
            };
        };
        let modifier = own.is_some_and(|own| {
            own.keywords.contains(&word.as_str()) && !names.contains(&word.as_str())
        });
        let found = if modifier {
            Vec::new()
        } else {
            candidates(&names, word)
        };
        match found.as_slice() {
            [name] if path.is_empty() && IN_FULL.contains(name) && word != name => {
                return Resolved::Group(path);
            }
            [name] => {
                path.push(name);
                rest = after;
            }
            [] => {
                return match own {
                    Some(own) if own.path == ["info"] && !modifier && !word.starts_with('-') => {
                        Resolved::NotSubcommand {
                            group: path,
                            word: word.clone(),
                        }
                    }
                    Some(own) => Resolved::Command(Box::new(own), rest.to_vec()),
                    None => Resolved::Unknown {
                        group: path,
                        words: rest.to_vec(),
                    },
                };
            }
            several => return Resolved::Ambiguous(ambiguous(word, several)),
        }
    }
}

/// Whether a line that begins with this word goes on with a command: it is one of its modifiers or flags.
pub fn continues(words: &[String], word: &str) -> bool {
    let Resolved::Command(command, _) = resolve(words) else {
        return false;
    };
    let known = |flag: &Flag| flag.names.contains(&word);
    command.keywords.contains(&word) || command.flags.iter().any(known)
}

fn candidates(names: &[&'static str], word: &str) -> Vec<&'static str> {
    let word = if word == "stats" { "statistics" } else { word };
    if let Some(name) = names.iter().find(|name| **name == word) {
        return vec![name];
    }
    names
        .iter()
        .copied()
        .filter(|name| !word.is_empty() && name.starts_with(word))
        // What the reference tool does not have takes no short form from what it has.
        .filter(|name| !matches!(*name, "quit" | "EOF" | "run"))
        .collect()
}

fn ambiguous(word: &str, names: &[&str]) -> String {
    let list = match names {
        [first, second] => format!("{first} or {second}"),
        [first @ .., last] => format!("{}, or {last}", first.join(", ")),
        [] => String::new(),
    };
    format!("Ambiguous command: '{word}' may be {list}.")
}

/// The help of a group without a command.
pub(super) fn group_help(path: &[&str]) -> Option<&'static str> {
    GROUPS
        .iter()
        .find(|(group, _)| *group == path)
        .map(|(_, help)| *help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        match resolve(&words) {
            Resolved::Command(command, rest) => {
                format!("{} ({})", command.path.join(" "), rest.join(" "))
            }
            Resolved::Group(path) => format!("group {}", path.join(" ")),
            Resolved::Unknown { group, words } => {
                format!("unknown {}: {}", group.join(" "), words.join(" "))
            }
            Resolved::NotSubcommand { word, .. } => format!("no subcommand {word}"),
            Resolved::Ambiguous(text) => text,
        }
    }

    #[test]
    fn finds_commands_by_their_beginnings() {
        for (line, expected) in [
            ("show udfs", "show udfs ()"),
            ("sho ud x", "show udfs (x)"),
            ("sh stat serv like a", "show statistics service (like a)"),
            ("show stats service", "show statistics service ()"),
            ("show config nosuch", "show config (nosuch)"),
            ("show config like a", "show config (like a)"),
            ("asi -v build", "asinfo (-v build)"),
            ("man ud rem x", "manage udfs remove (x)"),
            ("man ud r x", "manage udfs remove (x)"),
            ("manage udfs run m f", "manage udfs run (m f)"),
            (
                "manage config xdr dc east param a",
                "manage config xdr dc (east param a)",
            ),
            ("manage quiesce with a", "manage quiesce (with a)"),
            ("h", "Ambiguous command: 'h' may be health or help."),
            (
                "show s",
                "Ambiguous command: 's' may be sindex, statistics, or stop-writes.",
            ),
            (
                "show r",
                "Ambiguous command: 'r' may be racks, roles, or roster.",
            ),
            ("ena", "group "),
            ("exi", "group "),
            ("EOF", "EOF ()"),
            ("show", "group show"),
            ("nosuch x", "unknown : nosuch x"),
            ("show nosuch", "unknown show: nosuch"),
            ("SHOW UDFS", "unknown : SHOW UDFS"),
            ("info nosuch", "no subcommand nosuch"),
        ] {
            assert_eq!(shown(line), expected, "{line}");
        }
    }

    #[test]
    fn every_group_has_a_help() {
        for command in all() {
            for end in 0..command.path.len() {
                let path = &command.path[..end];
                assert!(
                    find(path).is_some() || group_help(path).is_some(),
                    "{path:?} has no help"
                );
            }
        }
    }
}
