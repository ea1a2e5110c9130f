//! The registry on disk.
//!
//! ```text
//! <work-directory>/smd/UDF.smd      the truth: every module with its content; replaced as a whole
//! <work-directory>/smd/.asd-alive   when the server was last alive, to the hour; see `Store::alive_until_ms`
//! <user-path>/<file name>           a copy of each module, for people and tools; nothing reads it back
//! ```
//!
//! Both are written to a temporary file that is synced and then renamed, so each is there whole or not at all. The
//! copy of a module that changes is removed before the registry is replaced and written after: whatever moment the
//! process dies at, the next start finds a copy that is missing, never one that disagrees. A file that disagrees was
//! therefore written by somebody else and is left alone.
//!
//! The format is that of the real server with two more keys, `era` and `node`, which may be missing, so a registry can be
//! carried over.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use thiserror::Error;

use super::item::{ItemError, ModuleItem};
use super::module::{hash_of_metadata, metadata_value};
use super::names;
use super::version::{Summary, Version};
use crate::clock;

const METADATA_FILE: &str = "UDF.smd";
/// Unfinished files. Module names never begin with a dot.
const TEMPORARY_FILE: &str = ".asd-unfinished";
/// Locked by the server that uses the directory, for as long as it lives.
const LOCK_FILE: &str = ".asd-lock";
/// When a server last used the directory, ms since 2010 in decimal.
const ALIVE_FILE: &str = ".asd-alive";

/// What went wrong with the registry's files.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The system refused.
    #[error("cannot {action} `{path}`: {source}")]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Two servers would overwrite each other's modules.
    #[error("`{path}` is in use by another server; give each its own `work-directory`")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The registry is not what this server writes. It is not overwritten.
    #[error("`{path}` is damaged: {reason}; repair it, or move it away to start without modules")]
    Damaged {
        /// The registry.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A file of this name is in the module directory, and the server did not write it.
    #[error(
        "`{path}` was not written by this server and is kept; move it away, or register under another name"
    )]
    ForeignFile {
        /// The file.
        path: PathBuf,
    },
    /// Too many names are known.
    #[error(
        "{limit} modules are known, counting those removed within the last 30 days; \
         register under a name that was used before"
    )]
    TooMany {
        /// How many there may be.
        limit: usize,
    },
    /// All modules together would be too large.
    #[error(
        "all modules together would have {wanted} bytes, {limit} are possible; remove some first"
    )]
    TooLarge {
        /// Bytes of base64 that there would be.
        wanted: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The registry is old, and other nodes have not said yet whether it counts.
    #[error(
        "this node was away for long and has not asked the others yet whether its modules count; try again"
    )]
    Unsettled,
    /// Another node sent what cannot be a module.
    #[error("what another node sent as `{file_name}` is refused: {reason}")]
    Item {
        /// The name that it came under.
        file_name: String,
        /// Why.
        #[source]
        reason: ItemError,
    },
}

/// One entry of the registry: a module, or what is left of a removed one. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredItem {
    file_name: Arc<str>,
    summary: Summary,
    content64: Option<Arc<str>>,
    /// Its element of the array on disk, made once: saving writes those of all modules.
    element: Arc<str>,
}

impl StoredItem {
    /// `content64` is none once removed.
    pub(crate) fn new(file_name: &str, version: Version, content64: Option<&str>) -> Self {
        let value = content64.map(|content64| metadata_value(file_name, content64));
        let hash = value.as_deref().map(hash_of_metadata);
        let Version {
            era,
            generation,
            time_ms,
            node,
        } = version;
        let mut more = String::new();
        for (key, value) in [("era", format!("{era}")), ("node", format!("{node:X}"))] {
            if value != "0" {
                more.push_str(&format!(",\n      \"{key}\": \"{value}\""));
            }
        }
        let element = format!(
            "   {{\n      \"key\": {},\n      \"value\": {},\n      \"generation\": {generation},\n      \
             \"timestamp\": {time_ms}{more}\n   }}",
            serde_json::Value::from(file_name),
            serde_json::Value::from(value),
        );
        Self {
            file_name: file_name.into(),
            summary: Summary { version, hash },
            content64: content64.map(Arc::from),
            element: element.into(),
        }
    }

