//! Modules of `asudf`'s own on a cluster: comments without code, which every server stores, lists and serves unchanged.
//!
//! ```text
//! asudf_project_NAME.lua   stays: which modules the project put there, with what content, and whether an apply ended
//! asudf_lock_NUMBER.lua    there while somebody changes modules
//! ```
//!
//! What programs read is JSON in the line that begins with `--@ `. Others may write these modules too, so that whatever
//! stands in one is checked before it is believed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use tools::terminal::safe;

use super::content::{Digest, Module, SOURCE_MAX, wrong_name};
use super::owner::Process;

/// Version of both forms.
const VERSION: u32 = 1;
/// Begins the line for programs.
const LINE: &str = "--@ ";
/// Begins the names of all modules of `asudf`.
pub(crate) const PREFIX: &str = "asudf_";
const LOCK_PREFIX: &str = "asudf_lock_";
const PROJECT_PREFIX: &str = "asudf_project_";
/// How many names of locks there are. Servers remember removed names, so that they are few.
const LOCK_NAMES: u64 = 4096;

/// Whether a module is a lock.
pub(crate) fn is_lock(name: &str) -> bool {
    name.starts_with(LOCK_PREFIX)
}

/// The name of a lock, by a number of any size.
pub(crate) fn lock_name(number: u64) -> String {
    format!("{LOCK_PREFIX}{:03x}.lua", number % LOCK_NAMES)
}

/// The name of the module in which a project keeps its record.
pub(crate) fn record_name(project: &str) -> String {
    format!("{PROJECT_PREFIX}{project}.lua")
}

/// What a project put on the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Record {
    version: u32,
    /// The name of the project.
    pub(crate) project: String,
    /// Who wrote it: user and machine.
    pub(crate) by: String,
    /// When, UTC.
    pub(crate) at: String,
    /// File name → SHA-256 of the contents that it was put with; two while an apply is under way.
    pub(crate) modules: BTreeMap<String, Vec<String>>,
    /// An apply that has begun, and has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unfinished: Option<Unfinished>,
}

/// A change of modules that has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Unfinished {
    /// Who began it.
    pub(crate) by: String,
    /// When, UTC.
    pub(crate) since: String,
    /// Name of the file with what was there before.
    pub(crate) kept: String,
}

/// Somebody who changes modules, or wants to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Lock {
    version: u32,
    /// Tells locks apart; the smaller one goes first where two ask at the same moment.
    pub(crate) token: String,
    /// What is going on.
    pub(crate) doing: String,
    /// Who: user and machine.
    pub(crate) by: String,
    /// Since when, UTC.
    pub(crate) since: String,
    /// Whether it is held, and not only asked for.
    pub(crate) held: bool,
    /// Grows while its owner is alive.
    pub(crate) beat: u64,
    /// The process, for others on the same machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) process: Option<Process>,
}

impl Record {
    /// Without modules.
    pub(crate) fn new(project: &str, by: &str, at: &str) -> Self {
        Self {
            version: VERSION,
            project: project.to_owned(),
            by: by.to_owned(),
            at: at.to_owned(),
            modules: BTreeMap::new(),
            unfinished: None,
        }
    }

    /// The contents with which the project put a module.
    pub(crate) fn put(&self, name: &str) -> Vec<Digest> {
        let digests = self.modules.get(name).into_iter().flatten();
        digests.filter_map(|text| Digest::parse(text)).collect()
    }

    /// The module that holds it.
    ///
    /// # Errors
    /// It is larger than a module may be.
    pub(crate) fn module(&self) -> Result<Module, String> {
        let json = serde_json::to_string(self).map_err(|error| error.to_string())?;
        let text = format!(
            "-- What asudf has put on this cluster for the project `{}`. It has no functions; calls do not need it.\n\
             -- Without it `asudf apply --prune` removes nothing of the project.\n{LINE}{json}\n",
            self.project
        );
        if text.len() >= SOURCE_MAX {
            let count = self.modules.len();
            return Err(format!(
                "{count} modules are more than one project can have"
            ));
        }
        Ok(Module::new(record_name(&self.project), text.into_bytes()))
    }

    /// Reads the record of a project.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub(crate) fn parse(project: &str, source: &[u8]) -> Result<Self, String> {
        let file = record_name(project);
        let wrong = |what: String| {
            format!(
                "{file} on the cluster is not what asudf writes ({what}): remove it or give the project another name"
            )
        };
        let record: Self = json(source).map_err(wrong)?;
        if record.version != VERSION {
            return Err(newer(&file, record.version));
        }
        if record.project != project {
            let other = record.project.escape_debug();
            return Err(wrong(format!("it is of project `{other}`")));
        }
        for (name, digests) in &record.modules {
            if wrong_name(name).is_some() || name.starts_with(PREFIX) {
                return Err(wrong(format!("a module `{}`", name.escape_debug())));
            }
            if digests.iter().any(|text| Digest::parse(text).is_none()) {
                return Err(wrong(format!("a digest of {name}")));
            }
        }
        Ok(record)
    }
}

