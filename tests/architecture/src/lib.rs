//! Reads the tables "room · may use" of `ARCHITECTURE.md` and the source of the workspace, and says where they differ.
//!
//! A *room* is a file or a directory directly under `src`. What a file uses is what its paths name: those that begin with
//! `crate`, `super`, `self`, a module that it declares or imports, or another member. Paths in macros count like others.
//! Tests (`#[cfg(test)]`) may use what they like.
//!
//! ```text
//! table   the tables of ARCHITECTURE.md
//! syntax  tokens → items, paths
//! tree    items → modules, what a path means
//! rules   what must hold
//! silence failures that nobody hears of
//! ```

pub mod rules;
mod silence;
pub mod syntax;
pub mod table;
pub mod tree;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why the check could not be made.
#[derive(Debug, Error)]
pub enum CheckError {
    /// A file or directory cannot be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A file is no Rust.
    #[error("{path}:{line}: {reason}")]
    Syntax {
        /// The file.
        path: String,
        /// Line, from 1.
        line: usize,
        /// What the tokenizer says.
        reason: String,
    },
}

/// A workspace as it is checked: texts, and nothing that a file system decides.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    /// Text of `ARCHITECTURE.md`.
    pub architecture: String,
    /// Members by name, each with its files: path below the workspace → text.
    pub members: BTreeMap<String, Member>,
    /// Names of all files, to look up documents that comments name.
    pub documents: Vec<String>,
}

/// One member of the workspace.
#[derive(Clone, Debug, Default)]
pub struct Member {
    /// Directory below the workspace.
    pub directory: String,
    /// Text of its `Cargo.toml`.
    pub manifest: String,
    /// Rust files: path below the workspace → text.
    pub files: BTreeMap<String, String>,
}

impl Workspace {
    /// Reads a workspace. Members are the directories with a `Cargo.toml` up to two levels below the root.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn read(root: &Path) -> Result<Self, CheckError> {
        let mut paths = Vec::new();
        collect(root, root, &mut paths)?;
        let text = |path: &str| {
            let path = root.join(path);
            std::fs::read_to_string(&path).map_err(|error| CheckError::Read { path, error })
        };
        let mut workspace = Self {
            architecture: text("ARCHITECTURE.md")?,
            ..Self::default()
        };
        let mut directories: Vec<String> = paths
            .iter()
            .filter_map(|path| path.strip_suffix("/Cargo.toml"))
            .map(str::to_owned)
            .collect();
        // The innermost directory that holds a file is that of its member.
        directories.sort_by_key(|directory| std::cmp::Reverse(directory.len()));
        for directory in &directories {
            let manifest = text(&format!("{directory}/Cargo.toml"))?;
            let name = manifest
                .lines()
                .find_map(|line| line.strip_prefix("name = \""))
                .and_then(|rest| rest.strip_suffix('"'));
            if let Some(name) = name {
                let member = Member {
                    directory: directory.clone(),
                    manifest: manifest.clone(),
                    files: BTreeMap::new(),
                };
                workspace.members.insert(name.to_owned(), member);
            }
        }
        for path in paths {
            let is_rust = path.ends_with(".rs");
            let home = directories
                .iter()
                .find(|directory| path.starts_with(&format!("{directory}/")));
            if let (true, Some(home)) = (is_rust, home) {
                let content = text(&path)?;
                let member = workspace
                    .members
                    .values_mut()
                    .find(|member| member.directory == *home);
                if let Some(member) = member {
                    member.files.insert(path.clone(), content);
                }
            }
            workspace.documents.push(path);
        }
        Ok(workspace)
    }
}

fn collect(root: &Path, directory: &Path, paths: &mut Vec<String>) -> Result<(), CheckError> {
    let failed = |error| CheckError::Read {
        path: directory.to_owned(),
        error,
    };
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy());
        let skipped =
            name.is_none_or(|name| name == "target" || name == "fuzz" || name.starts_with(".git"));
        if skipped {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, paths)?;
        } else if let Ok(relative) = path.strip_prefix(root) {
            paths.push(relative.to_string_lossy().into_owned());
        }
    }
    Ok(())
}
