//! The settings of a session: one table, from which `SET`, `GET`, `RESET`, help and completion come.

use std::time::Duration;

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Tables of ASCII lines.
    #[default]
    Table,
    /// JSON, statement by statement.
    Json,
    /// Only how a statement ended.
    Mute,
    /// A line a bin.
    Raw,
    /// Statements that insert the records again; all else as comments.
    Insert,
}

/// Names of the modes.
const MODES: &[(&str, Mode)] = &[
    ("TABLE", Mode::Table),
    ("JSON", Mode::Json),
    ("MUTE", Mode::Mute),
    ("RAW", Mode::Raw),
    ("INSERT", Mode::Insert),
];

impl Mode {
    /// The mode of this name, in any case.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        MODES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, mode)| *mode)
    }

    fn name(self) -> &'static str {
        MODES
            .iter()
            .find(|(_, mode)| *mode == self)
            .map_or("TABLE", |(name, _)| name)
    }
}

/// Values of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Statements are printed before they run.
    pub echo: bool,
    /// More is told about the connection.
    pub verbose: bool,
    /// How results are printed.
    pub output: Mode,
    /// Lists, maps and regions are printed with their types.
    pub output_types: bool,
    /// Milliseconds for a whole request.
    pub timeout: i64,
    /// Milliseconds without anything from the node; below 0 the limit of the request.
    pub socket_timeout: i64,
    /// Where modules lie for the reduce of aggregations; as it was written.
    pub lua_userpath: String,
    /// Seconds that inserted records live: 0 as the namespace says, -1 for ever, -2 as before.
    pub record_ttl: i64,
    /// Generation and life of records are printed.
    pub record_print_metadata: bool,
    /// Keys are sent to be stored.
    pub key_send: bool,
    /// Deletes leave a tombstone.
    pub durable_delete: bool,
    /// Records per second of a scan; 0 no limit.
    pub scan_records_per_second: i64,
    /// Scans and queries give digests only.
    pub no_bins: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            echo: false,
            verbose: false,
            output: Mode::Table,
            output_types: true,
            timeout: 1_000,
            socket_timeout: -1,
            lua_userpath: "/opt/aerospike/usr/udf/lua".to_owned(),
            record_ttl: 0,
            record_print_metadata: false,
            key_send: true,
            durable_delete: false,
            scan_records_per_second: 0,
            no_bins: false,
        }
    }
}

/// Where a setting's value lies.
#[derive(Clone, Copy, Debug)]
enum Slot {
    Flag(fn(&mut Settings) -> &mut bool),
    Number(fn(&mut Settings) -> &mut i64),
    Path(fn(&mut Settings) -> &mut String),
    Mode(fn(&mut Settings) -> &mut Mode),
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name, in capitals.
    pub name: &'static str,
    /// What it does, for the help.
    pub help: &'static str,
    slot: Slot,
}

/// All settings, in the order in which they are printed.
pub const TABLE: &[Setting] = &[
    Setting {
        name: "ECHO",
        help: "true | false: print statements before they run",
        slot: Slot::Flag(|s| &mut s.echo),
    },
    Setting {
        name: "VERBOSE",
        help: "true | false: tell more about the connection",
        slot: Slot::Flag(|s| &mut s.verbose),
    },
    Setting {
        name: "OUTPUT",
        help: "TABLE | JSON | MUTE | RAW | INSERT: how results are printed",
        slot: Slot::Mode(|s| &mut s.output),
    },
    Setting {
        name: "OUTPUT_TYPES",
        help: "true | false: print the types of lists, maps and regions",
        slot: Slot::Flag(|s| &mut s.output_types),
    },
    Setting {
        name: "TIMEOUT",
        help: "milliseconds for a whole request",
        slot: Slot::Number(|s| &mut s.timeout),
    },
    Setting {
        name: "SOCKET_TIMEOUT",
        help: "milliseconds without anything from the node",
        slot: Slot::Number(|s| &mut s.socket_timeout),
    },
    Setting {
        name: "LUA_USERPATH",
        help: "directory of the modules for AGGREGATE",
        slot: Slot::Path(|s| &mut s.lua_userpath),
    },
    Setting {
        name: "RECORD_TTL",
        help: "seconds that inserted records live",
        slot: Slot::Number(|s| &mut s.record_ttl),
    },
    Setting {
        name: "RECORD_PRINT_METADATA",
        help: "true | false: print generation and life of records",
        slot: Slot::Flag(|s| &mut s.record_print_metadata),
    },
    Setting {
        name: "KEY_SEND",
        help: "true | false: have keys stored",
        slot: Slot::Flag(|s| &mut s.key_send),
    },
    Setting {
        name: "DURABLE_DELETE",
        help: "true | false: deletes leave a tombstone",
        slot: Slot::Flag(|s| &mut s.durable_delete),
    },
    Setting {
        name: "SCAN_RECORDS_PER_SECOND",
        help: "records per second of a scan, 0 for no limit",
        slot: Slot::Number(|s| &mut s.scan_records_per_second),
    },
    Setting {
        name: "NO_BINS",
        help: "true | false: scans and queries give digests only",
        slot: Slot::Flag(|s| &mut s.no_bins),
    },
];

