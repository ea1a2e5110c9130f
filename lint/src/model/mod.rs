//! What scripts find: names, parameters and results of Aerospike's functions and of Lua's library as the sandbox leaves it.
//! A test compares it with what `runtime` gives.

mod aerospike;
pub(crate) mod kinds;
mod lua;
#[cfg(test)]
mod reality;
mod stubs;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use kinds::Kinds;
pub(crate) use stubs::editor_stubs;

/// A parameter of a function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    /// Its name.
    pub(crate) name: &'static str,
    /// It may be left out.
    pub(crate) optional: bool,
    /// What it takes.
    pub(crate) kinds: Kinds,
}

/// How a function is called.
#[derive(Clone, Debug)]
pub(crate) struct Signature {
    /// As it is written in the table.
    pub(crate) text: &'static str,
    /// What it takes; without what stands before the colon.
    pub(crate) parameters: Vec<Parameter>,
    /// It takes any number of others after those.
    pub(crate) variadic: bool,
    /// What it gives; nothing, mostly nil, if empty.
    pub(crate) results: Vec<Kinds>,
    /// It may give any number of others after those.
    pub(crate) more_results: bool,
}

impl Signature {
    /// What a call gives at a place, counted from 0.
    pub(crate) fn result(&self, place: usize) -> Kinds {
        let beyond = if self.more_results {
            Kinds::ANY
        } else {
            Kinds::NIL
        };
        self.results.get(place).copied().unwrap_or(beyond)
    }
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// A function.
    Function(Signature),
    /// A table that can be called as well.
    Callable(Signature),
    /// A library: a table of functions.
    Library,
    /// A value.
    Value(Kinds),
}

/// Why a name is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// It was there in older versions of Lua; what to write instead.
    Gone(&'static str),
    /// The sandbox has taken it away.
    KeptAway,
    /// It belonged to the large data types.
    LargeDataType,
}

fn table() -> &'static BTreeMap<&'static str, Entry> {
    static TABLE: LazyLock<BTreeMap<&'static str, Entry>> = LazyLock::new(|| {
        let mut table = BTreeMap::new();
        let lines = lua::SIGNATURES.lines().chain(aerospike::SIGNATURES.lines());
        for line in lines.filter(|line| !line.is_empty()) {
            let read = entry(line);
            debug_assert!(read.is_some(), "{line}");
            let Some((name, entry)) = read else {
                continue;
            };
            if let Some((library, _)) = name.split_once(['.', ':']) {
                table.entry(library).or_insert(Entry::Library);
            }
            table.insert(name, entry);
        }
        for name in ["list", "map", "bytes", "geojson", "iterator"] {
            if let Some(Entry::Function(signature)) = table.get(name).cloned() {
                table.insert(name, Entry::Callable(signature));
            }
        }
        table.insert("aerospike", Entry::Value(Kinds::AEROSPIKE));
        // Empty, but there.
        table.insert("io", Entry::Library);
        table
    });
    &TABLE
}

/// Reads a line of the tables.
fn entry(line: &'static str) -> Option<(&'static str, Entry)> {
    if let Some((name, kinds)) = line.split_once(" = ") {
        return Some((name, Entry::Value(union(kinds)?)));
    }
    let (name, rest) = line.split_once('(')?;
    let (parameters, results) = rest.rsplit_once(')')?;
    let mut signature = Signature {
        text: line,
        parameters: Vec::new(),
        variadic: false,
        results: Vec::new(),
        more_results: false,
    };
    for parameter in parameters.split(", ").filter(|text| !text.is_empty()) {
        if parameter == "..." {
            signature.variadic = true;
            continue;
        }
        let (name, kinds) = parameter.split_once(": ")?;
        let (name, optional) = match name.strip_suffix('?') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let kinds = union(kinds)?;
        signature.parameters.push(Parameter {
            name,
            optional,
            kinds,
        });
    }
    if let Some(results) = results.strip_prefix(": ") {
        for result in results.split(", ") {
            if result == "..." {
                signature.more_results = true;
                continue;
            }
            signature.results.push(union(result)?);
        }
    }
    Some((name, Entry::Function(signature)))
}

