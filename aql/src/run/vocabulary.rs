//! Names of the cluster and of the session, for completion.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tools::functions;

use super::session::Session;
use crate::language::statement::{Bins, Statement};

/// Names of bins that are kept at most.
const BINS_MAX: usize = 1_000;

/// A module of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct KnownModule {
    hash: String,
    functions: Vec<String>,
}

/// What can be named in a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    /// Sets by namespace.
    pub sets: BTreeMap<String, BTreeSet<String>>,
    /// Bins that have an index, or that the session has seen: servers do not list them.
    pub bins: BTreeSet<String>,
    /// Names of indexes.
    pub indexes: BTreeSet<String>,
    modules: BTreeMap<String, KnownModule>,
}

impl Vocabulary {
    /// Modules, without their extension.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        self.modules.keys().map(String::as_str)
    }

    /// A module with these functions.
    #[cfg(test)]
    pub(crate) fn add_module(&mut self, name: &str, functions: &[&str]) {
        let functions = functions.iter().map(|name| (*name).to_owned()).collect();
        let hash = String::new();
        self.modules
            .insert(name.to_owned(), KnownModule { hash, functions });
    }

    /// Functions of a module.
    pub fn functions(&self, module: &str) -> impl Iterator<Item = &str> {
        let module = self.modules.get(module).into_iter();
        module.flat_map(|module| module.functions.iter().map(String::as_str))
    }
}

/// The value of a key in an entry of an info answer.
fn value<'e>(entry: &'e str, separator: char, key: &str) -> Option<&'e str> {
    entry
        .split(separator)
        .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
        .filter(|value| !value.is_empty() && !value.eq_ignore_ascii_case("null"))
}

impl Session {
    /// Keeps the names of bins that a statement or a result has.
    pub(super) fn see_bins(&mut self, names: impl IntoIterator<Item = String>) {
        for name in names {
            if self.bins.len() < BINS_MAX && !name.is_empty() {
                self.bins.insert(name);
            }
        }
    }

    /// Keeps the names of bins that stand in a statement.
    pub(super) fn see_statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Insert { bins, .. } => {
                self.see_bins(bins.iter().map(|(name, _)| name.clone()));
            }
            Statement::Select(select) => {
                if let Bins::Named(names) = &select.bins {
                    self.see_bins(names.iter().cloned());
                }
            }
            _ => {}
        }
    }

    /// What can be named, as of now. What a node does not tell is as it was `before`.
    pub async fn vocabulary(&self, before: &Vocabulary) -> Vocabulary {
        let mut found = Vocabulary::default();
        let Some(node) = self.records.picture().nodes().first() else {
            return before.clone();
        };
        for namespace in self.records.picture().namespaces() {
            found.sets.insert(namespace.to_owned(), BTreeSet::new());
        }
        let mut answers = Vec::new();
        for command in ["sets", "sindex-list:", "udf-list"] {
            match self.records.info(node, command).await {
                Ok(answer) => answers.push(answer),
                Err(_) => return before.clone(),
            }
        }
        let [sets, indexes, modules] = answers.as_slice() else {
            return before.clone();
        };
        for entry in sets.split(';') {
            if let (Some(namespace), Some(set)) =
                (value(entry, ':', "ns"), value(entry, ':', "set"))
            {
                let of_namespace = found.sets.entry(namespace.to_owned()).or_default();
                of_namespace.insert(set.to_owned());
            }
        }
        found.bins = self.bins.clone();
        for entry in indexes.split(';') {
            found
                .bins
                .extend(value(entry, ':', "bin").map(str::to_owned));
            found
                .indexes
                .extend(value(entry, ':', "indexname").map(str::to_owned));
        }
        for entry in modules.split(';') {
            let Some(name) =
                value(entry, ',', "filename").and_then(|file| file.strip_suffix(".lua"))
            else {
                continue;
            };
            let hash = value(entry, ',', "hash").unwrap_or("");
            let module = match before.modules.get(name) {
                Some(known) if known.hash == hash => known.clone(),
                _ => KnownModule {
                    hash: hash.to_owned(),
                    functions: self.functions(name).await,
                },
            };
            found.modules.insert(name.to_owned(), module);
        }
        found
    }

    /// The functions of a module; none where it cannot be had.
    async fn functions(&self, module: &str) -> Vec<String> {
        let Some(node) = self.records.picture().nodes().first() else {
            return Vec::new();
        };
        let command = format!("udf-get:filename={module}.lua");
        let Ok(answer) = self.records.info(node, &command).await else {
            return Vec::new();
        };
        let content = value(&answer, ';', "content").and_then(|text| STANDARD.decode(text).ok());
        let source = content.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        source.map_or_else(Vec::new, |source| {
            let functions = functions::of_module(&source).into_iter();
            functions.map(|function| function.name).collect()
        })
    }
}