/// The setting of this name, in any case.
#[must_use]
pub fn find(name: &str) -> Option<&'static Setting> {
    TABLE
        .iter()
        .find(|setting| setting.name.eq_ignore_ascii_case(name))
}

fn flag(word: &str) -> Option<bool> {
    match word.to_ascii_uppercase().as_str() {
        "TRUE" | "T" | "1" => Some(true),
        "FALSE" | "F" | "0" => Some(false),
        _ => None,
    }
}

/// A number as C's `atoi` reads it: what is none is 0.
fn number(word: &str) -> i64 {
    let digits = word.trim_start_matches(['+', '-']);
    let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
    let value: i64 = match digits.is_empty() {
        true => 0,
        false => digits.parse().unwrap_or(i64::MAX),
    };
    if word.starts_with('-') { -value } else { value }
}

impl Setting {
    /// Whether a word is a value of it. `quoted`: it stands in quotes.
    #[must_use]
    pub fn takes(&self, word: &str, quoted: bool) -> bool {
        match self.slot {
            Slot::Flag(_) => !quoted && flag(word).is_some(),
            Slot::Mode(_) => !quoted && Mode::of(word).is_some(),
            Slot::Number(_) | Slot::Path(_) => true,
        }
    }

    /// Sets it; a word that it does not take changes nothing.
    pub fn set(&self, settings: &mut Settings, word: &str) {
        match self.slot {
            Slot::Flag(at) => {
                if let Some(value) = flag(word) {
                    *at(settings) = value;
                }
            }
            Slot::Mode(at) => {
                if let Some(value) = Mode::of(word) {
                    *at(settings) = value;
                }
            }
            Slot::Number(at) => *at(settings) = number(word),
            Slot::Path(at) => word.clone_into(at(settings)),
        }
    }

    /// Gives it the value of another set of settings.
    pub fn copy(&self, from: &mut Settings, to: &mut Settings) {
        match self.slot {
            Slot::Flag(at) => *at(to) = *at(from),
            Slot::Mode(at) => *at(to) = *at(from),
            Slot::Number(at) => *at(to) = *at(from),
            Slot::Path(at) => *at(to) = at(from).clone(),
        }
    }

    /// `NAME = value`
    #[must_use]
    pub fn line(&self, settings: &mut Settings) -> String {
        let value = match self.slot {
            Slot::Flag(at) => at(settings).to_string(),
            Slot::Mode(at) => at(settings).name().to_owned(),
            Slot::Number(at) => at(settings).to_string(),
            Slot::Path(at) => at(settings).clone(),
        };
        format!("{} = {value}", self.name)
    }
}

impl Settings {
    /// Time for a whole request. What is not above 0 is no limit of the tool's: a minute.
    #[must_use]
    pub fn limit(&self) -> Duration {
        match u64::try_from(self.timeout) {
            Ok(milliseconds) if milliseconds > 0 => Duration::from_millis(milliseconds),
            _ => Duration::from_secs(60),
        }
    }

    /// Time without anything from a node after which a query is given up.
    #[must_use]
    pub fn socket_limit(&self) -> Duration {
        match u64::try_from(self.socket_timeout) {
            Ok(milliseconds) if milliseconds > 0 => Duration::from_millis(milliseconds),
            _ => Duration::from_secs(30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_values_and_lines() {
        for (name, word, takes, line) in [
            ("echo", "T", true, "ECHO = true"),
            ("no_bins", "yes", false, "NO_BINS = false"),
            ("output", "json", true, "OUTPUT = JSON"),
            ("output", "x", false, "OUTPUT = TABLE"),
            ("timeout", "abc", true, "TIMEOUT = 0"),
            ("timeout", "-12x", true, "TIMEOUT = -12"),
            ("lua_userpath", "'/a b'", true, "LUA_USERPATH = '/a b'"),
        ] {
            let setting = find(name).unwrap();
            let mut settings = Settings::default();
            assert_eq!(setting.takes(word, false), takes, "{name} {word}");
            setting.set(&mut settings, word);
            assert_eq!(setting.line(&mut settings), line);
        }
        assert!(find("nosuch").is_none());
    }
}
