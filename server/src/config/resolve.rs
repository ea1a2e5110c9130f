//! From the statements of a file to typed settings.

use std::collections::{BTreeMap, BTreeSet};

use super::parser::{self, Statement};
use super::sections::{ModLuaSettings, NamespaceSettings, NetworkSettings, ServiceSettings};
use super::setting::Support;
use super::table::Section;
use super::values::Values;
use super::{Config, ConfigError, consequence, ignored, refused};
use crate::config::node_id::NodeId;
use crate::log::Level;
use crate::log::target::{LogSink, LogTarget};

/// Namespaces at most, as in Aerospike.
const NAMESPACES_MAX: usize = 32;
/// Bytes of a namespace name at most.
const NAMESPACE_NAME_BYTES_MAX: usize = 31;
/// Bytes of a set name at most.
const SET_NAME_BYTES_MAX: usize = 63;

/// Bytes of a cluster name at most.
const CLUSTER_NAME_BYTES_MAX: usize = 63;
/// Bytes of the modules' directory at most.
const USER_PATH_BYTES_MAX: usize = 255;

/// Keys that have a value and a block.
const BLOCK_WITH_WORD: &[&str] = &["storage-engine", "index-type", "sindex-type"];

/// Reads a text; `file` is its name in messages.
pub(crate) fn resolve(file: &str, text: &str) -> Result<Config, ConfigError> {
    let statements = parser::parse(text).map_err(|error| ConfigError::Refused {
        file: file.to_owned(),
        line: error.line,
        key: error.key,
        message: error.message,
    })?;
    SectionReader {
        file,
        ineffective: Vec::new(),
        places: BTreeMap::new(),
        user: None,
        group: None,
    }
    .config(&statements)
}

/// What is wrong with a text that has a form of its own.
fn wrong_text(section: Section, name: &str, word: &str) -> Option<&'static str> {
    let (right, reason) = match (section, name) {
        (Section::Service, "node-id") => (
            word == "null" || NodeId::parse(word).is_some(),
            "expected 1 to 16 hex digits, not all 0",
        ),
        (Section::Service, "cluster-name") => (
            word.len() <= CLUSTER_NAME_BYTES_MAX,
            "a cluster name has at most 63 bytes",
        ),
        (Section::ModLua, "user-path") => (
            word.len() <= USER_PATH_BYTES_MAX,
            "a path for modules has at most 255 bytes",
        ),
        _ => return None,
    };
    (!right).then_some(reason)
}

struct SectionReader<'a> {
    file: &'a str,
    /// A line for each key that was accepted without effect: place, key, what becomes of it.
    ineffective: Vec<String>,
    /// Lines of the keys that have an effect.
    places: BTreeMap<String, usize>,
    user: Option<String>,
    group: Option<String>,
}

