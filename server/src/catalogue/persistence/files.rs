//! Files that are there whole or not at all.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::super::kind::CatalogueKind;
use super::error::{StoreError, io_error};
use super::work::DiskWork;

/// Unfinished files. Module names never begin with a dot.
pub(super) const TEMPORARY_FILE: &str = ".asd-unfinished";
/// The unfinished file of what is written beside changes.
pub(super) const TEMPORARY_SNAPSHOT: &str = ".asd-unfinished-snapshot";
/// Locked by the server that uses the directory, for as long as it lives.
pub(super) const LOCK_FILE: &str = ".asd-lock";

/// Removes what a server left unfinished.
pub(super) fn remove_unfinished(kind: &CatalogueKind, directory: &Path) -> Result<(), StoreError> {
    for name in [TEMPORARY_FILE, TEMPORARY_SNAPSHOT] {
        let path = directory.join(kind.hidden(name));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("remove", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Takes the registry of a kind for this process. The system gives it back when the process ends, however it ends.
pub(super) fn lock(kind: &CatalogueKind, directory: &Path) -> Result<File, StoreError> {
    let path = directory.join(kind.hidden(LOCK_FILE));
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&path)
        .map_err(io_error("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse {
            path: directory.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(io_error("lock", &path)(error)),
    }
}

/// Puts a file in its place, whole: after a return it survives a power cut, after a death in between nothing changed.
pub(super) fn write_whole(
    work: &DiskWork,
    kind: &CatalogueKind,
    directory: &Path,
    path: &Path,
    content: &[u8],
) -> Result<(), StoreError> {
    let temporary = directory.join(kind.hidden(TEMPORARY_FILE));
    write_synced(work, &temporary, content).map_err(io_error("write", path))?;
    rename(&temporary, path)?;
    sync_directory(work, directory)
}

/// Writes a file of this name and syncs its content. On error there is none.
pub(super) fn write_synced(work: &DiskWork, path: &Path, content: &[u8]) -> io::Result<()> {
    let written = create_new(path).and_then(|mut file| {
        work.writes(content.len());
        file.write_all(content)?;
        work.sync(&file)
    });
    if written.is_err() {
        // What was wrong with it is the news.
        let _ = fs::remove_file(path);
    }
    written
}

/// Puts a file in its place, whole for every reader; what of it survives a power cut is certain only once file and
/// directory are synced. Does not wait for the disk: a file system writes, then and there, what takes the place of
/// another file by its name, but not what changes names with it.
pub(super) fn write_unsynced(
    work: &DiskWork,
    directory: &Path,
    path: &Path,
    content: &[u8],
) -> Result<(), StoreError> {
    let temporary = directory.join(TEMPORARY_FILE);
    work.writes(content.len());
    let written = create_new(&temporary).and_then(|mut file| file.write_all(content));
    if let Err(error) = written {
        // What was wrong with it is the news.
        let _ = fs::remove_file(&temporary);
        return Err(io_error("write", path)(error));
    }
    match exchange(&temporary, path) {
        Ok(()) => fs::remove_file(&temporary).map_err(io_error("remove", &temporary)),
        Err(error) => {
            // Without another file there is none to wait for; else the file system knows no exchange.
            if error.kind() != io::ErrorKind::NotFound {
                work.replaces();
            }
            rename(&temporary, path)
        }
    }
}

/// Has two files change names.
pub(super) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(|error| {
        // What was wrong with it is the news.
        let _ = fs::remove_file(from);
        io_error("write", to)(error)
    })
}

/// Creates a file where none may be: a link that somebody has put there is removed, never followed.
fn create_new(path: &Path) -> io::Result<File> {
    let create = || OpenOptions::new().write(true).create_new(true).open(path);
    match create() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            create()
        }
        created => created,
    }
}

pub(super) fn sync_directory(work: &DiskWork, directory: &Path) -> Result<(), StoreError> {
    File::open(directory)
        .and_then(|opened| work.sync(&opened))
        .map_err(io_error("sync", directory))
}

/// Syncs these files, those that are gone left out, and the names in their directory.
pub(super) fn sync_files(
    work: &DiskWork,
    directory: &Path,
    files: &[PathBuf],
) -> Result<(), StoreError> {
    for path in files {
        match File::open(path).and_then(|file| work.sync(&file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("sync", path)(error));
            }
            _ => {}
        }
    }
    sync_directory(work, directory)
}
