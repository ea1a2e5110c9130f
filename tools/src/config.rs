//! `astools.conf`: defaults for the options of the tools.
//!
//! Files are read in an order, later values win over earlier ones, and the command line wins over all. A file that
//! cannot be read or holds something unknown is left out with a [`Problem`]; the rest still counts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// A text; an empty one counts as absent.
    Text,
    /// A number from 0 to 65535.
    Integer,
    /// The same, also written as text.
    Port,
    /// `true` or `false`.
    Flag,
}

/// A section of the files: its name without the suffix of an instance, and its keys. Another key is an error.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// As it stands between brackets.
    pub name: &'static str,
    /// Names and kinds.
    pub keys: &'static [(&'static str, KeyKind)],
}

/// What every tool reads: where the cluster is, and how to log in.
pub const CLUSTER: Section = Section {
    name: "cluster",
    keys: CLUSTER_KEYS,
};

/// The section of `asadm`, which `asinfo` reads too.
pub const ASADM: Section = Section {
    name: "asadm",
    keys: ASADM_KEYS,
};

const CLUSTER_KEYS: &[(&str, KeyKind)] = &[
    ("host", KeyKind::Text),
    ("port", KeyKind::Port),
    ("user", KeyKind::Text),
    ("password", KeyKind::Text),
    ("auth", KeyKind::Text),
    ("services-alternate", KeyKind::Flag),
    ("tls-enable", KeyKind::Flag),
    ("tls-name", KeyKind::Text),
    ("tls-cipher-suite", KeyKind::Text),
    ("tls-crl-check", KeyKind::Flag),
    ("tls-crl-check-all", KeyKind::Flag),
    ("tls-keyfile", KeyKind::Text),
    ("tls-keyfile-password", KeyKind::Text),
    ("tls-cafile", KeyKind::Text),
    ("tls-capath", KeyKind::Text),
    ("tls-certfile", KeyKind::Text),
    ("tls-protocols", KeyKind::Text),
];

const ASADM_KEYS: &[(&str, KeyKind)] = &[
    ("services-alumni", KeyKind::Flag),
    ("timeout", KeyKind::Integer),
    ("line-separator", KeyKind::Flag),
    ("no-color", KeyKind::Flag),
    ("out-file", KeyKind::Text),
    ("profile", KeyKind::Flag),
    ("single-node", KeyKind::Flag),
    ("help", KeyKind::Flag),
    ("version", KeyKind::Flag),
    ("asinfo-mode", KeyKind::Flag),
    ("collectinfo", KeyKind::Flag),
    ("execute", KeyKind::Text),
    ("enable", KeyKind::Flag),
    ("log-analyzer", KeyKind::Flag),
    ("log-analyser", KeyKind::Flag),
    ("log-path", KeyKind::Text),
];

/// How deep files may include each other.
const INCLUDE_DEPTH_MAX: usize = 16;
/// How many files are read at most.
const FILES_MAX: usize = 256;

/// Which files are read and which sections count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Files that need not exist, earliest first: the system's, then the user's.
    pub defaults: Vec<PathBuf>,
    /// Files that were named, read last.
    pub named: Vec<PathBuf>,
    /// Suffix of the sections.
    pub instance: Option<String>,
}

impl Sources {
    /// `/etc/aerospike/astools.conf`, then `.aerospike/astools.conf` in the home directory.
    pub fn default_files(home: Option<&Path>) -> Vec<PathBuf> {
        let mut files = vec![PathBuf::from("/etc/aerospike/astools.conf")];
        files.extend(home.map(|home| home.join(".aerospike/astools.conf")));
        files
    }
}

/// Something about a configuration file that a person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The file does not count; the run goes on.
    Warning(String),
    /// The same, and the run ends with a failure.
    Error(String),
    /// A file that was named is not there. For whoever does more than look, that is a reason to stop too.
    Absent(String),
    /// The file cannot be read at all. What it was to say is not known, so that nothing should be done without it.
    Fatal(String),
}

/// The values of all files together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    values: BTreeMap<&'static str, Value>,
    /// What went wrong, in the order of reading.
    pub problems: Vec<Problem>,
    /// The files that were read, in that order.
    pub files: Vec<PathBuf>,
}

impl Config {
    /// Reads the sections `[cluster]` and `own` of the files. With an instance, `[cluster_NAME]` alone counts, and `own`
    /// with that suffix if there is one.
    pub fn read(sources: &Sources, own: &Section) -> Self {
        let mut reader = KeyReader {
            own: *own,
            sections: BTreeMap::new(),
            problems: Vec::new(),
            files: 0,
            read: Vec::new(),
            instance: sources.instance.as_deref(),
        };
        for file in &sources.defaults {
            reader.file(file, true, 0);
        }
        for file in &sources.named {
            reader.file(file, false, 0);
        }
        let KeyReader {
            mut sections,
            problems,
            read,
            ..
        } = reader;
        let cluster = section_name("cluster", sources.instance.as_deref());
        let with_suffix = section_name(own.name, sources.instance.as_deref());
        let mut values = sections.remove(&cluster).unwrap_or_default();
        let own = sections
            .remove(&with_suffix)
            .or_else(|| sections.remove(own.name));
        values.extend(own.into_iter().flatten());
        Self {
            values,
            problems,
            files: read,
        }
    }

