//! The programs under test: those that `cargo test --workspace` (or `cargo build --workspace`) has built beside the suite.
//!
//! Nothing is linked a second time for the tests. In exchange a program may be older than its source when only one
//! package's tests are asked for; this is found out and said.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::{Error, Result};

/// Path of a program, of this profile, that is as new as its source.
///
/// The variable `NAME_BIN` (`ASD_BIN`, `ASADM_BIN`, …) names another program to test instead.
///
/// # Errors
/// It was not built, or a source file of its package, or of one that it depends on, is newer.
pub fn path(name: &str) -> Result<OsString> {
    if let Some(other) = std::env::var_os(format!("{}_BIN", name.to_uppercase())) {
        return Ok(other);
    }
    let program = built_directory()?.join(name);
    let built = modified(&program).map_err(|_| {
        Error::Unexpected(format!(
            "{} is not there: run `cargo build --workspace` first, or test the whole workspace",
            program.display()
        ))
    })?;
    let mut packages = BTreeSet::new();
    add_package(package_of(name), &mut packages)?;
    for package in packages {
        newer_than(&root().join(&package).join("src"), built)?.map_or(Ok(()), |source| {
            Err(Error::Unexpected(format!(
                "{} is older than {}: run `cargo build --workspace` first, or test the whole workspace",
                program.display(),
                source.display()
            )))
        })?;
    }
    Ok(program.into_os_string())
}

/// Words that give a tool a minute for what it does with a node. Its own limits, a second or some, are short for a machine
/// that does much else, and no test is about the speed of the machine.
#[must_use]
pub fn patient(name: &str) -> &'static [&'static str] {
    match name {
        "asinfo" | "asadm" => &["--timeout", "60"],
        "aql" => &["--timeout", "60000", "--socket-timeout", "60000"],
        _ => &[],
    }
}

/// The folder of the package that makes a program.
fn package_of(program: &str) -> &str {
    match program {
        "asd" => "server",
        name => name,
    }
}

/// Folder of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where this profile's programs are: `target/debug`, seen from `target/debug/deps/it-…` or `target/debug/figures`.
fn built_directory() -> Result<PathBuf> {
    let own = std::env::current_exe().map_err(Error::io("name of this program"))?;
    own.ancestors()
        .skip(1)
        .find(|folder| !folder.ends_with("deps"))
        .map(Path::to_path_buf)
        .ok_or_else(|| Error::Unexpected(format!("{} is in no folder", own.display())))
}

/// Adds a package and those of this workspace that it depends on.
fn add_package(name: &str, packages: &mut BTreeSet<String>) -> Result<()> {
    if !packages.insert(name.to_owned()) {
        return Ok(());
    }
    let manifest = root().join(name).join("Cargo.toml");
    let text = fs::read_to_string(&manifest).map_err(Error::io(manifest.display().to_string()))?;
    let dependencies = text
        .lines()
        .skip_while(|line| line.trim() != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['));
    for line in dependencies {
        let end = line.find(['.', ' ', '=']).unwrap_or(line.len());
        let dependency = line.get(..end).unwrap_or(line);
        if !dependency.is_empty() && root().join(dependency).join("Cargo.toml").is_file() {
            add_package(dependency, packages)?;
        }
    }
    Ok(())
}

/// A file below a folder that was changed after this time.
fn newer_than(folder: &Path, time: SystemTime) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder).map_err(Error::io(folder.display().to_string()))? {
        let path = entry
            .map_err(Error::io(folder.display().to_string()))?
            .path();
        // Unit tests are no part of the program, which is not built again for a change to them.
        if matches!(path.file_stem(), Some(stem) if stem == "tests") {
            continue;
        }
        if path.is_dir() {
            if let Some(newer) = newer_than(&path, time)? {
                return Ok(Some(newer));
            }
        } else if modified(&path)? > time {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn modified(path: &Path) -> Result<SystemTime> {
    fs::metadata(path)
        .and_then(|about| about.modified())
        .map_err(Error::io(path.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_that_a_program_depends_on_are_found() {
        let mut packages = BTreeSet::new();
        add_package(package_of("asd"), &mut packages).unwrap();
        assert!(
            packages.contains("server") && packages.contains("protocol"),
            "{packages:?}"
        );
        assert!(
            !packages.contains("asadm") && !packages.contains("tests"),
            "{packages:?}"
        );
    }

    #[test]
    fn a_file_that_was_changed_after_a_program_was_built_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("room")).unwrap();
        let file = folder.path().join("room/new.rs");
        fs::write(&file, "").unwrap();
        let changed = modified(&file).unwrap();
        let earlier = changed - std::time::Duration::from_secs(1);
        assert_eq!(newer_than(folder.path(), earlier).unwrap(), Some(file));
        assert_eq!(newer_than(folder.path(), changed).unwrap(), None);
    }
}