fn union(text: &str) -> Option<Kinds> {
    let mut all = Kinds::empty();
    for name in text.split('|') {
        all |= Kinds::named(name)?;
    }
    Some(all)
}

/// What a name or path (`list.append`, `aerospike:update`) stands for.
#[must_use]
pub(crate) fn find(path: &str) -> Option<&'static Entry> {
    table().get(path)
}

/// The signature behind a path, if it can be called.
#[must_use]
pub(crate) fn signature(path: &str) -> Option<&'static Signature> {
    match find(path)? {
        Entry::Function(signature) | Entry::Callable(signature) => Some(signature),
        Entry::Library | Entry::Value(_) => None,
    }
}

/// Whether a global is there, be it on the real server only.
#[must_use]
pub(crate) fn is_global(name: &str) -> bool {
    find(name).is_some() || aerospike::OF_THE_REAL_SERVER.contains(&name)
}

/// Whether a global is a library, whose fields are all known.
#[must_use]
pub(crate) fn is_library(name: &str) -> bool {
    matches!(find(name), Some(Entry::Library | Entry::Callable(_)))
}

/// All names and paths.
pub(crate) fn paths() -> impl Iterator<Item = &'static str> {
    table().keys().copied()
}

/// Names of the globals.
pub(crate) fn globals() -> impl Iterator<Item = &'static str> {
    paths().filter(|path| !path.contains(['.', ':']))
}

/// Names of a library's members.
pub(crate) fn members(library: &str) -> impl Iterator<Item = &'static str> {
    paths().filter_map(move |path| {
        let rest = path.strip_prefix(library)?;
        rest.strip_prefix(['.', ':'])
    })
}

/// Why a name or path is not there, where that is known.
#[must_use]
pub(crate) fn absent(path: &str) -> Option<Absent> {
    if let Some((_, instead)) = lua::GONE.iter().find(|row| row.0 == path) {
        return Some(Absent::Gone(instead));
    }
    if let Some((library, _)) = path.split_once('.')
        && let Some((_, instead)) = lua::GONE.iter().find(|row| row.0 == library)
    {
        return Some(Absent::Gone(instead));
    }
    let kept_away = |row: &str| {
        let library = row.strip_suffix('*');
        row == path || library.is_some_and(|library| path.starts_with(library))
    };
    if lua::KEPT_AWAY.iter().any(|row| kept_away(row)) {
        return Some(Absent::KeptAway);
    }
    let large = lua::LARGE_DATA_TYPES.contains(&path);
    large.then_some(Absent::LargeDataType)
}

/// The name that replaces one that is gone, where that is all there is to it.
#[must_use]
pub(crate) fn renamed(path: &str) -> Option<&'static str> {
    let row = lua::RENAMED.iter().find(|row| row.0 == path)?;
    Some(row.1)
}

/// Whether a module belonged to the large data types.
#[must_use]
pub(crate) fn is_large_data_module(name: &str) -> bool {
    name.starts_with("ldt/") || lua::LARGE_DATA_MODULES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::{Absent, Entry, absent, aerospike, entry, find, lua, members, signature};

    #[test]
    fn every_line_of_the_tables_is_read() {
        for line in lua::SIGNATURES.lines().chain(aerospike::SIGNATURES.lines()) {
            assert!(line.is_empty() || entry(line).is_some(), "{line}");
        }
        assert_eq!(
            signature("list.append").map(|found| found.parameters.len()),
            Some(2)
        );
        assert!(matches!(find("list"), Some(Entry::Callable(_))));
        assert!(members("aerospike").any(|name| name == "exists"));
        for (path, why) in [
            ("io.open", Some(Absent::KeptAway)),
            ("aerospike:crec_open", Some(Absent::LargeDataType)),
            ("list.append", None),
        ] {
            assert_eq!(absent(path), why, "{path}");
        }
        for (name, _) in lua::RENAMED {
            assert!(matches!(absent(name), Some(Absent::Gone(_))), "{name}");
        }
    }
}