    /// An item that was checked.
    pub(crate) fn from_item(item: &ModuleItem) -> Self {
        Self::new(
            &item.file_name,
            item.summary.version,
            item.content64.as_deref(),
        )
    }

    /// For other nodes.
    pub(crate) fn to_item(&self) -> ModuleItem {
        ModuleItem {
            file_name: self.file_name.as_ref().to_owned(),
            summary: self.summary,
            content64: self.content64.as_deref().map(str::to_owned),
        }
    }

    pub(crate) fn file_name(&self) -> &Arc<str> {
        &self.file_name
    }

    pub(crate) fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Content as registered, base64; none once removed.
    pub(crate) fn content64(&self) -> Option<&str> {
        self.content64.as_deref()
    }
}

/// One element of the array after the version.
#[derive(Deserialize)]
struct Row {
    key: String,
    value: Option<String>,
    generation: u64,
    timestamp: u64,
    /// Where the change was made, hexadecimal. A real server writes none.
    node: Option<String>,
    /// See [`Version::era`]. A real server writes none.
    era: Option<String>,
}

/// The text inside [`Row::value`].
#[derive(Deserialize)]
struct Value {
    content64: String,
    name: String,
}

/// What stands at the place of a module's copy.
#[derive(Debug, PartialEq, Eq)]
enum Copy {
    Missing,
    Same,
    Foreign,
}

/// The directories of one server.
#[derive(Debug)]
pub(crate) struct Store {
    metadata_directory: PathBuf,
    user_path: PathBuf,
    /// Cluster key and number of changes, kept as found.
    version: (i64, u64),
    /// When the server before this one was last alive; none without a registry.
    alive_until_ms: Option<u64>,
    /// Holds the lock on the directory.
    _lock: File,
}

