//! The copies of modules for people and tools.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::bounds::Fit as _;

use super::error::{StoreError, io_error};
use super::files;
use super::work::DiskWork;

/// What a file was, as far as this server may have written it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before<'c> {
    /// Contents that it may have had.
    pub(crate) contents: &'c [Vec<u8>],
    /// It was written and not synced when a server died: parts of what it should hold may be missing.
    pub(crate) may_be_torn: bool,
}

/// What stands at the place of a module's copy.
#[derive(Debug, PartialEq, Eq)]
enum Copy {
    Missing,
    /// What it should hold.
    Same,
    /// What it held before.
    Before,
    Foreign,
}

/// A copy that is still to be written.
#[derive(Debug)]
struct Owed {
    /// What the file holds, unless somebody else wrote it.
    held: Option<Arc<[u8]>>,
    /// What it should hold; none if it should not be there.
    content: Option<Arc<[u8]>>,
}

/// The module directory.
#[derive(Debug)]
pub(super) struct Copies {
    pub(super) user_path: PathBuf,
    work: Arc<DiskWork>,
    /// By file name.
    owed: BTreeMap<String, Owed>,
    /// Written or removed, and not synced yet.
    unsynced: BTreeSet<PathBuf>,
}

impl Copies {
    pub(super) fn new(user_path: &Path, work: &Arc<DiskWork>) -> Self {
        Self {
            user_path: user_path.to_owned(),
            work: Arc::clone(work),
            owed: BTreeMap::new(),
            unsynced: BTreeSet::new(),
        }
    }

    /// Refuses when the place of this copy is taken by a file that is not `ours`, the content registered so far.
    pub(super) fn check(
        &self,
        file_name: &str,
        ours: Option<&[u8]>,
        new: &[u8],
    ) -> Result<(), StoreError> {
        let ours = match self.owed.get(file_name) {
            Some(owed) => owed.held.as_deref(),
            None => ours,
        };
        let ours: Vec<Vec<u8>> = ours.map(<[u8]>::to_vec).into_iter().collect();
        let before = Before {
            contents: &ours,
            may_be_torn: false,
        };
        match self.copy(file_name, before, Some(new))? {
            Copy::Foreign => Err(StoreError::ForeignFile {
                path: self.user_path.join(file_name),
            }),
            _ => Ok(()),
        }
    }

    /// The file of this name, which held that, is to be brought to `content`, when there is time.
    pub(super) fn owe(
        &mut self,
        file_name: &str,
        held: Option<Arc<[u8]>>,
        content: Option<Arc<[u8]>>,
    ) {
        match self.owed.get_mut(file_name) {
            // The file holds what it held before that.
            Some(owed) => owed.content = content,
            None => {
                self.owed
                    .insert(file_name.to_owned(), Owed { held, content });
            }
        }
    }

    /// Writes what is owed, as far as that is possible.
    pub(super) fn bring_owed(&mut self) {
        for (file_name, owed) in std::mem::take(&mut self.owed) {
            let contents: Vec<Vec<u8>> = owed.held.iter().map(|held| held.to_vec()).collect();
            let before = Before {
                contents: &contents,
                may_be_torn: false,
            };
            if let Err(error) = self.bring(&file_name, before, owed.content.as_deref()) {
                tell_of_no_copy(&file_name, &error);
            }
        }
    }

    /// Brings the file of this name to `content`, or removes it, if it is missing or holds what it may have had before.
    /// Nothing is synced.
    pub(super) fn bring(
        &mut self,
        file_name: &str,
        before: Before<'_>,
        content: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let path = self.user_path.join(file_name);
        match (self.copy(file_name, before, content)?, content) {
            (Copy::Same, _) | (Copy::Missing | Copy::Foreign, None) => return Ok(()),
            (Copy::Foreign, Some(_)) => return Err(StoreError::ForeignFile { path }),
            (Copy::Before, None) => fs::remove_file(&path).map_err(io_error("remove", &path))?,
            (Copy::Missing | Copy::Before, Some(content)) => {
                files::write_unsynced(&self.work, &self.user_path, &path, content)?;
            }
        }
        self.unsynced.insert(path);
        Ok(())
    }

    /// The file of this name may have been written by a server that died before it was synced.
    pub(super) fn not_synced(&mut self, file_name: &str) {
        self.unsynced.insert(self.user_path.join(file_name));
    }

    pub(super) fn unsynced(&self) -> Vec<PathBuf> {
        self.unsynced.iter().cloned().collect()
    }

    /// These were synced, and did not change meanwhile.
    pub(super) fn synced(&mut self, copies: &[PathBuf]) {
        for path in copies {
            self.unsynced.remove(path);
        }
    }

    fn copy(
        &self,
        file_name: &str,
        before: Before<'_>,
        content: Option<&[u8]>,
    ) -> Result<Copy, StoreError> {
        let path = self.user_path.join(file_name);
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Copy::Missing),
            Err(error) => return Err(io_error("look at", &path)(error)),
        };
        let length = metadata.len().fit::<usize>();
        let contents = || before.contents.iter().map(Vec::as_slice).chain(content);
        let fits = |content: &[u8]| {
            content.len() == length || before.may_be_torn && length <= content.len()
        };
        if !metadata.is_file() || !contents().any(fits) {
            return Ok(Copy::Foreign);
        }
        let found = fs::read(&path).map_err(io_error("read", &path))?;
        if content == Some(&*found) {
            return Ok(Copy::Same);
        }
        let ours = before.contents.contains(&found)
            || before.may_be_torn && contents().any(|content| is_torn(&found, content));
        Ok(if ours { Copy::Before } else { Copy::Foreign })
    }
}

/// Says in the log that there is no copy. That does no harm to the thing: the registry holds it.
pub(crate) fn tell_of_no_copy(file_name: &str, error: &StoreError) {
    tracing::warn!(
        target: "udf",
        "no copy of `{file_name}` for people and tools: {error}; the module itself is registered and served"
    );
}

/// This can be left of `content` after a power cut: a beginning, with zeros in the places of what was not written.
fn is_torn(found: &[u8], content: &[u8]) -> bool {
    found.len() <= content.len()
        && found
            .iter()
            .zip(content)
            .all(|(found, written)| found == written || *found == 0)
}
