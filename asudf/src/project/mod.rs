//! A project: a folder with `asudf.toml`, and the modules in it.
//!
//! One reader for all commands. A section is a struct in `settings.rs`; to add a key or a section, add a field there
//! with `#[serde(default)]` where it may be left out. Every struct says `deny_unknown_fields`, so that a misspelt key is an
//! error with its line and column and never a silent default. What a value means beyond its type (that a level of `lint` is
//! known, say) is checked by the room that uses it; a value is wrapped in [`toml::Spanned`] there, and
//! [`Project::refuse`] makes the error.

mod settings;

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

pub use settings::{Cluster, Modules, Settings, Ship, Test};
use thiserror::Error;

/// Name of the file.
pub const FILE_NAME: &str = "asudf.toml";

/// How names of test files end.
pub const TEST_SUFFIX: &str = "_test.lua";

/// Why a project cannot be read.
#[derive(Debug, Error)]
pub enum ProjectError {
    /// A file or folder cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// What was to be read.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// `asudf.toml` says something that it may not.
    #[error("{path}:{line}:{column}: {message}")]
    Wrong {
        /// The file.
        path: String,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
}

/// A folder of modules and what its `asudf.toml` says.
#[derive(Clone, Debug)]
pub struct Project {
    /// The folder: that of the file, or the one that was named where there is no file in it or above.
    pub root: PathBuf,
    /// The file; none where all is as it is without one.
    pub file: Option<PathBuf>,
    /// What it says.
    pub settings: Settings,
    text: String,
}

impl Project {
    /// The project that a folder is part of: the first `asudf.toml` in it or above. Without one the folder itself is a
    /// project in which nothing is set.
    ///
    /// # Errors
    /// The file cannot be read, or says something that it may not.
    pub fn find(folder: &Path) -> Result<Self, ProjectError> {
        let absolute = fs::canonicalize(folder).map_err(|error| unreadable(folder, error))?;
        for above in absolute.ancestors() {
            let file = above.join(FILE_NAME);
            if file.is_file() {
                // The folder as it was named, where that is the one: paths are shown to people.
                let root = match above == absolute {
                    true => folder.to_owned(),
                    false => above.to_owned(),
                };
                return Self::read(root);
            }
        }
        Ok(Self {
            root: folder.to_owned(),
            file: None,
            settings: Settings::default(),
            text: String::new(),
        })
    }

    /// The same for a folder or a file in one.
    ///
    /// # Errors
    /// As [`Project::find`].
    pub fn of(path: &Path) -> Result<Self, ProjectError> {
        match path.parent() {
            Some(folder) if path.is_file() && folder.as_os_str().is_empty() => {
                Self::find(Path::new("."))
            }
            Some(folder) if path.is_file() => Self::find(folder),
            _ => Self::find(path),
        }
    }

    fn read(root: PathBuf) -> Result<Self, ProjectError> {
        let file = root.join(FILE_NAME);
        let text = fs::read_to_string(&file).map_err(|error| unreadable(&file, error))?;
        let mut project = Self {
            root,
            file: Some(file),
            settings: Settings::default(),
            text,
        };
        match toml::from_str(&project.text) {
            Ok(settings) => project.settings = settings,
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                return Err(project.refuse(span, error.message()));
            }
        }
        for cluster in project.settings.cluster.values() {
            if let Some((span, message)) = cluster.secret_in_the_open() {
                return Err(project.refuse(span, message));
            }
        }
        Ok(project)
    }

    /// An error about a place of the file.
    #[must_use]
    pub fn refuse(&self, span: Range<usize>, message: &str) -> ProjectError {
        let before = self.text.get(..span.start).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        ProjectError::Wrong {
            path: shown(&self.root.join(FILE_NAME)),
            line: before.matches('\n').count() + 1,
            column: before
                .get(line_start..)
                .map_or(0, |line| line.chars().count())
                + 1,
            message: message.to_owned(),
        }
    }

    /// The folder of the modules.
    #[must_use]
    pub fn modules_folder(&self) -> PathBuf {
        match self.settings.modules.folder.to_str() {
            Some(".") => self.root.clone(),
            _ => self.root.join(&self.settings.modules.folder),
        }
    }

    /// The modules: `*.lua` directly in their folder, but for tests, by name.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn modules(&self) -> Result<Vec<PathBuf>, ProjectError> {
        let folder = self.modules_folder();
        let failed = |error| unreadable(&folder, error);
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            let is_module = name.is_some_and(|name| {
                name.ends_with(".lua") && !name.ends_with(TEST_SUFFIX) && !name.starts_with('.')
            });
            if is_module && path.is_file() {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> ProjectError {
    let path = shown(path);
    ProjectError::Read { path, error }
}

fn shown(path: &Path) -> String {
    let path = path.strip_prefix(".").unwrap_or(path);
    path.display().to_string()
}

/// Why a project cannot have this name, or none.
pub(crate) fn wrong_project(project: &str) -> Option<&'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if project.is_empty() || project.len() > 64 || !project.chars().all(fits) {
        return Some("a project has a name of 1 to 64 letters, digits, `-` or `_`");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_may_not_say_has_a_place() {
        for (text, expected) in [
            ("[modulse]\n", "asudf.toml:1:2: unknown field `modulse`"),
            (
                "[test]\ntime-limit-ms = 5\nfoo = 1\n",
                "asudf.toml:3:1: unknown field `foo`",
            ),
            (
                "[test]\ntime-limit-ms = \"x\"\n",
                "asudf.toml:2:17: invalid type: string",
            ),
            (
                "[cluster.a]\nhost = \"h\"\npassword = \"secret\"\n",
                "asudf.toml:3:12: a password does not belong",
            ),
            ("[test\n", "asudf.toml:1:6: "),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(FILE_NAME), text).unwrap();
            let error = Project::find(folder.path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_folder_below_belongs_to_the_project_and_tests_are_no_modules() {
        let folder = tempfile::tempdir().unwrap();
        let lua = folder.path().join("lua");
        fs::create_dir(&lua).unwrap();
        fs::write(
            folder.path().join(FILE_NAME),
            "[modules]\nfolder = \"lua\"\n[cluster.near]\nhost = \"h:3000\"\npassword = \"env:P\"\n",
        )
        .unwrap();
        for name in ["b.lua", "a.lua", "a_test.lua", "c.txt", ".x.lua"] {
            fs::write(lua.join(name), "").unwrap();
        }
        let project = Project::find(&lua).unwrap();
        let names: Vec<String> = project
            .modules()
            .unwrap()
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["a.lua", "b.lua"]);
        let (connection, _) = project.settings.cluster["near"].options();
        assert_eq!(connection.host.as_deref(), Some("h:3000"));
    }
}