impl Store {
    /// Creates what is missing, removes unfinished files and reads the registry.
    pub(crate) fn open(
        work_directory: &Path,
        user_path: &Path,
    ) -> Result<(Self, Vec<StoredItem>), StoreError> {
        let metadata_directory = work_directory.join("smd");
        for directory in [&*metadata_directory, user_path] {
            fs::create_dir_all(directory).map_err(io_error("create directory", directory))?;
        }
        let lock = lock(&metadata_directory)?;
        for directory in [&*metadata_directory, user_path] {
            let unfinished = directory.join(TEMPORARY_FILE);
            match fs::remove_file(&unfinished) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(io_error("remove", &unfinished)(error));
                }
                _ => {}
            }
        }
        let path = metadata_directory.join(METADATA_FILE);
        let (version, items) = match fs::read(&path) {
            Ok(text) => parse(&text).map_err(|reason| StoreError::Damaged {
                path: path.clone(),
                reason,
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                warn_of_orphans(&path, user_path);
                ((0, 0), Vec::new())
            }
            Err(error) => return Err(io_error("read", &path)(error)),
        };
        let alive_until_ms = alive_until(&metadata_directory.join(ALIVE_FILE), &path)?;
        let store = Self {
            metadata_directory,
            user_path: user_path.to_owned(),
            version,
            alive_until_ms,
            _lock: lock,
        };
        Ok((store, items))
    }

    /// Replaces the registry. On return the new one is on disk; on error the old one still is.
    pub(crate) fn save(&mut self, items: &[StoredItem]) -> Result<(), StoreError> {
        let version = (self.version.0, self.version.1.saturating_add(1));
        let path = self.metadata_directory.join(METADATA_FILE);
        write_whole(&self.metadata_directory, &path, &render(version, items))?;
        self.version = version;
        Ok(())
    }

    /// When the server before this one was last alive, ms since 2010; none without a registry.
    pub(crate) fn alive_until_ms(&self) -> Option<u64> {
        self.alive_until_ms
    }

    /// Notes that the server is alive now and that its registry counts.
    pub(crate) fn mark_alive(&self, now_ms: u64) -> Result<(), StoreError> {
        let path = self.metadata_directory.join(ALIVE_FILE);
        write_whole(
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
        if self.copy(file_name, ours.unwrap_or(new))? != Copy::Foreign {
            return Ok(());
        }
        if ours.is_some() && self.copy(file_name, new)? == Copy::Same {
            return Ok(());
        }
        Err(StoreError::ForeignFile {
            path: self.user_path.join(file_name),
        })
    }

    /// Removes those copies that hold what they should: file name and content.
    pub(crate) fn remove_copies<'c>(
        &self,
        copies: impl IntoIterator<Item = (&'c str, &'c [u8])>,
    ) -> Result<(), StoreError> {
        let mut removed = false;
        for (file_name, content) in copies {
            if self.copy(file_name, content)? == Copy::Same {
                let path = self.user_path.join(file_name);
                fs::remove_file(&path).map_err(io_error("remove", &path))?;
                removed = true;
            }
        }
        if removed {
            sync_directory(&self.user_path)?;
        }
        Ok(())
    }

    /// Writes those copies that are missing: file name and content. One that cannot be written does no harm to its
    /// module, which the registry holds; `failed` is told.
    pub(crate) fn write_copies<'c>(
        &self,
        copies: impl IntoIterator<Item = (&'c str, &'c [u8])>,
        mut failed: impl FnMut(&'c str, StoreError),
    ) {
        let mut last = None;
        for (file_name, content) in copies {
            let path = self.user_path.join(file_name);
            let written = self.copy(file_name, content).and_then(|copy| match copy {
                Copy::Same => Ok(()),
                Copy::Foreign => Err(StoreError::ForeignFile { path }),
                Copy::Missing => {
                    write_file(&self.user_path, &path, content)?;
                    last = Some(file_name);
                    Ok(())
                }
            });
            if let Err(error) = written {
                failed(file_name, error);
            }
        }
        if let Some(last) = last
            && let Err(error) = sync_directory(&self.user_path)
        {
            failed(last, error);
        }
    }

    fn copy(&self, file_name: &str, content: &[u8]) -> Result<Copy, StoreError> {
        let path = self.user_path.join(file_name);
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Copy::Missing),
            Err(error) => return Err(io_error("look at", &path)(error)),
        };
        if !metadata.is_file() || usize::try_from(metadata.len()) != Ok(content.len()) {
            return Ok(Copy::Foreign);
        }
        let found = fs::read(&path).map_err(io_error("read", &path))?;
        Ok(if found == content {
            Copy::Same
        } else {
            Copy::Foreign
        })
    }
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