impl Lock {
    /// Asked for.
    pub(crate) fn new(
        token: &str,
        doing: &str,
        by: &str,
        since: &str,
        process: Option<Process>,
    ) -> Self {
        Self {
            version: VERSION,
            token: token.to_owned(),
            doing: doing.to_owned(),
            by: by.to_owned(),
            since: since.to_owned(),
            held: false,
            beat: 0,
            process,
        }
    }

    /// The source of the module that holds it.
    ///
    /// # Errors
    /// It cannot be written as JSON, which is a defect.
    pub(crate) fn source(&self) -> Result<Vec<u8>, String> {
        let json = serde_json::to_string(self).map_err(|error| error.to_string())?;
        let text = format!(
            "-- {} is changing modules on this cluster with asudf; this module goes when that ends. It has no functions.\n\
             -- If nobody is any more: the next asudf apply finds out, or asudf apply --break-lock takes it at once.\n{LINE}{json}\n",
            one_line(&self.by)
        );
        Ok(text.into_bytes())
    }

    /// Reads a lock.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(name: &str, source: &[u8]) -> Result<Self, String> {
        let lock: Self = json(source)?;
        if lock.version != VERSION {
            return Err(newer(name, lock.version));
        }
        Ok(lock)
    }

    /// Who it is, for people.
    pub(crate) fn shown(&self) -> String {
        let shown = format!("{} ({}, since {})", self.by, self.doing, self.since);
        safe::line(&shown).into_owned()
    }
}

fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn newer(file: &str, version: u32) -> String {
    format!(
        "{file} on the cluster is of version {version}, this asudf knows {VERSION}: use a newer one"
    )
}

/// The value in the line for programs.
fn json<'s, T: Deserialize<'s>>(source: &'s [u8]) -> Result<T, String> {
    let text = std::str::from_utf8(source).map_err(|_| "no text".to_owned())?;
    let line = text.lines().find_map(|line| line.strip_prefix(LINE));
    let line = line.ok_or_else(|| "there is no line for programs in it".to_owned())?;
    serde_json::from_str(line).map_err(|error| safe::line(&error.to_string()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let mut record = Record::new("shop", "me@here", "2026-11-27 03:00:00");
        let digest = Digest::of(b"x").to_string();
        record.modules.insert("a.lua".to_owned(), vec![digest]);
        record
    }

    #[test]
    fn records_and_locks_are_read_as_they_are_written() {
        let record = record();
        let module = record.module().unwrap();
        assert_eq!(module.name, "asudf_project_shop.lua");
        assert_eq!(Record::parse("shop", &module.source).unwrap(), record);
        assert_eq!(record.put("a.lua"), [Digest::of(b"x")]);
        let lock = Lock::new("t", "apply", "me\n@here", "now", Some(Process::own()));
        let source = lock.source().unwrap();
        assert_eq!(Lock::parse("asudf_lock_000.lua", &source).unwrap(), lock);
        // Nothing in either is code.
        for source in [&source[..], &module.source] {
            let text = std::str::from_utf8(source).unwrap();
            assert!(text.lines().all(|line| line.starts_with("--")), "{text}");
        }
    }

    #[test]
    fn what_others_wrote_is_not_believed() {
        let module = record().module().unwrap();
        let good = String::from_utf8(module.source.to_vec()).unwrap();
        for (from, to, expected) in [
            ("\"version\":1", "\"version\":2", "of version 2"),
            (
                "\"project\":\"shop\"",
                "\"project\":\"other\"",
                "of project `other`",
            ),
            ("a.lua", "../a.lua", "a module `../a.lua`"),
            (
                "a.lua",
                "asudf_lock_000.lua",
                "a module `asudf_lock_000.lua`",
            ),
            ("--@ ", "-- ", "no line for programs"),
            ("\"by\"", "\"bye\"", "missing field `by`"),
            ("[\"", "[\"zz", "a digest of a.lua"),
        ] {
            let source = good.replacen(from, to, 1);
            assert_ne!(source, good);
            let error = Record::parse("shop", source.as_bytes()).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert!(Record::parse("shop", b"\xff").is_err());
    }

    #[test]
    fn names_of_projects_fit_into_names_of_modules() {
        for (name, good) in [
            ("shop-2_x", true),
            ("", false),
            ("a/b", false),
            ("ä", false),
        ] {
            assert_eq!(
                crate::project::wrong_project(name).is_none(),
                good,
                "{name}"
            );
        }
        let longest = record_name(&"a".repeat(64));
        assert_eq!(wrong_name(&longest), None);
        assert!(is_lock(&lock_name(u64::MAX)) && wrong_name(&lock_name(7)).is_none());
    }
}
