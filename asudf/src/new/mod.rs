//! `asudf new`: a project to begin with, that passes its own test.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::project::{FILE_NAME, Project};
use crate::status::{Failure, Status};

/// What `asudf new` is told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The folder to make; it may exist if none of the project's files is in it
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// The files of a project, and what is in them.
const FILES: &[(&str, &str)] = &[
    (FILE_NAME, include_str!("template/asudf.toml")),
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
    let mut told = String::new();
    let stubs = lint::editor_stubs();
    let files = FILES.iter().copied().chain([(STUBS, stubs.as_str())]);
    for (name, content) in files {
        let path = root.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| cannot(folder, error))?;
        }
        fs::write(&path, content).map_err(|error| cannot(&path, error))?;
        told += &format!("{}\n", path.display());
    }
    let project = Project::find(root).map_err(Failure::of)?;
    let modules = project.modules().map_err(Failure::of)?.len();
    told += &format!(
        "\n{modules} module. Next: cd {} && asudf test\n",
        root.display()
    );
    std::io::stdout()
        .write_all(told.as_bytes())
        .map_err(Failure::of)?;
    Ok(Status::Fine)
}
