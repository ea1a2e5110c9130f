//! The registry on disk.
//!
//! ```text
//! <work-directory>/smd/UDF.smd      every module with its content, in the format of the real server; replaced as a whole
//! <work-directory>/smd/UDF.log      the changes since then, a record each; see `log`
//! <work-directory>/smd/sindex.smd, sindex.log   the same of definitions of indexes
//! <work-directory>/smd/.asd-alive   when the server was last alive, to the hour; see `Store::alive_until_ms`
//! <user-path>/<file name>           a copy of each module, for people and tools; nothing reads it back
//! ```
//!
//! A change is one record that is appended and synced, and costs its own size. `UDF.smd` is written when the server stops,
//! when no change came for a while, or when the log is long; it says up to which change it goes.
//!
//! Copies are written after the change is on disk, on other nodes than the one that was asked some milliseconds later, and
//! synced only before the next `UDF.smd`. Whatever moment the process
//! or the machine dies at, the next start knows from the log what a copy may hold, and brings it up. A file that holds
//! something else was written by somebody else and is left alone.

mod copies;
mod error;
mod files;
mod log;
mod snapshot;
mod stored;
mod work;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::copies::Copies;
use self::error::io_error;
use self::log::{Change, Log};
use super::kind::CatalogueKind;
use crate::clock;

pub(crate) use self::copies::{Before, tell_of_no_copy};
pub use self::error::StoreError;
pub(crate) use self::snapshot::Snapshot;
pub(crate) use self::stored::{StoredItem, followed_by};
pub use self::work::DiskWork;

/// When a server last used the directory, ms since 2010 in decimal.
const ALIVE_FILE: &str = ".asd-alive";

/// Above so many bytes the log is emptied with the next change, whoever waits for it.
const LONGEST_LOG: u64 = 128 << 20;

/// What every name that the log changes held before, the oldest first.
pub(crate) type Superseded = HashMap<Arc<str>, Vec<StoredItem>>;

/// What was found on disk.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) items: Vec<StoredItem>,
    pub(crate) superseded: Superseded,
}

/// The registry of one kind, and its copies.
#[derive(Debug)]
pub(crate) struct Store {
    kind: &'static CatalogueKind,
    metadata_directory: PathBuf,
    copies: Copies,
    log: Log,
    work: Arc<DiskWork>,
    /// Cluster key, kept as found, and number of changes.
    version: (i64, u64),
    /// Up to which change `UDF.smd` goes.
    snapshot: u64,
    /// `UDF.smd` has names that were forgotten since.
    forgot: bool,
    /// When the server before this one was last alive; none without a registry.
    alive_until_ms: Option<u64>,
    /// Holds the lock on the directory.
    _lock: File,
}

