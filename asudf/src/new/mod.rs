//! `asudf new`: a project to begin with, that passes its own test.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::project::{FILE_NAME, Project, wrong_project};
use crate::status::{Failure, Status};

/// What `asudf new` is told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The folder to make; it may exist if none of the project's files is in it
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

const SETTINGS: &str = include_str!("template/asudf.toml");

/// The files of a project, and what is in them.
const FILES: &[(&str, &str)] = &[
    (FILE_NAME, SETTINGS),
    ("counter.lua", include_str!("template/counter.lua")),
    (
        "counter_test.lua",
        include_str!("template/counter_test.lua"),
    ),
    (
        ".github/workflows/udf.yml",
        include_str!("template/github.yml"),
    ),
    (".gitlab-ci.yml", include_str!("template/gitlab.yml")),
    (".luarc.json", include_str!("template/luarc.json")),
];

/// What editors know of the server's functions; made from the table that `asudf check` reads.
const STUBS: &str = ".luals/aerospike.lua";

/// Makes the project. Nothing is written if one of its files is there already.
pub(crate) fn run(options: &Options) -> Result<Status, Failure> {
    let root = &options.directory;
    let cannot = |path: &Path, error| Failure::of(format!("{}: {error}", path.display()));
    if let Some((name, _)) = FILES.iter().find(|(name, _)| root.join(name).exists()) {
        let path = root.join(name);
        return Err(Failure::of(format!(
            "{} is there already: nothing was written",
            path.display()
        )));
    }
    let settings = named(root);
    let mut told = String::new();
    let stubs = lint::editor_stubs();
    let files = FILES.iter().copied().chain([(STUBS, stubs.as_str())]);
    for (name, content) in files {
        let content = if name == FILE_NAME {
            &settings
        } else {
            content
        };
        let path = root.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| cannot(folder, error))?;
        }
        fs::write(&path, content).map_err(|error| cannot(&path, error))?;
        told += &format!("{}\n", path.display());
    }
    let project = Project::find(root).map_err(Failure::of)?;
    let modules = project.modules().map_err(Failure::of)?.len();
    let enter = match root.to_str() {
        Some(".") => String::new(),
        _ => format!("cd {} && ", quoted(&root.display().to_string())),
    };
    told += &format!("\n{modules} module. Next: {enter}asudf test\n");
    std::io::stdout()
        .write_all(told.as_bytes())
        .map_err(Failure::of)?;
    Ok(Status::Fine)
}

/// The settings, with the folder's name as the project's, if it can have that.
fn named(root: &Path) -> String {
    let full = std::path::absolute(root);
    let name = full.as_deref().ok().and_then(Path::file_name);
    match name.and_then(|name| name.to_str()) {
        Some(name) if wrong_project(name).is_none() => {
            SETTINGS.replace("project = \"counter\"", &format!("project = \"{name}\""))
        }
        _ => SETTINGS.to_owned(),
    }
}

/// As a word of a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}
