//! Configuration: the grammar and names of Aerospike's `aerospike.conf`, read once into typed settings.
//!
//! The order of things: [`table`] says what exists, the parser takes a file apart, the reader checks each key against the
//! table and gives typed views, and info commands report and change the same values.

mod changes;
pub mod consequence;
mod error;
mod ignored;
mod listen;
pub mod node_id;
mod parser;
mod refused;
mod resolve;
mod sections;
mod setting;
pub mod table;
mod values;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use error::ConfigError;
pub use listen::{local_addresses, resolve};
pub use node_id::NodeId;

use crate::log::target::LogSink;
pub use sections::{
    ModLuaSettings, NamespaceSettings, NetworkSettings, ServiceSettings, SetError, SetSettings,
};
pub use setting::{Change, Setting, SettingKind, Support, ValueError};

/// The commented configuration that is used when no file is given.
pub const DEFAULT: &str = include_str!("default.conf");
/// How messages name [`DEFAULT`].
const DEFAULT_NAME: &str = "built-in configuration";

/// Everything that a configuration says.
#[derive(Debug, Clone)]
pub struct Config {
    /// `service { }`
    pub service: ServiceSettings,
    /// `network { }`
    pub network: NetworkSettings,
    /// `mod-lua { }`
    pub mod_lua: ModLuaSettings,
    /// The namespaces in the order of the file; at least one.
    pub namespaces: Vec<NamespaceSettings>,
    /// Log sinks in the order of the file.
    pub logging: Vec<LogSink>,
    /// A line for each key that was accepted without effect: `FILE:LINE: KEY: without effect: CONSEQUENCE`.
    pub ineffective: Vec<String>,
    /// Name of the user to become when started as root (`user`).
    pub user: Option<String>,
    /// Name of the group to become when started as root (`group`).
    pub group: Option<String>,
    /// The file as it was named.
    pub file: String,
    /// Lines of the keys that the file sets, by their full names.
    places: BTreeMap<String, usize>,
}

impl Config {
    /// Where a key stands, for messages: `FILE:LINE: KEY`; only the key when the file does not set it.
    #[must_use]
    pub fn place_of(&self, key: &str) -> String {
        match self.places.get(key) {
            Some(line) => format!("{}:{line}: {key}", self.file),
            None => key.to_owned(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`] with file, line and key.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// The built-in configuration.
    ///
    /// # Errors
    /// [`ConfigError::NoStateDirectory`] when the environment names no place for state.
    pub fn embedded() -> Result<Self, ConfigError> {
        Self::parse(DEFAULT_NAME, DEFAULT)
    }

    /// Reads a text; `name` stands for the file in messages.
    ///
    /// # Errors
    /// [`ConfigError`] with name, line and key.
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        let config = resolve::resolve(name, text)?;
        config.place_state()?;
        Ok(config)
    }

    /// The file, else the built-in configuration, with another directory for the state: whatever the text says about
    /// directories, ports for clients or a cluster is left aside. For nodes that are thrown away.
    ///
    /// # Errors
    /// As [`load`](Self::load); the directory's path is not text.
    pub fn throw_away(file: Option<&Path>, work_directory: &Path) -> Result<Self, ConfigError> {
        let (name, text) = match file {
            Some(path) => {
                let read = std::fs::read_to_string(path);
                let text = read.map_err(|source| ConfigError::Read {
                    path: path.to_owned(),
                    source,
                })?;
                (path.display().to_string(), text)
            }
            None => (DEFAULT_NAME.to_owned(), DEFAULT.to_owned()),
        };
        let config = resolve::resolve(&name, &text)?;
        let user_path = work_directory.join("usr/udf/lua");
        place(
            |text| config.service.set("work-directory", text),
            work_directory,
        )?;
        place(|text| config.mod_lua.set("user-path", text), &user_path)?;
        let free = [
            ("service.port", "0"),
            ("service.access-port", "0"),
            ("admin.port", "0"),
            ("heartbeat.port", "0"),
        ];
        for (name, value) in free {
            // Values that these settings always take.
            let _ = config.network.set(name, value);
        }
        // The setting takes this word.
        let _ = config.service.set("node-id", "null");
        if file.is_none() {
            // Who runs it is looking for errors.
            for name in ["error-detail", "error-traceback"] {
                let _ = config.mod_lua.set(name, "true");
            }
        }
        Ok(config)
    }

    /// Where the server keeps its state.
    #[must_use]
    pub fn work_directory(&self) -> String {
        placed(self.service.work_directory())
    }

    /// Where the registered modules are.
    #[must_use]
    pub fn user_path(&self) -> String {
        placed(self.mod_lua.user_path())
    }

    /// Fills in the directories that the file leaves open.
    fn place_state(&self) -> Result<(), ConfigError> {
        let work_directory = match self.service.work_directory() {
            Some(directory) => PathBuf::from(directory),
            None => {
                let directory =
                    state_directory(std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME"))?;
                place(|text| self.service.set("work-directory", text), &directory)?;
                directory
            }
        };
        if self.mod_lua.user_path().is_none() {
            place(
                |text| self.mod_lua.set("user-path", text),
                &work_directory.join("usr/udf/lua"),
            )?;
        }
        Ok(())
    }
}

/// Sets a path, which has to be text that a setting can hold.
fn place(set: impl FnOnce(&str) -> Result<(), SetError>, path: &Path) -> Result<(), ConfigError> {
    path.to_str()
        .and_then(|text| set(text).ok())
        .ok_or(ConfigError::NoStateDirectory)
}

/// A directory that was filled in when the configuration was read.
fn placed(directory: Option<String>) -> String {
    debug_assert!(directory.is_some(), "the state has no directory");
    directory.unwrap_or_default()
}

/// The directory for this user's state: `$XDG_STATE_HOME/asd`, or `~/.local/state/asd`.
fn state_directory(
    xdg_state_home: Option<OsString>,
    home: Option<OsString>,
) -> Result<PathBuf, ConfigError> {
    let absolute =
        |value: Option<OsString>| value.map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(xdg_state_home)
        .or_else(|| absolute(home).map(|home| home.join(".local/state")))
        .map(|state| state.join("asd"))
        .ok_or(ConfigError::NoStateDirectory)
}

#[cfg(test)]
mod tests;