fn io_error<'p>(action: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> StoreError + 'p {
    move |source| StoreError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Takes the directory for this process. The system gives it back when the process ends, however it ends.
fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join(LOCK_FILE);
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
fn write_whole(directory: &Path, path: &Path, content: &[u8]) -> Result<(), StoreError> {
    write_file(directory, path, content)?;
    sync_directory(directory)
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

/// Like [`write_whole`], but that the file has its name is certain only once the directory is synced.
fn write_file(directory: &Path, path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let temporary = directory.join(TEMPORARY_FILE);
    let written = create_new(&temporary)
        .and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(source) = written {
        let _ = fs::remove_file(&temporary);
        return Err(io_error("write", path)(source));
    }
    Ok(())
}

/// When the server was last alive, ms since 2010; none without a registry. A registry that another server or an older
/// release left says it by the time of its file.
fn alive_until(alive: &Path, registry: &Path) -> Result<Option<u64>, StoreError> {
    let modified = match fs::metadata(registry).and_then(|metadata| metadata.modified()) {
        Ok(modified) => clock::epoch_ms_of(modified),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("look at", registry)(error)),
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

fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    File::open(directory)
        .and_then(|opened| opened.sync_all())
        .map_err(io_error("sync", directory))
}

fn render(version: (i64, u64), items: &[StoredItem]) -> Vec<u8> {
    let size: usize = items.iter().map(|item| item.element.len() + 2).sum();
    let mut text = Vec::with_capacity(size + 64);
    let (cluster_key, changes) = version;
    text.extend_from_slice(
        format!("[\n   [\n      {cluster_key},\n      {changes}\n   ]").as_bytes(),
    );
    for item in items {
        text.extend_from_slice(b",\n");
        text.extend_from_slice(item.element.as_bytes());
    }
    text.extend_from_slice(b"\n]\n");
    text
}

/// Reads the registry. The leading version is optional, as old releases wrote none.
fn parse(text: &[u8]) -> Result<((i64, u64), Vec<StoredItem>), String> {
    let elements: Vec<serde_json::Value> =
        serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let mut version = (0, 1);
    let mut items = Vec::with_capacity(elements.len());
    let mut seen = HashSet::new();
    for (index, element) in elements.into_iter().enumerate() {
        if index == 0 && element.is_array() {
            version =
                serde_json::from_value(element).map_err(|error| format!("version: {error}"))?;
            continue;
        }
        let row: Row =
            serde_json::from_value(element).map_err(|error| format!("element {index}: {error}"))?;
        if !names::stays_inside(row.key.as_bytes()) {
            return Err(format!("element {index}: bad file name `{}`", row.key));
        }
        if !seen.insert(row.key.clone()) {
            return Err(format!("element {index}: `{}` occurs twice", row.key));
        }
        let content64 = match row.value {
            None => None,
            Some(value) => {
                let value: Value = serde_json::from_str(&value)
                    .map_err(|error| format!("value of `{}`: {error}", row.key))?;
                if value.name != row.key {
                    return Err(format!("value of `{}` names `{}`", row.key, value.name));
                }
                Some(value.content64)
            }
        };
        let number = |key: &str, text: Option<&str>, radix| {
            u64::from_str_radix(text.unwrap_or("0"), radix)
                .map_err(|error| format!("{key} of `{}`: {error}", row.key))
        };
        let version = Version {
            era: number("era", row.era.as_deref(), 10)?,
            generation: row.generation,
            time_ms: row.timestamp,
            node: number("node", row.node.as_deref(), 16)?,
        };
        items.push(StoredItem::new(&row.key, version, content64.as_deref()));
    }
    Ok((version, items))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(file_name: &str, content64: Option<&str>) -> StoredItem {
        let version = Version {
            era: 19,
            generation: 3,
            time_ms: 533_099_034_374,
            node: 0xBB9_0000_0000_0000,
        };
        StoredItem::new(file_name, version, content64)
    }

    #[test]
    fn links_in_the_way_of_files_are_not_followed() {
        use std::os::unix::fs::symlink;
        let directory = tempfile::tempdir().unwrap();
        let (work, user_path) = (directory.path().join("work"), directory.path().join("lua"));
        let (mut store, _) = Store::open(&work, &user_path).unwrap();
        let secret = directory.path().join("secret");
        fs::write(&secret, "secret").unwrap();
        for folder in [work.join("smd"), user_path.clone()] {
            symlink(&secret, folder.join(TEMPORARY_FILE)).unwrap();
        }
        store.save(&[item("a.lua", Some("LS0g"))]).unwrap();
        store.mark_alive(7).unwrap();
        store.write_copies([("a.lua", &b"-- "[..])], |_, error| panic!("{error}"));
        assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
        for path in [work.join("smd/UDF.smd"), user_path.join("a.lua")] {
            assert!(fs::symlink_metadata(&path).unwrap().is_file(), "{path:?}");
        }
        drop(store);
        fs::remove_file(work.join("smd").join(LOCK_FILE)).unwrap();
        symlink(&secret, work.join("smd").join(LOCK_FILE)).unwrap();
        let refused = Store::open(&work, &user_path).unwrap_err().to_string();
        assert!(refused.starts_with("cannot create `"), "{refused}");
        assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
    }

    #[test]
    fn registry_is_read_as_written() {
        let items = vec![item("ñ \"q\".lua", Some("LS0g")), item("gone.lua", None)];
        let text = render((-5, 7), &items);
        assert_eq!(parse(&text), Ok(((-5, 7), items)));
    }

    #[test]
    fn registry_of_the_real_server_is_read() {
        let text = br#"[ [ -123, 4 ], { "key": "\u00fc.lua",
            "value": "{\"content64\": \"LS0g\", \"type\": \"LUA\", \"name\": \"\u00fc.lua\"}",
            "generation": 1, "timestamp": 533099034374 },
            { "key": "b.lua", "value": null, "generation": 2, "timestamp": 533099034375 } ]"#;
        let (version, items) = parse(text).unwrap();
        assert_eq!(version, (-123, 4));
        assert_eq!(items[0].content64(), Some("LS0g"));
        assert_eq!(&**items[0].file_name(), "ü.lua");
        assert_eq!(items[0].summary().version.to_string(), "0,1,533099034374,0");
        assert_eq!(items[1].content64(), None);
    }

    #[test]
    fn damaged_registry_is_refused_and_left_alone() {
        for text in [
            "",
            "{}",
            "[[0,1],{\"key\":\"a.lua\"}]",
            "[[0,1],{\"key\":\"../a.lua\",\"value\":null,\"generation\":1,\"timestamp\":1}]",
            "[[0,1],{\"key\":\"a.lua\",\"value\":\"{}\",\"generation\":1,\"timestamp\":1}]",
            "[[0,1],{\"key\":\"a.lua\",\"value\":null,\"generation\":-1,\"timestamp\":1}]",
        ] {
            let directory = tempfile::tempdir().unwrap();
            fs::create_dir(directory.path().join("smd")).unwrap();
            let path = directory.path().join("smd/UDF.smd");
            fs::write(&path, text).unwrap();
            let opened = Store::open(directory.path(), &directory.path().join("lua"));
            assert!(
                matches!(opened, Err(StoreError::Damaged { .. })),
                "{text}: {opened:?}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn directory_belongs_to_one_server_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let user_path = directory.path().join("lua");
        let first = Store::open(directory.path(), &user_path).unwrap();
        let second = Store::open(directory.path(), &user_path);
        assert!(
            matches!(second, Err(StoreError::InUse { .. })),
            "{second:?}"
        );
        drop(first);
        Store::open(directory.path(), &user_path).unwrap();
    }

    #[test]
    fn unfinished_files_are_removed_at_start_and_no_others() {
        let directory = tempfile::tempdir().unwrap();
        let user_path = directory.path().join("lua");
        fs::create_dir(&user_path).unwrap();
        fs::write(user_path.join(TEMPORARY_FILE), "half").unwrap();
        fs::write(user_path.join(".hidden"), "theirs").unwrap();
        fs::write(user_path.join("theirs.lua"), "theirs").unwrap();
        Store::open(directory.path(), &user_path).unwrap();
        let mut left: Vec<_> = fs::read_dir(&user_path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, [".hidden", "theirs.lua"]);
    }

    #[test]
    fn only_files_of_the_registered_content_are_replaced_or_removed() {
        let directory = tempfile::tempdir().unwrap();
        let user_path = directory.path().join("lua");
        let (store, _) = Store::open(directory.path(), &user_path).unwrap();
        store.write_copies([("a.lua", &b"one"[..])], |name, error| {
            panic!("{name}: {error}")
        });
        store.check_copy("a.lua", Some(b"one"), b"two").unwrap();
        store.remove_copies([("a.lua", &b"two"[..])]).unwrap();
        assert_eq!(fs::read(user_path.join("a.lua")).unwrap(), b"one");
        store.remove_copies([("a.lua", &b"one"[..])]).unwrap();
        assert!(!user_path.join("a.lua").exists());

        fs::write(user_path.join("theirs.lua"), "theirs").unwrap();
        std::os::unix::fs::symlink("theirs.lua", user_path.join("link.lua")).unwrap();
        fs::create_dir(user_path.join("directory.lua")).unwrap();
        for name in ["theirs.lua", "link.lua", "directory.lua"] {
            for ours in [None, Some(&b"one"[..])] {
                assert!(
                    matches!(
                        store.check_copy(name, ours, b"new"),
                        Err(StoreError::ForeignFile { .. })
                    ),
                    "{name}"
                );
            }
            store.remove_copies([(name, &b"one"[..])]).unwrap();
            let mut failures = 0;
            store.write_copies([(name, &b"one"[..])], |_, _| failures += 1);
            assert_eq!(failures, 1, "{name}");
        }
        assert_eq!(fs::read(user_path.join("theirs.lua")).unwrap(), b"theirs");
        store.check_copy("theirs.lua", None, b"theirs").unwrap();
    }
}