    /// A text; an empty one counts as absent, except for the password.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.values
            .get(key)?
            .as_str()
            .filter(|text| !text.is_empty() || key == "password")
    }

    /// Whether a file could not be read at all.
    pub fn is_unusable(&self) -> bool {
        let mut problems = self.problems.iter();
        problems.any(|problem| matches!(problem, Problem::Absent(_) | Problem::Fatal(_)))
    }

    /// Whether a flag is on.
    pub fn flag(&self, key: &str) -> bool {
        self.values.get(key).and_then(Value::as_bool) == Some(true)
    }

    /// A port or another number from 0 to 65535.
    pub fn number(&self, key: &str) -> Option<u16> {
        match self.values.get(key)? {
            Value::Integer(number) => u16::try_from(*number).ok(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }
}

fn section_name(name: &str, instance: Option<&str>) -> String {
    match instance {
        Some(instance) => format!("{name}_{instance}"),
        None => name.to_owned(),
    }
}

type Values = BTreeMap<&'static str, Value>;

struct KeyReader<'a> {
    own: Section,
    sections: BTreeMap<String, Values>,
    problems: Vec<Problem>,
    files: usize,
    read: Vec<PathBuf>,
    instance: Option<&'a str>,
}

impl KeyReader<'_> {
    fn file(&mut self, path: &Path, may_be_absent: bool, depth: usize) {
        let shown = path.display();
        if depth > INCLUDE_DEPTH_MAX || self.files >= FILES_MAX {
            self.problems.push(Problem::Error(format!(
                "Config file parse error: {shown} includes too many files, or itself"
            )));
            return;
        }
        self.files += 1;
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if !may_be_absent {
                    self.problems.push(Problem::Absent(format!(
                        "Config file read error : {shown} No such file"
                    )));
                }
                return;
            }
            Err(error) => {
                self.problems
                    .push(Problem::Fatal(format!("cannot read {shown}: {error}")));
                return;
            }
        };
        let table = match text.parse::<Table>() {
            Ok(table) => table,
            Err(error) => {
                let (line, column) = place(&text, error.span().map_or(0, |span| span.start));
                let reason = one_line(&error);
                self.problems.push(Problem::Fatal(format!(
                    "Config file parse error: {shown}:{line}:{column}: {reason}"
                )));
                return;
            }
        };
        self.read.push(path.to_owned());
        let read = self
            .checked(&table)
            .and_then(|sections| Ok((sections, included(&table, path)?)));
        match read {
            Ok((sections, files)) => {
                for (name, section) in sections {
                    self.sections.entry(name).or_default().extend(section);
                }
                for file in files {
                    self.file(&file, false, depth + 1);
                }
            }
            Err(reason) => self.problems.push(Problem::Error(format!(
                "Config file parse error: {shown} {reason}"
            ))),
        }
    }

    /// The sections that count, all of their keys known and of the right kind.
    fn checked(&self, table: &Table) -> Result<Vec<(String, Values)>, String> {
        let mut names = vec![
            (section_name(CLUSTER.name, self.instance), CLUSTER.keys),
            (self.own.name.to_owned(), self.own.keys),
        ];
        if self.instance.is_some() {
            names.push((section_name(self.own.name, self.instance), self.own.keys));
        }
        let mut sections = Vec::new();
        for (name, keys) in names {
            let Some(value) = table.get(&name) else {
                continue;
            };
            let found = value
                .as_table()
                .ok_or_else(|| format!("`{name}` must be a section"))?;
            let mut section = Values::new();
            for (key, value) in found {
                let (known, kind) = keys
                    .iter()
                    .find(|(known, _)| known == key)
                    .ok_or_else(|| format!("unknown key `{key}` in [{name}]"))?;
                let fits = match (kind, value) {
                    (KeyKind::Text, Value::String(_)) | (KeyKind::Flag, Value::Boolean(_)) => true,
                    (KeyKind::Integer | KeyKind::Port, Value::Integer(number)) => {
                        u16::try_from(*number).is_ok()
                    }
                    (KeyKind::Port, Value::String(text)) => text.parse::<u16>().is_ok(),
                    _ => false,
                };
                if !fits {
                    let expected = match kind {
                        KeyKind::Text => "a text",
                        KeyKind::Integer | KeyKind::Port => "a number from 0 to 65535",
                        KeyKind::Flag => "true or false",
                    };
                    return Err(format!("`{key}` in [{name}] must be {expected}"));
                }
                section.insert(known, value.clone());
            }
            sections.push((name, section));
        }
        Ok(sections)
    }
}

