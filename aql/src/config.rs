//! The section `[aql]` of `astools.conf`, and the mistakes of files in this program's words. The section `[cluster]` is read
//! by the tools' own reader.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use protocol::bounds::Within as _;
use tools::config::{CLUSTER, KeyKind, Sources};

use crate::settings::{Mode, Settings};

/// How deep files may include each other.
const DEPTH_MAX: usize = 3;

/// Keys of `[aql]`.
const KEYS: [&str; 6] = [
    "threadpoolsize",
    "outputmode",
    "outputtypes",
    "timeout",
    "socket-timeout",
    "udfuser",
];

/// Keys of `[cluster]` that only this program knows.
const MORE_CLUSTER_KEYS: [&str; 1] = ["tls-cert-blacklist"];

/// Reads the files into the settings. Gives what the original passes over in silence, each with its file and line.
///
/// # Errors
/// What is wrong with one of them, in the original's words, with its line feed.
pub(crate) fn read(sources: &Sources, settings: &mut Settings) -> Result<Vec<String>, String> {
    let mut reading = Reading {
        instance: sources.instance.as_deref(),
        settings,
        passed_over: Vec::new(),
    };
    for path in sources.defaults.iter().chain(&sources.named) {
        reading.file(path, 0)?;
    }
    Ok(reading.passed_over)
}

struct Reading<'r> {
    instance: Option<&'r str>,
    settings: &'r mut Settings,
    passed_over: Vec<String>,
}

impl Reading<'_> {
    fn pass_over(&mut self, path: &Path, line: usize, what: impl std::fmt::Display) {
        let path = path.display();
        self.passed_over.push(format!("{path}:{line}: {what}"));
    }

    fn file(&mut self, path: &Path, level: usize) -> Result<(), String> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            // Files need not be there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                self.pass_over(path, 1, error);
                return Ok(());
            }
        };
        let table = table(path, level, &text)?;
        self.includes(path, level, &text, &table)?;
        let named = |section: &str| {
            let of_instance = self
                .instance
                .and_then(|instance| table.get(&format!("{section}_{instance}")));
            of_instance.and_then(toml::Value::as_table)
        };
        let place = place(path, level);
        let cluster = match self.instance {
            Some(_) => named("cluster"),
            None => table.get("cluster").and_then(toml::Value::as_table),
        };
        check_cluster(cluster, &place)?;
        let own = named("aql").or_else(|| table.get("aql").and_then(toml::Value::as_table));
        for (key, value) in own.into_iter().flatten() {
            if !KEYS.contains(&key.as_str()) {
                return Err(format!(
                    "Unknown parameter `{key}` in `aql` section\nParse error `` {place}"
                ));
            }
            if key == "outputmode"
                && let Some(word) = value.as_str()
                && Mode::of(word).is_none()
            {
                self.pass_over(path, line_of(&text, key), not_a_mode(word));
                continue;
            }
            set(key, value, self.settings).ok_or_else(|| {
                format!(
                    "Invalid parameter value for `{key}` in `aql` section\nParse error `` {place}"
                )
            })?;
        }
        Ok(())
    }

    fn includes(
        &mut self,
        path: &Path,
        level: usize,
        text: &str,
        table: &toml::Table,
    ) -> Result<(), String> {
        let include = table.get("include").and_then(toml::Value::as_table);
        for (key, value) in include.into_iter().flatten() {
            let line = line_of(text, key);
            let target = value.as_str().map(PathBuf::from);
            match (key.as_str(), target) {
                ("file" | "directory", None) => {
                    self.pass_over(path, line, format!("`{key}` is no text"));
                }
                ("file" | "directory", Some(_)) if level >= DEPTH_MAX => {
                    let what =
                        format!("`{key}`: files include each other more than {DEPTH_MAX} deep");
                    self.pass_over(path, line, what);
                }
                ("file", Some(target)) => self.file(&target, level + 1)?,
                ("directory", Some(target)) => {
                    let entries = match fs::read_dir(&target) {
                        Ok(entries) => entries,
                        Err(error) => {
                            self.pass_over(path, line, format!("{}: {error}", target.display()));
                            continue;
                        }
                    };
                    let mut paths: Vec<PathBuf> = entries
                        .filter_map(Result::ok)
                        .map(|entry| entry.path())
                        .collect();
                    paths.sort();
                    for path in paths {
                        self.file(&path, level + 1)?;
                    }
                }
                _ => {
                    let place = place(path, level);
                    return Err(format!(
                        "Unknown parameter `{key}` in `include` section.\nParse error `` {place}"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// What is told of a word that is no output mode.
pub(crate) fn not_a_mode(word: &str) -> String {
    format!("outputmode `{word}` is not known, expected table, json, raw, mute or insert")
}

/// The line of a key, from 1. A key that is written in another form than `key = …` has that of the beginning.
fn line_of(text: &str, key: &str) -> usize {
    let at = text.lines().position(|line| {
        let rest = line.trim_start().strip_prefix(key);
        rest.is_some_and(|rest| rest.trim_start().starts_with('='))
    });
    at.map_or(1, |at| at + 1)
}

fn place(path: &Path, level: usize) -> String {
    format!("in file [{level}:{}]\n", path.display())
}

fn table(path: &Path, level: usize, text: &str) -> Result<toml::Table, String> {
    text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().map_or("", |span| text.within(..span.start));
        let number = before.matches('\n').count() + 1;
        let line = text.lines().nth(number - 1).unwrap_or("");
        let what = if line.contains('=') {
            "invalid key"
        } else {
            "missing ="
        };
        let place = place(path, level);
        format!("Parse error `line {number}: {what}` {place}")
    })
}

/// Whether all keys of `[cluster]` are known and have values of their type.
fn check_cluster(cluster: Option<&toml::Table>, place: &str) -> Result<(), String> {
    for (key, value) in cluster.into_iter().flatten() {
        if MORE_CLUSTER_KEYS.contains(&key.as_str()) {
            continue;
        }
        let known = CLUSTER.keys.iter().find(|(name, _)| name == key);
        let what = match known {
            None => Some(format!("Unknown parameter `{key}` in `cluster` section.")),
            Some((_, kind)) if !fits(*kind, value) => Some(format!(
                "Invalid parameter value for `{key}` in `cluster` section."
            )),
            Some(_) => None,
        };
        if let Some(what) = what {
            return Err(format!("Parse error `{what}\n` {place}"));
        }
    }
    Ok(())
}

fn fits(kind: KeyKind, value: &toml::Value) -> bool {
    match kind {
        KeyKind::Text => value.is_str(),
        KeyKind::Integer => value.is_integer(),
        KeyKind::Port => {
            value.is_integer()
                || value
                    .as_str()
                    .is_some_and(|text| text.parse::<u16>().is_ok())
        }
        KeyKind::Flag => value.is_bool(),
    }
}

/// None: the value has another type.
fn set(key: &str, value: &toml::Value, settings: &mut Settings) -> Option<()> {
    match key {
        "outputmode" => settings.output = Mode::of(value.as_str()?)?,
        "outputtypes" => settings.output_types = value.as_bool()?,
        "timeout" => settings.timeout = value.as_integer()?,
        "socket-timeout" => settings.socket_timeout = value.as_integer()?,
        "udfuser" => value.as_str()?.clone_into(&mut settings.lua_userpath),
        _ => {
            value.as_integer()?;
        }
    }
    Some(())
}