impl SectionReader<'_> {
    fn config(mut self, statements: &[Statement]) -> Result<Config, ConfigError> {
        let service = ServiceSettings::new();
        let network = NetworkSettings::new();
        let mod_lua = ModLuaSettings::new();
        let mut namespaces: Vec<NamespaceSettings> = Vec::new();
        let mut logging = Vec::new();
        for statement in statements {
            let key = statement.key.as_str();
            match key {
                "service" => self.section(Section::Service, service.values(), statement, key)?,
                "network" => self.section(Section::Network, network.values(), statement, key)?,
                "mod-lua" => self.section(Section::ModLua, mod_lua.values(), statement, key)?,
                "logging" => self.logging(statement, &mut logging)?,
                "namespace" => {
                    let namespace = self.namespace(statement)?;
                    if namespaces
                        .iter()
                        .any(|other| other.name() == namespace.name())
                    {
                        return Err(self.refuse(
                            statement,
                            &format!("namespace {}", namespace.name()),
                            "declared twice",
                        ));
                    }
                    namespaces.push(namespace);
                }
                _ if let Some(reason) = refused::section(key) => {
                    return Err(self.refuse(statement, key, reason));
                }
                _ => match ignored::SECTIONS.iter().find(|(name, _)| *name == key) {
                    Some((_, consequence)) => self.note(key, statement, consequence),
                    None => {
                        return Err(self.refuse(
                            statement,
                            key,
                            "unknown section: expected service, logging, network, namespace or mod-lua",
                        ));
                    }
                },
            }
        }
        if !statements
            .iter()
            .any(|statement| statement.key == "logging")
        {
            let console = LogSink::new(LogTarget::Console);
            console.levels.set_all(Level::Info);
            logging.push(console);
        }
        if namespaces.is_empty() || namespaces.len() > NAMESPACES_MAX {
            return Err(ConfigError::Refused {
                file: self.file.to_owned(),
                line: statements.last().map_or(1, |statement| statement.line),
                key: "namespace".to_owned(),
                message: format!(
                    "expected 1 to {NAMESPACES_MAX} namespaces, found {}",
                    namespaces.len()
                ),
            });
        }
        Ok(Config {
            service,
            network,
            mod_lua,
            namespaces,
            logging,
            ineffective: self.ineffective,
            file: self.file.to_owned(),
            places: self.places,
            user: self.user,
            group: self.group,
        })
    }

    fn namespace(&mut self, statement: &Statement) -> Result<NamespaceSettings, ConfigError> {
        let [name] = statement.words.as_slice() else {
            return Err(self.refuse(statement, "namespace", "expected one name"));
        };
        if name.len() > NAMESPACE_NAME_BYTES_MAX || name.contains([':', ';', '/', ',', '=']) {
            let message = format!(
                "name `{name}` is longer than {NAMESPACE_NAME_BYTES_MAX} bytes or holds one of : ; / , ="
            );
            return Err(self.refuse(statement, "namespace", &message));
        }
        let namespace = NamespaceSettings::new(name);
        let path = format!("namespace {name}");
        let block = self.block(statement, &path)?;
        let mut seen = BTreeSet::new();
        for inner in block {
            if inner.key == "set" {
                self.set(inner, &namespace, &path)?;
            } else {
                self.setting(
                    Section::Namespace,
                    namespace.values(),
                    inner,
                    &path,
                    "",
                    &mut seen,
                )?;
            }
        }
        Ok(namespace)
    }

    fn set(
        &mut self,
        statement: &Statement,
        namespace: &NamespaceSettings,
        path: &str,
    ) -> Result<(), ConfigError> {
        let [name] = statement.words.as_slice() else {
            return Err(self.refuse(statement, &format!("{path}: set"), "expected one name"));
        };
        let path = format!("{path}: set {name}");
        if name.len() > SET_NAME_BYTES_MAX {
            return Err(self.refuse(
                statement,
                &path,
                &format!("a set name has at most {SET_NAME_BYTES_MAX} bytes"),
            ));
        }
        let settings = namespace.set_settings_or_new(name);
        self.section_body(Section::Set, settings.values(), statement, &path)
    }

    /// A section that stands alone: no words, and a block.
    fn section(
        &mut self,
        section: Section,
        values: &Values,
        statement: &Statement,
        path: &str,
    ) -> Result<(), ConfigError> {
        if let Some(word) = statement.words.first() {
            return Err(self.refuse(statement, path, &format!("expected `{{`, found `{word}`")));
        }
        self.section_body(section, values, statement, path)
    }

    fn section_body(
        &mut self,
        section: Section,
        values: &Values,
        statement: &Statement,
        path: &str,
    ) -> Result<(), ConfigError> {
        let mut seen = BTreeSet::new();
        for inner in self.block(statement, path)? {
            self.setting(section, values, inner, path, "", &mut seen)?;
        }
        Ok(())
    }

    /// One key of a section; a block's name goes in front of the keys in it.
    fn setting(
        &mut self,
        section: Section,
        values: &Values,
        statement: &Statement,
        path: &str,
        prefix: &str,
        seen: &mut BTreeSet<String>,
    ) -> Result<(), ConfigError> {
        let name = format!("{prefix}{}", statement.key);
        let full = format!("{path}: {name}");
        if let Some(block) = &statement.block {
            let below = format!("{name}.");
            if let Some(reason) = refused::setting(section, &name, "") {
                return Err(self.refuse(statement, &full, reason));
            }
            if ignored::contains(section, &below) && !BLOCK_WITH_WORD.contains(&name.as_str()) {
                self.without_effect(section, &name, &full, statement)?;
                return Ok(());
            }
            if BLOCK_WITH_WORD.contains(&name.as_str()) {
                self.value(section, values, statement, &name, &full, seen)?;
            } else if !values.has_block(&below) {
                return Err(self.refuse(statement, &full, "unknown block"));
            } else if let Some(word) = statement.words.first() {
                return Err(self.refuse(
                    statement,
                    &full,
                    &format!("expected `{{`, found `{word}`"),
                ));
            }
            for inner in block {
                self.setting(section, values, inner, path, &below, seen)?;
            }
            return Ok(());
        }
        self.value(section, values, statement, &name, &full, seen)
    }

    fn value(
        &mut self,
        section: Section,
        values: &Values,
        statement: &Statement,
        name: &str,
        full: &str,
        seen: &mut BTreeSet<String>,
    ) -> Result<(), ConfigError> {
        if let (Section::Service, "user" | "group", [word]) =
            (section, name, statement.words.as_slice())
        {
            let to = if name == "user" {
                &mut self.user
            } else {
                &mut self.group
            };
            if to.replace(word.clone()).is_some() {
                return Err(self.refuse(statement, full, "stands twice"));
            }
            self.places.insert(full.to_owned(), statement.line);
            return Ok(());
        }
        let Some((at, setting)) = values.find(name) else {
            if ignored::contains(section, name) {
                self.without_effect(section, name, full, statement)?;
                return Ok(());
            }
            return Err(self.refuse(statement, full, "unknown key"));
        };
        // Aerospike reads a flag without a word as true.
        let words: Vec<&str> = match statement.words.as_slice() {
            [] if setting.kind == super::SettingKind::Flag => vec!["true"],
            words => words.iter().map(String::as_str).collect(),
        };
        let is_list = setting.kind == super::SettingKind::List;
        let word = match words.as_slice() {
            [word] => (*word).to_owned(),
            // `mesh-seed-address-port HOST PORT`
            [host, port] if is_list => format!("{host}:{port}"),
            _ => {
                let message = format!("expected one value, found {}", words.len());
                return Err(self.refuse(statement, full, &message));
            }
        };
        let first = seen.insert(name.to_owned());
        let stored = if first {
            values.set(at, &word)
        } else if is_list {
            values.add(at, &word)
        } else {
            return Err(self.refuse(statement, full, "stands twice"));
        };
        stored.map_err(|error| self.refuse(statement, full, &error.to_string()))?;
        if let Some(reason) = wrong_text(section, name, &word) {
            return Err(self.refuse(statement, full, reason));
        }
        if let Some(reason) = refused::setting(section, name, &word) {
            return Err(self.refuse(statement, full, reason));
        }
        self.places.entry(full.to_owned()).or_insert(statement.line);
        if name == "storage-engine" {
            if let Some((statement, reason)) = refused::unkept(statement, &word) {
                return Err(self.refuse(statement, &format!("{full} {word}"), reason));
            }
            let inside = statement.block.as_deref().unwrap_or_default();
            let has_file = inside.iter().any(|inner| inner.key == "file");
            for inner in inside {
                if let Some(consequence) = consequence::of_engine(&inner.key, has_file) {
                    self.note(&format!("{full}.{}", inner.key), inner, consequence);
                }
            }
            if word == "pmem" {
                // What is reported is what is done: records are read from memory and kept in the file.
                values
                    .set(at, "memory")
                    .map_err(|error| self.refuse(statement, full, &error.to_string()))?;
            }
        } else if setting.support == Support::Reported && word != setting.default {
            self.without_effect(section, name, full, statement)?;
        }
        Ok(())
    }

    fn logging(
        &mut self,
        statement: &Statement,
        sinks: &mut Vec<LogSink>,
    ) -> Result<(), ConfigError> {
        for sink in self.block(statement, "logging")? {
            let target = match (sink.key.as_str(), sink.words.as_slice()) {
                ("console", []) => LogTarget::Console,
                ("file", [path]) => LogTarget::File(path.into()),
                ("syslog", []) => {
                    self.note("logging: syslog", sink, "nothing is sent to syslog");
                    continue;
                }
                ("file", words) => {
                    let message = format!("expected one path, found {}", words.len());
                    return Err(self.refuse(sink, "logging: file", &message));
                }
                (key, _) => {
                    return Err(self.refuse(
                        sink,
                        &format!("logging: {key}"),
                        "unknown sink: expected `console {` or `file PATH {`",
                    ));
                }
            };
            let path = format!("logging: {}", sink.key);
            let made = LogSink::new(target);
            for inner in self.block(sink, &path)? {
                let full = format!("{path}: {}", inner.key);
                let (("context", [name, level]), None) =
                    ((inner.key.as_str(), inner.words.as_slice()), &inner.block)
                else {
                    return Err(self.refuse(inner, &full, "expected `context NAME LEVEL`"));
                };
                made.context(name, level)
                    .map_err(|message| self.refuse(inner, &full, &message))?;
            }
            sinks.push(made);
        }
        Ok(())
    }

    fn block<'s>(
        &self,
        statement: &'s Statement,
        path: &str,
    ) -> Result<&'s [Statement], ConfigError> {
        statement
            .block
            .as_deref()
            .ok_or_else(|| self.refuse(statement, path, "expected `{`"))
    }

    /// Remembers a key that is accepted without effect.
    ///
    /// # Errors
    /// The table of consequences lacks it.
    fn without_effect(
        &mut self,
        section: Section,
        name: &str,
        full: &str,
        statement: &Statement,
    ) -> Result<(), ConfigError> {
        let consequence = consequence::of(section, name)
            .ok_or_else(|| self.refuse(statement, full, "is accepted by no rule"))?;
        self.note(full, statement, consequence);
        Ok(())
    }

    fn note(&mut self, key: &str, statement: &Statement, consequence: &str) {
        let (file, line) = (self.file, statement.line);
        self.ineffective.push(format!(
            "{file}:{line}: {key}: without effect: {consequence}"
        ));
    }

    fn refuse(&self, statement: &Statement, key: &str, message: &str) -> ConfigError {
        ConfigError::Refused {
            file: self.file.to_owned(),
            line: statement.line,
            key: key.to_owned(),
            message: message.to_owned(),
        }
    }
}