/// The files of `[include]`. Relative paths start at the including file.
fn included(table: &Table, from: &Path) -> Result<Vec<PathBuf>, String> {
    let Some(include) = table.get("include").and_then(Value::as_table) else {
        return Ok(Vec::new());
    };
    let base = from.parent().unwrap_or(Path::new(""));
    let mut files = Vec::new();
    for (key, value) in include {
        let path = value
            .as_str()
            .map(|path| base.join(path))
            .ok_or_else(|| format!("`{key}` in [include] must be a text"))?;
        match key.as_str() {
            "file" => files.push(path),
            "directory" => {
                let entries = fs::read_dir(&path)
                    .map_err(|error| format!("cannot list {}: {error}", path.display()))?;
                let mut found: Vec<_> = entries
                    .filter_map(|entry| Some(entry.ok()?.path()))
                    .filter(|path| path.is_file())
                    .collect();
                found.sort();
                files.extend(found);
            }
            _ => return Err(format!("unknown key `{key}` in [include]")),
        }
    }
    Ok(files)
}

/// Line and column, from 1, of a byte.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |feed| feed + 1);
    let column = before
        .get(line_start..)
        .map_or(0, |line| line.chars().count());
    (before.matches('\n').count() + 1, column + 1)
}

fn one_line(error: &toml::de::Error) -> String {
    error.message().replace('\n', ", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)], instance: Option<&str>) -> Config {
        let directory = tempfile::tempdir().unwrap();
        let mut named = Vec::new();
        for (name, text) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            if !name.contains('/') {
                named.push(path);
            }
        }
        Config::read(
            &Sources {
                defaults: vec![directory.path().join("absent.conf")],
                named,
                instance: instance.map(str::to_owned),
            },
            &ASADM,
        )
    }

    #[test]
    fn later_files_and_included_files_win() {
        let config = read(
            &[
                ("a.conf", "[cluster]\nhost = 'a'\nport = 1\n[asinfo]\nx = 1"),
                (
                    "b.conf",
                    "[include]\nfile = 'd/c.conf'\ndirectory = 'd'\n[cluster]\nhost = 'b'",
                ),
                (
                    "d/c.conf",
                    "[cluster]\nhost = 'c'\n[asadm]\ntimeout = 3\nenable = true",
                ),
                ("d/z.conf", "[cluster]\nuser = ''\npassword = ''"),
            ],
            None,
        );
        assert_eq!(config.problems, []);
        assert_eq!(config.text("host"), Some("c"));
        assert_eq!(config.number("port"), Some(1));
        assert_eq!(config.number("timeout"), Some(3));
        assert!(config.flag("enable"));
        assert_eq!(config.text("user"), None);
        assert_eq!(config.text("password"), Some(""));
    }

    #[test]
    fn an_instance_has_its_own_cluster_section() {
        let text = "[cluster]\nport = 1\n[cluster_x]\nhost = 'x'\n[asadm]\ntimeout = 2";
        let config = read(&[("a.conf", text)], Some("x"));
        assert_eq!(config.text("host"), Some("x"));
        assert_eq!(config.number("port"), None);
        assert_eq!(config.number("timeout"), Some(2));
    }

    #[test]
    fn a_bad_file_is_left_out_and_told() {
        for text in [
            "[cluster",
            "[cluster]\nnosuch = 1",
            "[cluster]\nhost = 1",
            "[cluster]\nport = 70000",
            "[asadm]\ntimeout = 1.5",
            "cluster = 1",
            "[include]\nfile = 'a.conf'",
            "[include]\ndirectory = 'nosuch'",
        ] {
            let config = read(&[("a.conf", text)], None);
            let expected = text == "[cluster";
            assert_eq!(config.is_unusable(), expected, "{text}");
            assert!(
                matches!(
                    config.problems.as_slice(),
                    [Problem::Error(_) | Problem::Fatal(_)]
                ),
                "{text}: {:?}",
                config.problems
            );
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_with_its_place() {
        let config = read(&[("a.conf", "[cluster]\nhost = 'a'\nuser = = 1\n")], None);
        let [Problem::Fatal(text)] = config.problems.as_slice() else {
            panic!("{:?}", config.problems);
        };
        assert!(text.contains("a.conf:3:8: "), "{text}");
        let folder = tempfile::tempdir().unwrap();
        let named = vec![folder.path().to_owned()];
        let sources = Sources {
            named,
            ..Sources::default()
        };
        assert!(Config::read(&sources, &ASADM).is_unusable());
    }

    #[test]
    fn a_named_file_must_exist() {
        let config = Config::read(
            &Sources {
                named: vec![PathBuf::from("no/such.conf")],
                ..Sources::default()
            },
            &ASADM,
        );
        assert_eq!(
            config.problems,
            [Problem::Absent(
                "Config file read error : no/such.conf No such file".to_owned()
            )]
        );
    }
}
