//! `asudf watch`: on save, check what was saved, test what depends on it, put it to a development server.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;

use crate::cluster::{self, Cluster};
use crate::engine::code;
use crate::project::{Project, TEST_SUFFIX};
use crate::status::{Failure, Status};

/// Pause between two looks at the folder.
const PAUSE: Duration = Duration::from_millis(20);

/// What `asudf watch` is told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The project
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Put modules whose tests pass to this cluster: a name of asudf.toml or HOST[:PORT]
    #[arg(long, value_name = "HOST")]
    to: Option<String>,
    /// Leave after so many saves
    #[arg(long, value_name = "N")]
    saves: Option<u64>,
}

/// The state of a file: what a save changes.
type Stamp = (SystemTime, u64);

/// Watches until it is interrupted.
pub(crate) fn run(options: &Options) -> Result<Status, Failure> {
    let project = Project::of(&options.directory).map_err(Failure::of)?;
    let folder = project.modules_folder();
    let cluster = match &options.to {
        None => None,
        Some(name) => {
            let (connection, alternate) = cluster::named(&project, name)?;
            Some(Cluster::open_any(connection, alternate)?)
        }
    };
    let mut known = stamps(&folder)?;
    say(&format!("watching {}\n", folder.display()))?;
    let mut saves = 0;
    loop {
        std::thread::sleep(PAUSE);
        let now = stamps(&folder)?;
        let changed: BTreeSet<String> = now
            .iter()
            .filter(|(name, stamp)| known.get(*name) != Some(stamp))
            .map(|(name, _)| name.clone())
            .collect();
        known = now;
        if changed.is_empty() {
            continue;
        }
        // A mistake is told, and the next save may mend it.
        if let Err(failure) = saved(&folder, &changed, cluster.as_ref()) {
            say(&format!("{failure}\n"))?;
        }
        saves += 1;
        if options.saves == Some(saves) {
            return Ok(Status::Fine);
        }
    }
}

fn say(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::of)
}

/// The Lua files of a folder.
fn stamps(folder: &Path) -> Result<BTreeMap<String, Stamp>, Failure> {
    let failed = |error| Failure(format!("{}: {error}", folder.display()));
    let mut stamps = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.ends_with(".lua") || name.starts_with('.') {
            continue;
        }
        // A file may go while it is looked at: editors save by renaming.
        if let Ok(metadata) = entry.metadata()
            && let Ok(time) = metadata.modified()
        {
            stamps.insert(name, (time, metadata.len()));
        }
    }
    Ok(stamps)
}

/// Names of the files that depend on others: those that name them in quotes, and so on.
fn dependants(texts: &BTreeMap<String, String>, changed: &BTreeSet<String>) -> BTreeSet<String> {
    let mut reached = changed.clone();
    loop {
        let before = reached.len();
        let names: Vec<String> = reached
            .iter()
            .filter_map(|file| file.strip_suffix(".lua"))
            .flat_map(|name| [format!("\"{name}\""), format!("'{name}'")])
            .collect();
        for (file, text) in texts {
            if names.iter().any(|name| text.contains(name)) {
                reached.insert(file.clone());
            }
        }
        if reached.len() == before {
            return reached;
        }
    }
}

/// Checks, tests and puts what was saved.
fn saved(
    folder: &Path,
    changed: &BTreeSet<String>,
    cluster: Option<&Cluster>,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let own = std::env::current_exe().map_err(Failure::of)?;
    let asudf = |words: &[&str], files: &[PathBuf]| {
        let output = Command::new(&own).args(words).args(files).output();
        output.map_err(Failure::of)
    };
    let modules: Vec<&String> = changed
        .iter()
        .filter(|name| !name.ends_with(TEST_SUFFIX))
        .collect();
    let paths: Vec<PathBuf> = modules.iter().map(|name| folder.join(name)).collect();
    let mut well = true;
    if !paths.is_empty() {
        let output = asudf(&["check", "--fail-on", "error"], &paths)?;
        say(&String::from_utf8_lossy(&output.stdout))?;
        well = output.status.success();
    }
    let read = code::of_folder(folder).map_err(Failure)?;
    let texts = read.sources().values().map(|source| {
        let text = String::from_utf8_lossy(&source.text).into_owned();
        (source.file_name.clone(), text)
    });
    let reached = dependants(&texts.collect(), changed);
    for test in reached.iter().filter(|name| name.ends_with(TEST_SUFFIX)) {
        let output = asudf(&["test"], &[folder.join(test)])?;
        say(&String::from_utf8_lossy(&output.stdout))?;
        say(&String::from_utf8_lossy(&output.stderr))?;
        well = well && output.status.success();
    }
    let names = changed.iter().cloned().collect::<Vec<_>>().join(", ");
    let done = match (cluster, well) {
        (_, false) => "not well",
        (None, true) => "well",
        (Some(cluster), true) => {
            for name in modules {
                if let Some(source) = read
                    .sources()
                    .values()
                    .find(|source| source.file_name == *name)
                {
                    cluster.replace(source)?;
                }
            }
            "served"
        }
    };
    say(&format!(
        "{names}: {done} after {} ms\n",
        begun.elapsed().as_millis()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_module_depends_on_it_and_so_does_what_names_that() {
        let texts = [
            ("a.lua", ""),
            ("b.lua", "local a = require(\"a\")"),
            ("c.lua", "require 'b'"),
            ("d.lua", "a"),
            ("c_test.lua", "t.apply(r, \"c\", 'f')"),
            ("d_test.lua", "t.apply(r, \"d\", 'f')"),
        ];
        let texts = texts.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let changed = BTreeSet::from(["a.lua".to_owned()]);
        let reached = dependants(&BTreeMap::from(texts), &changed);
        let reached: Vec<&str> = reached.iter().map(String::as_str).collect();
        assert_eq!(reached, ["a.lua", "b.lua", "c.lua", "c_test.lua"]);
    }
}