impl Store {
    /// Creates what is missing, removes unfinished files and reads the registry. Things without a `user_path` have no
    /// copies.
    pub(crate) fn open(
        kind: &'static CatalogueKind,
        work_directory: &Path,
        user_path: Option<&Path>,
    ) -> Result<Opened, StoreError> {
        let metadata_directory = work_directory.join("smd");
        let directories = || std::iter::once(&*metadata_directory).chain(user_path);
        for directory in directories() {
            fs::create_dir_all(directory).map_err(io_error("create directory", directory))?;
        }
        let lock = files::lock(kind, &metadata_directory)?;
        for directory in directories() {
            files::remove_unfinished(kind, directory)?;
        }
        let path = metadata_directory.join(kind.registry);
        let work = Arc::<DiskWork>::default();
        let (log, changes) = Log::read(kind, &metadata_directory, &work)?;
        let (version, items) = match fs::read(&path) {
            Ok(text) => snapshot::parse(kind, &text).map_err(|reason| StoreError::Damaged {
                path: path.clone(),
                reason,
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if changes.is_empty()
                    && let Some(user_path) = user_path
                {
                    warn_of_orphans(&path, user_path);
                }
                ((0, 0), Vec::new())
            }
            Err(error) => return Err(io_error("read", &path)(error)),
        };
        let snapshot = version.1;
        let changes = following(kind, snapshot, changes, &log)?;
        let has_log = log.length() > 0;
        let registries = [Some(&*path), has_log.then(|| log.path())];
        let alive_until_ms = alive_until(
            &metadata_directory.join(kind.hidden(ALIVE_FILE)),
            registries.into_iter().flatten(),
        )?;
        let mut copies = Copies::new(user_path.unwrap_or(&metadata_directory), &work);
        let last = changes.last().map_or(snapshot, |last| last.number);
        let (items, superseded) = replayed(items, changes);
        for file_name in superseded.keys().filter(|_| user_path.is_some()) {
            copies.not_synced(file_name);
        }
        let store = Self {
            kind,
            metadata_directory,
            copies,
            log,
            work,
            version: (version.0, last),
            snapshot,
            forgot: false,
            alive_until_ms,
            _lock: lock,
        };
        Ok(Opened {
            store,
            items,
            superseded,
        })
    }

    /// Makes a change last. On return it is on disk; on error nothing changed. `before` is all that was known so far,
    /// for when the log cannot be written.
    pub(crate) fn append(
        &mut self,
        changes: &[StoredItem],
        before: &[StoredItem],
    ) -> Result<(), StoreError> {
        if self.log.length() < LONGEST_LOG {
            let number = self.version.1.saturating_add(1);
            match self.log.append(number, changes) {
                Ok(()) => {
                    self.version.1 = number;
                    return Ok(());
                }
                Err(error) => {
                    tracing::warn!(target: "smd", "{error}; the registry is written as a whole");
                }
            }
        }
        let items = followed_by(before.to_vec(), changes.iter().cloned());
        self.replace(&items)
    }

    /// Replaces all that is known. On return it is on disk; on error nothing changed.
    pub(crate) fn replace(&mut self, items: &[StoredItem]) -> Result<(), StoreError> {
        let number = self.version.1.saturating_add(1);
        // The log tells what copies may hold; it is emptied.
        self.copies.bring_owed();
        let copies = self.copies.unsynced();
        if !copies.is_empty() {
            files::sync_files(&self.work, &self.copies.user_path, &copies)?;
        }
        let text = snapshot::render(self.kind, (self.version.0, number), items);
        let path = self.metadata_directory.join(self.kind.registry);
        files::write_whole(
            &self.work,
            self.kind,
            &self.metadata_directory,
            &path,
            &text,
        )?;
        self.version.1 = number;
        self.snapshot = number;
        self.copies.synced(&copies);
        self.empty_log();
        Ok(())
    }

    fn empty_log(&mut self) {
        if let Err(error) = self.log.clear() {
            tracing::warn!(target: "smd", "{error}");
        }
    }

    /// Names were forgotten, which the next snapshot leaves out.
    pub(crate) fn forgot(&mut self) {
        self.forgot = true;
    }

    /// How much a start would have to read besides `UDF.smd`, bytes; none if `UDF.smd` has all.
    pub(crate) fn behind(&self) -> Option<u64> {
        let changed = self.snapshot < self.version.1 || self.log.length() > 0 || self.forgot;
        changed.then(|| self.log.length())
    }

    /// All that is known now, to be [written](Snapshot::write) while changes go on, [put in its place](Self::put_in_place),
    /// and [counted](Self::written) once its directory is synced.
    pub(crate) fn snapshot(&mut self, items: &[StoredItem]) -> Snapshot {
        self.forgot = false;
        self.copies.bring_owed();
        Snapshot {
            kind: self.kind,
            version: self.version,
            items: items.to_vec(),
            metadata_directory: self.metadata_directory.clone(),
            copies: self.copies.unsynced(),
            user_path: self.copies.user_path.clone(),
            work: Arc::clone(&self.work),
        }
    }

    /// What it has cost the disk so far.
    pub(crate) fn work(&self) -> &Arc<DiskWork> {
        &self.work
    }

    /// Gives a written snapshot its name, unless there is a newer one: then it is removed.
    pub(crate) fn put_in_place(&mut self, snapshot: &Snapshot) -> Result<(), StoreError> {
        let written = self
            .metadata_directory
            .join(self.kind.hidden(files::TEMPORARY_SNAPSHOT));
        let (_, number) = snapshot.version;
        if number < self.snapshot {
            return fs::remove_file(&written).map_err(io_error("remove", &written));
        }
        files::rename(&written, &self.metadata_directory.join(self.kind.registry))?;
        self.snapshot = number;
        Ok(())
    }

    /// The snapshot is on disk under its name. If nothing changed meanwhile, the log is emptied.
    pub(crate) fn written(&mut self, snapshot: &Snapshot) {
        let (_, number) = snapshot.version;
        if self.version.1 != number || self.snapshot != number {
            return;
        }
        self.copies.synced(&snapshot.copies);
        self.empty_log();
    }

    /// When the server before this one was last alive, ms since 2010; none without a registry.
    pub(crate) fn alive_until_ms(&self) -> Option<u64> {
        self.alive_until_ms
    }

    /// Notes that the server is alive now and that its registry counts.
    pub(crate) fn mark_alive(&self, now_ms: u64) -> Result<(), StoreError> {
        let path = self.metadata_directory.join(self.kind.hidden(ALIVE_FILE));
        files::write_whole(
            &self.work,
            self.kind,
            &self.metadata_directory,
            &path,
            now_ms.to_string().as_bytes(),
        )
    }

    /// Refuses when the place of this copy is taken by a file that is not `ours`, the content registered so far.
    pub(crate) fn check_copy(
        &self,
        file_name: &str,
        ours: Option<&[u8]>,
        new: &[u8],
    ) -> Result<(), StoreError> {
        self.copies.check(file_name, ours, new)
    }

    /// Brings the copy of this name to `content`, or removes it, if it is missing or holds what it may have had before.
    pub(crate) fn bring_copy(
        &mut self,
        file_name: &str,
        before: Before<'_>,
        content: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        self.copies.bring(file_name, before, content)
    }

    /// The copy of this name, which held that, is to be brought to `content` when [somebody has time](Self::bring_copies).
    /// Until then the log tells a start what the file may hold.
    pub(crate) fn owe_copy(
        &mut self,
        file_name: &str,
        held: Option<Arc<[u8]>>,
        content: Option<Arc<[u8]>>,
    ) {
        self.copies.owe(file_name, held, content);
        if self.behind().is_none() {
            self.copies.bring_owed();
        }
    }

    /// Writes the copies that are owed.
    pub(crate) fn bring_copies(&mut self) {
        self.copies.bring_owed();
    }
}

/// The changes that the snapshot does not have.
fn following(
    kind: &CatalogueKind,
    snapshot: u64,
    changes: Vec<Change>,
    log: &Log,
) -> Result<Vec<Change>, StoreError> {
    let changes: Vec<Change> = changes
        .into_iter()
        .skip_while(|change| change.number <= snapshot)
        .collect();
    match changes.first() {
        Some(first) if Some(first.number) != snapshot.checked_add(1) => Err(StoreError::Damaged {
            path: log.path().to_owned(),
            reason: format!(
                "it goes on from change {}, but {} beside it goes up to change {snapshot}",
                first.number.saturating_sub(1),
                kind.registry
            ),
        }),
        _ => Ok(changes),
    }
}

/// The state after these changes, and what each name that they change had before.
fn replayed(items: Vec<StoredItem>, changes: Vec<Change>) -> (Vec<StoredItem>, Superseded) {
    let mut superseded = Superseded::new();
    if changes.is_empty() {
        return (items, superseded);
    }
    let mut current: HashMap<Arc<str>, StoredItem> = items
        .iter()
        .map(|item| (Arc::clone(item.name()), item.clone()))
        .collect();
    let later: Vec<StoredItem> = changes
        .into_iter()
        .flat_map(|change| change.items)
        .collect();
    for item in &later {
        let file_name = Arc::clone(item.name());
        let before = current.insert(Arc::clone(&file_name), item.clone());
        superseded.entry(file_name).or_default().extend(before);
    }
    (followed_by(items, later), superseded)
}

/// Says that there are files of modules and no registry that knows them.
fn warn_of_orphans(registry: &Path, user_path: &Path) {
    let Ok(entries) = fs::read_dir(user_path) else {
        return;
    };
    let is_module =
        |name: &std::ffi::OsStr| Path::new(name).extension().is_some_and(|end| end == "lua");
    let orphans = entries
        .filter_map(Result::ok)
        .filter(|entry| is_module(&entry.file_name()))
        .count();
    if orphans > 0 {
        tracing::warn!(
            target: "udf",
            "there is no registry `{}`, but {orphans} .lua files are in `{}`: they are not registered and cannot be \
             called; put the registry back, or register them again",
            registry.display(),
            user_path.display()
        );
    }
}

/// When the server was last alive, ms since 2010; none without a registry. A registry that another server or an older
/// release left says it by the time of its files.
fn alive_until<'p>(
    alive: &Path,
    registries: impl Iterator<Item = &'p Path>,
) -> Result<Option<u64>, StoreError> {
    let mut last = None;
    for registry in registries {
        match fs::metadata(registry).and_then(|metadata| metadata.modified()) {
            Ok(modified) => last = last.max(Some(clock::epoch_ms_of(modified))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error("look at", registry)(error)),
        }
    }
    let Some(modified) = last else {
        return Ok(None);
    };
    match fs::read_to_string(alive) {
        Ok(text) => text.parse().map(Some).map_err(|_| StoreError::Damaged {
            path: alive.to_owned(),
            reason: "it is no number of milliseconds".to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(modified)),
        Err(error) => Err(io_error("read", alive)(error)),
    }
}

#[cfg(test)]
mod tests;
