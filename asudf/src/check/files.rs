//! The modules to check: which files, and what lies beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use lint::{Report, fix};

use crate::project::{FILE_NAME, Project};
use crate::status::Failure;

/// Larger files are no modules; their beginning is enough to say so.
const MOST_BYTES: u64 = 2 << 20;

/// A module.
pub(super) struct Module {
    path: PathBuf,
    /// Its path, as it is shown.
    pub(super) shown: String,
    /// Its text.
    pub(super) text: Vec<u8>,
    /// It is to be checked; others are there for what they give to those.
    pub(super) asked_for: bool,
}

/// Modules that belong together.
pub(super) struct Files {
    /// The project that says how to check them.
    pub(super) project: Project,
    /// They, by name.
    pub(super) modules: Vec<Module>,
}

/// The modules that these paths name, those of a folder together.
pub(super) fn groups(paths: &[PathBuf]) -> Result<Vec<Files>, Failure> {
    let mut folders: BTreeMap<PathBuf, Folder> = BTreeMap::new();
    if paths.is_empty() {
        project(Path::new("."), &mut folders)?;
    }
    for path in paths {
        let about = fs::metadata(path).map_err(|error| cannot(path, &error))?;
        if about.is_dir() {
            let before = folders.len();
            if path.join(FILE_NAME).is_file() {
                project(path, &mut folders)?;
            } else {
                below(path, &mut folders)?;
            }
            if folders.len() == before && folders.values().all(|folder| folder.asked_for.is_empty())
            {
                return Err(Failure::of(format!(
                    "{}: no modules (*.lua) in it",
                    path.display()
                )));
            }
        } else {
            let folder = match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            let found = folders.entry(folder.to_owned()).or_default();
            found.asked_for.insert(path.clone());
        }
    }
    folders
        .into_iter()
        .map(|(path, folder)| read(&path, &folder))
        .collect()
}

#[derive(Default)]
struct Folder {
    asked_for: BTreeSet<PathBuf>,
}

/// The modules of the project that a folder is part of.
fn project(folder: &Path, folders: &mut BTreeMap<PathBuf, Folder>) -> Result<(), Failure> {
    let project = Project::find(folder).map_err(Failure::of)?;
    let modules = project.modules().map_err(Failure::of)?;
    let Some(parent) = modules.first().and_then(|first| first.parent()) else {
        return Err(Failure::of(format!(
            "{}: no modules (*.lua) in it",
            folder.display()
        )));
    };
    folders
        .entry(parent.to_owned())
        .or_default()
        .asked_for
        .extend(modules);
    Ok(())
}

/// All modules in a folder and those below it; each folder is a project of its own.
fn below(folder: &Path, folders: &mut BTreeMap<PathBuf, Folder>) -> Result<(), Failure> {
    for entry in fs::read_dir(folder).map_err(|error| cannot(folder, &error))? {
        let entry = entry.map_err(|error| cannot(folder, &error))?;
        let (path, kind) = (
            entry.path(),
            entry.file_type().map_err(|error| cannot(folder, &error))?,
        );
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if kind.is_dir() && !hidden {
            below(&path, folders)?;
        } else if !kind.is_dir() && is_module(&path) {
            folders
                .entry(folder.to_owned())
                .or_default()
                .asked_for
                .insert(path);
        }
    }
    Ok(())
}

fn is_module(path: &Path) -> bool {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    name.is_some_and(|name| {
        name.ends_with(".lua") && !name.ends_with("_test.lua") && !name.starts_with('.')
    }) && path.is_file()
}

fn read(folder: &Path, of: &Folder) -> Result<Files, Failure> {
    let project = Project::find(folder).map_err(Failure::of)?;
    let mut paths: BTreeMap<PathBuf, bool> = BTreeMap::new();
    // What lies beside them is there to be required.
    for entry in fs::read_dir(folder).map_err(|error| cannot(folder, &error))? {
        let path = entry.map_err(|error| cannot(folder, &error))?.path();
        if is_module(&path) {
            paths.insert(plain(&path), false);
        }
    }
    for path in &of.asked_for {
        paths.insert(plain(path), true);
    }
    let mut modules = Vec::with_capacity(paths.len());
    for (path, asked_for) in paths {
        let text = content(&path).map_err(|error| cannot(&path, &error))?;
        modules.push(Module {
            shown: path.to_string_lossy().into_owned(),
            path,
            text,
            asked_for,
        });
    }
    Ok(Files { project, modules })
}

/// Without a leading `./`.
fn plain(path: &Path) -> PathBuf {
    path.strip_prefix(".").unwrap_or(path).to_owned()
}

fn content(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut text = Vec::new();
    fs::File::open(path)?
        .take(MOST_BYTES)
        .read_to_end(&mut text)?;
    Ok(text)
}

fn cannot(path: &Path, error: &std::io::Error) -> Failure {
    Failure::of(format!("{}: {error}", path.display()))
}

impl Files {
    /// Mends what can be mended, in the files and here. Whether something was.
    pub(super) fn mend(&mut self, report: &Report) -> Result<bool, Failure> {
        let mut mended = false;
        for checked in &report.files {
            let Some(module) = self
                .modules
                .iter_mut()
                .find(|module| module.shown == checked.file)
            else {
                continue;
            };
            let (text, count) = fix::fix(&module.text, checked);
            if count == 0 {
                continue;
            }
            replace(&module.path, &text).map_err(|error| cannot(&module.path, &error))?;
            module.text = text;
            mended = true;
        }
        Ok(mended)
    }
}

/// The file has the old text or the new one, whatever happens.
fn replace(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let path = fs::canonicalize(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(text)?;
    new.as_file()
        .set_permissions(fs::metadata(&path)?.permissions())?;
    new.persist(&path).map_err(|error| error.error)?;
    Ok(())
}
