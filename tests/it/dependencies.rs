//! Gate on dependencies: their licences, versions that come twice, and those that nobody uses. It reads what
//! `cargo metadata` says of the lock file, so nothing has to be installed for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Licences that may be in a program of ours, alone or as a choice.
const LICENCES: [&str; 14] = [
    "Apache-2.0",
    "MIT",
    "MIT-0",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "0BSD",
];

/// Packages that are in the tree in more than one version, each because two of their users disagree.
const TWICE: &str = include_str!("dependencies/twice.txt");

/// What cargo knows of the packages that are built on this machine; the others need not be downloaded for it.
fn metadata() -> Value {
    let about = Command::new("rustc").arg("-vV").output().unwrap();
    let about = String::from_utf8(about.stdout).unwrap();
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--filter-platform", host.unwrap()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap()
}

/// Whether a licence expression leaves a choice that is allowed. Understands `AND`, `OR`, the old `/`, parentheses and exceptions.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let words = expression.replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = words.split_whitespace().collect();
    let (allowed, rest) = any(&words);
    allowed && rest.is_empty()
}

fn any<'w, 's>(words: &'w [&'s str]) -> (bool, &'w [&'s str]) {
    let (mut allowed, mut rest) = all(words);
    while let ["OR", after @ ..] = rest {
        let (other, after) = all(after);
        allowed |= other;
        rest = after;
    }
    (allowed, rest)
}

fn all<'w, 's>(words: &'w [&'s str]) -> (bool, &'w [&'s str]) {
    let (mut allowed, mut rest) = one(words);
    while let ["AND", after @ ..] = rest {
        let (other, after) = one(after);
        allowed &= other;
        rest = after;
    }
    (allowed, rest)
}

fn one<'w, 's>(words: &'w [&'s str]) -> (bool, &'w [&'s str]) {
    match words {
        ["(", inside @ ..] => match any(inside) {
            (allowed, [")", rest @ ..]) => (allowed, rest),
            (_, rest) => (false, rest),
        },
        [licence, "WITH", _, rest @ ..] | [licence, rest @ ..] => {
            (LICENCES.contains(licence), rest)
        }
        [] => (false, words),
    }
}

#[test]
fn licence_expressions_are_read() {
    for (expression, allowed) in [
        ("MIT", true),
        ("MIT OR Apache-2.0", true),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("", false),
        ("MIT AND", false),
    ] {
        assert_eq!(is_allowed(expression), allowed, "{expression}");
    }
}

#[test]
fn all_licences_are_allowed() {
    let metadata = metadata();
    let refused: Vec<String> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(is_allowed))
        .map(|package| format!("{}: {}", text(package, "name"), package["license"]))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn no_package_comes_in_two_versions_but_those_that_are_listed() {
    let metadata = metadata();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = text(package, "name");
        versions
            .entry(name)
            .or_default()
            .insert(text(package, "version"));
    }
    let twice: BTreeSet<&str> = versions
        .iter()
        .filter(|(_, versions)| versions.len() > 1)
        .map(|(name, _)| *name)
        .collect();
    let listed: BTreeSet<&str> = TWICE
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect();
    assert_eq!(
        twice, listed,
        "tests/it/dependencies/twice.txt is out of date"
    );
}

#[test]
fn every_dependency_is_used() {
    let metadata = metadata();
    let members = metadata["workspace_members"].as_array().unwrap();
    let mut unused = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        if !members.contains(&package["id"]) {
            continue;
        }
        let folder = Path::new(text(package, "manifest_path")).parent().unwrap();
        let mut files = Vec::new();
        add_sources(folder, &mut files);
        let sources: Vec<String> = files
            .iter()
            .map(|file| fs::read_to_string(file).unwrap())
            .collect();
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = dependency["rename"]
                .as_str()
                .unwrap_or(text(dependency, "name"));
            let name = name.replace('-', "_");
            if !sources.iter().any(|source| names(source, &name)) {
                unused.push(format!("{}: {name}", text(package, "name")));
            }
        }
    }
    assert!(unused.is_empty(), "{unused:#?}");
}

/// Whether a source names a crate: in a path, a `use` or an attribute.
fn names(source: &str, name: &str) -> bool {
    source.match_indices(name).any(|(at, _)| {
        let before = source[..at].chars().next_back();
        let after = &source[at + name.len()..];
        !before.is_some_and(|character| character.is_alphanumeric() || character == '_')
            && (after.starts_with("::") || after.starts_with(';') || after.starts_with(" as "))
    })
}

fn add_sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // Built files, and the fuzz crate, which has a manifest of its own.
            if !path.ends_with("target") && !path.ends_with("fuzz") {
                add_sources(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn a_crate_is_named_by_paths_and_imports() {
    for (source, named) in [
        ("use bytes::Bytes;", true),
        ("extern crate bytes;", true),
        ("use bytes as b;", true),
        ("let bytes = 3;", false),
        ("nbytes::x", false),
        ("// bytes", false),
    ] {
        assert_eq!(names(source, "bytes"), named, "{source}");
    }
}
